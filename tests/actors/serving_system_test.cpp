// The whole ensemble on real threads.
#include "actors/serving_system.hpp"
#include "tests/actors/answer_recorder.hpp"
#include "tests/actors/fake_model.hpp"
#include "tests/actors/fake_text.hpp"

#include <gtest/gtest.h>

#include <thread>

namespace souffleur {
namespace {

using namespace souffleur::testing;
using recorder_ptr = std::shared_ptr<answer_recorder>;

struct running_system {
  explicit running_system(serving_config config = {})
      : model(std::make_shared<fake_model>(config.n_kv_pages)) {
    auto started = serving_system::start(
        config, {model, std::make_shared<fake_tokenizer>(), std::make_shared<fake_chat_template>()},
        [this](const std::string& why) { gave_up = why; });
    EXPECT_TRUE(started.ok());
    system = std::move(*started);
  }

  recorder_ptr ask(generation_request request) {
    auto recorder = std::make_shared<answer_recorder>();
    system->submit(std::move(request), sink_of(recorder));
    return recorder;
  }

  std::shared_ptr<fake_model> model;
  std::string gave_up;
  std::unique_ptr<serving_system> system;
};

generation_request request_of(request_id id, const std::string& text, int max_tokens = 40) {
  generation_request request;
  request.id = id;
  request.tenant = "tenant";
  request.prompt = text_prompt{text};
  request.sampling.max_tokens = max_tokens;
  request.max_tokens_given = true;
  request.sampling.seed = id * 77;
  request.seed_given = true;
  return request;
}

/// As the tokenizer encodes it.
std::vector<token_id> prompt_of(const generation_request& request) {
  auto tokens = fake_tokenizer{}.encode(std::get<text_prompt>(request.prompt).text, true);
  tokens.insert(tokens.begin(), fake_bos);
  return tokens;
}

/// The tokens that a client sees: the end token is not among them.
std::vector<token_id> expected_tokens(const generation_request& request) {
  auto tokens = expected_output(prompt_of(request), request.sampling);
  if (!tokens.empty() && tokens.back() == fake_end && !request.sampling.ignore_eos)
    tokens.pop_back();
  return tokens;
}

TEST(ServingSystem, AnswersLikeTheModelAlone) {
  running_system serving;
  const auto request = request_of(1, "the prompt of the first test");
  const auto answer = serving.ask(request)->wait();
  ASSERT_TRUE(answer.finished) << (answer.failed ? answer.failed->message : "no end");
  EXPECT_EQ(answer.tokens, expected_tokens(request));
  EXPECT_EQ(answer.text, fake_tokenizer{}.decode(answer.tokens));
  EXPECT_EQ(answer.breach, "");
  EXPECT_EQ(serving.model->complaint(), "");
}

} // namespace
} // namespace souffleur
