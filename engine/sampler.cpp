#include "engine/sampler.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>

namespace souffleur {
namespace {

constexpr float minus_infinity = -std::numeric_limits<float>::infinity();

/// Natural logarithm of 2^-60: what is below does not count beside the most likely token.
constexpr double negligible = -60 * 0.69314718055994530942;

distribution point_mass(token_id token) { return {{token}, {1.0}}; }

bool in_vocabulary(token_id token, std::size_t n_vocabulary) {
  return token >= 0 && static_cast<std::size_t>(token) < n_vocabulary;
}

/// The largest logit, NaN passed over; -inf if there is none. Independent lanes let the compiler vectorise.
float largest(std::span<const float> logits) {
  constexpr std::size_t n_lanes = 16;
  float lanes[n_lanes];
  std::fill(std::begin(lanes), std::end(lanes), minus_infinity);
  std::size_t i = 0;
  for (; i + n_lanes <= logits.size(); i += n_lanes) {
    for (std::size_t lane = 0; lane < n_lanes; ++lane) {
      lanes[lane] = logits[i + lane] > lanes[lane] ? logits[i + lane] : lanes[lane];
    }
  }
  float best = minus_infinity;
  for (; i < logits.size(); ++i) {
    best = logits[i] > best ? logits[i] : best;
  }
  for (const float lane : lanes) {
    best = lane > best ? lane : best;
  }
  return best;
}

/// e^x for negligible ≤ x ≤ 0, relative error below 1e-11, without branches so that loops over it vectorise.
inline double exp_of_non_positive(double x) {
  constexpr double shifter = 0x1.8p52;
  const double shifted = x * 1.4426950408889634074 + shifter;
  const double whole = shifted - shifter;
  const double r = x - whole * 0.69314718055994530942;
  double sum = 1.0 / 362880;
  for (const double c : {1.0 / 40320, 1.0 / 5040, 1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6, 0.5, 1.0, 1.0}) {
    sum = sum * r + c;
  }
  const auto power = (std::bit_cast<std::uint64_t>(shifted) + 1023) << 52;
  return sum * std::bit_cast<double>(power);
}

void add_bias(std::span<float> logits, const sampling_params& params) {
  for (const auto& [token, bias] : params.logit_bias) {
    if (in_vocabulary(token, logits.size())) {
      logits[static_cast<std::size_t>(token)] += bias;
    }
  }
}

void repeat_penalty(float& logit, float penalty) { logit = logit > 0 ? logit / penalty : logit * penalty; }

void add_penalties(std::span<float> logits, const sampling_params& params, const token_counts& counts) {
  const float repetition = params.repetition_penalty;
  for (const auto& [token, n] : counts.prompt) {
    const auto in_output = counts.output.find(token);
    const bool also_in_output = in_output != counts.output.end() && in_output->second > 0;
    if (repetition != 1.0F && n > 0 && !also_in_output && in_vocabulary(token, logits.size())) {
      repeat_penalty(logits[static_cast<std::size_t>(token)], repetition);
    }
  }
  for (const auto& [token, n] : counts.output) {
    if (n > 0 && in_vocabulary(token, logits.size())) {
      float& logit = logits[static_cast<std::size_t>(token)];
      if (repetition != 1.0F) {
        repeat_penalty(logit, repetition);
      }
      logit -= params.presence_penalty + params.frequency_penalty * static_cast<float>(n);
    }
  }
}

/// A logit that at least `top_k` tokens reach: the k-th largest of the maxima of disjoint blocks.
float lower_bound_of_kth(std::span<const float> logits, std::size_t top_k) {
  constexpr std::size_t block = 64;
  std::vector<float> maxima;
  maxima.reserve(logits.size() / block + 1);
  for (std::size_t i = 0; i < logits.size(); i += block) {
    maxima.push_back(largest(logits.subspan(i, std::min(block, logits.size() - i))));
  }
  if (top_k > maxima.size()) {
    return minus_infinity;
  }
  const auto kth = maxima.begin() + static_cast<std::ptrdiff_t>(top_k - 1);
  std::nth_element(maxima.begin(), kth, maxima.end(), std::greater<>());
  return *kth;
}

/// Ids of the `top_k` largest logits, ascending; of equal logits the lower ids.
std::vector<token_id> top_k_ids(std::span<const float> logits, std::size_t top_k) {
  const float bound = lower_bound_of_kth(logits, top_k);
  std::vector<token_id> ids;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    if (logits[i] >= bound) {
      ids.push_back(static_cast<token_id>(i));
    }
  }
  if (ids.size() > top_k) {
    const auto more_likely = [&](token_id a, token_id b) {
      const float x = logits[static_cast<std::size_t>(a)];
      const float y = logits[static_cast<std::size_t>(b)];
      return x != y ? x > y : a < b;
    };
    std::nth_element(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(top_k), ids.end(), more_likely);
    ids.resize(top_k);
    std::sort(ids.begin(), ids.end());
  }
  return ids;
}

double sum_of(const std::vector<double>& values) {
  double lanes[4] = {0, 0, 0, 0};
  std::size_t i = 0;
  for (; i + 4 <= values.size(); i += 4) {
    for (std::size_t lane = 0; lane < 4; ++lane) {
      lanes[lane] += values[i + lane];
    }
  }
  double sum = (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
  for (; i < values.size(); ++i) {
    sum += values[i];
  }
  return sum;
}

void normalise(distribution& law) {
  const double scale = 1 / sum_of(law.probabilities);
  for (double& p : law.probabilities) {
    p *= scale;
  }
}

/// Keeps the entries whose index satisfies `keep`, in order.
template <class Keep>
void retain(distribution& law, Keep keep) {
  std::size_t n = 0;
  for (std::size_t i = 0; i < law.tokens.size(); ++i) {
    if (keep(i)) {
      law.tokens[n] = law.tokens[i];
      law.probabilities[n++] = law.probabilities[i];
    }
  }
  law.tokens.resize(n);
  law.probabilities.resize(n);
}

/// Weights e^((logit - best) / temperature) of all tokens that are not negligible, not yet normalised.
distribution weights_of_all(std::span<const float> logits, float best, double per_temperature) {
  distribution law;
  law.tokens.resize(logits.size());
  law.probabilities.resize(logits.size());
  std::size_t n = 0;
  constexpr std::size_t block = 256;
  double weights[block];
  for (std::size_t begin = 0; begin < logits.size(); begin += block) {
    const std::size_t n_block = std::min(block, logits.size() - begin);
    for (std::size_t i = 0; i < n_block; ++i) {
      const double x = (static_cast<double>(logits[begin + i]) - best) * per_temperature;
      const double weight = exp_of_non_positive(x > negligible ? x : negligible);
      weights[i] = x > negligible ? weight : 0;
    }
    for (std::size_t i = 0; i < n_block; ++i) {
      law.tokens[n] = static_cast<token_id>(begin + i);
      law.probabilities[n] = weights[i];
      n += weights[i] > 0 ? 1 : 0;
    }
  }
  law.tokens.resize(n);
  law.probabilities.resize(n);
  return law;
}

distribution weights_of(std::span<const token_id> ids, std::span<const float> logits, float best,
                        double per_temperature) {
  distribution law;
  for (const token_id id : ids) {
    const double x = (static_cast<double>(logits[static_cast<std::size_t>(id)]) - best) * per_temperature;
    if (x > negligible) {
      law.tokens.push_back(id);
      law.probabilities.push_back(exp_of_non_positive(x));
    }
  }
  return law;
}

/// Keeps the smallest set, most likely first and lower id first among equals, that holds at least `top_p`.
/// Only tokens above (1 - top_p) / n are sorted: all the others together cannot hold more than 1 - top_p.
void keep_top_p(distribution& law, double top_p) {
  const double bound = 0.5 * (1 - top_p) / static_cast<double>(law.tokens.size());
  std::vector<std::size_t> candidates;
  for (std::size_t i = 0; i < law.tokens.size(); ++i) {
    if (law.probabilities[i] > bound) {
      candidates.push_back(i);
    }
  }
  std::sort(candidates.begin(), candidates.end(), [&](std::size_t a, std::size_t b) {
    return law.probabilities[a] != law.probabilities[b] ? law.probabilities[a] > law.probabilities[b] : a < b;
  });
  double cumulative = 0;
  std::size_t n_kept = 0;
  while (n_kept < candidates.size() && (n_kept == 0 || cumulative < top_p)) {
    cumulative += law.probabilities[candidates[n_kept++]];
  }
  const double last = law.probabilities[candidates[n_kept - 1]];
  const std::size_t last_index = candidates[n_kept - 1];
  retain(law, [&](std::size_t i) {
    return law.probabilities[i] > last || (law.probabilities[i] == last && i <= last_index);
  });
  normalise(law);
}

void keep_min_p(distribution& law, double min_p) {
  const double least = min_p * *std::max_element(law.probabilities.begin(), law.probabilities.end());
  retain(law, [&](std::size_t i) { return law.probabilities[i] >= least; });
  normalise(law);
}

void multiply(std::uint32_t a, std::uint32_t b, std::uint32_t& high, std::uint32_t& low) {
  const std::uint64_t product = static_cast<std::uint64_t>(a) * b;
  high = static_cast<std::uint32_t>(product >> 32);
  low = static_cast<std::uint32_t>(product);
}

} // namespace

std::array<std::uint32_t, 4> philox4x32_10(std::array<std::uint32_t, 4> counter,
                                           std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    std::uint32_t high0 = 0, low0 = 0, high1 = 0, low1 = 0;
    multiply(0xD2511F53U, counter[0], high0, low0);
    multiply(0xCD9E8D57U, counter[2], high1, low1);
    counter = {high1 ^ counter[1] ^ key[0], low1, high0 ^ counter[3] ^ key[1], low0};
    key[0] += 0x9E3779B9U;
    key[1] += 0xBB67AE85U;
  }
  return counter;
}

