// A model's greedy tokens on the device against reference data, and its logits alone, in batches and in
// chunks.
//
//   decode_check MODEL.gguf greedy.jsonl [--host] [--prompts N] [--tokens N]
#include "engine/cuda/cuda_backend.hpp"
#include "engine/gguf.hpp"
#include "engine/model/architectures.hpp"
#include "tests/cuda/sequences.hpp"

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <optional>

namespace souffleur::cuda {
namespace {

constexpr int n_lines = 16;
constexpr int pages_of_line = 48;
constexpr int n_places = pages_of_line * page_tokens;
constexpr int chunk_rows = 64;
/// The reference has exact activations and float32 keys and values: a smaller lead may be lost.
constexpr double near_tie = 0.5;

/// The numbers of `"key":[...]` in a line of JSON.
std::vector<double> numbers_of(const std::string& line, const std::string& key) {
  std::vector<double> numbers;
  const auto at = line.find("\"" + key + "\":[");
  if (at == std::string::npos)
    return numbers;
  const char* from = line.c_str() + at + key.size() + 4;
  while (*from && *from != ']') {
    char* end = nullptr;
    numbers.push_back(std::strtod(from, &end));
    from = *end == ',' ? end + 1 : end;
  }
  return numbers;
}

std::vector<std::int32_t> tokens_of(const std::vector<double>& numbers) {
  return {numbers.begin(), numbers.end()};
}

struct golden_row {
  std::vector<std::int32_t> prompt, ids;
  std::vector<double> margins;
};

std::vector<golden_row> read_golden(const char* path, std::size_t most) {
  std::vector<golden_row> rows;
  std::ifstream file{path};
  for (std::string line; rows.size() < most && std::getline(file, line);)
    rows.push_back({tokens_of(numbers_of(line, "prompt_ids")), tokens_of(numbers_of(line, "ids")),
                    numbers_of(line, "margin")});
  return rows;
}

class decode_check {
public:
  decode_check(decoder& model, backend& device) : model_(model), device_(device) {}

  /// Whether all tokens are the reference's up to a near tie.
  bool greedy(const std::vector<golden_row>& golden, std::size_t most_tokens) {
    std::size_t n_same = 0;
    std::size_t n_wanted = 0;
    int n_whole = 0;
    int n_wrong = 0;
    for (std::size_t i = 0; i < golden.size(); ++i) {
      auto ids = golden[i].ids;
      ids.resize(std::min(ids.size(), most_tokens));
      const auto got = decode(golden[i].prompt, static_cast<int>(ids.size()));
      const auto first = static_cast<std::size_t>(std::ranges::mismatch(ids, got).in1 - ids.begin());
      n_same += first;
      n_wanted += ids.size();
      if (first == ids.size()) {
        ++n_whole;
        continue;
      }
      const double margin = golden[i].margins[first];
      const bool is_wrong = margin > near_tie;
      n_wrong += is_wrong ? 1 : 0;
      std::printf("  prompt %zu leaves the reference at token %zu, where its lead is %.3f%s\n", i, first,
                  margin, is_wrong ? ": WRONG" : "");
    }
    std::printf(
        "greedy: %d of %zu texts are the reference's, %zu of %zu tokens before a text leaves it, %d wrong\n",
        n_whole, golden.size(), n_same, n_wanted, n_wrong);
    return n_wrong == 0;
  }

