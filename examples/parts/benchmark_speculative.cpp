// Standard decoding beside speculative decoding (prompt lookup), greedy: the same tokens, in less time.
#include <souffleur/engine/drafting/prompt_lookup.hpp>
#include <souffleur/engine/greedy_sequence.hpp>
#include <souffleur/engine/model/open_model.hpp>

#include <chrono>
#include <cstdio>

using namespace souffleur;

/// Goes on with `prompt` for 200 tokens, with drafts of `n_draft`; 0: without.
std::vector<token_id> generate(language_model& model, const std::vector<token_id>& prompt, int n_draft) {
  greedy_sequence text{model, prompt};
  prompt_lookup drafter;
  while (text.tokens().size() < prompt.size() + 200) {
    drafter.append(std::span{text.tokens()}.subspan(drafter.size()));
    text.step(drafter.propose(n_draft).tokens());
  }
  return {text.tokens().begin(), text.tokens().begin() + static_cast<std::ptrdiff_t>(prompt.size()) + 200};
}

int main(int argc, char** argv) {
  const auto opened = open_model(argc > 1 ? argv[1] : "smollm2", {.n_kv_pages = 64});
  if (!opened)
    return std::fprintf(stderr, "%s\n", opened.error().c_str()), 1;
  const auto prompt = opened->vocabulary->encode("<b>one</b>\n<b>two</b>\n<b>three</b>\n", false);
  generate(*opened->model, prompt, 8); // warms up
  double took_s[2] = {};
  std::vector<token_id> texts[2];
  for (const int speculative : {0, 1}) {
    const auto start = std::chrono::steady_clock::now();
    texts[speculative] = generate(*opened->model, prompt, 8 * speculative);
    took_s[speculative] = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
  std::printf("standard %.2f s, speculative %.2f s: %.1f times as fast, %s text\n", took_s[0], took_s[1],
              took_s[0] / took_s[1], texts[0] == texts[1] ? "the same" : "ANOTHER");
  return texts[0] == texts[1] ? 0 : 1;
}
