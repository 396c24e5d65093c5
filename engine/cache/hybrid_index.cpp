#include "engine/cache/hybrid_index.hpp"

#include "engine/cache/best_neighbours.hpp"
#include "engine/cache/hnsw_index.hpp"

namespace souffleur {

namespace {

std::unique_ptr<vector_index> make_index(std::size_t n_dimensions, std::size_t n, std::size_t n_flat_most) {
  if (n <= n_flat_most)
    return std::make_unique<flat_index>(n_dimensions);
  return hnsw_index::make(n_dimensions, n + n / 8);
}

} // namespace

void index_rebuild::run() {
  auto made = make_index(source_->n_dimensions(), source_->size(), n_flat_most_);
  bool is_whole = made != nullptr;
  source_->for_each(
      [&](vector_id id, std::span<const float> vector) { is_whole = is_whole && made->add(id, vector); });
  if (is_whole)
    made_ = std::move(made);
}

hybrid_index::hybrid_index(std::size_t n_dimensions, const hybrid_options& options)
    : options_(options), main_(std::make_shared<flat_index>(n_dimensions)), recent_(n_dimensions) {}

bool hybrid_index::add(vector_id id, std::span<const float> vector) {
  if (under_way_)
    return recent_.add(id, vector);
  settle_one();
  return main_->add(id, vector);
}

bool hybrid_index::erase(vector_id id) {
  if (recent_.erase(id))
    return true;
  if (under_way_)
    return main_->contains(id) && erased_.insert(id).second;
  return main_->erase(id);
}

bool hybrid_index::contains(vector_id id) const {
  return recent_.contains(id) || (main_->contains(id) && !erased_.contains(id));
}

std::vector<neighbour> hybrid_index::nearest(std::span<const float> vector, std::size_t k,
                                             const vector_ids& except) const {
  auto left_out = except;
  if (!except.empty())
    left_out.insert(erased_.begin(), erased_.end());
  best_neighbours best{std::min(k, size())};
  for (const auto& one : main_->nearest(vector, k, except.empty() ? erased_ : left_out))
    best.add(one);
  for (const auto& one : recent_.nearest(vector, k, except))
    best.add(one);
  return std::move(best).in_order();
}

void hybrid_index::for_each(const std::function<void(vector_id, std::span<const float>)>& visit) const {
  main_->for_each([&](vector_id id, std::span<const float> vector) {
    if (!erased_.contains(id))
      visit(id, vector);
  });
  recent_.for_each(visit);
}

bool hybrid_index::wants_rebuild() const {
  if (under_way_)
    return false;
  if (is_flat())
    return size() > options_.n_flat_most;
  return size() < options_.n_flat_most / 2 || main_->n_tombstones() * 3 > main_->size();
}

index_rebuild_ptr hybrid_index::begin_rebuild() {
  if (!wants_rebuild())
    return nullptr;
  auto job = std::make_shared<index_rebuild>(main_, options_.n_flat_most);
  under_way_ = job.get();
  return job;
}

bool hybrid_index::finish_rebuild(index_rebuild& job) {
  if (under_way_ != &job)
    return false;
  under_way_ = nullptr;
  const bool is_made = job.made_ != nullptr;
  if (is_made)
    main_ = std::move(job.made_);
  for (const auto id : erased_)
    main_->erase(id);
  erased_.clear();
  while (is_flat() && recent_.size() > 0)
    settle_one();
  return is_made;
}

/// One at a time: a graph takes a millisecond for each, and nobody shall wait for all of them.
void hybrid_index::settle_one() {
  if (recent_.size() == 0)
    return;
  const auto [id, vector] = recent_.last();
  if (main_->add(id, vector))
    recent_.erase(id);
}

} // namespace souffleur
