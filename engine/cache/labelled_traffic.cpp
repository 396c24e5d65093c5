#include "engine/cache/labelled_traffic.hpp"

#include <boost/json/parse.hpp>

#include <algorithm>
#include <array>
#include <cstring>
#include <istream>
#include <iterator>
#include <numeric>
#include <random>
#include <set>
#include <unordered_map>

namespace souffleur {

namespace {

/// Sets of questions that are connected.
class connected {
public:
  explicit connected(std::size_t n) : parent_(n) { std::iota(parent_.begin(), parent_.end(), 0U); }

  std::uint32_t set_of(std::uint32_t one) {
    while (parent_[one] != one)
      one = parent_[one] = parent_[parent_[one]];
    return one;
  }
  void connect(std::uint32_t a, std::uint32_t b) { parent_[set_of(a)] = set_of(b); }

private:
  std::vector<std::uint32_t> parent_;
};

/// What the labels say of any two questions.
class known_truth {
public:
  explicit known_truth(const labelled_pairs& all) : same_(all.questions.size()) {
    for (const auto& pair : all.pairs)
      if (pair.duplicate)
        same_.connect(pair.a, pair.b);
      else
        different_.insert(std::minmax(pair.a, pair.b));
  }
  void judge(std::uint32_t question, asked_question::neighbour& found) {
    found.right = same_.set_of(question) == same_.set_of(found.question);
    found.labelled = found.right || different_.contains(std::minmax(question, found.question));
    if (different_.contains(std::minmax(question, found.question)))
      found.right = false; // said of this very pair: that counts for more than a chain
  }

private:
  connected same_;
  std::set<std::pair<std::uint32_t, std::uint32_t>> different_;
};

constexpr std::size_t n_nearest = 8;

/// The nearest of `stored` to `question`, most similar first, without what the labels say.
std::vector<asked_question::neighbour>
nearest_to(std::uint32_t question, std::span<const std::uint32_t> stored, const question_vectors& vectors) {
  std::vector<asked_question::neighbour> nearest;
  for (const auto other : stored) {
    const double similarity = vectors.cosine(question, other);
    if (nearest.size() == n_nearest && similarity <= nearest.back().similarity)
      continue;
    const auto at = std::find_if(nearest.begin(), nearest.end(),
                                 [&](const auto& one) { return one.similarity < similarity; });
    nearest.insert(at, {other, similarity});
    if (nearest.size() > n_nearest)
      nearest.pop_back();
  }
  return nearest;
}

} // namespace

result<labelled_pairs> labelled_pairs::read(std::istream& lines) {
  labelled_pairs all;
  std::unordered_map<std::string, std::uint32_t> indices;
  const auto index_of = [&](const boost::json::string& text) {
    const auto [found, is_new] =
        indices.emplace(std::string{text}, static_cast<std::uint32_t>(all.questions.size()));
    if (is_new)
      all.questions.emplace_back(text);
    return found->second;
  };
  std::size_t n_lines = 0;
  for (std::string line; std::getline(lines, line);) {
    ++n_lines;
    boost::json::error_code error;
    const auto value = boost::json::parse(line, error);
    const auto* row = error ? nullptr : value.if_object();
    const auto* a = row != nullptr ? row->if_contains("a") : nullptr;
    const auto* b = row != nullptr ? row->if_contains("b") : nullptr;
    const auto* duplicate = row != nullptr ? row->if_contains("duplicate") : nullptr;
    if (a == nullptr || !a->is_string() || b == nullptr || !b->is_string() || duplicate == nullptr ||
        !duplicate->is_int64())
      return failure{"line " + std::to_string(n_lines) +
                     R"( is not {"a": text, "b": text, "duplicate": 0 or 1})"};
    const auto first = index_of(a->get_string());
    all.pairs.push_back({first, index_of(b->get_string()), duplicate->get_int64() != 0});
  }
  return all;
}

double question_vectors::cosine(std::uint32_t a, std::uint32_t b) const {
  const float* x = rows.data() + a * n_dimensions;
  const float* y = rows.data() + b * n_dimensions;
  constexpr std::size_t n_lanes = 16;
  std::array<float, n_lanes> sums{};
  std::size_t i = 0;
  for (; i + n_lanes <= n_dimensions; i += n_lanes)
    for (std::size_t lane = 0; lane < n_lanes; ++lane)
      sums[lane] += x[i + lane] * y[i + lane];
  double sum = std::accumulate(sums.begin(), sums.end(), 0.0);
  for (; i < n_dimensions; ++i)
    sum += static_cast<double>(x[i]) * y[i];
  return sum;
}

result<question_vectors> question_vectors::read(std::istream& bytes, std::size_t n_questions) {
  const std::string content{std::istreambuf_iterator<char>{bytes}, {}};
  const std::size_t n_floats = content.size() / sizeof(float);
  if (n_questions == 0 || n_floats == 0 || content.size() % (n_questions * sizeof(float)) != 0)
    return failure{std::to_string(content.size()) + " bytes are no vectors of " +
                   std::to_string(n_questions) + " questions"};
  question_vectors made;
  made.n_dimensions = n_floats / n_questions;
  made.rows.resize(n_floats);
  std::memcpy(made.rows.data(), content.data(), content.size());
  return made;
}

std::pair<std::vector<labelled_pair>, std::vector<labelled_pair>> halves_of(const labelled_pairs& all,
                                                                            std::uint64_t seed) {
  connected sets{all.questions.size()};
  for (const auto& pair : all.pairs)
    sets.connect(pair.a, pair.b);
  std::mt19937_64 random{seed};
  std::unordered_map<std::uint32_t, bool> is_second;
  std::pair<std::vector<labelled_pair>, std::vector<labelled_pair>> halves;
  for (const auto& pair : all.pairs) {
    const auto [where, is_new] = is_second.emplace(sets.set_of(pair.a), false);
    if (is_new)
      where->second = random() % 2 == 1;
    (where->second ? halves.second : halves.first).push_back(pair);
  }
  return halves;
}

std::vector<asked_question> requests_of(traffic kind, const labelled_pairs& all,
                                        std::span<const labelled_pair> pairs,
                                        const question_vectors& vectors) {
  known_truth truth{all};
  std::unordered_map<std::uint32_t, text_signature> signatures;
  const auto signature_of = [&](std::uint32_t question) {
    return signatures.try_emplace(question, all.questions[question]).first->second;
  };
  std::vector<asked_question> requests;
  const auto add = [&](std::uint32_t question, std::span<const std::uint32_t> stored) {
    auto& made = requests.emplace_back();
    made.question = question;
    made.nearest = nearest_to(question, stored, vectors);
    for (auto& one : made.nearest) {
      one.refused_by = compare(signature_of(question), signature_of(one.question)).refused_by;
      truth.judge(question, one);
    }
  };
  std::vector<std::uint32_t> stored;
  std::vector<bool> is_stored(all.questions.size());
  for (const auto& pair : pairs) {
    if (kind == traffic::pairs) {
      add(pair.b, std::span{&pair.a, 1});
      continue;
    }
    for (const auto question : {pair.a, pair.b}) {
      if (is_stored[question])
        continue; // the very same text: the exact cache has it
      add(question, stored);
      stored.push_back(question);
      is_stored[question] = true;
    }
  }
  return requests;
}

namespace {

const asked_question::neighbour* best_of(const asked_question& request) {
  for (const auto& one : request.nearest)
    if (one.refused_by == guard::none)
      return &one;
  return request.nearest.empty() ? nullptr : &request.nearest.front();
}

} // namespace

std::vector<labelled_lookup> lookups_of(std::span<const asked_question> requests) {
  std::vector<labelled_lookup> lookups;
  for (const auto& request : requests) {
    const auto* best = best_of(request);
    lookups.push_back(best == nullptr
                          ? labelled_lookup{}
                          : labelled_lookup{best->similarity, best->refused_by == guard::none, best->right});
  }
  return lookups;
}

int traffic_outcome::n_errors() const {
  return static_cast<int>(
      std::count_if(served.begin(), served.end(), [](const auto& one) { return !one.from.right; }));
}

int traffic_outcome::n_unlabelled() const {
  return static_cast<int>(
      std::count_if(served.begin(), served.end(), [](const auto& one) { return !one.from.labelled; }));
}

traffic_outcome replay(std::span<const asked_question> requests, const cache_policy& policy,
                       const semantic_demand& demand, traffic kind, std::uint64_t seed) {
  std::mt19937_64 random{seed};
  std::unordered_map<std::uint32_t, entry_record> stored;
  traffic_outcome outcome;
  outcome.n_requests = static_cast<int>(requests.size());
  for (const auto& request : requests) {
    const double coin = std::uniform_real_distribution<double>{}(random);
    bool is_served = false;
    for (const auto& one : request.nearest) {
      if (kind == traffic::pairs)
        stored.try_emplace(one.question);
      const auto entry = stored.find(one.question);
      if (entry == stored.end())
        continue; // it was served, so it is not stored
      const auto decision =
          policy.decide({one.similarity, one.refused_by, entry->second.seen()}, demand, coin);
      is_served = decision.use == semantic_use::serve;
      if (is_served)
        outcome.served.push_back({request.question, one});
      else if (decision.verify && one.labelled)
        entry->second.note(one.similarity, one.right ? likeness::same : likeness::different);
      if (is_served || decision.verify)
        break;
    }
    if (!is_served && kind == traffic::stream)
      stored.try_emplace(request.question);
  }
  return outcome;
}

} // namespace souffleur
