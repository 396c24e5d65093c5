// How likely a stored answer is right for a question so much like its own: one law for all entries, and what
// an entry's own record makes of it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace souffleur {

/// What came of comparing an entry's answer with one that was generated for a similar question.
enum class likeness : std::uint8_t { same, different, unknown };

/// One such comparison that said something.
struct graded {
  float similarity = 0; ///< cosine of the two questions
  bool right = false;   ///< the stored answer would have done
  bool operator==(const graded&) const = default;
};

/// Of one entry. Bounded: the newest are kept, so that an entry whose answer goes stale is found out.
class entry_record {
public:
  static constexpr std::size_t most = 32;
  /// An unknown outcome (the judge failed, the generation was cut) leaves no trace.
  void note(double similarity, likeness outcome);
  std::span<const graded> seen() const { return {seen_.data(), n_}; } ///< in no order

private:
  std::array<graded, most> seen_{};
  std::size_t n_ = 0;
  std::size_t oldest_ = 0;
};

/// Each entry has a threshold t of its own, normally distributed over entries. An answer is right for a
/// question at similarity s with probability 1 / (1 + exp(-slope (s - t))), as in vCache (Schroeder et al.
/// 2025, arXiv 2502.03771); there every entry learns t and slope from nothing.
struct threshold_prior {
  double mean = 0.87;
  double spread = 0.10; ///< standard deviation of t over entries
  double slope = 30;
  bool operator==(const threshold_prior&) const = default;
};

/// What is believed of one entry's threshold after its record; exact on a grid of thresholds.
class threshold_belief {
public:
  threshold_belief(const threshold_prior& prior, std::span<const graded> seen);

  /// The probability that the answer is right at `similarity`. Does not fall with it.
  double right(double similarity) const;
  /// A lower bound of it: right() at the threshold that is exceeded with probability `doubt`.
  double right_at_least(double similarity, double doubt) const;
  /// The logarithm of the probability of the record under the prior.
  double log_evidence() const { return log_evidence_; }

private:
  static constexpr std::size_t n_points = 41;
  double threshold(std::size_t i) const { return first_ + step_ * static_cast<double>(i); }
  double right_with(double threshold, double similarity) const;

  double slope_;
  double first_;
  double step_;
  std::array<double, n_points> weights_{};
  double log_evidence_ = 0;
};

/// From the priors under which the records of many entries are likeliest: of all that are nearly as likely as
/// the best (records of one comparison do not tell different entries from chance), the widest spread and the
/// shallowest slope, so that an entry has to prove itself. Few records give something close to the default.
threshold_prior fit_prior(std::span<const std::vector<graded>> records);

} // namespace souffleur
