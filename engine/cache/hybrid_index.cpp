#include "engine/cache/hybrid_index.hpp"

#include "engine/cache/best_neighbours.hpp"

#include <cassert>

namespace souffleur {

void index_rebuild::run() {
  made_ = make_flat_index(source_->n_dimensions());
  source_->for_each([&](vector_id id, std::span<const float> vector) { made_->add(id, vector); });
}

hybrid_index::hybrid_index(std::size_t n_dimensions, const hybrid_options& options)
    : options_(options), main_(make_flat_index(n_dimensions)) {}

bool hybrid_index::add(vector_id id, std::span<const float> vector) {
  if (!is_rebuilding_)
    return main_->add(id, vector);
  if (!recent_)
    recent_ = make_flat_index(n_dimensions());
  return recent_->add(id, vector);
}

bool hybrid_index::erase(vector_id id) {
  if (recent_ && recent_->erase(id))
    return true;
  if (!is_rebuilding_)
    return main_->erase(id);
  return main_->contains(id) && erased_.insert(id).second;
}

bool hybrid_index::contains(vector_id id) const {
  return (recent_ && recent_->contains(id)) || (!erased_.contains(id) && main_->contains(id));
}

std::vector<neighbour> hybrid_index::nearest(std::span<const float> vector, std::size_t k,
                                             const vector_ids& except) const {
  assert(except.empty() || erased_.empty());
  auto found = main_->nearest(vector, k, erased_.empty() ? except : erased_);
  if (!recent_)
    return found;
  best_neighbours best{std::min(k, size())};
  for (const auto& one : found)
    best.add(one);
  for (const auto& one : recent_->nearest(vector, k, except))
    best.add(one);
  return std::move(best).in_order();
}

void hybrid_index::for_each(const std::function<void(vector_id, std::span<const float>)>& visit) const {
  main_->for_each([&](vector_id id, std::span<const float> vector) {
    if (!erased_.contains(id))
      visit(id, vector);
  });
  if (recent_)
    recent_->for_each(visit);
}

std::size_t hybrid_index::n_bytes() const {
  return sizeof(*this) + main_->n_bytes() + (recent_ ? recent_->n_bytes() : 0);
}

bool hybrid_index::wants_rebuild() const { return false; }

index_rebuild_ptr hybrid_index::begin_rebuild() {
  if (is_rebuilding_ || !wants_rebuild())
    return nullptr;
  is_rebuilding_ = true;
  return std::make_shared<index_rebuild>(main_, options_.n_flat_most);
}

bool hybrid_index::finish_rebuild(index_rebuild& job) {
  if (!is_rebuilding_ || job.source_ != main_)
    return false;
  is_rebuilding_ = false;
  const bool is_made = job.made_ != nullptr;
  if (is_made)
    main_ = std::move(job.made_);
  for (const auto id : erased_)
    main_->erase(id);
  erased_.clear();
  return is_made;
}

} // namespace souffleur
