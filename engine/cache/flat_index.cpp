#include "engine/cache/flat_index.hpp"

#include "engine/cache/best_neighbours.hpp"
#include "engine/kernels/kernel_table.hpp"

#include <algorithm>
#include <cassert>

namespace souffleur {

bool flat_index::add(vector_id id, std::span<const float> vector) {
  assert(vector.size() == n_dimensions_);
  rows_.insert(rows_.end(), vector.begin(), vector.end());
  ids_.push_back(id);
  return true;
}

bool flat_index::erase(vector_id id) {
  const auto at = std::find(ids_.rbegin(), ids_.rend(), id);
  if (at == ids_.rend())
    return false;
  const auto i = ids_.size() - 1 - static_cast<std::size_t>(at - ids_.rbegin());
  std::copy_n(row(size() - 1).begin(), n_dimensions_, rows_.data() + i * n_dimensions_);
  rows_.resize(rows_.size() - n_dimensions_);
  *at = ids_.back();
  ids_.pop_back();
  if (rows_.size() * 4 < rows_.capacity()) {
    rows_.shrink_to_fit();
    ids_.shrink_to_fit();
  }
  return true;
}

bool flat_index::contains(vector_id id) const {
  return std::find(ids_.begin(), ids_.end(), id) != ids_.end();
}

std::vector<neighbour> flat_index::nearest(std::span<const float> vector, std::size_t k,
                                           const vector_ids& except) const {
  assert(vector.size() == n_dimensions_);
  const auto dot = kernels_of(isa_).dot;
  best_neighbours best{std::min(k, size())};
  for (std::size_t i = 0; i < size(); ++i) {
    const neighbour one{ids_[i], dot(vector.data(), row(i).data(), static_cast<int>(n_dimensions_))};
    if (best.takes(one) && !except.contains(one.id))
      best.add(one);
  }
  return std::move(best).in_order();
}

void flat_index::for_each(const std::function<void(vector_id, std::span<const float>)>& visit) const {
  for (std::size_t i = 0; i < size(); ++i)
    visit(ids_[i], row(i));
}

std::size_t flat_index::n_bytes() const {
  return sizeof(*this) + rows_.capacity() * sizeof(float) + ids_.capacity() * sizeof(vector_id);
}

std::size_t flat_index::bytes_for(std::size_t n) const {
  return sizeof(*this) + n * (n_dimensions_ * sizeof(float) + sizeof(vector_id));
}

} // namespace souffleur
