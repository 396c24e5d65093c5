#include "engine/drafting/sequence_drafters.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <vector>

using namespace souffleur;

namespace {

using tokens = std::vector<token_id>;

constexpr token_id n_vocabulary = 4;

tokens any_text(std::size_t n_most) {
  tokens text(*rc::gen::inRange<std::size_t>(0, n_most));
  for (auto& token : text)
    token = *rc::gen::inRange<token_id>(0, n_vocabulary);
  return text;
}

token_recycling any_table() {
  token_recycling table{n_vocabulary};
  for (token_id token = 0; token < n_vocabulary; ++token)
    if (*rc::gen::arbitrary<bool>())
      table.note(token, std::vector<likely_token>{{*rc::gen::inRange<token_id>(0, n_vocabulary), 0.5F}});
  return table;
}

suffix_tree any_answers() {
  suffix_tree answers;
  answers.append(any_text(20));
  answers.close();
  return answers;
}

/// The drafters one by one.
struct lone_drafters {
  explicit lone_drafters(const tokens& prediction) : expected(prediction) {}

  expected_text expected;
  prompt_lookup lookup;
  sequence_suffixes own{1 << 10};
  suffix_match in_answers;
  token_id last = 0;

  void append(const tokens& more) {
    expected.append(more);
    lookup.append(more);
    own.append(more);
    in_answers.append(more);
    last = more.empty() ? last : more.back();
  }
};

} // namespace

/// Planted bugs that it caught: the first of the last tokens for the last; a predicted text drafted from
/// where nobody is to draft; answers or likely tokens drafted from unasked; a prediction that does not follow
/// the text; of all tokens appended one counted.
RC_GTEST_PROP(SequenceDrafters, ProposeWhatThoseAskedProposeAlone, ()) {
  const auto any_bool = rc::gen::arbitrary<bool>();
  const bool is_off = *rc::gen::inRange(0, 5) == 0;
  const auto which =
      is_off ? drafter_set{} : drafter_set{*any_bool, *any_bool, *any_bool, *any_bool, *any_bool};
  const auto prediction = any_text(12);
  const auto answers = any_answers();
  const auto table = any_table();
  sequence_drafters all{which, prediction};
  lone_drafters alone{prediction};
  std::size_t n_tokens = 0;
  for (int n_chunks = *rc::gen::inRange(0, 6); n_chunks > 0; --n_chunks) {
    const auto more = any_text(8);
    all.append(more);
    alone.append(more);
    n_tokens += more.size();
    RC_ASSERT(all.size() == n_tokens);

    const shared_texts shared{*any_bool ? &answers : nullptr, *any_bool ? &table : nullptr};
    const draft_shape shape{*rc::gen::inRange(0, 6), *rc::gen::inRange(1, 3)};
    std::vector<draft_tree> expected;
    const auto add = [&](bool is_asked, draft_tree draft) {
      if (is_asked && !draft.nodes.empty())
        expected.push_back(std::move(draft));
    };
    add(which != drafter_set{}, alone.expected.propose(shape));
    add(which.prompt_lookup, alone.lookup.propose(shape.n_max));
    add(which.suffix, alone.own.propose(shape));
    add(which.answers && shared.answers, alone.in_answers.propose(answers, shape));
    add(which.recycling && shared.likely && n_tokens > 0, table.propose(alone.last, shape));

    const auto found = all.propose(shared, shape);
    RC_ASSERT(found.size() == expected.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
      RC_ASSERT(found[i].origin == expected[i].origin);
      RC_ASSERT(found[i].match_length == expected[i].match_length);
      RC_ASSERT(found[i].tokens() == expected[i].tokens());
    }
  }
}
