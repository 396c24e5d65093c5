#include "actors/sequence.hpp"

namespace souffleur {

sequence::sequence(admitted_request admitted, std::shared_ptr<const tokenizer> vocabulary)
    : request(std::move(admitted)), text(std::move(vocabulary), request.sampling->stop),
      tokens(request.prompt), n_prompt(static_cast<int>(tokens.size())) {
  usage.n_prompt_tokens = n_prompt;
  if (request.sampling->has_penalties()) {
    counts = std::make_shared<token_counts>();
    for (const auto token : tokens)
      ++counts->prompt[token];
  }
}

void sequence::lose_kv() {
  pages.clear();
  n_computed = 0;
  n_published_pages = 0;
}

} // namespace souffleur
