// What a decode step takes, and what its products take, beside a copy of the device's memory.
//
//   decode_bench [MODEL.gguf | qwen2.5-1.5b | llama-3-8b]... [--no-overlap]     names: shapes with made-up
//   weights
#include "engine/cuda/cuda_backend.hpp"
#include "engine/gguf.hpp"
#include "engine/model/architectures.hpp"
#include "tests/cuda/sequences.hpp"
#include "tests/engine/random_blocks.hpp"

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <map>

namespace souffleur::cuda {
namespace {

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// The median of some runs of `n` steps each, in seconds a step.
double seconds_of(backend& device, const backend::step& step, int n) {
  step();
  std::vector<double> times;
  for (int run = 0; run < 7; ++run) {
    static_cast<void>(device.take_error()); // waits
    const double begin = seconds_now();
    for (int i = 0; i < n; ++i)
      step();
    const auto error = device.take_error();
    if (!error.empty())
      std::printf("ERROR %s\n", error.c_str());
    times.push_back((seconds_now() - begin) / n);
  }
  std::ranges::sort(times);
  return times[times.size() / 2];
}

/// Bytes a second, those read and those written.
double copy_bandwidth(backend& device) {
  const std::size_t size = std::size_t{2} << 30;
  const auto from = device.allocate(size);
  const auto to = device.allocate(size);
  return 2.0 * static_cast<double>(size) /
         seconds_of(
             device, [&] { device.copy(from.get(), to.get(), size); }, 5);
}

/// Weights of a shape: of each type some random blocks, over and over.
class made_up_weights {
public:
  explicit made_up_weights(const transformer_config& config) : config_(config) {}

  const gguf_tensor* find(std::string_view name) {
    const auto known = tensors_.find(name);
    if (known != tensors_.end())
      return &known->second;
    const auto& c = config_;
    const int q_size = c.n_heads * c.head_dim;
    const int kv_size = c.n_kv_heads * c.head_dim;
    const auto ends_with = [&](std::string_view end) { return name.ends_with(end); };
    if (ends_with("norm.weight"))
      return add(name, tensor_type::f32, 1, c.n_hidden);
    if (ends_with(".bias"))
      return has_bias ? add(name, tensor_type::f32, 1, ends_with("q.bias") ? q_size : kv_size) : nullptr;
    if (ends_with("attn_q.weight"))
      return add(name, tensor_type::q4_k, q_size, c.n_hidden);
    if (ends_with("attn_k.weight"))
      return add(name, tensor_type::q4_k, kv_size, c.n_hidden);
    if (ends_with("attn_v.weight"))
      return add(name, tensor_type::q6_k, kv_size, c.n_hidden);
    if (ends_with("attn_output.weight"))
      return add(name, tensor_type::q4_k, c.n_hidden, q_size);
    if (ends_with("ffn_down.weight"))
      return add(name, name[4] % 2 ? tensor_type::q4_k : tensor_type::q6_k, c.n_hidden, c.n_feed_forward);
    if (ends_with("ffn_gate.weight") || ends_with("ffn_up.weight"))
      return add(name, tensor_type::q4_k, c.n_feed_forward, c.n_hidden);
    if (name == "token_embd.weight" || (name == "output.weight" && !is_tied))
      return add(name, tensor_type::q6_k, c.n_vocabulary, c.n_hidden);
    return nullptr;
  }

  bool has_bias = false;
  bool is_tied = false;

private:
  const gguf_tensor* add(std::string_view name, tensor_type type, int n_out, int n_in) {
    auto& blocks = blocks_[type];
    const auto shape = block_shape_of(type);
    const auto period = static_cast<std::size_t>(shape.n_bytes);
    const auto size = static_cast<std::size_t>(n_out) * static_cast<std::size_t>(n_in / shape.n_values) *
                      static_cast<std::size_t>(shape.n_bytes);
    if (blocks.empty()) {
      blocks.reserve(most_bytes); // tensors point into it
      const auto some = testing::random_blocks(type, 1 << 20, random_);
      blocks.insert(blocks.end(), some.begin(), some.end());
    }
    for (std::size_t old = blocks.size(); old < size; old = blocks.size()) {
      blocks.resize(std::min(2 * old, most_bytes / period * period));
      std::memcpy(blocks.data() + old, blocks.data(), blocks.size() - old);
    }
    gguf_tensor tensor{std::string{name}, type, {n_in, n_out}, std::span{blocks}.first(size)};
    if (n_out == 1)
      tensor.shape = {n_in};
    return &tensors_.emplace(std::string{name}, tensor).first->second;
  }

