// C6 of the cache's laws: approximate neighbours against exact ones, and those against a loop.
#include "engine/cache/hnsw_index.hpp"
#include "engine/cache/partitioned_index.hpp"
#include "tests/engine/cache/question_like_vectors.hpp"
#include "tests/engine/scratch_folder.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <atomic>
#include <cmath>
#include <map>
#include <random>
#include <thread>

namespace souffleur {
namespace {

using unit_vector = std::vector<float>;

unit_vector normalised(unit_vector x) {
  double squares = 0;
  for (const double value : x)
    squares += value * value;
  for (auto& value : x)
    value = static_cast<float>(value / std::sqrt(squares));
  return x;
}

unit_vector random_vector(std::size_t n_dimensions, std::mt19937_64& random) {
  std::normal_distribution<float> normal;
  unit_vector x(n_dimensions);
  for (auto& value : x)
    value = normal(random);
  return normalised(std::move(x));
}

unit_vector near(const unit_vector& center, float distance, std::mt19937_64& random) {
  auto x = random_vector(center.size(), random);
  for (std::size_t i = 0; i < x.size(); ++i)
    x[i] = center[i] + distance * x[i];
  return normalised(std::move(x));
}

double cosine(const unit_vector& x, std::span<const float> y) {
  double sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i)
    sum += static_cast<double>(x[i]) * y[i];
  return sum;
}

/// What an index should hold.
struct naive_index {
  std::map<vector_id, unit_vector> live;

  /// Best first.
  std::vector<double> similarities(const unit_vector& x) const {
    std::vector<double> all;
    for (const auto& [_, y] : live)
      all.push_back(cosine(x, y));
    std::sort(all.rbegin(), all.rend());
    return all;
  }
};

/// What may never be: one that is not live, a wrong similarity, a wrong order, too many.
bool are_possible(const std::vector<neighbour>& found, const naive_index& model, const unit_vector& x,
                  std::size_t k) {
  vector_ids seen;
  for (std::size_t i = 0; i < found.size(); ++i) {
    const auto at = model.live.find(found[i].id);
    if (at == model.live.end() || !seen.insert(found[i].id).second ||
        std::abs(cosine(x, at->second) - found[i].similarity) > 1e-5 ||
        (i > 0 && found[i].similarity > found[i - 1].similarity))
      return false;
  }
  return found.size() <= std::min(k, model.live.size());
}

/// Of how many queries the nearest one was found.
struct recall_meter {
  int n_found = 0;
  int n_all = 0;

  void note(const std::vector<neighbour>& found, double nearest) {
    ++n_all;
    n_found += !found.empty() && found[0].similarity > nearest - 1e-5 ? 1 : 0;
  }
  double recall() const { return static_cast<double>(n_found) / n_all; }
};

// Planted: the dimensions that fill no register left out; the worst one kept instead of the best; erasing
// that forgets to move the id.
RC_GTEST_PROP(FlatIndex, FindsWhatALoopFinds, ()) {
  const auto n_dimensions = *rc::gen::inRange<std::size_t>(1, 70);
  std::mt19937_64 random{*rc::gen::arbitrary<std::uint64_t>()};
  naive_index model;
  std::vector<flat_index> all;
  for (const auto level : available_isas())
    all.emplace_back(n_dimensions, level);
  const auto n_steps = *rc::gen::inRange<vector_id>(1, 60);
  for (vector_id id = 0; id < n_steps; ++id) {
    const auto x = random_vector(n_dimensions, random);
    const auto gone = random() % n_steps;
    const auto k = random() % 6;
    model.live[id] = x;
    for (auto& index : all)
      RC_ASSERT(index.add(id, x));
    for (auto& index : all)
      RC_ASSERT(index.erase(gone) == model.live.contains(gone));
    model.live.erase(gone);
    const auto query = random_vector(n_dimensions, random);
    const auto nearest = model.similarities(query);
    for (const auto& index : all) {
      const auto found = index.nearest(query, k);
      RC_ASSERT(are_possible(found, model, query, k));
      RC_ASSERT(found.size() == std::min<std::size_t>(k, nearest.size()));
      for (std::size_t i = 0; i < found.size(); ++i)
        RC_ASSERT(std::abs(found[i].similarity - nearest[i]) < 1e-5);
      RC_ASSERT(index.size() == model.live.size());
      RC_ASSERT(index.contains(gone) == false);
    }
  }
}

/// Any order of what may happen to a hybrid index, beside a model of it.
class story {
public:
  story(std::size_t n_dimensions, std::size_t n_flat_most, std::uint64_t seed)
      : random_(seed), n_dimensions_(n_dimensions), index_(n_dimensions, {.n_flat_most = n_flat_most}) {
    for (int i = 0; i < 3; ++i)
      centers_.push_back(random_vector(n_dimensions, random_));
  }

  void step() {
    switch (random_() % 10) {
    case 0:
    case 1:
      return erase();
    case 2:
      return begin();
    case 3:
      return finish();
    default:
      return add();
    }
  }

