#include "engine/kernels/matmul.hpp"

#include "engine/kernels/isa.hpp"

#include <algorithm>
#include <vector>

namespace souffleur {

namespace {

/// Rounded activations that are read again for every group of outputs: half a second-level cache or so.
constexpr std::size_t block_of_rows_bytes = 384U << 10;
/// Weights below which another part costs more than it balances.
constexpr std::size_t part_bytes = 48U << 10;
constexpr int parts_per_thread = 4;
constexpr int rows_worth_a_thread = 4;
constexpr int max_tile_values = 8 * rows_per_pair;

class product {
public:
  product(std::span<const packed_matrix> stack, const matmul_input& input, const matmul_output& output,
          const kernel_table& kernels, activations& rounded)
      : stack_(stack), input_(input), output_(output), kernels_(kernels), rounded_(rounded),
        n_in_(stack.front().n_in()) {
    for (const auto& w : stack) {
      has_real_ = has_real_ || packed_format_of(w.type()).is_real;
      has_quants_ = has_quants_ || !packed_format_of(w.type()).is_real;
    }
    rounded_.resize(input.n_rows, n_in_, kernels.max_panel_rows);
    rounded_.set_rows(input.x, input.stride);
    if (has_real_ && input.norm) {
      normed_.resize(static_cast<std::size_t>(input.n_rows) * static_cast<std::size_t>(n_in_));
      rounded_.set_rows(normed_.data(), n_in_);
    }
    const auto row_bytes =
        static_cast<std::size_t>(n_in_) * (has_real_ ? sizeof(float) : sizeof(std::int8_t));
    panels_at_once_ = std::max(2, static_cast<int>(block_of_rows_bytes / row_bytes) / kernels.max_panel_rows);
  }

  void prepare(thread_team& team) {
    if (!has_quants_ && !input_.norm)
      return;
    const int n_panels = rounded_.n_panels();
    if (input_.n_rows < rows_worth_a_thread) {
      for (int p = 0; p < n_panels; ++p)
        prepare_panel(p);
    } else {
      const int n_parts = std::min(n_panels, parts_per_thread * team.size());
      team.run(n_parts, [&](int part) {
        for (int p = n_panels * part / n_parts; p < n_panels * (part + 1) / n_parts; ++p)
          prepare_panel(p);
      });
    }
  }

  void multiply(thread_team& team) {
    int n_pairs = 0;
    std::size_t n_bytes = 0;
    for (const auto& w : stack_) {
      n_pairs += w.n_pairs();
      n_bytes += w.size_bytes();
    }
    if (output_.gate)
      n_pairs = stack_.front().n_pairs();
    const auto n_useful = n_bytes * static_cast<std::size_t>(rounded_.n_panels()) / part_bytes + 1;
    const int n_parts = static_cast<int>(
        std::min<std::size_t>({n_useful, static_cast<std::size_t>(parts_per_thread * team.size()),
                               static_cast<std::size_t>(n_pairs)}));
    team.run(n_parts, [&](int part) {
      const int first = static_cast<int>(std::int64_t{n_pairs} * part / n_parts);
      const int last = static_cast<int>(std::int64_t{n_pairs} * (part + 1) / n_parts);
      for (int panel = 0; panel < rounded_.n_panels(); panel += panels_at_once_)
        multiply_pairs(first, last, panel, std::min(panel + panels_at_once_, rounded_.n_panels()));
    });
  }

private:
  void prepare_panel(int index) {
    const auto panel = rounded_.panel(index);
    thread_local std::vector<float> scratch;
    scratch.resize(static_cast<std::size_t>(n_in_));
    for (int r = 0; r < panel.n_rows; ++r) {
      const auto row = static_cast<std::ptrdiff_t>(rounded_.first_row(index)) + r;
      const float* x = input_.x + row * input_.stride;
      if (input_.norm) {
        float* normed = has_real_ ? normed_.data() + row * n_in_ : scratch.data();
        kernels_.rms_norm(x, input_.norm, input_.epsilon, normed, n_in_);
        x = normed;
      }
      if (has_quants_)
        kernels_.round_row(x, panel, r);
    }
  }

  void multiply_pairs(int first, int last, int first_panel, int last_panel) {
    if (output_.gate) {
      for (int p = first; p < last; ++p)
        multiply_gated(p, first_panel, last_panel);
      return;
    }
    int before = 0; // outputs of the matrices before
    for (const auto& w : stack_) {
      for (int p = std::max(first, 0); p < std::min(last, w.n_pairs()); ++p)
        multiply_pair(w, p, first_panel, last_panel, before);
      first -= w.n_pairs();
      last -= w.n_pairs();
      before += w.n_out();
    }
  }

