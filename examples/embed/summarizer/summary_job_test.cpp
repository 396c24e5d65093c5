// The plan of a summary keeps all words and asks everything once, in whatever order answers come.
#include "summary_job.hpp"

#include <rapidcheck.h>

#include <set>
#include <sstream>

using namespace summarizer;

namespace {

std::vector<std::string> words_of(const std::string& text) {
  std::istringstream in{text};
  std::vector<std::string> words;
  for (std::string word; in >> word;)
    words.push_back(word);
  return words;
}

std::string any_text() {
  std::string text;
  for (int n = *rc::gen::inRange(0, 60); n > 0; --n)
    text += "w" + std::to_string(n) + *rc::gen::element<std::string>(" ", " ", "\n", "\n\n", "\n \n");
  return text;
}

void sections_keep_all_words() {
  const auto text = any_text();
  const int most = *rc::gen::inRange(1, 20);
  std::vector<std::string> words;
  for (const auto& section : sections_of(text, most)) {
    const auto more = words_of(section);
    RC_ASSERT(!more.empty());
    RC_ASSERT(static_cast<int>(more.size()) <= most);
    words.insert(words.end(), more.begin(), more.end());
  }
  RC_ASSERT(words == words_of(text));
}

void every_step_is_answered_once() {
  const auto n_sections = *rc::gen::inRange<std::size_t>(1, 6);
  const auto n_steps = n_sections == 1 ? 1 : n_sections + 1;
  summary_job job{std::vector<std::string>(n_sections, "text")};
  std::vector<std::size_t> under_way;
  std::set<std::size_t> answered;
  while (!job.summary()) {
    while (const auto step = job.next_step()) {
      RC_ASSERT(!answered.contains(*step));
      RC_ASSERT((*step < n_sections || answered.size() == n_sections));
      RC_ASSERT(job.question(*step).find("Summarize") == 0U);
      under_way.push_back(*step);
    }
    RC_ASSERT(!under_way.empty());
    const auto at = under_way.begin() + *rc::gen::inRange<std::ptrdiff_t>(0, std::ssize(under_way));
    const auto step = *at;
    under_way.erase(at);
    if (*rc::gen::weightedElement<bool>({{3, true}, {1, false}})) {
      answered.insert(step);
      job.answer(step, "answer " + std::to_string(step));
    } else {
      job.give_back(step);
    }
  }
  RC_ASSERT(answered.size() == n_steps);
  RC_ASSERT(*job.summary() == "answer " + std::to_string(n_steps - 1));
}

} // namespace

int main() {
  const bool cuts = rc::check("sections keep all words in order", sections_keep_all_words);
  const bool asks = rc::check("every step is answered once, the last one last", every_step_is_answered_once);
  return cuts && asks ? 0 : 1;
}