  void check(recall_meter& meter) {
    const auto query = any_vector();
    const auto k = 1 + random_() % 5;
    const auto found = index_.nearest(query, k);
    RC_ASSERT(are_possible(found, model_, query, k));
    if (!model_.live.empty())
      meter.note(found, model_.similarities(query)[0]);
    RC_ASSERT(index_.size() == model_.live.size());
    const auto id = random_() % (next_id_ + 1);
    RC_ASSERT(index_.contains(id) == model_.live.contains(id));
    std::size_t n_seen = 0;
    index_.for_each([&](vector_id one, std::span<const float> vector) {
      ++n_seen;
      RC_ASSERT(model_.live.contains(one) && std::abs(cosine(model_.live.at(one), vector) - 1) < 1e-5);
    });
    RC_ASSERT(n_seen == model_.live.size());
  }

private:
  unit_vector any_vector() {
    const auto kind = random_() % 4;
    if (kind == 0)
      return random_vector(n_dimensions_, random_);
    if (kind == 1 && !model_.live.empty()) // the very same question
      return std::next(model_.live.begin(), static_cast<long>(random_() % model_.live.size()))->second;
    return near(centers_[random_() % centers_.size()], 0.3F, random_);
  }
  void add() {
    const auto x = any_vector();
    RC_ASSERT(index_.add(next_id_, x));
    model_.live[next_id_++] = x;
  }
  void erase() {
    const auto first = random_() % (next_id_ + 1);
    const auto n = random_() % 3 == 0 ? random_() % 20 : 1; // also neighbours in time
    for (auto id = first; id < first + n; ++id)
      RC_ASSERT(index_.erase(id) == (model_.live.erase(id) == 1));
  }
  void begin() {
    const bool is_wanted = index_.wants_rebuild();
    if (auto begun = index_.begin_rebuild()) {
      RC_ASSERT(is_wanted && job_ == nullptr);
      job_ = std::move(begun);
      is_run_ = random_() % 2 == 0;
      if (is_run_)
        job_->run();
    } else {
      RC_ASSERT(!is_wanted);
    }
    RC_ASSERT(!index_.wants_rebuild());
  }
  /// Now and then it was not run, or an older one comes a second time.
  void finish() {
    if (!job_)
      return;
    if (!is_run_ && random_() % 2 == 0) {
      job_->run();
      is_run_ = true;
    }
    RC_ASSERT((!old_job_ || !index_.finish_rebuild(*old_job_)));
    RC_ASSERT(index_.finish_rebuild(*job_) == is_run_);
    RC_ASSERT(!index_.finish_rebuild(*job_));
    old_job_ = std::move(job_);
    old_job_->run();
  }

  std::mt19937_64 random_;
  std::size_t n_dimensions_;
  hybrid_index index_;
  naive_index model_;
  std::vector<unit_vector> centers_;
  index_rebuild_ptr job_; ///< the rebuild that is under way
  index_rebuild_ptr old_job_;
  bool is_run_ = false;
  vector_id next_id_ = 0;
};

// Planted: what was erased during a rebuild is there again after it; what was added is lost; tombstones are
// found; a rebuild that made nothing stays under way; a second finish of the same job counts.
RC_GTEST_PROP(HybridIndex, FindsWhatIsLiveInAnyOrderOfAddingErasingAndRebuilding, ()) {
  story any{*rc::gen::inRange<std::size_t>(3, 40), *rc::gen::inRange<std::size_t>(0, 60),
            *rc::gen::arbitrary<std::uint64_t>()};
  recall_meter meter;
  const auto n_steps = *rc::gen::inRange(1, 300);
  for (int i = 0; i < n_steps; ++i) {
    any.step();
    any.check(meter);
  }
  RC_ASSERT((meter.n_all < 100 || meter.recall() >= 0.98));
}

/// Most of what is nearest to any query is erased.
struct settled_graph {
  static constexpr std::size_t n_dimensions = 48;
  std::vector<unit_vector> vectors;
  std::vector<unit_vector> queries;
  std::unique_ptr<hnsw_index> graph = hnsw_index::make(n_dimensions, 1);
  flat_index flat{n_dimensions};