  void multiply_pair(const packed_matrix& w, int pair, int first_panel, int last_panel, int before) {
    alignas(64) float tile[max_tile_values];
    for (int p = first_panel; p < last_panel; ++p) {
      const auto panel = rounded_.panel(p);
      multiply_panel(w, pair, panel, p - first_panel, last_panel - first_panel, tile);
      store(tile, w.n_out(), 2 * pair, p, before);
      store(tile + panel.n_rows * rows_per_group, w.n_out(), 2 * pair + 1, p, before);
    }
  }

  /// Gate and up in one pair, or in two matrices where they have different formats.
  void multiply_gated(int pair, int first_panel, int last_panel) {
    alignas(64) float tile[max_tile_values];
    alignas(64) float up[max_tile_values];
    const auto& w = stack_.front();
    for (int p = first_panel; p < last_panel; ++p) {
      const auto panel = rounded_.panel(p);
      const int n = panel.n_rows * rows_per_group;
      multiply_panel(w, pair, panel, p - first_panel, last_panel - first_panel, tile);
      if (w.is_gated()) {
        kernels_.gate(*output_.gate, tile, tile + n, tile, n);
        store(tile, w.n_out() / 2, pair, p, 0);
        continue;
      }
      multiply_panel(stack_[1], pair, panel, p - first_panel, last_panel - first_panel, up);
      kernels_.gate(*output_.gate, tile, up, tile, 2 * n);
      store(tile, w.n_out(), 2 * pair, p, 0);
      store(tile + n, w.n_out(), 2 * pair + 1, p, 0);
    }
  }

  /// Panel number `index` of `n_panels` that go through the pair one after the other.
  void multiply_panel(const packed_matrix& w, int pair, const activation_panel& panel, int index,
                      int n_panels, float* tile) const {
    kernels_.tile_of(w.type(), panel.n_rows)(w.pair(pair), panel, ahead_of(w, index, n_panels), tile);
  }

  /// The next pair, shared out among the first panels, so that memory works while they are multiplied; of a
  /// pair that is too large for that what comes next in it, with the first panel. With few rows nothing,
  /// where a kernel that only streams does best on the hardware's own guesses.
  fetch_ahead ahead_of(const packed_matrix& w, int panel, int n_panels) const {
    constexpr std::size_t most_bytes_ahead = 256U << 10; // beside what else is in a second-level cache
    constexpr int bytes_ahead_in_pair = 4096;
    constexpr int most_panels = 3;
    const auto next = w.pair_bytes();
    const bool is_near = next <= most_bytes_ahead;
    const int step = is_near ? std::min(n_panels, most_panels) : 1;
    if (panel >= step || (fetches_streams_itself() &&
                          input_.n_rows <= kernels_.max_streaming_rows(packed_format_of(w.type()))))
      return {};
    return {is_near ? static_cast<int>(next) : bytes_ahead_in_pair, step, panel};
  }

  void store(const float* tile, int n_out, int group, int panel, int before) const {
    const int n = std::min(rows_per_group, n_out - group * rows_per_group);
    if (n <= 0) // what fills up the last pair
      return;
    const int column = before + group * rows_per_group;
    const int first_row = rounded_.first_row(panel);
    const int n_rows = rounded_.first_row(panel + 1) - first_row;
    const float* bias = output_.bias ? output_.bias + column : nullptr;
    float* y = output_.y + first_row * output_.stride + column;
    if (n == rows_per_group) {
      kernels_.store_tile(tile, n_rows, bias, output_.accumulate, y, output_.stride);
      return;
    }
    for (int r = 0; r < n_rows; ++r, tile += rows_per_group, y += output_.stride)
      for (int i = 0; i < n; ++i) {
        const float product = bias ? tile[i] + bias[i] : tile[i];
        y[i] = output_.accumulate ? y[i] + product : product;
      }
  }

  std::span<const packed_matrix> stack_;
  const matmul_input& input_;
  const matmul_output& output_;
  const kernel_table& kernels_;
  activations& rounded_;
  std::vector<float> normed_; ///< (n_rows, n_in), if some weights are floats
  int n_in_;
  int panels_at_once_ = 1;
  bool has_real_ = false;
  bool has_quants_ = false;
};

} // namespace

void matmul(std::span<const packed_matrix> stack, const matmul_input& input, const matmul_output& output,
            thread_team& team, isa level) {
  thread_local activations rounded;
  product all{stack, input, output, kernels_of(level), rounded};
  all.prepare(team);
  all.multiply(team);
}

} // namespace souffleur
