#include "actors/sequence.hpp"
#include "tests/actors/fake_text.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>

namespace souffleur {
namespace {

using namespace testing;

/// Planted bugs that it caught: all kept; the oldest kept.
RC_GTEST_PROP(Sequence, KeepsTheNewestSuccessorsThatItsDrafterIsToBeToldOf, ()) {
  admitted_request request;
  request.sampling = std::make_shared<const sampling_params>();
  sequence who{request, std::make_shared<fake_tokenizer>()};
  token_id n = 0;
  for (int n_steps = *rc::gen::inRange(0, 8); n_steps > 0; --n_steps) {
    std::vector<token_successors> rows(*rc::gen::inRange<std::size_t>(0, 66));
    for (auto& row : rows)
      row.token = n++;
    who.keep_successors(rows);
    RC_ASSERT(who.successors.size() ==
              std::min<std::size_t>(static_cast<std::size_t>(n), sequence::most_successors));
    for (std::size_t i = 0; i < who.successors.size(); ++i)
      RC_ASSERT(who.successors[i].token == n - static_cast<token_id>(who.successors.size() - i));
  }
}

} // namespace
} // namespace souffleur
