#include "engine/kernels/activations.hpp"

#include <cstdint>

namespace souffleur {

namespace {

template <class T>
void make_room(std::vector<T>& storage, std::size_t n) {
  if (storage.size() < n)
    storage.resize(n);
}

} // namespace

void activations::resize(int n_rows, int n_in, int max_panel_rows) {
  n_in_ = n_in;
  first_rows_.clear();
  const int n_panels = (n_rows + max_panel_rows - 1) / max_panel_rows;
  for (int panel = 0; panel <= n_panels; ++panel)
    first_rows_.push_back(n_panels == 0 ? 0 : static_cast<int>(std::int64_t{n_rows} * panel / n_panels));
  const auto n_blocks = static_cast<std::size_t>(n_rows) * static_cast<std::size_t>(n_in / block_values);
  make_room(quants_, n_blocks * block_values);
  make_room(scales_, n_blocks);
  make_room(sums_, n_blocks);
  make_room(negative_sums_, 3 * n_blocks);
}

void activations::set_rows(const float* rows, std::ptrdiff_t stride) {
  rows_ = rows;
  stride_ = stride;
}

activation_panel activations::panel(int index) {
  const auto first = static_cast<std::size_t>(first_row(index));
  const auto n_blocks = static_cast<std::size_t>(n_in_ / block_values);
  activation_panel panel;
  panel.n_rows = first_row(index + 1) - first_row(index);
  panel.n_in = n_in_;
  panel.quants = quants_.data() + first * n_blocks * block_values;
  panel.scales = scales_.data() + first * n_blocks;
  panel.sums = sums_.data() + first * n_blocks;
  panel.negative_sums = negative_sums_.data() + 3 * first * n_blocks;
  panel.rows = rows_ ? rows_ + static_cast<std::ptrdiff_t>(first) * stride_ : nullptr;
  panel.stride = stride_;
  return panel;
}

} // namespace souffleur
