// An index that is flat while it is small, and a graph when it is not; rebuilt beside lookups, not in their
// way.
#pragma once

#include "engine/cache/flat_index.hpp"
#include "engine/cache/vector_index.hpp"

#include <memory>

namespace souffleur {

struct hybrid_options {
  std::size_t n_flat_most = 8192; ///< vectors; with more of them it becomes a graph
};

/// Makes an index anew, without tombstones. May go from thread to thread; run() takes seconds for 10^4
/// vectors and is for a thread that has time.
class index_rebuild {
public:
  index_rebuild(std::shared_ptr<const vector_index> source, std::size_t n_flat_most)
      : source_(std::move(source)), n_flat_most_(n_flat_most) {}
  void run();

private:
  friend class hybrid_index;
  std::shared_ptr<const vector_index> source_; ///< nobody changes it before it is replaced
  std::size_t n_flat_most_;
  std::unique_ptr<vector_index> made_; ///< null: not run, or there was no memory
};
using index_rebuild_ptr = std::shared_ptr<index_rebuild>;

/// While a rebuild is under way, what is added goes to a small flat index beside the one that is being
/// replaced, and what is erased from that one is only left out of what is found.
class hybrid_index final : public vector_index {
public:
  hybrid_index(std::size_t n_dimensions, const hybrid_options& options);
  std::string_view name() const override { return main_->name(); }
  std::size_t n_dimensions() const override { return main_->n_dimensions(); }

  bool add(vector_id id, std::span<const float> vector) override;
  bool erase(vector_id id) override;
  bool contains(vector_id id) const override;
  std::vector<neighbour> nearest(std::span<const float> vector, std::size_t k,
                                 const vector_ids& except = {}) const override;
  void for_each(const std::function<void(vector_id, std::span<const float>)>& visit) const override;

  std::size_t size() const override { return main_->size() - erased_.size() + recent_.size(); }
  std::size_t n_tombstones() const override { return main_->n_tombstones() + erased_.size(); }
  std::size_t n_bytes() const override {
    return sizeof(*this) - sizeof(recent_) + main_->n_bytes() + recent_.n_bytes();
  }
  std::size_t bytes_for(std::size_t n) const override { return sizeof(*this) + main_->bytes_for(n); }

  /// It has outgrown the flat index or shrunk to one, or more than a quarter are tombstones; and no rebuild
  /// is under way.
  bool wants_rebuild() const;
  /// Null if it wants none.
  index_rebuild_ptr begin_rebuild();
  /// Puts in what `job` made. False if it made nothing, which leaves the index as it was before
  /// begin_rebuild(), or if it is not the rebuild that is under way, which does nothing at all.
  bool finish_rebuild(index_rebuild& job);

private:
  bool is_flat() const { return main_->name() == "flat"; }
  void settle_one();

  hybrid_options options_;
  std::shared_ptr<vector_index> main_;
  flat_index recent_; ///< added during a rebuild and not yet settled in main_
  vector_ids erased_; ///< from main_, while it is being rebuilt
  const index_rebuild* under_way_ = nullptr;
};

} // namespace souffleur