double counter_uniform(std::uint64_t seed, std::uint64_t position, rng_purpose purpose, std::uint32_t index) {
  const auto words =
      philox4x32_10({static_cast<std::uint32_t>(position), static_cast<std::uint32_t>(position >> 32),
                     static_cast<std::uint32_t>(purpose), index},
                    {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)});
  // 52 bits and a half: with 53 the largest value would round to 1.
  const std::uint64_t bits = (static_cast<std::uint64_t>(words[0]) << 32 | words[1]) >> 12;
  return (static_cast<double>(bits) + 0.5) * 0x1p-52;
}

token_id argmax(std::span<const float> logits) {
  const float best = largest(logits);
  const auto at = std::find(logits.begin(), logits.end(), best);
  return at == logits.end() || best == minus_infinity ? 0 : static_cast<token_id>(at - logits.begin());
}

distribution next_token_distribution(std::span<float> logits, const sampling_params& params,
                                     const token_counts* counts, std::span<const token_id> forbidden) {
  const token_id came_in = argmax(logits);
  add_bias(logits, params);
  if (counts != nullptr && params.has_penalties()) {
    add_penalties(logits, params, *counts);
  }
  for (const token_id token : forbidden) {
    if (in_vocabulary(token, logits.size())) {
      logits[static_cast<std::size_t>(token)] = minus_infinity;
    }
  }
  const float best = largest(logits);
  if (best == minus_infinity) {
    return point_mass(came_in);
  }
  if (!(params.temperature > 0) || !std::isfinite(best)) {
    return point_mass(argmax(logits));
  }
  const double per_temperature = 1 / static_cast<double>(params.temperature);
  const bool cut = params.top_k > 0 && static_cast<std::size_t>(params.top_k) < logits.size();
  distribution law = cut ? weights_of(top_k_ids(logits, static_cast<std::size_t>(params.top_k)), logits, best,
                                      per_temperature)
                         : weights_of_all(logits, best, per_temperature);
  normalise(law);
  if (params.top_p < 1) {
    keep_top_p(law, std::max(0.0, static_cast<double>(params.top_p)));
  }
  if (params.min_p > 0) {
    keep_min_p(law, std::min(1.0, static_cast<double>(params.min_p)));
  }
  return law;
}

