#include "actors/answer_desk.hpp"

#include <algorithm>
#include <utility>

namespace souffleur {

namespace {

/// Of the question's words in a stored one, from which on its answer is worth drafting from.
constexpr double least_wording_of_a_draft = 0.6;

/// An entry as the policy sees it, with what it decided.
struct weighed_candidate {
  answer_candidate candidate;
  semantic_decision decision;
};

/// The one that is served, else the one that is drafted from, and of equals the nearest.
bool is_better(const weighed_candidate& a, const weighed_candidate& b) {
  if (a.decision.use != b.decision.use)
    return a.decision.use > b.decision.use;
  return a.candidate.similarity > b.candidate.similarity;
}

void add_elsewhere(std::vector<answer_candidate>& candidates, std::span<const found_entry> elsewhere,
                   const key_digest& partition, unix_seconds now_s) {
  for (const auto& [entry, similarity] : elsewhere) {
    const bool is_known =
        std::ranges::any_of(candidates, [&](const auto& one) { return one.entry->exact == entry->exact; });
    // The store is shared: what it says of partitions and time is not taken on trust.
    if (!is_known && entry->partition == partition && entry->expires_s > now_s)
      candidates.push_back({entry, similarity, {}});
  }
}

} // namespace

answer_desk::answer_desk(const answer_desk_options& options)
    : options_(options), memory_(options.memory, make_answer_eviction(options.eviction)),
      policy_(make_cache_policy(options.policy, options.calibration)), coins_(options.seed) {}

void answer_desk::start_over() {
  memory_ = answer_cache{options_.memory, make_answer_eviction(options_.eviction)};
}

cache_finding_ptr answer_desk::find_exact(const cache_terms& terms, unix_seconds now_s) {
  const auto entry = memory_.find(terms.key.exact, now_s);
  if (!entry)
    return nullptr;
  cache_finding found;
  found.source = answer_source::exact;
  found.answer = entry->answer;
  found.similarity = 1;
  return std::make_shared<const cache_finding>(std::move(found));
}

cache_finding_ptr answer_desk::find_by_wording(const cache_terms& terms, unix_seconds now_s) const {
  if (!memory_.has_similar(terms.key.partition))
    return std::make_shared<const cache_finding>();
  const double share = policy_->least_shared_wording();
  if (share <= 0)
    return nullptr;
  const auto candidates = memory_.worded_like(terms.key.partition, terms.key.text, share, most_worded, now_s);
  if (!candidates)
    return nullptr;
  const text_signature asked{terms.key.text};
  if (std::ranges::any_of(*candidates, [&](const auto& one) {
        return compare(asked, text_signature{one.entry->question}).passes();
      }))
    return nullptr;
  cache_finding found;
  if (!candidates->empty() && candidates->front().cover >= least_wording_of_a_draft) {
    found.answer = candidates->front().entry->answer;
    found.similarity = candidates->front().cover;
  }
  return std::make_shared<const cache_finding>(std::move(found));
}

cache_finding_ptr answer_desk::find_similar(const cache_terms& terms,
                                            std::shared_ptr<const std::vector<float>> embedding,
                                            std::span<const found_entry> elsewhere, unix_seconds now_s) {
  auto candidates = memory_.similar(terms.key.partition, *embedding, n_candidates, now_s);
  add_elsewhere(candidates, elsewhere, terms.key.partition, now_s);
  cache_finding found;
  found.embedding = std::move(embedding);
  if (candidates.empty())
    return std::make_shared<const cache_finding>(std::move(found));
  const text_signature asked{terms.key.text};
  const semantic_demand demand{terms.permit.threshold, terms.permit.max_error};
  const double coin = std::uniform_real_distribution<double>{}(coins_);
  std::vector<weighed_candidate> weighed;
  for (auto& candidate : candidates) {
    found.similarity = std::max(found.similarity, candidate.similarity);
    const auto verdict = compare(asked, text_signature{candidate.entry->question});
    const semantic_candidate seen{candidate.similarity, verdict.refused_by, candidate.record.seen()};
    const auto decision = policy_->decide(seen, demand, coin);
    weighed.push_back({std::move(candidate), decision});
  }
  const auto best = std::ranges::min_element(weighed, is_better);
  const auto& entry = *best->candidate.entry;
  if (best->decision.use != semantic_use::ignore)
    found.answer = entry.answer;
  if (best->decision.use == semantic_use::serve) {
    found.source = answer_source::semantic;
    found.similarity = best->candidate.similarity;
    memory_.served(entry.exact);
  }
  if (best->decision.verify)
    found.doubt = doubtful_entry{entry.exact, best->candidate.similarity};
  return std::make_shared<const cache_finding>(std::move(found));
}

cache_entry_ptr answer_desk::insert(const cache_insertion& insertion,
                                    const std::shared_ptr<const std::vector<float>>& embedding,
                                    unix_seconds now_s) {
  const auto& terms = *insertion.terms;
  cache_entry entry;
  entry.exact = terms.key.exact;
  entry.partition = terms.key.partition;
  entry.owner = terms.owner;
  entry.question = terms.key.text;
  if (embedding) {
    entry.embedding = *embedding;
    entry.embedder = options_.memory.embedder;
  }
  entry.created_s = now_s;
  entry.expires_s = now_s + static_cast<unix_seconds>(terms.permit.ttl_s);
  entry.answer = insertion.answer;
  auto made = std::make_shared<const cache_entry>(std::move(entry));
  memory_.insert(made, now_s);
  return made;
}

std::optional<doubtful_answer> answer_desk::doubt_of(const cache_insertion& insertion, unix_seconds now_s) {
  if (!insertion.found || !insertion.found->doubt)
    return std::nullopt;
  const auto& doubt = *insertion.found->doubt;
  const auto entry = memory_.find(doubt.exact, now_s);
  if (!entry) // it is gone, and its record with it
    return std::nullopt;
  auto stored = entry->answer->text();
  auto generated = insertion.answer->text();
  if (stored == generated) {
    settle(doubt, likeness::same);
    return std::nullopt;
  }
  return doubtful_answer{doubt, entry->question, insertion.terms->key.text, std::move(stored),
                         std::move(generated)};
}

} // namespace souffleur
