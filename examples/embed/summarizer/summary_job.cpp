#include "summary_job.hpp"

#include <algorithm>
#include <sstream>

namespace summarizer {

namespace {

int n_words_in(const std::string& text) {
  std::istringstream in{text};
  int n = 0;
  for (std::string word; in >> word;)
    ++n;
  return n;
}

/// Of at most `n_words` words each.
std::vector<std::string> pieces_of(const std::string& paragraph, int n_words) {
  std::istringstream in{paragraph};
  std::vector<std::string> pieces;
  int n = 0;
  for (std::string word; in >> word; ++n) {
    if (n % n_words == 0)
      pieces.emplace_back();
    pieces.back() += (pieces.back().empty() ? "" : " ") + word;
  }
  return pieces;
}

std::vector<std::string> paragraphs_of(const std::string& text) {
  std::istringstream in{text};
  std::vector<std::string> paragraphs(1);
  for (std::string line; std::getline(in, line);) {
    if (line.find_first_not_of(" \t\r") == std::string::npos)
      paragraphs.emplace_back();
    else
      paragraphs.back() += line + "\n";
  }
  std::erase(paragraphs, "");
  return paragraphs;
}

std::string question_of(const std::string& text) { return "Summarize this text in one sentence:\n\n" + text; }

} // namespace

std::vector<std::string> sections_of(const std::string& text, int n_words) {
  std::vector<std::string> sections;
  int n_in_last = n_words;
  for (const auto& paragraph : paragraphs_of(text))
    for (const auto& piece : pieces_of(paragraph, n_words)) {
      const int n = n_words_in(piece);
      if (n_in_last + n > n_words) {
        sections.emplace_back();
        n_in_last = 0;
      }
      sections.back() += (n_in_last > 0 ? "\n" : "") + piece;
      n_in_last += n;
    }
  return sections;
}

std::string whole_sentences(const std::string& text) {
  for (auto at = text.find_last_of(".!?"); at != std::string::npos && at > 0;
       at = text.find_last_of(".!?", at - 1))
    if (at + 1 == text.size() || text[at + 1] == ' ' || text[at + 1] == '\n')
      return text.substr(0, at + 1);
  return text;
}

const std::string& instructions() {
  static const std::string text = "You are a helpful assistant that writes short summaries.";
  return text;
}

summary_job::summary_job(std::vector<std::string> sections)
    : sections_(std::move(sections)), answers_(sections_.size() + (sections_.size() > 1 ? 1 : 0)),
      taken_(answers_.size()) {}

bool summary_job::is_ready(std::size_t step) const {
  return step < sections_.size() || std::all_of(answers_.begin(), answers_.end() - 1,
                                                [](const auto& answer) { return answer.has_value(); });
}

std::optional<std::size_t> summary_job::next_step() {
  for (std::size_t step = 0; step < answers_.size(); ++step)
    if (!taken_[step] && is_ready(step)) {
      taken_[step] = true;
      return step;
    }
  return std::nullopt;
}

std::string summary_job::question(std::size_t step) const {
  if (step < sections_.size())
    return question_of(sections_[step]);
  std::string all;
  for (std::size_t i = 0; i < sections_.size(); ++i)
    all += *answers_[i] + "\n";
  return question_of(all);
}

void summary_job::answer(std::size_t step, const std::string& text) {
  answers_[step] = whole_sentences(text);
}

} // namespace summarizer
