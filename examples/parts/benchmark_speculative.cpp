// Standard decoding beside speculative decoding (prompt lookup), greedy: the same tokens, in less time.
#include "engine/drafting/prompt_lookup.hpp"
#include "engine/model/load_model.hpp"
#include "engine/model/model_folder.hpp"
#include "engine/tokenizer.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <numeric>

int main(int argc, char** argv) {
  using namespace souffleur;
  const auto file = gguf_file::open(find_model_file(argc > 1 ? argv[1] : "smollm2", default_model_folder()));
  const auto model = file ? load_model(*file, {.n_kv_pages = 64}) : failure{file.error()};
  if (!model)
    return std::fprintf(stderr, "%s\n", model.error().c_str()), 1;
  const auto prompt =
      (*tokenizer::from_gguf(**file))->encode("<b>one</b>\n<b>two</b>\n<b>three</b>\n", false);
  std::vector<page_id> pages(64);
  std::iota(pages.begin(), pages.end(), 0);
  const auto n_vocabulary = static_cast<std::size_t>((*model)->vocabulary_size());
  const auto generate = [&](int n_draft) {
    auto text = prompt;
    prompt_lookup drafter;
    for (int n_computed = 0; text.size() < prompt.size() + 200;) {
      drafter.append(std::span{text}.subspan(drafter.size()));
      const auto drafted = drafter.propose(n_draft).tokens();
      auto rows = std::vector(text.begin() + n_computed, text.end());
      rows.insert(rows.end(), drafted.begin(), drafted.end());
      std::vector<float> logits((drafted.size() + 1) * n_vocabulary);
      const sequence_rows step[] = {{pages, n_computed, rows, static_cast<int>(drafted.size()) + 1}};
      (*model)->forward(step, logits);
      n_computed = static_cast<int>(text.size()) - 1;
      for (std::size_t i = 0; i == 0 || (i <= drafted.size() && text.back() == drafted[i - 1]);
           ++i, ++n_computed) {
        const auto row = std::span{logits}.subspan(i * n_vocabulary, n_vocabulary);
        text.push_back(static_cast<token_id>(std::ranges::max_element(row) - row.begin()));
      }
    }
    text.resize(prompt.size() + 200);
    return text;
  };
  double took_s[2] = {};
  std::vector<token_id> texts[2] = {generate(8), {}}; // warms up
  for (const int speculative : {0, 1}) {
    const auto start = std::chrono::steady_clock::now();
    texts[speculative] = generate(8 * speculative);
    took_s[speculative] = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
  std::printf("standard %.2f s, speculative %.2f s: %.1f times as fast, %s text\n", took_s[0], took_s[1],
              took_s[0] / took_s[1], texts[0] == texts[1] ? "the same" : "ANOTHER");
  return texts[0] == texts[1] ? 0 : 1;
}