  void add(std::size_t n) {
    for (auto id = flat.size(); n-- > 0; ++id) {
      ASSERT_TRUE(graph->add(id, vectors[id]) && flat.add(id, vectors[id]));
    }
  }
  void erase_around(std::size_t n_queries, std::size_t n_nearest) {
    for (std::size_t i = 0; i < n_queries; ++i)
      for (const auto& one : flat.nearest(queries[i], n_nearest)) {
        ASSERT_TRUE(graph->erase(one.id) && flat.erase(one.id));
        ASSERT_FALSE(graph->contains(one.id));
        ASSERT_FALSE(graph->erase(one.id));
      }
  }
  double recall() const {
    recall_meter meter;
    for (const auto& query : queries) {
      const auto found = graph->nearest(query, 4);
      for (const auto& one : found)
        EXPECT_TRUE(flat.contains(one.id));
      meter.note(found, flat.nearest(query, 1)[0].similarity);
    }
    return meter.recall();
  }
};

// Planted: links to the first candidates instead of the nearest; one candidate in a search; no further search
// among tombstones.
TEST(HnswIndex, FindsTheNearestOfRandomVectorsAndOfQuestions) {
  std::mt19937_64 random{7};
  const question_like_vectors questions{settled_graph::n_dimensions, 7};
  for (const bool is_random : {true, false}) {
    settled_graph all;
    for (std::size_t i = 0; i < 3000; ++i)
      all.vectors.push_back(is_random ? random_vector(all.n_dimensions, random) : questions.at(i));
    for (std::size_t i = 0; i < 200; ++i)
      all.queries.push_back(is_random ? random_vector(all.n_dimensions, random) : questions.at(3000 + i));
    all.add(2500);
    EXPECT_GE(all.recall(), 0.98);
    all.erase_around(100, 6);
    EXPECT_GE(all.recall(), 0.98);
    EXPECT_EQ(all.graph->size(), all.flat.size());
    EXPECT_EQ(all.graph->n_tombstones(), 2500 - all.flat.size());
  }
}

TEST(HnswIndex, FindsWhatIsLeftWhenAllAroundItIsErased) {
  std::mt19937_64 random{7};
  const auto center = random_vector(16, random);
  const auto graph = hnsw_index::make(16, 1);
  for (vector_id id = 0; id < 2000; ++id)
    graph->add(id, near(center, 0.1F, random));
  graph->add(2000, near(center, 2, random));
  for (vector_id id = 0; id < 2000; ++id)
    graph->erase(id);
  const auto found = graph->nearest(center, 3);
  ASSERT_EQ(found.size(), 1);
  EXPECT_EQ(found[0].id, 2000);
  graph->erase(2000);
  EXPECT_TRUE(graph->nearest(center, 3).empty());
  graph->add(2001, center);
  EXPECT_EQ(graph->nearest(center, 3).size(), 1);
}

TEST(HnswIndex, IsTheSameAfterItWasSavedAndLoaded) {
  const testing::scratch_folder folder;
  const auto file = (folder.path() / "graph").string();
  const question_like_vectors questions{24, 7};
  const auto graph = hnsw_index::make(24, 1);
  for (vector_id id = 0; id < 500; ++id)
    graph->add(7 * id, questions.at(id));
  ASSERT_TRUE(graph->save(file));
  const auto loaded = hnsw_index::load(file, 24);
  ASSERT_NE(loaded, nullptr);
  EXPECT_EQ(loaded->size(), 500);
  for (std::uint64_t i = 400; i < 600; ++i)
    EXPECT_EQ(loaded->nearest(questions.at(i), 5), graph->nearest(questions.at(i), 5));
  EXPECT_TRUE(loaded->add(1, questions.at(600)));
  EXPECT_EQ(loaded->nearest(questions.at(600), 1)[0].id, 1);
  EXPECT_EQ(hnsw_index::load(file, 25), nullptr);
  EXPECT_EQ(hnsw_index::load(file + "?", 24), nullptr);
  EXPECT_FALSE(graph->save("/nonexistent/graph"));
}

TEST(HybridIndex, IsRebuiltOnAnotherThreadWhileItIsUsed) {
  const question_like_vectors questions{32, 7};
  hybrid_index index{32, {.n_flat_most = 300}};
  vector_id newest = 0;
  vector_id oldest = 0;
  const auto add = [&] { return index.add(newest, questions.at(newest)) && ++newest > 0; };
  const auto replace = [&] { return add() && index.erase(oldest++); };
  while (index.size() < 400)
    ASSERT_TRUE(add());
  for (int round = 0; round < 3; ++round) {
    const auto job = index.begin_rebuild();
    ASSERT_NE(job, nullptr);
    std::atomic<bool> is_done{false};
    std::thread worker{[&] {
      job->run();
      is_done = true;
    }};
    for (int i = 0; i < 50 || !is_done; ++i) {
      EXPECT_TRUE(i >= 50 || replace());
      EXPECT_EQ(index.nearest(questions.at(newest - 1), 1)[0].id, newest - 1);
    }
    worker.join();
    EXPECT_TRUE(index.finish_rebuild(*job));
    EXPECT_EQ(index.name(), "hnsw");
    EXPECT_EQ(index.size(), 400);
    while (!index.wants_rebuild())
      ASSERT_TRUE(replace());
  }
}

TEST(PartitionedIndex, AThousandPartitionsOfOneVectorTakeLittleMoreThanTheVectors) {
  constexpr std::size_t n_dimensions = 384;
  const question_like_vectors questions{n_dimensions, 7};
  partitioned_index index{n_dimensions, {}};
  for (std::uint8_t i = 0; i < 250; ++i)
    for (std::uint8_t j = 0; j < 4; ++j)
      index.add(key_digest{{i, j}}, index.n_vectors(), questions.at(i));
  EXPECT_EQ(index.n_partitions(), 1000);
  EXPECT_LT(index.n_bytes(), 1000 * (n_dimensions * sizeof(float) + 512));
  EXPECT_LE(index.n_resident_bytes(), index.n_bytes());
}

} // namespace
} // namespace souffleur
