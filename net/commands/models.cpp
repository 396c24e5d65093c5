#include "net/commands/models.hpp"

#include "engine/gguf.hpp"
#include "engine/model/footprint.hpp"
#include "engine/model/model_folder.hpp"
#include "net/commands/words.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace souffleur {

namespace {

namespace fs = std::filesystem;

constexpr double mib = 1 << 20;

void print_generator(const fs::path& path) {
  const auto name = path.stem().string();
  const auto file = gguf_file::open(path.string());
  const auto footprint = file ? footprint_of(**file, kv_type::f16) : failure{file.error()};
  if (!footprint) {
    std::printf("%-14s cannot be served: %s\n", name.c_str(), footprint.error().c_str());
    return;
  }
  const auto* architecture = (*file)->find_string("general.architecture");
  const double kv_mib_per_k = static_cast<double>(footprint->kv_page_bytes) / page_tokens * 1024 / mib;
  std::printf("%-14s %-10s %8.0f MiB %9d %11.1f MiB  %s\n", name.c_str(),
              architecture != nullptr ? architecture->c_str() : "?",
              static_cast<double>(footprint->weights_bytes) / mib, footprint->context_length, kv_mib_per_k,
              (*file)->find_string("tokenizer.chat_template") != nullptr ? "chat" : "completion");
}

} // namespace

int run_models(int argc, const char* const* argv) {
  std::string folder = default_model_folder();
  CLI::App app{"The models that are here, what they take in memory and how long their texts may be.",
               "souffleur models"};
  app.add_option("--model.folder", folder, "where they are")->capture_default_str();
  if (const auto code = parse_or_leave(app, argc, argv))
    return *code;
  // conf/get_model.py gives a file a short name, too: it is shown under the shortest.
  std::map<fs::path, fs::path> shortest;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator{folder, error}) {
    const auto& path = entry.path();
    if (path.extension() != ".gguf" && !fs::exists(path / "model.safetensors"))
      continue;
    auto& name = shortest[fs::weakly_canonical(path, error)];
    if (name.empty() || path.native().size() < name.native().size())
      name = path;
  }
  std::vector<fs::path> generators, embedders;
  for (const auto& [file, path] : shortest)
    (path.extension() == ".gguf" ? generators : embedders).push_back(path);
  if (generators.empty() && embedders.empty()) {
    std::fprintf(
        stderr,
        "souffleur models: there is none in %s.\nconf/get_model.py NAME fetches smollm2, gemma3, qwen-0.5b, "
        "qwen-1.5b or minilm; any GGUF file can be put there.\n",
        folder.c_str());
    return 1;
  }
  std::sort(generators.begin(), generators.end());
  std::sort(embedders.begin(), embedders.end());
  std::printf("%-14s %-10s %12s %9s %15s  %s\n", "name", "kind", "weights", "context", "1024 tokens", "for");
  for (const auto& path : generators)
    print_generator(path);
  for (const auto& path : embedders)
    std::printf("%-14s %-10s %8.0f MiB %9s %15s  embeddings, the response cache\n", path.filename().c_str(),
                "bert", static_cast<double>(fs::file_size(path / "model.safetensors", error)) / mib, "", "");
  return 0;
}

} // namespace souffleur
