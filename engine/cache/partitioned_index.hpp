// An index of its own for every partition: what is asked in one cannot find what is in another.
#pragma once

#include "engine/cache/hybrid_index.hpp"
#include "policies/key_digest.hpp"

#include <optional>
#include <span>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace souffleur {

/// One partition's index, to be made anew by job->run() on whichever thread. Once it is finished, the index
/// that was replaced goes when the job goes: a large one takes a tenth of a second for that.
struct partition_rebuild {
  key_digest partition;
  index_rebuild_ptr job; ///< never null
};

/// Ids are unique over all partitions. A partition is there as long as it has a vector.
class partitioned_index {
public:
  partitioned_index(std::size_t n_dimensions, const hybrid_options& options)
      : n_dimensions_(n_dimensions), options_(options) {}

  bool add(const key_digest& partition, vector_id id, std::span<const float> vector);
  bool erase(const key_digest& partition, vector_id id);
  bool contains(const key_digest& partition, vector_id id) const;
  bool has(const key_digest& partition) const { return partitions_.contains(partition); }
  std::vector<neighbour> nearest(const key_digest& partition, std::span<const float> vector,
                                 std::size_t k) const;

  /// Nothing if none wants to be rebuilt that is not being so already.
  std::optional<partition_rebuild> begin_rebuild();
  /// False if nothing came of it: there was no memory for it, or the partition is gone.
  bool finish_rebuild(const partition_rebuild& rebuilt);

  std::size_t n_dimensions() const { return n_dimensions_; }
  std::size_t n_partitions() const { return partitions_.size(); }
  std::size_t n_vectors() const { return n_vectors_; }
  std::size_t n_tombstones() const; ///< looks at all partitions
  /// What the partitions are counted with: depends on how many vectors they have and on their kind, not on
  /// tombstones or on what is being rebuilt.
  std::size_t n_bytes() const { return n_bytes_; }
  std::size_t n_resident_bytes() const; ///< what they take now, about; looks at all partitions
  /// By how much n_bytes() would grow with one more vector.
  std::size_t bytes_to_add(const key_digest& partition) const;
  std::size_t bytes_of_one() const; ///< in a partition of its own
  /// Whether the counts are those of the partitions. Looks at all of them.
  bool check_integrity() const;

private:
  using partitions = std::unordered_map<key_digest, hybrid_index, key_digest_hash>;
  std::size_t bytes_for(const hybrid_index& index, std::size_t n) const;

  std::size_t n_dimensions_;
  hybrid_options options_;
  partitions partitions_;
  std::unordered_set<key_digest, key_digest_hash> wanting_; ///< partitions to rebuild
  std::size_t n_vectors_ = 0;
  std::size_t n_bytes_ = 0;
};

} // namespace souffleur
