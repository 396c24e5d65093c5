#include "engine/drafting/shared_vocabulary.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <set>

using namespace souffleur;

namespace {

class listed_tokens : public tokenizer {
public:
  explicit listed_tokens(std::vector<std::string> pieces, std::set<token_id> controls = {})
      : pieces_(std::move(pieces)), controls_(std::move(controls)) {}

  std::vector<token_id> encode(std::string_view, bool) const override { return {}; }
  std::string_view piece(token_id token) const override { return pieces_[static_cast<std::size_t>(token)]; }
  bool is_control(token_id token) const override { return controls_.contains(token); }
  bool is_end(token_id) const override { return false; }
  std::span<const token_id> end_tokens() const override { return {}; }
  std::optional<token_id> bos() const override { return {}; }
  bool adds_bos() const override { return false; }
  int vocabulary_size() const override { return static_cast<int>(pieces_.size()); }

private:
  std::vector<std::string> pieces_;
  std::set<token_id> controls_;
};

} // namespace

RC_GTEST_PROP(SharedVocabulary, IsThePartThatBothSpellAlike, ()) {
  const auto pieces = *rc::gen::nonEmpty(rc::gen::container<std::vector<std::string>>(
      rc::gen::container<std::string>(rc::gen::inRange('a', 'e'))));
  auto longer = pieces;
  for (const auto& more : *rc::gen::arbitrary<std::vector<std::string>>())
    longer.push_back(more);
  const int n = static_cast<int>(pieces.size());
  RC_ASSERT(shared_vocabulary(listed_tokens{pieces}, listed_tokens{longer}).value() == n);
  RC_ASSERT(shared_vocabulary(listed_tokens{longer}, listed_tokens{pieces}).value() == n);

  auto other = longer;
  const auto at = *rc::gen::inRange(0, n);
  other[static_cast<std::size_t>(at)] += "x";
  const auto refused = shared_vocabulary(listed_tokens{pieces}, listed_tokens{other});
  RC_ASSERT(!refused.ok());
  RC_ASSERT(refused.error().find("token " + std::to_string(at) + " ") != std::string::npos);
  RC_ASSERT(!shared_vocabulary(listed_tokens{pieces}, listed_tokens{pieces, {at}}).ok());

  const auto print = [n](const tokenizer& vocabulary) { return vocabulary_fingerprint(vocabulary, n); };
  RC_ASSERT(print(listed_tokens{pieces}) == print(listed_tokens{longer}));
  RC_ASSERT(print(listed_tokens{pieces}) != print(listed_tokens{other}));
  RC_ASSERT(print(listed_tokens{pieces}) != print(listed_tokens{pieces, {at}}));
}

TEST(SharedVocabulary, AFailureSaysWhatTheTokenIsToEach) {
  const auto refused = shared_vocabulary(listed_tokens{{"a", "<end>"}, {1}}, listed_tokens{{"a", "b", "c"}});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error(),
            "the draft model has another vocabulary than the model: token 1 is \"b\" instead "
            "of control token \"<end>\"");
  EXPECT_FALSE(shared_vocabulary(listed_tokens{{}}, listed_tokens{{}}).ok());
}
