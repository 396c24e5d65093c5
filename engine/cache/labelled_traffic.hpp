// Pairs of questions of which somebody has said whether one answer does for both: read, made into traffic,
// and sent through a cache policy. What `souffleur cache calibrate` does, without its input and output.
#pragma once

#include "engine/result.hpp"
#include "policies/cache_policy.hpp"
#include "policies/calibration.hpp"
#include "policies/lexical_guards.hpp"

#include <cstdint>
#include <iosfwd>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace souffleur {

struct labelled_pair {
  std::uint32_t a = 0; ///< indices of questions
  std::uint32_t b = 0;
  bool duplicate = false;
};

/// Questions, each once, and what is known about pairs of them.
struct labelled_pairs {
  std::vector<std::string> questions;
  std::vector<labelled_pair> pairs; ///< in the order of the file, which is that of the traffic

  /// JSON lines {"a": text, "b": text, "duplicate": 0 or 1}.
  static result<labelled_pairs> read(std::istream& lines);
};

/// Rows of length 1, one a question.
struct question_vectors {
  std::size_t n_dimensions = 0;
  std::vector<float> rows; ///< (n_questions, n_dimensions)

  double cosine(std::uint32_t a, std::uint32_t b) const;
  /// Little-endian floats without a header, as many rows as there are questions.
  static result<question_vectors> read(std::istream& bytes, std::size_t n_questions);
};

/// Of pairs that share a question, all go to one half; `seed` decides which.
std::pair<std::vector<labelled_pair>, std::vector<labelled_pair>> halves_of(const labelled_pairs& all,
                                                                            std::uint64_t seed);

/// How the pairs become requests.
enum class traffic : std::uint8_t {
  pairs, ///< a is stored, b is asked, and a is what is found: what was labelled and nothing else
  stream ///< a, then b, of one pair after the other into one cache that is empty at first; nobody knows of
         ///< most questions that are found whether they are the same
};

/// A request with the stored questions that are nearest.
struct asked_question {
  std::uint32_t question = 0;
  struct neighbour {
    std::uint32_t question = 0;
    double similarity = 0;
    guard refused_by = guard::none;
    bool right = false;    ///< labelled a duplicate, directly or by a chain of duplicates
    bool labelled = false; ///< so, or labelled as none; else `right` is false
  };
  std::vector<neighbour> nearest; ///< most similar first
};

/// Compares each question with all those before it: n² / 2 products of vectors for a stream.
std::vector<asked_question> requests_of(traffic kind, const labelled_pairs& all,
                                        std::span<const labelled_pair> pairs,
                                        const question_vectors& vectors);

/// What calibration learns from: each request with the most similar neighbour that passes the guards, or else
/// with the most similar one.
std::vector<labelled_lookup> lookups_of(std::span<const asked_question> requests);

struct served_question {
  std::uint32_t question = 0;
  asked_question::neighbour from;
};

struct traffic_outcome {
  int n_requests = 0;
  std::vector<served_question> served;
  int n_errors() const;     ///< served and not known to be right
  int n_unlabelled() const; ///< of these, those that nobody has labelled
};

/// Cold start: nothing is stored at first, what is not served is; outcomes of verification are noted at once.
/// The coins are drawn from `seed`.
traffic_outcome replay(std::span<const asked_question> requests, const cache_policy& policy,
                       const semantic_demand& demand, traffic kind, std::uint64_t seed);

} // namespace souffleur