  static constexpr std::size_t most_bytes = std::size_t{512} << 20;

  transformer_config config_;
  std::mt19937 random_{1};
  std::map<std::string, gguf_tensor, std::less<>> tensors_;
  std::map<tensor_type, std::vector<std::byte>> blocks_;
};

transformer_config shape_of(std::string_view name) {
  transformer_config c;
  const bool is_qwen = name == "qwen2.5-1.5b";
  c.n_layers = is_qwen ? 28 : 32;
  c.n_heads = is_qwen ? 12 : 32;
  c.n_kv_heads = is_qwen ? 2 : 8;
  c.head_dim = 128;
  c.n_hidden = is_qwen ? 1536 : 4096;
  c.n_feed_forward = is_qwen ? 8960 : 14336;
  c.n_vocabulary = is_qwen ? 151936 : 128256;
  c.attention_scale = 0.088;
  c.layers.resize(static_cast<std::size_t>(c.n_layers));
  return c;
}

constexpr int pages_of_line = 32;
constexpr int n_lines = 64;
constexpr int n_places = pages_of_line * page_tokens;
constexpr int depth = 128; ///< positions before the first step

void bench_model(const std::string& name, backend& device, double bandwidth) {
  transformer_config config = shape_of(name);
  made_up_weights made_up{config};
  made_up.has_bias = made_up.is_tied = name == "qwen2.5-1.5b";
  std::shared_ptr<const gguf_file> file;
  tensor_finder find = [&](std::string_view tensor) { return made_up.find(tensor); };
  if (name.ends_with(".gguf")) {
    const auto opened = gguf_file::open(name);
    const auto read = opened ? read_config(**opened) : result<transformer_config>{failure{opened.error()}};
    if (!read) {
      std::printf("%s\n", read.error().c_str());
      return;
    }
    file = *opened;
    config = *read;
    find = [&](std::string_view tensor) { return file->find_tensor(tensor); };
  }
  const auto model =
      decoder::load(config, find, {n_lines, n_lines, n_places, n_lines * pages_of_line, true}, device);
  if (!model) {
    std::printf("%s\n", model.error().c_str());
    return;
  }
  const double weights = static_cast<double>((*model)->weight_bytes());
  std::printf("%s: %.1f MB of weights a step\n", name.c_str(), weights / 1e6);
  std::printf("  batch  launched ms  recorded ms    tok/s   weights GB/s  of the copy\n");
  for (const int n : {1, 2, 4, 8, 16, 64}) {
    std::vector<std::int32_t> tokens(static_cast<std::size_t>(n));
    std::vector<rows_of_sequence> rows;
    for (int i = 0; i < n; ++i) {
      tokens[static_cast<std::size_t>(i)] = 100 + i;
      rows.push_back({i, depth, std::span{tokens}.subspan(static_cast<std::size_t>(i), 1)});
    }
    const auto batch = batch_of(rows, n_lines, pages_of_line, n_places);
    (*model)->set_batch(batch);
    // Positions are put back now and then, so that they stay within the pages.
    const auto step = [&] {
      (*model)->queue_step();
      (*model)->queue_advance();
    };
    const double launched = seconds_of(device, step, 10);
    (*model)->set_batch(batch);
    const double recorded = seconds_of(device, device.record(step), 40);
    std::printf("  %5d %12.3f %12.3f %8.0f %14.0f %11.1f%%\n", n, launched * 1e3, recorded * 1e3,
                n / recorded, weights / recorded / 1e9, 100 * weights / recorded / bandwidth);
  }
}

/// A matrix as often as the cache does not hold it, one after the other.
void bench_product(tensor_type type, int n_out, int n_in, backend& device, double bandwidth) {
  std::mt19937 random{1};
  const auto source = testing::random_blocks(type, n_out * n_in, random);
  std::vector<std::uint8_t> packed(device_bytes(type, n_out, n_in));
  pack_rows(matrix_at(nullptr, type, n_out, n_in), source, n_out, {}, packed.data());
  const int n_copies = static_cast<int>((std::size_t{400} << 20) / packed.size()) + 1;
  const auto weights = device.allocate(packed.size() * static_cast<std::size_t>(n_copies));
  const auto* first = reinterpret_cast<std::uint8_t*>(weights.get());
  for (int i = 0; i < n_copies; ++i)
    device.upload(packed.data(), weights.get() + packed.size() * static_cast<std::size_t>(i), packed.size());
  constexpr int most_rows = 256;
  const auto values = testing::random_floats(most_rows * n_in, random);
  const auto x = device.allocate(values.size() * sizeof(float));
  device.upload(values.data(), x.get(), values.size() * sizeof(float));
  const auto quants = device.allocate(values.size());
  const auto stats = device.allocate(values.size() / block_values * sizeof(block_stats));
  const rounded_rows rounded{reinterpret_cast<std::int8_t*>(quants.get()),
                             reinterpret_cast<block_stats*>(stats.get())};
  const auto* floats = reinterpret_cast<float*>(x.get());
  device.normalise({.x = floats, .n_rows = most_rows, .n = n_in, .out = {nullptr, rounded}});
  const auto y =
      device.allocate(sizeof(float) * static_cast<std::size_t>(most_rows) * static_cast<std::size_t>(n_out));
  std::printf("  %-5s %6d x %-6d %7.1f MB:", std::string{to_string(type)}.c_str(), n_out, n_in,
              static_cast<double>(packed.size()) / 1e6);
  for (const int n_rows : {1, 2, 4, 8, 16, 32, 64, 256}) {
    const auto step = device.record([&] {
      for (int i = 0; i < n_copies; ++i)
        device.multiply(
            {.weights = matrix_at(first + packed.size() * static_cast<std::size_t>(i), type, n_out, n_in),
             .x = {nullptr, rounded},
             .n_rows = n_rows,
             .y = reinterpret_cast<float*>(y.get()),
             .y_stride = n_out});
    });
    const double seconds = seconds_of(device, step, 3) / n_copies;
    std::printf("  %d: %.1f us %.0f%%", n_rows, seconds * 1e6,
                100 * static_cast<double>(packed.size()) / seconds / bandwidth);
  }
  std::printf("\n");
  std::fflush(stdout);
}

void bench_products(backend& device, double bandwidth) {
  std::printf("products: rows: time, weights' bytes a second as part of the copy's\n");
  bench_product(tensor_type::q4_1, 576, 576, device, bandwidth);
  bench_product(tensor_type::q4_1, 3072, 576, device, bandwidth);
  bench_product(tensor_type::q8_0, 49152, 576, device, bandwidth);
  bench_product(tensor_type::q4_k, 17920, 1536, device, bandwidth);
  bench_product(tensor_type::q6_k, 1536, 8960, device, bandwidth);
  bench_product(tensor_type::q6_k, 151936, 1536, device, bandwidth);
  bench_product(tensor_type::q4_k, 28672, 4096, device, bandwidth);
  bench_product(tensor_type::q5_0, 9728, 896, device, bandwidth);
}

int run(const std::vector<std::string>& names, bool overlaps) {
  auto made = make_cuda_backend({0, overlaps});
  if (!made) {
    std::printf("%s\n", made.error().c_str());
    return 2;
  }
  auto& device = **made;
  const double bandwidth = copy_bandwidth(device);
  std::printf("%s%s: a copy moves %.0f GB/s, read and written\n", device.name().c_str(),
              overlaps ? "" : ", launches one after the other", bandwidth / 1e9);
  for (const auto& name : names)
    if (name == "products")
      bench_products(device, bandwidth);
    else
      bench_model(name, device, bandwidth);
  return 0;
}

} // namespace
} // namespace souffleur::cuda

int main(int argc, char** argv) {
  std::vector<std::string> names;
  bool overlaps = true;
  for (int i = 1; i < argc; ++i)
    if (std::string_view{argv[i]} == "--no-overlap")
      overlaps = false;
    else
      names.emplace_back(argv[i]);
  return souffleur::cuda::run(names, overlaps);
}
