// Which stored questions have enough words in common with a new one for it to be worth embedding: that takes
// milliseconds of a model, this takes microseconds.
#pragma once

#include "engine/cache/vector_index.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace souffleur {

struct wording_match {
  vector_id id = 0;
  double cover = 0; ///< share of the question's weight
};

/// A word weighs ln((n + 101) / (n_with_it + 1/2)) of n texts: what is in all of them tells little, what is
/// in none tells most, and of few texts (the 100 stand for those that are to come) all words tell about the
/// same. A text *covers* the share of a question's weight that is in its words. The search is that of
/// prefix-filtered set similarity joins (Chaudhuri et al. 2006): a text that covers enough has one of the
/// rare words without which what is left would not be enough.
class wording_index {
public:
  void add(vector_id id, std::string_view text);
  /// Nothing if it is not there.
  void erase(vector_id id);

  /// All texts that cover `share` of the question, best first. Nothing if it would take too long to tell, if
  /// there are more than `most`, or if the question has no words that say something.
  std::optional<std::vector<wording_match>> covering(std::string_view question, double share,
                                                     std::size_t most) const;

  std::size_t size() const { return words_of_.size(); }
  /// About what a text of that length takes here.
  static std::size_t bytes_for(std::size_t n_text_bytes);
  /// Looks at all.
  bool check_integrity() const;

  /// Texts that covering() looks at before it gives up.
  static constexpr std::size_t most_looked_at = 2048;

private:
  using word = std::uint64_t;
  struct occurrences {
    std::size_t n_texts = 0;
    bool is_common = false;       ///< it was in more than most_looked_at texts: they are not listed any more
    std::vector<vector_id> texts; ///< in any order
  };

  double weight_of(std::size_t n_texts) const;
  /// Of those of `words` that are `there`, which is sorted.
  static double weight_in(std::span<const word> there, std::span<const word> words,
                          std::span<const double> weights);

  std::unordered_map<word, occurrences> texts_with_;
  std::unordered_map<vector_id, std::vector<word>> words_of_; ///< sorted
};

} // namespace souffleur
