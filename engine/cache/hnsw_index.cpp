#include "engine/cache/hnsw_index.hpp"

#include "engine/cache/best_neighbours.hpp"
#include "engine/kernels/kernel_table.hpp"

// Without its own vector instructions, of which some are not chosen at run time, and without prefetching,
// which reads beyond its lists.
#define NO_MANUAL_VECTORIZATION
#include <fstream>
#include <hnswlib/hnswlib.h>

#include <algorithm>
#include <cassert>
#include <cmath>
#include <exception>
#include <mutex>
#include <utility>

namespace souffleur {
namespace {

using graph = hnswlib::HierarchicalNSW<float>;

constexpr std::size_t n_links = 16;           ///< of a vector on each level; twice as many on the lowest
constexpr std::size_t building_breadth = 100; ///< candidates for those links
/// Most tombstones for each vector that is found, before whoever keeps the index rebuilds it.
constexpr double usual_tombstones = 1.0 / 3;

struct dot_product {
  decltype(kernel_table::dot) dot = kernels_of(best_isa()).dot;
  int n = 0;
};

class cosine_space final : public hnswlib::SpaceInterface<float> {
public:
  explicit cosine_space(std::size_t n_dimensions) { product_.n = static_cast<int>(n_dimensions); }
  std::size_t get_data_size() override { return static_cast<std::size_t>(product_.n) * sizeof(float); }
  hnswlib::DISTFUNC<float> get_dist_func() override { return distance; }
  void* get_dist_func_param() override { return &product_; }

private:
  static float distance(const void* x, const void* y, const void* how) {
    const auto& [dot, n] = *static_cast<const dot_product*>(how);
    return 1 - dot(static_cast<const float*>(x), static_cast<const float*>(y), n);
  }
  dot_product product_;
};

/// hnswlib's own marks for what is deleted are not used: with them, a new vector is linked to no tombstones,
/// and where a search for its links meets only such, hnswlib reads beyond an empty list.
class hnswlib_index final : public hnsw_index {
public:
  hnswlib_index(std::size_t n_dimensions, std::size_t capacity)
      : n_dimensions_(n_dimensions), space_(n_dimensions),
        graph_(
            std::make_unique<graph>(&space_, std::max<std::size_t>(capacity, 1), n_links, building_breadth)) {
    fit_locks();
  }
  hnswlib_index(const std::string& path, std::size_t n_dimensions)
      : n_dimensions_(n_dimensions), space_(n_dimensions), graph_(std::make_unique<graph>(&space_, path)) {
    graph_->num_deleted_ = 0; // else it is left uninitialised
    fit_locks();
  }

  bool has_dimensions_of_its_own() const {
    return graph_->label_offset_ - graph_->offsetData_ == graph_->data_size_;
  }

  void set_breadth(std::size_t breadth) override { breadth_ = breadth; }
  std::string_view name() const override { return "hnsw"; }
  std::size_t n_dimensions() const override { return n_dimensions_; }

  bool add(vector_id id, std::span<const float> vector) override {
    assert(vector.size() == n_dimensions_ && graph_->label_lookup_.count(id) == 0);
    try {
      if (n_all() == graph_->max_elements_ && !grow())
        return false;
      graph_->addPoint(vector.data(), id);
      return true;
    } catch (const std::exception&) {
      if (graph_->label_lookup_.count(id) != 0)
        tombstones_.insert(id); // not linked, or not everywhere
      return false;
    }
  }

  bool erase(vector_id id) override { return contains(id) && tombstones_.insert(id).second; }
  bool contains(vector_id id) const override {
    return graph_->label_lookup_.count(id) != 0 && !tombstones_.contains(id);
  }

  std::vector<neighbour> nearest(std::span<const float> vector, std::size_t k,
                                 const vector_ids& except) const override {
    assert(vector.size() == n_dimensions_);
    // Among tombstones a search is broadened until it has seen enough else to be sure of the nearest.
    const auto breadth = breadth_ > 0 ? breadth_ : breadth_for(n_all());
    const auto n_enough = std::max(k, breadth / 4);
    for (auto n_seen = std::max(k, breadth);; n_seen *= 2) {
      n_seen = std::min(n_seen, n_all());
      best_neighbours best{std::min(k, size())};
      const auto n_found = search(vector, n_seen, except, best);
      if (n_found >= n_enough || n_seen == n_all())
        return std::move(best).in_order();
    }
  }

  void for_each(const std::function<void(vector_id, std::span<const float>)>& visit) const override {
    for (hnswlib::tableint i = 0; i < n_all(); ++i)
      if (const auto id = graph_->getExternalLabel(i); !tombstones_.contains(id))
        visit(id, {reinterpret_cast<const float*>(graph_->getDataByInternalId(i)), n_dimensions_});
  }