token_id sample(const distribution& law, double uniform) { return token_at(law, uniform); }

token_logprobs logprobs_of(std::span<const float> logits, token_id chosen, int n_top) {
  const float best = largest(logits);
  double sum = 0;
  for (const float logit : logits) {
    const double x = static_cast<double>(logit) - best;
    sum += x > negligible ? exp_of_non_positive(x) : 0;
  }
  const double log_sum = std::isfinite(best) ? std::log(sum) : 0;
  const auto logprob = [&](token_id token) -> float {
    const float logit =
        in_vocabulary(token, logits.size()) ? logits[static_cast<std::size_t>(token)] : minus_infinity;
    if (std::isnan(logit) || logit == minus_infinity) {
      return minus_infinity;
    }
    return logit == best ? static_cast<float>(-log_sum)
                         : static_cast<float>(static_cast<double>(logit) - best - log_sum);
  };
  token_logprobs result{logprob(chosen), {}};
  if (n_top > 0) {
    for (const token_id id : top_k_ids(logits, static_cast<std::size_t>(n_top))) {
      result.top.emplace_back(id, logprob(id));
    }
    std::stable_sort(result.top.begin(), result.top.end(), [&](const auto& a, const auto& b) {
      return logits[static_cast<std::size_t>(a.first)] > logits[static_cast<std::size_t>(b.first)];
    });
  }
  return result;
}

} // namespace souffleur
