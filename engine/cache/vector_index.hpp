// Nearest neighbours of unit vectors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <unordered_set>
#include <vector>

namespace souffleur {

/// Whoever adds vectors chooses them, and never one twice, not even after its vector was erased.
using vector_id = std::uint64_t;
using vector_ids = std::unordered_set<vector_id>;

struct neighbour {
  vector_id id = 0;
  float similarity = 0; ///< cosine
  bool operator==(const neighbour&) const = default;
};

/// All vectors are finite, of length 1 and of n_dimensions() floats. Several threads may call what is const;
/// what is not needs the index for itself.
class vector_index {
public:
  virtual ~vector_index() = default;
  virtual std::string_view name() const = 0;
  virtual std::size_t n_dimensions() const = 0;

  /// False if there was no memory for it: it is not in the index.
  virtual bool add(vector_id id, std::span<const float> vector) = 0;
  /// False if it is not in the index.
  virtual bool erase(vector_id id) = 0;
  virtual bool contains(vector_id id) const = 0;
  /// At most `k`, best first, of equal ones the older id; none of `except`.
  virtual std::vector<neighbour> nearest(std::span<const float> vector, std::size_t k,
                                         const vector_ids& except = {}) const = 0;
  /// In no order.
  virtual void for_each(const std::function<void(vector_id, std::span<const float>)>& visit) const = 0;

  virtual std::size_t size() const = 0; ///< tombstones do not count
  /// Erased, but still in memory and in the way of searches, until the index is rebuilt.
  virtual std::size_t n_tombstones() const { return 0; }
  virtual std::size_t n_bytes() const = 0; ///< that are resident, about
  /// What an index of this kind takes for `n` vectors, its usual share of tombstones included.
  virtual std::size_t bytes_for(std::size_t n) const = 0;
};

} // namespace souffleur