  /// Whether the logits of a text's last rows are the same bits token by token, in one chunk, and among other
  /// sequences.
  bool invariance(const golden_row& text) {
    std::vector<std::int32_t> all = text.prompt;
    all.insert(all.end(), text.ids.begin(), text.ids.end());
    const int n_last = std::min(8, static_cast<int>(all.size()) - 1);
    const int n_before = static_cast<int>(all.size()) - n_last;
    const auto before = std::span{all}.first(static_cast<std::size_t>(n_before));
    const auto last = std::span{all}.last(static_cast<std::size_t>(n_last));
    for (int line = 0; line < n_lines; ++line)
      prefill(line, before, line == 1 ? 7 : chunk_rows); // the second in chunks of seven
    std::vector<float> alone;
    for (int i = 0; i < n_last; ++i) {
      const auto row = compute({{0, n_before + i, last.subspan(static_cast<std::size_t>(i), 1)}});
      alone.insert(alone.end(), row.begin(), row.end());
    }
    const auto chunk = compute({{1, n_before, last, true}});
    std::vector<rows_of_sequence> many;
    for (int line = 2; line < n_lines; ++line)
      many.push_back({line, n_before,
                      last.first(line == 9 ? last.size() : 1 + static_cast<std::size_t>(line) % 3), true});
    const auto among = compute(many);
    std::size_t skipped = 0;
    for (int line = 2; line < 9; ++line)
      skipped += 1 + static_cast<std::size_t>(line) % 3;
    skipped *= static_cast<std::size_t>(model_.config().n_vocabulary);
    const bool is_same = chunk == alone && std::equal(alone.begin(), alone.end(),
                                                      among.begin() + static_cast<std::ptrdiff_t>(skipped));
    std::printf("invariance: logits of %d rows token by token, in a chunk and among %zu other rows: %s\n",
                n_last, skipped / static_cast<std::size_t>(model_.config().n_vocabulary),
                is_same ? "the same bits" : "DIFFERENT");
    return is_same;
  }

  /// Whether a drafted chain with one wrong token stands as far as it is right.
  bool acceptance(const golden_row& text, int n_right) {
    const auto n_before = static_cast<int>(text.prompt.size());
    const int n_rows = std::min<int>(n_right + 3, static_cast<int>(text.ids.size()) - 1);
    const auto decoded = decode(text.prompt, n_rows);
    std::vector<std::int32_t> rows{decoded.begin(), decoded.end()};
    rows[static_cast<std::size_t>(n_right) + 1] ^= 1;
    const rows_of_sequence chain{0, n_before, rows, true};
    model_.set_batch(batch_of({&chain, 1}, n_lines, pages_of_line, n_places));
    model_.queue_step();
    std::vector<std::int32_t> parents(rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i)
      parents[i] = static_cast<std::int32_t>(i) - 1;
    const auto choices = model_.choices();
    const auto on_device = [&](const std::vector<std::int32_t>& values) {
      memory_.push_back(device_.allocate(values.size() * sizeof(std::int32_t)));
      device_.upload(values.data(), memory_.back().get(), values.size() * sizeof(std::int32_t));
      return reinterpret_cast<std::int32_t*>(memory_.back().get());
    };
    const auto n = static_cast<std::int32_t>(rows.size());
    const std::vector<std::int32_t> empty(rows.size(), -1);
    const acceptance_call call{
        on_device({0, n}), on_device(rows), on_device(parents), on_device(choices), 1, n,
        on_device(empty),  on_device({-1}), on_device({-1})};
    device_.accept(call);
    std::int32_t n_emitted = 0;
    device_.download(call.n_emitted, &n_emitted, sizeof n_emitted);
    std::vector<std::int32_t> emitted(rows.size());
    device_.download(call.emitted, emitted.data(), rows.size() * sizeof(std::int32_t));
    emitted.resize(static_cast<std::size_t>(std::clamp(n_emitted, 0, n)));
    const bool is_right =
        n_emitted == n_right + 1 && std::equal(emitted.begin(), emitted.end(), decoded.begin() + 1);
    std::printf("acceptance: of %d drafted tokens %d stand, and one more: %s\n", n - 1, n_emitted - 1,
                is_right ? "as decoded" : "WRONG");
    return is_right;
  }

private:
  std::vector<float> compute(const std::vector<rows_of_sequence>& rows) {
    model_.set_batch(batch_of(rows, n_lines, pages_of_line, n_places));
    model_.queue_step();
    return model_.logits();
  }

