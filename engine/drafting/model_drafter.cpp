#include "engine/drafting/model_drafter.hpp"

#include "engine/sampler.hpp"
#include "engine/text_ends.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace souffleur {

/// Of use only while it is live in the kv manager. Invariant then: the pages hold tokens[0, n_computed), and
/// behind them `foreseen` but for its last token, which is empty unless n_computed == tokens.size().
struct model_drafter::known_sequence {
  explicit known_sequence(const model_draft_wish& first)
      : n_prompt(first.n_prompt), sampling(*first.sampling) {}

  int n_prompt;
  sampling_params sampling;
  std::vector<token_id> tokens;
  int n_computed = 0;
  std::vector<likely_token> foreseen; ///< what the model says behind the tokens
  bool is_all_foreseen = false;       ///< it drafts nothing behind that
  int n_wished = 0;                   ///< by the last wish
  int n_published_pages = 0;
  std::uint64_t wished_at = 0;
  bool readable = true; ///< the model has an embedding for each of its tokens
  token_counts counts;  ///< only with penalties

  int n_tokens() const { return static_cast<int>(tokens.size()); }
  int n_foreseen() const { return static_cast<int>(foreseen.size()); }
  /// The last token is computed again if need be: its logits are not kept.
  int first_row() const { return std::min(n_computed, n_tokens() - 1); }
  bool knows_next() const { return !foreseen.empty() || is_all_foreseen; }
  void forget_foreseen() {
    foreseen.clear();
    is_all_foreseen = false;
  }
  void append(token_id token) {
    tokens.push_back(token);
    if (foreseen.empty() || foreseen.front().token != token)
      return forget_foreseen();
    n_computed += foreseen.size() > 1 ? 1 : 0; // the last one is not in the pages
    foreseen.erase(foreseen.begin());
  }
};

struct model_drafter::drafting {
  sequence_id id = 0;
  known_sequence* who = nullptr;
  int n_most = 0;      ///< tokens to foresee
  token_counts counts; ///< those of `who` and of what is foreseen

  drafting(sequence_id of, known_sequence& sequence, int most)
      : id(of), who(&sequence), n_most(most), counts(sequence.counts) {
    if (sequence.sampling.has_penalties())
      for (const auto& token : sequence.foreseen)
        ++counts.output[token.token];
  }
  bool is_done() const { return who->is_all_foreseen || who->n_foreseen() >= n_most; }
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
  asked_.clear();
  for (const auto& wish : wishes)
    known_.try_emplace(wish.id, wish).first->second.wished_at = n_calls_;
  std::vector<drafting> all;
  std::vector<bool> drafts_now;
  for (const auto& wish : wishes) {
    auto& who = known_.at(wish.id);
    const bool complete = append(wish, who);
    who.n_wished = wish.n_max;
    drafts_now.push_back(complete && wish.n_max > 0 && open(wish, who));
    if (drafts_now.back()) {
      all.emplace_back(wish.id, who, wish.n_max);
      asked_.push_back(wish.id);
    }
  }
  const auto behind = foresee(std::move(all));

  std::vector<model_draft> drafts;
  for (std::size_t i = 0; i < wishes.size(); ++i) {
    const auto& who = known_.at(wishes[i].id);
    auto& made = drafts.emplace_back();
    made.n_known = who.n_tokens();
    made.draft.origin = token_origin::draft_model;
    if (!drafts_now[i])
      continue;
    if (const auto found = behind.find(wishes[i].id); found != behind.end())
      made.n_behind = found->second;
    const auto n = std::min(who.foreseen.size(), static_cast<std::size_t>(wishes[i].n_max));
    for (std::size_t k = 0; k < n; ++k)
      made.draft.nodes.push_back(
          {who.foreseen[k].token, static_cast<int>(k) - 1, who.foreseen[k].probability});
  }
  return drafts;
}

std::unordered_map<sequence_id, int> model_drafter::foresee(std::vector<drafting> all) {
  std::erase_if(all, &drafting::is_done);
  std::vector<drafting> unread;
  const auto reads = std::ranges::partition(all, [](const drafting& one) { return one.who->knows_next(); });
  std::ranges::move(reads, std::back_inserter(unread));
  all.erase(reads.begin(), reads.end());
  auto behind = catch_up(unread);
  std::ranges::move(unread, std::back_inserter(all));
  while (!all.empty())
    extend(all);
  return behind;
}

