// What an operator writes: options, a configuration file, a file of keys, an address.
#include "engine/cache/redis/address.hpp"
#include "net/api_keys.hpp"
#include "net/command_line.hpp"
#include "tests/engine/scratch_folder.hpp"
#include "tests/fuzz/target.hpp"

#include <sstream>

namespace souffleur::fuzz {
namespace {

using words = std::vector<std::string>;

void parse(const words& arguments) {
  std::vector<const char*> argv{"souffleur"};
  for (const auto& word : arguments)
    argv.push_back(word.c_str());
  const auto parsed = parse_command_line(static_cast<int>(argv.size()), argv.data());
  if (const auto* exit = std::get_if<command_line_exit>(&parsed))
    require(!exit->text.empty(), "whoever is not served is told why");
}

void take_file(std::string_view input) {
  static const testing::scratch_folder folder{testing::memory_or_disk()};
  const auto path = folder.path() / "fuzz.conf";
  std::ofstream{path, std::ios::binary | std::ios::trunc} << input;
  parse({"--config", path});
}

/// An argument a line; none names a file.
void take_line(std::string_view input) {
  words arguments;
  std::istringstream lines{std::string{input}};
  for (std::string line; std::getline(lines, line);)
    if (!line.starts_with("--config") && line.find('\0') == std::string::npos)
      arguments.push_back(line);
  parse(arguments);
}

void take_keys(std::string_view input) {
  std::istringstream lines{std::string{input}};
  if (const auto keys = api_keys::read(lines)) {
    (void)keys->tenant_of("0123456789abcdef");
    (void)keys->limits_of("alice", {});
  }
}

void take_address(std::string_view input) { (void)parse_redis_address(input); }

words file_seeds() {
  std::ifstream in{std::filesystem::path{SOUFFLEUR_SOURCE} / "conf" / "souffleur.conf"};
  const std::string all{std::istreambuf_iterator<char>{in}, {}};
  return {all, "[server]\nport = 9000 # comment\naddress = \"unix:/s\"\n[kv]\ntype = int8\n",
          "server.port = 1\n[cache]\nthreshold = 0.5\n[log]\nlevel = debug\n"};
}
words line_seeds() {
  return {"--port\n9000\n--model\nqwen-0.5b\n--kv.tokens=64\n", "--help\n",
          "--cache.policy\nguarded\n--cache.threshold\n0.85\n",
          "--server.compress\nfalse\n--speculation.max_draft\n4\n--log.format=json\n", "serve\n-x\n"};
}
words key_seeds() {
  return {"alice 0123456789abcdef requests_per_minute=60 tokens_per_day=1e6\n# nobody\n\nbob "
          "blake2b:b4f9f0e7c0b9a4a0d6c4f0f4ad3bb5e2b1a0d6c4f0f4ad3bb5e2b1a0d6c4f0f4\n"};
}
words address_seeds() {
  return {"redis://user:pa%20ss@host:6380/3", "unix://:secret@/run/redis.sock?db=2", "redis://[::1]",
          "redis://h"};
}

const registered files{{"configuration", take_file, file_seeds}};
const registered lines{{"command-line", take_line, line_seeds}};
const registered keys{{"api-keys", take_keys, key_seeds}};
const registered addresses{{"redis-address", take_address, address_seeds}};

} // namespace
} // namespace souffleur::fuzz
