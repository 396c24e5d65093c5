#include "engine/text_ends.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>

using namespace souffleur;

/// Planted bugs that it caught: ignore_eos not read, or read for stop tokens, too; stop tokens that end
/// nothing; either kind allowed too early, or an end token where it would not end the text; the limit off by
/// one.
RC_GTEST_PROP(TextEnds, WhatEndsATextIsForbiddenUntilItIsLongEnough, ()) {
  const auto any_tokens = [] { // few, so that most are of one kind alone
    return *rc::gen::container<std::vector<token_id>>(*rc::gen::inRange<std::size_t>(0, 4),
                                                      rc::gen::inRange<token_id>(0, 6));
  };
  const auto ends = any_tokens();
  sampling_params params;
  params.stop_token_ids = any_tokens();
  params.ignore_eos = *rc::gen::arbitrary<bool>();
  params.min_tokens = *rc::gen::inRange(0, 4);
  const int n_output = *rc::gen::inRange(0, 6);
  const auto forbidden = ends_too_early(n_output, ends, params);
  for (token_id token = 0; token < 6; ++token) {
    const bool is_end = std::ranges::count(ends, token) > 0;
    const bool is_stop = std::ranges::count(params.stop_token_ids, token) > 0;
    RC_ASSERT(ends_text(token, ends, params) == (is_stop || (is_end && !params.ignore_eos)));
    RC_ASSERT((std::ranges::count(forbidden, token) > 0) ==
              ((is_stop || is_end) && n_output < params.min_tokens));
  }
}