bool model_drafter::look_ahead() {
  std::vector<drafting> all;
  for (const auto id : asked_) {
    const auto found = known_.find(id);
    if (found == known_.end() || !found->second.knows_next())
      continue;
    // All that was drafted, the token behind it, and the next draft.
    auto& who = found->second;
    drafting one{id, who, 2 * who.n_wished + 1};
    if (!one.is_done() && kv_.reserve(id, who.n_tokens() + who.n_foreseen()))
      all.push_back(std::move(one));
  }
  if (all.empty())
    return false;
  extend(all);
  return true;
}

void model_drafter::extend(std::vector<drafting>& all) {
  std::vector<sequence_rows> batch;
  for (const auto& one : all) {
    const int position = one.who->n_tokens() + one.who->n_foreseen() - 1;
    batch.push_back({kv_.pages(one.id), position, {&one.who->foreseen.back().token, 1}, 1});
  }
  const auto vocabulary = static_cast<std::size_t>(model_->vocabulary_size());
  logits_.resize(std::max(logits_.size(), batch.size() * vocabulary));
  model_->forward(batch, std::span{logits_}.first(batch.size() * vocabulary));
  ++effort_.n_passes;
  std::vector<drafting> further;
  for (std::size_t i = 0; i < all.size(); ++i)
    if (take(all[i], std::span{logits_}.subspan(i * vocabulary, vocabulary)))
      further.push_back(std::move(all[i]));
  all = std::move(further);
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
    who.readable = who.readable && token >= 0 && token < model_->vocabulary_size();
    if (who.sampling.has_penalties())
      ++(who.n_tokens() < who.n_prompt ? who.counts.prompt : who.counts.output)[token];
    who.append(token);
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
    who.forget_foreseen();
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

/// Computes what is missing, within the bound; who then lacks nothing has its first token foreseen and stays
/// in `all`, if there is more to foresee. How many tokens each of the others is behind.
std::unordered_map<sequence_id, int> model_drafter::catch_up(std::vector<drafting>& all) {
  const auto n_missing = [](const drafting& one) { return one.who->n_tokens() - one.who->first_row(); };
  std::ranges::stable_sort(all, {}, n_missing);
  std::unordered_map<sequence_id, int> behind;
  std::vector<sequence_rows> batch;
  std::size_t n_ready = 0;
  int n_left = options_.n_catch_up_rows;
  for (auto& one : all) {
    const int n_rows = std::min(n_missing(one), n_left);
    const bool ready = n_rows == n_missing(one);
    if (!ready)
      behind[one.id] = n_missing(one) - n_rows;
    if (n_rows == 0)
      continue;
    const int first = one.who->first_row();
    batch.push_back({kv_.pages(one.id), first,
                     std::span{one.who->tokens}.subspan(static_cast<std::size_t>(first),
                                                        static_cast<std::size_t>(n_rows)),
                     ready ? 1 : 0});
    one.who->n_computed = first + n_rows;
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
  return behind;
}

bool model_drafter::take(drafting& one, std::span<const float> logits) {
  auto& who = *one.who;
  const auto& sampling = who.sampling;
  const int n_before = who.n_tokens() + who.n_foreseen();
  const auto known = logits.first(static_cast<std::size_t>(n_shared_vocabulary_));
  scratch_.assign(known.begin(), known.end());
  const auto law = next_token_distribution(scratch_, sampling, &one.counts,
                                           ends_too_early(n_before - who.n_prompt, ends_, sampling));
  const bool greedy = sampling.temperature == 0;
  const double likeliest = greedy ? largest_probability(known) : *std::ranges::max_element(law.probabilities);
  who.is_all_foreseen = likeliest <= options_.least_probability;
  if (who.is_all_foreseen)
    return false;
  const auto coins = coins_at(sampling.seed, static_cast<std::uint64_t>(n_before));
  const auto draw_of = greedy ? draft_draw::most_likely : options_.draw;
  const auto token = draw_of == draft_draw::most_likely ? most_likely(law)
                     : draw_of == draft_draw::gumbel    ? coins.race(0, law)
                                                        : draw(coins, {0, rng_purpose::sample}, law);
  who.foreseen.push_back({token, static_cast<float>(likeliest)});
  if (sampling.has_penalties())
    ++one.counts.output[token];
  who.is_all_foreseen = ends_text(token, ends_, sampling) || n_before >= model_->context_length();
  return !one.is_done();
}

/// All but the last token, which is never found in the cache: its logits are wanted.
void model_drafter::publish(const drafting& one) {
  const int n_full = std::min(one.who->n_computed, one.who->n_tokens() - 1) / page_tokens;
  if (n_full > one.who->n_published_pages) {
    one.who->n_published_pages = n_full;
    kv_.publish(one.id, std::span{one.who->tokens}.first(static_cast<std::size_t>(n_full) * page_tokens));
  }
}

} // namespace souffleur
