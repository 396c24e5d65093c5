// How a document is summarised: section by section, then the sections' summaries together. Plain values;
// knows no actor.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace summarizer {

/// Pieces of at most `n_words` words that end where a paragraph does, if one does.
std::vector<std::string> sections_of(const std::string& text, int n_words);

/// `text` up to the end of its last sentence, if one ends in it: what is left of an answer that was cut.
std::string whole_sentences(const std::string& text);

/// One document on its way. Steps are numbered: those of the sections, then, if there is more than one, the
/// step that puts them together.
class summary_job {
public:
  /// REQUIRES: there is a section.
  explicit summary_job(std::vector<std::string> sections);

  /// A step that can be taken now and nobody has taken yet; none: wait for an answer, or it is finished.
  std::optional<std::size_t> next_step();
  /// What to ask the model in it.
  std::string question(std::size_t step) const;
  void answer(std::size_t step, const std::string& text);
  /// The step was not answered and is to be taken again.
  void give_back(std::size_t step) { taken_[step] = false; }
  /// None until all steps are answered.
  const std::optional<std::string>& summary() const { return answers_.back(); }

private:
  bool is_ready(std::size_t step) const;

  std::vector<std::string> sections_;
  std::vector<std::optional<std::string>> answers_; ///< by step
  std::vector<bool> taken_;                         ///< by step
};

/// What all questions begin with: Souffleur computes it once.
const std::string& instructions();

} // namespace summarizer
