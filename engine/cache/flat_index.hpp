// Nearest neighbours by looking at every vector.
#pragma once

#include "engine/cache/vector_index.hpp"
#include "engine/kernels/isa.hpp"

#include <utility>

namespace souffleur {

/// Exact, and the fastest while they are few. An empty one takes next to nothing.
class flat_index final : public vector_index {
public:
  explicit flat_index(std::size_t n_dimensions, isa level = best_isa())
      : n_dimensions_(n_dimensions), isa_(level) {}
  std::string_view name() const override { return "flat"; }
  std::size_t n_dimensions() const override { return n_dimensions_; }

  bool add(vector_id id, std::span<const float> vector) override;
  bool erase(vector_id id) override;
  bool contains(vector_id id) const override;
  std::vector<neighbour> nearest(std::span<const float> vector, std::size_t k,
                                 const vector_ids& except = {}) const override;
  void for_each(const std::function<void(vector_id, std::span<const float>)>& visit) const override;
  /// REQUIRES: it is not empty. The vector that is the cheapest to erase.
  std::pair<vector_id, std::span<const float>> last() const { return {ids_.back(), row(size() - 1)}; }

  std::size_t size() const override { return ids_.size(); }
  std::size_t n_bytes() const override;
  std::size_t bytes_for(std::size_t n) const override;

private:
  std::span<const float> row(std::size_t i) const {
    return {rows_.data() + i * n_dimensions_, n_dimensions_};
  }

  std::size_t n_dimensions_;
  isa isa_;
  std::vector<float> rows_; ///< (size, n_dimensions)
  std::vector<vector_id> ids_;
};

} // namespace souffleur
