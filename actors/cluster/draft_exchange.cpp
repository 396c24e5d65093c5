#include "actors/cluster/draft_exchange.hpp"

#include "policies/key_digest.hpp"

#include <cmath>
#include <set>

namespace souffleur {

namespace {

/// More than any scheduler asks for; each takes a pass.
constexpr int longest_draft = 1024;

std::string salt_of(const std::string& tenant) {
  key_encoder said;
  said.add(std::string_view{"souffleur drafter"});
  said.add(tenant);
  const auto digest = said.digest();
  return {digest.bytes.begin(), digest.bytes.end()};
}

bool is_probability(float p) { return std::isfinite(p) && p >= 0 && p <= 1; }

std::optional<draft_proposal> proposal_of(const drafted_chain& chain, const draft_wish& wish,
                                          int vocabulary_size) {
  const auto n_tokens = wish.offset + static_cast<int>(wish.appended.size());
  if (chain.id != wish.id || chain.n_known < 0 || chain.n_known > n_tokens || chain.n_behind < 0 ||
      chain.n_behind > chain.n_known || chain.tokens.size() != chain.probabilities.size() ||
      chain.tokens.size() > static_cast<std::size_t>(std::max(0, wish.n_max)))
    return std::nullopt;
  draft_proposal proposal{chain.id, {}, chain.n_known, chain.n_behind};
  draft_tree draft;
  draft.origin = token_origin::draft_model;
  for (std::size_t i = 0; i < chain.tokens.size(); ++i) {
    if (chain.tokens[i] < 0 || chain.tokens[i] >= vocabulary_size || !is_probability(chain.probabilities[i]))
      return std::nullopt;
    draft.nodes.push_back({chain.tokens[i], static_cast<int>(i) - 1, chain.probabilities[i]});
  }
  if (!draft.nodes.empty())
    proposal.drafts.push_back(std::move(draft));
  return proposal;
}

} // namespace

draft_order order_of(const draft_demand& demand) {
  draft_order order;
  for (const auto& ending : demand.ended)
    order.ended.push_back(ending.id);
  for (const auto& wish : demand.wishes) {
    order.wishes.push_back({wish.id, salt_of(wish.subject->tenant), wish.offset, wish.appended,
                            wish.subject->n_prompt, wish.n_max, *wish.subject->sampling});
    order.wishes.back().sampling.stop.clear();
  }
  return order;
}

result<draft_demand> demand_of(const draft_order& order) {
  draft_demand demand;
  for (const auto id : order.ended)
    demand.ended.push_back({id, 0, {}, nullptr, false});
  std::set<sequence_id> ids;
  for (const auto& wish : order.wishes) {
    if (!ids.insert(wish.id).second)
      return failure{"it asks twice about one sequence"};
    if (wish.offset < 0 || wish.n_prompt < 0 || wish.n_max < 0 || wish.n_max > longest_draft)
      return failure{"it asks for a draft of " + std::to_string(wish.n_max) + " tokens at " +
                     std::to_string(wish.offset)};
    auto subject = std::make_shared<draft_subject>();
    subject->tenant = wish.salt;
    subject->n_prompt = wish.n_prompt;
    subject->sampling = std::make_shared<const sampling_params>(wish.sampling);
    demand.wishes.push_back({wish.id, wish.offset, wish.appended, wish.n_max, std::move(subject), {}});
  }
  return demand;
}

drafted_batch batch_of(const draft_offer& offer) {
  drafted_batch batch;
  batch.pass = offer.pass;
  for (const auto& proposal : offer.proposals) {
    drafted_chain chain{proposal.id, {}, {}, proposal.n_known, proposal.n_behind};
    for (const auto& draft : proposal.drafts)
      for (const auto& node : draft.nodes) {
        chain.tokens.push_back(node.token);
        chain.probabilities.push_back(node.probability);
      }
    batch.chains.push_back(std::move(chain));
  }
  return batch;
}

std::optional<draft_offer> offer_of(const drafted_batch& batch, const draft_demand& demand,
                                    int vocabulary_size) {
  if (batch.chains.size() != demand.wishes.size())
    return std::nullopt;
  draft_offer offer;
  for (std::size_t i = 0; i < batch.chains.size(); ++i) {
    auto proposal = proposal_of(batch.chains[i], demand.wishes[i], vocabulary_size);
    if (!proposal)
      return std::nullopt;
    offer.proposals.push_back(std::move(*proposal));
  }
  if (batch.pass.n_rows > 0 && std::isfinite(batch.pass.us) && batch.pass.us > 0)
    offer.pass = batch.pass;
  return offer;
}

} // namespace souffleur
