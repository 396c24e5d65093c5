#include "engine/cache/partitioned_index.hpp"

namespace souffleur {

namespace {

/// Of a hash table, for an element of `n` bytes: the node's links and hash, the bucket, and malloc's own.
constexpr std::size_t node_bytes(std::size_t n) { return n + 5 * sizeof(void*); }

} // namespace

std::size_t partitioned_index::bytes_for(const hybrid_index& index, std::size_t n) const {
  return node_bytes(sizeof(key_digest)) + index.bytes_for(n);
}

bool partitioned_index::add(const key_digest& partition, vector_id id, std::span<const float> vector) {
  const auto [at, is_new] = partitions_.try_emplace(partition, n_dimensions_, options_);
  auto& index = at->second;
  const auto before = is_new ? 0 : bytes_for(index, index.size());
  const bool is_added = index.add(id, vector);
  if (!is_added && is_new) {
    partitions_.erase(at);
    return false;
  }
  n_vectors_ += is_added ? 1 : 0;
  n_bytes_ += bytes_for(index, index.size()) - before;
  if (index.wants_rebuild())
    wanting_.insert(partition);
  return is_added;
}

bool partitioned_index::erase(const key_digest& partition, vector_id id) {
  const auto at = partitions_.find(partition);
  if (at == partitions_.end())
    return false;
  auto& index = at->second;
  const auto before = bytes_for(index, index.size());
  if (!index.erase(id))
    return false;
  --n_vectors_;
  n_bytes_ -= before;
  if (index.size() == 0) {
    partitions_.erase(at);
    wanting_.erase(partition);
    return true;
  }
  n_bytes_ += bytes_for(index, index.size());
  if (index.wants_rebuild())
    wanting_.insert(partition);
  return true;
}

bool partitioned_index::contains(const key_digest& partition, vector_id id) const {
  const auto at = partitions_.find(partition);
  return at != partitions_.end() && at->second.contains(id);
}

std::vector<neighbour> partitioned_index::nearest(const key_digest& partition, std::span<const float> vector,
                                                  std::size_t k) const {
  const auto at = partitions_.find(partition);
  return at == partitions_.end() ? std::vector<neighbour>{} : at->second.nearest(vector, k);
}

std::optional<partition_rebuild> partitioned_index::begin_rebuild() {
  while (!wanting_.empty()) {
    const auto partition = *wanting_.begin();
    wanting_.erase(wanting_.begin());
    if (auto job = partitions_.at(partition).begin_rebuild())
      return partition_rebuild{partition, std::move(job)};
  }
  return std::nullopt;
}

bool partitioned_index::finish_rebuild(const partition_rebuild& rebuilt) {
  const auto at = partitions_.find(rebuilt.partition);
  if (at == partitions_.end())
    return false;
  auto& index = at->second;
  n_bytes_ -= bytes_for(index, index.size());
  const bool is_done = index.finish_rebuild(*rebuilt.job);
  n_bytes_ += bytes_for(index, index.size());
  if (is_done && index.wants_rebuild())
    wanting_.insert(rebuilt.partition);
  return is_done;
}

std::size_t partitioned_index::bytes_of_one() const {
  return bytes_for(hybrid_index{n_dimensions_, options_}, 1);
}

std::size_t partitioned_index::bytes_to_add(const key_digest& partition) const {
  const auto at = partitions_.find(partition);
  if (at == partitions_.end())
    return bytes_of_one();
  const auto& index = at->second;
  return bytes_for(index, index.size() + 1) - bytes_for(index, index.size());
}

std::size_t partitioned_index::n_tombstones() const {
  std::size_t n = 0;
  for (const auto& [_, index] : partitions_)
    n += index.n_tombstones();
  return n;
}

std::size_t partitioned_index::n_resident_bytes() const {
  std::size_t n = 0;
  for (const auto& [_, index] : partitions_)
    n += node_bytes(sizeof(key_digest)) + index.n_bytes();
  return n;
}

bool partitioned_index::check_integrity() const {
  std::size_t n_vectors = 0;
  std::size_t n_bytes = 0;
  for (const auto& [_, index] : partitions_) {
    if (index.size() == 0)
      return false;
    n_vectors += index.size();
    n_bytes += bytes_for(index, index.size());
  }
  return n_vectors == n_vectors_ && n_bytes == n_bytes_;
}

} // namespace souffleur
