// Behind libFuzzer's own main: souffleur_fuzz TARGET [libFuzzer's arguments]; `list` prints the targets,
// `seeds TARGET FOLDER` writes their seeds.
#include "tests/fuzz/target.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace {

namespace fuzz = souffleur::fuzz;

const fuzz::target* chosen = nullptr;

const fuzz::target& named(std::string_view name) {
  const auto found = std::ranges::find(fuzz::targets(), name, &fuzz::target::name);
  if (found == fuzz::targets().end()) {
    std::fprintf(stderr, "there is no target %s; `list` prints them\n", std::string{name}.c_str());
    std::exit(2);
  }
  return *found;
}

void write_seeds(const fuzz::target& of, const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder);
  int i = 0;
  for (const auto& seed : of.seeds())
    std::ofstream{folder / ("seed-" + std::to_string(i++)), std::ios::binary} << seed;
}

} // namespace

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  const std::string command = *argc > 1 ? (*argv)[1] : "list";
  if (command == "list") {
    for (const auto& one : fuzz::targets())
      std::puts(std::string{one.name}.c_str());
    std::exit(0);
  }
  if (command == "seeds" && *argc == 4) {
    write_seeds(named((*argv)[2]), (*argv)[3]);
    std::exit(0);
  }
  chosen = &named(command);
  std::rotate(*argv + 1, *argv + 2, *argv + *argc); // libFuzzer sees its own arguments alone
  --*argc;
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t n_bytes) {
  chosen->take({reinterpret_cast<const char*>(bytes), n_bytes});
  return 0;
}