  std::size_t size() const override { return n_all() - tombstones_.size(); }
  std::size_t n_tombstones() const override { return tombstones_.size(); }
  std::size_t n_bytes() const override {
    return fixed_bytes + n_all() * written_bytes() + graph_->max_elements_ * reserved_bytes +
           tombstones_.size() * (sizeof(vector_id) + table_bytes);
  }
  std::size_t bytes_for(std::size_t n) const override {
    const auto with_tombstones = static_cast<double>(n) * (1 + usual_tombstones);
    return fixed_bytes + static_cast<std::size_t>(with_tombstones) * (written_bytes() + reserved_bytes);
  }

  bool save(const std::string& path) override {
    assert(tombstones_.empty());
    try {
      graph_->saveIndex(path);
      return std::ifstream{path}.peek() != std::ifstream::traits_type::eof();
    } catch (const std::exception&) {
      return false;
    }
  }

private:
  static constexpr std::size_t table_bytes = 4 * sizeof(void*); ///< of a hash table, for each element
  /// Touched when the room is made: locks, levels, links, marks of what was visited.
  static constexpr std::size_t reserved_bytes =
      2 * sizeof(std::mutex) + sizeof(int) + sizeof(char*) + sizeof(hnswlib::vl_type);
  static constexpr std::size_t fixed_bytes = 2 * sizeof(graph);

  /// The vector and its links; every n_links-th vector has links on another level.
  std::size_t written_bytes() const {
    return graph_->size_data_per_element_ + graph_->size_links_per_element_ / (n_links - 1) +
           sizeof(hnswlib::labeltype) + sizeof(hnswlib::tableint) + table_bytes;
  }
  std::size_t n_all() const { return graph_->cur_element_count; }

  /// Shows `best` the nearest `n_seen`, as far as they are to be found; returns how many those were.
  std::size_t search(std::span<const float> vector, std::size_t n_seen, const vector_ids& except,
                     best_neighbours& best) const {
    if (n_seen == 0)
      return 0;
    std::size_t n_found = 0;
    for (auto seen = graph_->searchKnn(vector.data(), n_seen); !seen.empty(); seen.pop()) {
      const auto& [distance, id] = seen.top();
      if (tombstones_.contains(id) || except.contains(id))
        continue;
      best.add({id, 1 - distance});
      ++n_found;
    }
    return n_found;
  }

  /// hnswlib has locks for 65,536 vectors even if there is room for less.
  void fit_locks() {
    const auto n = std::min<std::size_t>(graph_->max_elements_, graph::max_update_element_locks);
    if (graph_->link_list_update_locks_.size() != n)
      std::vector<std::mutex>(n).swap(graph_->link_list_update_locks_);
  }

  /// hnswlib frees its marks of what was visited before it asks for larger ones.
  bool grow() {
    auto* const marks = std::exchange(graph_->visited_list_pool_, nullptr);
    try {
      graph_->resizeIndex(n_all() + n_all() / 4 + 16);
      delete marks;
      fit_locks();
      return true;
    } catch (const std::exception&) {
      if (graph_->visited_list_pool_ == nullptr)
        graph_->visited_list_pool_ = marks;
      else
        delete marks;
      return false;
    }
  }

  std::size_t breadth_ = 0;
  std::size_t n_dimensions_;
  cosine_space space_;
  std::unique_ptr<graph> graph_; ///< refers to space_
  vector_ids tombstones_;
};

} // namespace

std::size_t hnsw_index::breadth_for(std::size_t n) {
  constexpr double n_of_one = 1e5; // up to here one share of candidates, and one more for ten times as many
  constexpr double n_candidates = 128;
  const double n_shares = 1 + std::log10(std::max(n_of_one, static_cast<double>(n)) / n_of_one);
  return static_cast<std::size_t>(std::ceil(n_candidates * n_shares));
}

std::unique_ptr<hnsw_index> hnsw_index::make(std::size_t n_dimensions, std::size_t capacity) {
  try {
    return std::make_unique<hnswlib_index>(n_dimensions, capacity);
  } catch (const std::exception&) {
    return nullptr;
  }
}

std::unique_ptr<hnsw_index> hnsw_index::load(const std::string& path, std::size_t n_dimensions) {
  try {
    auto loaded = std::make_unique<hnswlib_index>(path, n_dimensions);
    return loaded->has_dimensions_of_its_own() ? std::move(loaded) : nullptr;
  } catch (const std::exception&) {
    return nullptr;
  }
}

} // namespace souffleur