  /// Leaves the last row's choice in choices().
  void prefill(int line, std::span<const std::int32_t> tokens, int rows_at_once) {
    for (std::size_t first = 0; first < tokens.size(); first += static_cast<std::size_t>(rows_at_once)) {
      const auto n = std::min(tokens.size() - first, static_cast<std::size_t>(rows_at_once));
      const rows_of_sequence chunk{line, static_cast<int>(first), tokens.subspan(first, n)};
      model_.set_batch(batch_of({&chunk, 1}, n_lines, pages_of_line, n_places));
      model_.queue_step();
    }
  }

  std::vector<std::int32_t> decode(const std::vector<std::int32_t>& prompt, int n_tokens) {
    prefill(0, prompt, chunk_rows);
    auto tokens = model_.choices();
    const auto first = static_cast<int>(prompt.size());
    const rows_of_sequence next{0, first, tokens};
    model_.set_batch(batch_of({&next, 1}, n_lines, pages_of_line, n_places));
    if (!step_)
      step_ = device_.record([&] {
        model_.queue_step();
        model_.queue_advance();
      });
    for (int i = 1; i < n_tokens; ++i)
      step_();
    const auto later = model_.history(0, first, first + n_tokens - 1);
    tokens.insert(tokens.end(), later.begin(), later.end());
    return tokens;
  }

  decoder& model_;
  backend& device_;
  backend::step step_;
  std::vector<std::shared_ptr<std::byte>> memory_;
};

int run(const char* model_path, const char* golden_path, bool on_host, std::size_t n_prompts,
        std::size_t n_tokens) {
  const auto file = gguf_file::open(model_path);
  const auto config = file ? read_config(**file) : result<transformer_config>{failure{file.error()}};
  if (!config) {
    std::printf("%s\n", config.error().c_str());
    return 2;
  }
  auto made = on_host ? result<std::unique_ptr<backend>>{make_host_backend()} : make_cuda_backend({});
  if (!made) {
    std::printf("%s\n", made.error().c_str());
    return 2;
  }
  auto& device = **made;
  const auto model = decoder::load(
      *config, [&](std::string_view name) { return (*file)->find_tensor(name); },
      {chunk_rows, n_lines, n_places, n_lines * pages_of_line, true}, device);
  if (!model) {
    std::printf("%s\n", model.error().c_str());
    return 2;
  }
  std::printf("%s, %s\n", device.name().c_str(), model_path);
  const auto golden = read_golden(golden_path, n_prompts);
  decode_check check{**model, device};
  bool is_right = check.greedy(golden, n_tokens);
  if (!golden.empty() && !on_host)
    is_right = check.invariance(golden.front()) && is_right;
  if (!golden.empty())
    is_right = check.acceptance(golden.front(), 2) && is_right;
  const auto error = device.take_error();
  std::printf("%s%s\n", is_right && error.empty() ? "all right" : "WRONG ", error.c_str());
  return is_right && error.empty() ? 0 : 1;
}

} // namespace
} // namespace souffleur::cuda

int main(int argc, char** argv) {
  if (argc < 3) {
    std::printf("decode_check MODEL.gguf greedy.jsonl [--host] [--prompts N] [--tokens N]\n");
    return 2;
  }
  bool on_host = false;
  std::size_t n_prompts = 1000;
  std::size_t n_tokens = 1000;
  for (int i = 3; i < argc; ++i) {
    const std::string_view option{argv[i]};
    if (option == "--host")
      on_host = true;
    else if (option == "--prompts" && i + 1 < argc)
      n_prompts = std::strtoul(argv[++i], nullptr, 10);
    else if (option == "--tokens" && i + 1 < argc)
      n_tokens = std::strtoul(argv[++i], nullptr, 10);
  }
  return souffleur::cuda::run(argv[1], argv[2], on_host, n_prompts, n_tokens);
}
