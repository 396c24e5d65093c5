// Approximate nearest neighbours in a graph: hierarchical navigable small worlds.
#pragma once

#include "engine/cache/vector_index.hpp"

#include <memory>
#include <string>

namespace souffleur {

/// Malkov and Yashunin 2018, by hnswlib. Finding and adding take time that grows with the logarithm of the
/// size. What is erased stays as a tombstone: part of the ways to others, and never found.
class hnsw_index : public vector_index {
public:
  /// How many candidates a search keeps among `n` vectors: so many that it finds 0.98 of the nearest (the
  /// engine's README has what that was seen with).
  static std::size_t breadth_for(std::size_t n);

  /// With room for `capacity` vectors; it grows by a quarter when that is used up. Null if there is no
  /// memory.
  static std::unique_ptr<hnsw_index> make(std::size_t n_dimensions, std::size_t capacity);
  /// From a file that save() wrote, of vectors of `n_dimensions`; null if it cannot be read. It is trusted.
  static std::unique_ptr<hnsw_index> load(const std::string& path, std::size_t n_dimensions);
  /// REQUIRES: no tombstones. False if the file could not be written.
  virtual bool save(const std::string& path) = 0;
  /// 0: breadth_for() its size, which is how it begins.
  virtual void set_breadth(std::size_t breadth) = 0;
};

} // namespace souffleur
