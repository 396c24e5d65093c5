#include "actors/sequence.hpp"

namespace souffleur {

sequence::sequence(admitted_request admitted, std::shared_ptr<const tokenizer> vocabulary)
    : request(std::move(admitted)), text(std::move(vocabulary), request.sampling->stop),
      tokens(request.prompt), n_prompt(static_cast<int>(tokens.size())),
      window(make_window_policy(request.window_policy)) {
  usage.n_prompt_tokens = n_prompt;
  usage.lossy = request.is_lossy;
  usage.similarity = request.similarity;
  if (request.grammar)
    grammar.emplace(request.grammar);
  if (request.thoughts)
    thought.emplace(request.thoughts, tokens);
  if (request.sampling->has_penalties()) {
    counts = std::make_shared<token_counts>();
    for (const auto token : tokens)
      ++counts->prompt[token];
  }
  for (const auto token : request.delivered)
    resume_with(token);
  n_charged = request.delivered.empty() ? 0 : n_tokens() - 1;
  usage.n_output_tokens = n_output();
  usage.n_thought_tokens = thought ? thought->n_tokens() : 0;
}

void sequence::resume_with(token_id token) {
  tokens.push_back(token);
  text.push(token); // what may be shown of it was
  if (counts)
    ++counts->output[token];
  if (thought)
    thought->read(token);
  if (grammar)
    grammar = grammar->after(token);
}

void sequence::keep_successors(std::span<const token_successors> more) {
  successors.insert(successors.end(), more.begin(), more.end());
  if (successors.size() > most_successors)
    successors.erase(successors.begin(), successors.end() - static_cast<std::ptrdiff_t>(most_successors));
}

void sequence::lose_kv() {
  pages.clear();
  n_computed = 0;
  n_published_pages = 0;
  n_dropped = 0;
  n_turned = 0;
  partial = -1;
  n_sat_out = 0;
  sinks.clear();
}

int sequence::end_of_view(int n_rows) const {
  int end = (n_computed / page_tokens + 1) * page_tokens;
  while (end < n_computed + n_rows && window->n_dropped(request.window, end) == n_to_drop())
    end += page_tokens;
  return end;
}

} // namespace souffleur
