#include "engine/drafting/grammar_drafts.hpp"

#include <algorithm>
#include <optional>
#include <vector>

namespace souffleur {

draft_tree cut_by_grammar(const draft_tree& draft, const grammar::grammar_cursor& text) {
  draft_tree kept{{}, draft.match_length, draft.origin};
  std::vector<std::optional<grammar::grammar_cursor>> cursors; ///< behind each node; none: it is cut
  std::vector<int> places;                                     ///< in `kept`
  for (const auto& node : draft.nodes) {
    const auto parent = static_cast<std::size_t>(node.parent);
    const auto before = node.parent < 0 ? std::optional{text} : cursors[parent];
    cursors.push_back(before ? before->after(node.token) : std::nullopt);
    places.push_back(static_cast<int>(kept.nodes.size()));
    if (cursors.back())
      kept.nodes.push_back({node.token, node.parent < 0 ? -1 : places[parent], node.probability});
  }
  return kept;
}

draft_tree forced_draft(const tokenizer& vocabulary, const grammar::grammar_cursor& text, int n_most) {
  constexpr std::size_t bytes_of_a_token = 8; // more or less; the last token may be cut short anyway
  const auto forced = text.forced_bytes(static_cast<std::size_t>(std::max(0, n_most)) * bytes_of_a_token);
  draft_tree draft{{}, 0, token_origin::grammar};
  if (forced.size() < 2) // the mask alone says as much
    return draft;
  for (const auto token : vocabulary.encode(forced, false))
    if (static_cast<int>(draft.nodes.size()) < n_most)
      draft.nodes.push_back({token, static_cast<int>(draft.nodes.size()) - 1, 1});
  draft.match_length = static_cast<int>(draft.nodes.size());
  return cut_by_grammar(draft, text);
}

} // namespace souffleur
