#include "engine/drafting/model_drafter.hpp"

#include "engine/sampler.hpp"
#include "engine/text_ends.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace souffleur {

/// Of use only while it is live in the kv manager. Invariant then: the pages hold tokens[0, n_computed), then
/// `drafted`, which is empty unless n_computed == tokens.size().
struct model_drafter::known_sequence {
  std::vector<token_id> tokens;
  int n_computed = 0;
  std::vector<token_id> drafted;
  int n_published_pages = 0;
  std::uint64_t wished_at = 0;
  bool readable = true; ///< the model has an embedding for each of its tokens
  token_counts counts;  ///< only with penalties

  int n_tokens() const { return static_cast<int>(tokens.size()); }
  /// The last token is computed again if need be: its logits are not kept.
  int first_row() const { return std::min(n_computed, n_tokens() - 1); }
};

struct model_drafter::drafting {
  const model_draft_wish* wish = nullptr;
  known_sequence* who = nullptr;
  model_draft* into = nullptr;
  token_counts counts; ///< those of `who` and of the draft
  token_id last = 0;
};

namespace {

/// Probability of the most likely token under the raw logits.
double largest_probability(std::span<const float> logits) {
  const auto best = logits[static_cast<std::size_t>(argmax(logits))];
  double sum = 0;
  for (const float logit : logits)
    if (logit > best - 40)
      sum += std::exp(static_cast<double>(logit) - best);
  return sum > 0 ? 1 / sum : 0;
}

} // namespace

model_drafter::model_drafter(std::shared_ptr<language_model> model, int n_shared_vocabulary,
                             std::vector<token_id> ends, std::unique_ptr<eviction_policy> eviction,
                             const model_drafter_options& options)
    : model_(std::move(model)),
      n_shared_vocabulary_(std::min(n_shared_vocabulary, model_->vocabulary_size())), ends_(std::move(ends)),
      options_(options), kv_(model_->n_pages(), std::move(eviction)) {}
model_drafter::~model_drafter() = default;

std::vector<model_draft> model_drafter::propose(std::span<const model_draft_wish> wishes) {
  ++n_calls_;
  effort_ = {};
  std::vector<model_draft> drafts(wishes.size());
  for (const auto& wish : wishes)
    known_[wish.id].wished_at = n_calls_;
  std::vector<drafting> going_on;
  for (std::size_t i = 0; i < wishes.size(); ++i) {
    auto& who = known_[wishes[i].id];
    const bool complete = append(wishes[i], who);
    drafts[i].n_known = who.n_tokens();
    drafts[i].draft.origin = token_origin::draft_model;
    if (complete && wishes[i].n_max > 0 && open(wishes[i], who))
      going_on.push_back({&wishes[i], &who, &drafts[i], who.counts});
  }
  catch_up(going_on);

  while (!going_on.empty()) {
    std::vector<sequence_rows> batch;
    for (const auto& one : going_on) {
      const int position = one.who->n_tokens() + static_cast<int>(one.into->draft.nodes.size()) - 1;
      batch.push_back({kv_.pages(one.wish->id), position, {&one.last, 1}, 1});
      one.who->drafted.push_back(one.last);
    }
    const auto vocabulary = static_cast<std::size_t>(model_->vocabulary_size());
    logits_.resize(std::max(logits_.size(), batch.size() * vocabulary));
    model_->forward(batch, std::span{logits_}.first(batch.size() * vocabulary));
    ++effort_.n_passes;
    std::vector<drafting> further;
    for (std::size_t i = 0; i < going_on.size(); ++i)
      if (take(going_on[i], std::span{logits_}.subspan(i * vocabulary, vocabulary)))
        further.push_back(std::move(going_on[i]));
    going_on = std::move(further);
  }
  return drafts;
}

void model_drafter::end(sequence_id id) {
  kv_.end(id);
  known_.erase(id);
}

bool model_drafter::append(const model_draft_wish& wish, known_sequence& who) {
  const auto offset = static_cast<std::size_t>(wish.offset);
  if (offset > who.tokens.size())
    return false;
  const auto n_seen = std::min(who.tokens.size() - offset, wish.appended.size());
  for (const auto token : wish.appended.subspan(n_seen)) {
    if (who.n_computed == who.n_tokens() && !who.drafted.empty()) {
      if (who.drafted.front() == token) {
        ++who.n_computed;
        who.drafted.erase(who.drafted.begin());
      } else {
        who.drafted.clear();
      }
    }
    who.readable = who.readable && token >= 0 && token < model_->vocabulary_size();
    if (wish.sampling->has_penalties())
      ++(who.n_tokens() < wish.n_prompt ? who.counts.prompt : who.counts.output)[token];
    who.tokens.push_back(token);
  }
  return true;
}

bool model_drafter::can_read(const known_sequence& who) const {
  return who.readable && !who.tokens.empty() && who.n_tokens() <= model_->context_length();
}

