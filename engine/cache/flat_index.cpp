#include "engine/cache/best_neighbours.hpp"
#include "engine/cache/vector_index.hpp"
#include "engine/kernels/kernel_table.hpp"

#include <algorithm>
#include <cassert>

namespace souffleur {
namespace {

class flat_index final : public vector_index {
public:
  explicit flat_index(std::size_t n_dimensions) : n_dimensions_(n_dimensions) {}
  std::string_view name() const override { return "flat"; }
  std::size_t n_dimensions() const override { return n_dimensions_; }

  bool add(vector_id id, std::span<const float> vector) override {
    assert(vector.size() == n_dimensions_);
    rows_.insert(rows_.end(), vector.begin(), vector.end());
    ids_.push_back(id);
    return true;
  }

  bool erase(vector_id id) override {
    const auto at = std::find(ids_.begin(), ids_.end(), id);
    if (at == ids_.end())
      return false;
    const auto i = static_cast<std::size_t>(at - ids_.begin());
    std::copy_n(row(size() - 1).begin(), n_dimensions_, rows_.data() + i * n_dimensions_);
    rows_.resize(rows_.size() - n_dimensions_);
    *at = ids_.back();
    ids_.pop_back();
    if (rows_.size() * 4 < rows_.capacity())
      shrink();
    return true;
  }

  bool contains(vector_id id) const override { return std::find(ids_.begin(), ids_.end(), id) != ids_.end(); }

  std::vector<neighbour> nearest(std::span<const float> vector, std::size_t k,
                                 const vector_ids& except) const override {
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

  void for_each(const std::function<void(vector_id, std::span<const float>)>& visit) const override {
    for (std::size_t i = 0; i < size(); ++i)
      visit(ids_[i], row(i));
  }

  std::size_t size() const override { return ids_.size(); }
  std::size_t n_bytes() const override {
    return sizeof(*this) + rows_.capacity() * sizeof(float) + ids_.capacity() * sizeof(vector_id);
  }
  std::size_t bytes_for(std::size_t n) const override {
    return sizeof(*this) + n * (n_dimensions_ * sizeof(float) + sizeof(vector_id));
  }

private:
  std::span<const float> row(std::size_t i) const {
    return {rows_.data() + i * n_dimensions_, n_dimensions_};
  }
  void shrink() {
    rows_.shrink_to_fit();
    ids_.shrink_to_fit();
  }

  std::size_t n_dimensions_;
  isa isa_ = best_isa();
  std::vector<float> rows_; ///< (size, n_dimensions)
  std::vector<vector_id> ids_;
};

} // namespace

std::unique_ptr<vector_index> make_flat_index(std::size_t n_dimensions) {
  return std::make_unique<flat_index>(n_dimensions);
}

} // namespace souffleur
