// The matmul kernels alone, over weights that come from memory each time.
#include "engine/kernels/matmul.hpp"
#include "examples/bench/runs.hpp"

#include <algorithm>
#include <random>

namespace souffleur::bench {

namespace {

/// Random blocks of any format. Whatever bytes its scales are made of, they are halves or floats of normal
/// size: exponents that are neither zero nor all ones.
std::vector<std::byte> random_blocks(tensor_type type, const kernel_shape& shape, std::mt19937& random) {
  const auto block = block_shape_of(type);
  const auto n_blocks = static_cast<std::size_t>(shape.n_out) * static_cast<std::size_t>(shape.n_in) /
                        static_cast<std::size_t>(block.n_values);
  std::vector<std::byte> bytes(n_blocks * static_cast<std::size_t>(block.n_bytes));
  for (auto& byte : bytes)
    byte = static_cast<std::byte>((random() & 0x93U) | 0x28U);
  return bytes;
}

/// Copies of one matrix, taken in turn, that together fit no cache.
class weights_in_memory {
public:
  weights_in_memory(tensor_type type, const kernel_shape& shape) {
    std::mt19937 random{1};
    const auto blocks = random_blocks(type, shape, random);
    const auto bytes_each = packed_matrix::packed_bytes(type, shape.n_out, shape.n_in);
    const auto n_copies = bytes_beyond_caches() / bytes_each + 1;
    weight_arena arena{n_copies * (bytes_each + 64)};
    for (std::size_t i = 0; i < n_copies; ++i)
      copies_.push_back(packed_matrix::pack(type, blocks, shape.n_out, shape.n_in, &arena));
  }
  const packed_matrix& next() { return copies_[n_taken_++ % copies_.size()]; }
  std::size_t bytes_each() const { return copies_.front().size_bytes(); }

private:
  std::vector<packed_matrix> copies_;
  std::size_t n_taken_ = 0;
};

std::vector<float> random_activations(int n_rows, int n_in) {
  std::mt19937 random{2};
  std::normal_distribution<float> normal;
  std::vector<float> x(static_cast<std::size_t>(n_rows) * static_cast<std::size_t>(n_in));
  for (auto& value : x)
    value = normal(random);
  return x;
}

/// Seconds a call.
samples matmul_times(weights_in_memory& weights, const kernel_shape& shape, int n_rows, int n_repeats,
                     thread_team& team) {
  const auto x = random_activations(n_rows, shape.n_in);
  std::vector<float> y(static_cast<std::size_t>(n_rows) * static_cast<std::size_t>(shape.n_out));
  const auto call = [&] {
    matmul({&weights.next(), 1}, {.x = x.data(), .stride = shape.n_in, .n_rows = n_rows},
           {.y = y.data(), .stride = shape.n_out}, team, best_isa());
  };
  samples times;
  mean_seconds_of(call);
  for (int i = 0; i < n_repeats; ++i)
    times.push_back(mean_seconds_of(call));
  return times;
}

} // namespace

std::vector<measurement> run_kernels(const options& how, const machine_figures& machine, progress& report) {
  std::vector<measurement> all;
  thread_team team{machine.n_threads};
  const auto& shape = how.shape;
  const double stream = machine.stream_read_gb_per_s.median;
  const auto* peak = machine.dot_peak(best_isa());
  for (const auto format : how.kernel_formats) {
    const std::string name{to_string(format)};
    report.say("kernels, " + name + ": packing");
    weights_in_memory weights{format, shape};
    for (const int n_rows : how.kernel_rows) {
      report.say("kernels, " + name + ", threads " + std::to_string(machine.n_threads) + ": rows " +
                 std::to_string(n_rows));
      const auto times = matmul_times(weights, shape, n_rows, how.repeats, team);
      const double giga_bytes = static_cast<double>(weights.bytes_each()) * 1e-9;
      const double giga_macs = static_cast<double>(n_rows) * shape.n_out * shape.n_in * 1e-9;
      measurement one{
          "kernel",
          {{"format", name},
           {"threads", machine.n_threads},
           {"out", shape.n_out},
           {"in", shape.n_in},
           {"rows", n_rows}},
          {{"us", summary_of(times, [](double s) { return s * 1e6; })},
           {"gb_per_s", summary_of(times, [&](double s) { return giga_bytes / s; })},
           {"stream_percent", summary_of(times, [&](double s) { return 100 * giga_bytes / s / stream; })},
           {"gmac_per_s", summary_of(times, [&](double s) { return giga_macs / s; })}}};
      if (peak != nullptr)
        one.figures.emplace_back(
            "peak_percent", summary_of(times, [&](double s) { return 100 * giga_macs / s / peak->median; }));
      all.push_back(std::move(one));
    }
  }
  return all;
}

} // namespace souffleur::bench