bool model_drafter::open(const model_draft_wish& wish, known_sequence& who) {
  if (!can_read(who)) {
    kv_.end(wish.id);
    return false;
  }
  if (!kv_.live(wish.id)) {
    who.n_computed = kv_.begin(wish.id, wish.salt, who.tokens);
    who.drafted.clear();
    who.n_published_pages = who.n_computed / page_tokens;
  }
  // The draft's last token is never computed.
  const int n_positions = std::min(who.n_tokens() + wish.n_max - 1, model_->context_length());
  if (reserve(wish.id, n_positions))
    return true;
  kv_.end(wish.id);
  return false;
}

/// Takes pages from who was not wished for this time, those first that were not for longest.
bool model_drafter::reserve(sequence_id id, int n_tokens) {
  while (!kv_.reserve(id, n_tokens)) {
    auto idle = known_.end();
    for (auto it = known_.begin(); it != known_.end(); ++it)
      if (it->second.wished_at < n_calls_ && kv_.live(it->first) &&
          (idle == known_.end() || it->second.wished_at < idle->second.wished_at))
        idle = it;
    if (idle == known_.end())
      return false;
    kv_.end(idle->first);
  }
  return true;
}

/// Computes what is missing, within the bound; who then lacks nothing has its first drafted token and stays
/// in `all`, if there is more to draft.
void model_drafter::catch_up(std::vector<drafting>& all) {
  const auto n_missing = [](const drafting& one) { return one.who->n_tokens() - one.who->first_row(); };
  std::ranges::stable_sort(all, {}, n_missing);
  std::vector<sequence_rows> batch;
  std::size_t n_ready = 0;
  int n_left = options_.n_catch_up_rows;
  for (auto& one : all) {
    const int n_rows = std::min(n_missing(one), n_left);
    one.into->n_behind = n_missing(one) - n_rows;
    if (n_rows == 0)
      continue;
    const bool ready = n_rows == n_missing(one);
    const int first = one.who->first_row();
    batch.push_back({kv_.pages(one.wish->id), first,
                     std::span{one.who->tokens}.subspan(static_cast<std::size_t>(first),
                                                        static_cast<std::size_t>(n_rows)),
                     ready ? 1 : 0});
    one.who->n_computed = first + n_rows;
    one.who->drafted.clear();
    n_left -= n_rows;
    n_ready += ready ? 1 : 0;
  }
  const auto vocabulary = static_cast<std::size_t>(model_->vocabulary_size());
  logits_.resize(std::max(logits_.size(), n_ready * vocabulary));
  if (!batch.empty()) {
    model_->forward(batch, std::span{logits_}.first(n_ready * vocabulary));
    effort_ = {1, options_.n_catch_up_rows - n_left};
  }
  for (std::size_t i = 0; i < batch.size(); ++i)
    publish(all[i]);
  std::vector<drafting> further;
  for (std::size_t i = 0; i < n_ready; ++i)
    if (take(all[i], std::span{logits_}.subspan(i * vocabulary, vocabulary)))
      further.push_back(std::move(all[i]));
  all = std::move(further);
}

bool model_drafter::take(drafting& one, std::span<const float> logits) {
  const auto& sampling = *one.wish->sampling;
  auto& nodes = one.into->draft.nodes;
  const int n_before = one.who->n_tokens() + static_cast<int>(nodes.size());
  const auto known = logits.first(static_cast<std::size_t>(n_shared_vocabulary_));
  scratch_.assign(known.begin(), known.end());
  const auto law = next_token_distribution(scratch_, sampling, &one.counts,
                                           ends_too_early(n_before - one.wish->n_prompt, ends_, sampling));
  const bool greedy = sampling.temperature == 0;
  const double likeliest = greedy ? largest_probability(known) : *std::ranges::max_element(law.probabilities);
  if (likeliest <= options_.least_probability)
    return false;
  const auto coins = coins_at(sampling.seed, static_cast<std::uint64_t>(n_before));
  const auto draw_of = greedy ? draft_draw::most_likely : options_.draw;
  one.last = draw_of == draft_draw::most_likely ? most_likely(law)
             : draw_of == draft_draw::gumbel    ? coins.race(0, law)
                                                : draw(coins, {0, rng_purpose::sample}, law);
  nodes.push_back({one.last, static_cast<int>(nodes.size()) - 1, static_cast<float>(likeliest)});
  if (sampling.has_penalties())
    ++one.counts.output[one.last];
  return !ends_text(one.last, ends_, sampling) && static_cast<int>(nodes.size()) < one.wish->n_max &&
         n_before < model_->context_length();
}

/// All but the last token, which is never found in the cache: its logits are wanted.
void model_drafter::publish(const drafting& one) {
  const int n_full = std::min(one.who->n_computed, one.who->n_tokens() - 1) / page_tokens;
  if (n_full > one.who->n_published_pages) {
    one.who->n_published_pages = n_full;
    kv_.publish(one.wish->id,
                std::span{one.who->tokens}.first(static_cast<std::size_t>(n_full) * page_tokens));
  }
}

} // namespace souffleur
