// Unit vectors that lie like the embeddings of questions do.
#pragma once

#include <cmath>
#include <cstdint>
#include <random>
#include <span>
#include <vector>

namespace souffleur {

/// Vector i is always the same. The directions have the variances of 23,000 questions of QQP embedded by
/// all-MiniLM-L6-v2; questions belong to topics, a few of which have most of them; every third is another
/// wording of an earlier one, at a cosine between 0.7 and 0.98.
class question_like_vectors {
public:
  question_like_vectors(std::size_t n_dimensions, std::uint64_t seed)
      : deviations_(n_dimensions), seed_(seed) {
    for (std::size_t j = 0; j < n_dimensions; ++j)
      deviations_[j] = static_cast<float>(std::pow(static_cast<double>(j) + 5, -0.375));
  }

  std::vector<float> at(std::uint64_t i) const {
    random source{mixed(seed_ ^ mixed(2 * i))};
    std::uniform_real_distribution<double> share;
    if (i == 0 || share(source) > 1.0 / 3)
      return question(i);
    const auto other = question(std::uniform_int_distribution<std::uint64_t>{0, i - 1}(source));
    const double cosine = 0.7 + 0.28 * share(source);
    return sum(cosine, other, std::sqrt(1 - cosine * cosine), coloured(source));
  }

private:
  /// Small to seed, unlike std::mt19937_64. Source: Steele et al. 2014 (SplitMix).
  struct random {
    using result_type = std::uint64_t;
    std::uint64_t state;
    static constexpr result_type min() { return 0; }
    static constexpr result_type max() { return ~result_type{0}; }
    result_type operator()() { return mixed(state += 0x9E3779B97F4A7C15U); }
  };
  static std::uint64_t mixed(std::uint64_t x) {
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9U;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBU;
    return x ^ (x >> 31);
  }

  std::vector<float> coloured(random& source) const {
    std::normal_distribution<float> normal;
    std::vector<float> drawn;
    for (const float deviation : deviations_)
      drawn.push_back(deviation * normal(source));
    return normalised(std::move(drawn));
  }
  std::vector<float> question(std::uint64_t i) const {
    random source{mixed(seed_ ^ mixed(2 * i + 1))};
    const auto field = popular(source, 8);
    const auto topic = field << 32 | popular(source, 8);
    random of_field{mixed(~seed_ ^ mixed(field))};
    random of_topic{mixed(~seed_ ^ mixed(topic))};
    const auto about = sum(0.6, coloured(of_field), 0.8, coloured(of_topic));
    return sum(0.75, about, 0.66, coloured(source));
  }
  /// From 1 to 2^n_bits, k with a probability like 1 / k.
  static std::uint64_t popular(random& source, int n_bits) {
    return static_cast<std::uint64_t>(std::exp2(n_bits * std::uniform_real_distribution<double>{}(source)));
  }
  static std::vector<float> sum(double a, const std::vector<float>& x, double b,
                                const std::vector<float>& y) {
    std::vector<float> both;
    for (std::size_t j = 0; j < x.size(); ++j)
      both.push_back(static_cast<float>(a * x[j] + b * y[j]));
    return normalised(std::move(both));
  }
  static std::vector<float> normalised(std::vector<float> x) {
    double squares = 0;
    for (const double value : x)
      squares += value * value;
    for (auto& value : x)
      value = static_cast<float>(value / std::sqrt(squares));
    return x;
  }

  std::vector<float> deviations_; ///< of the directions
  std::uint64_t seed_;
};

} // namespace souffleur
