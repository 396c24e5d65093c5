#include "engine/sampler.hpp"

#include "engine/clones.hpp"
#include "engine/exponential.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>

// SOUFFLEUR_CLONES: this file is compiled with -ffp-contract=off, so that each copy gives the same bits.

namespace souffleur {
namespace {

constexpr float minus_infinity = -std::numeric_limits<float>::infinity();

bool in_vocabulary(token_id token, std::size_t n_vocabulary) {
  return token >= 0 && static_cast<std::size_t>(token) < n_vocabulary;
}

/// The largest logit, NaN passed over; -inf if there is none. Independent lanes let the compiler vectorise.
SOUFFLEUR_CLONES
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

/// Index of the first logit that equals `value`; the size if none does.
SOUFFLEUR_CLONES
std::size_t index_of(std::span<const float> logits, float value) {
  constexpr std::size_t block = 64;
  std::size_t i = 0;
  for (; i + block <= logits.size(); i += block) {
    int n_equal = 0;
    for (std::size_t k = 0; k < block; ++k) {
      n_equal += logits[i + k] == value ? 1 : 0;
    }
    if (n_equal > 0) {
      break;
    }
  }
  while (i < logits.size() && logits[i] != value) {
    ++i;
  }
  return i;
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

constexpr std::size_t top_k_block = 64;

/// Of each block of logits the largest.
std::vector<float> maxima_of(std::span<const float> logits) {
  std::vector<float> maxima;
  maxima.reserve(logits.size() / top_k_block + 1);
  for (std::size_t i = 0; i < logits.size(); i += top_k_block) {
    maxima.push_back(largest(logits.subspan(i, std::min(top_k_block, logits.size() - i))));
  }
  return maxima;
}

/// A logit that at least `top_k` tokens reach.
float lower_bound_of_kth(std::vector<float> maxima, std::size_t top_k) {
  if (top_k > maxima.size()) {
    return minus_infinity;
  }
  const auto kth = maxima.begin() + static_cast<std::ptrdiff_t>(top_k - 1);
  std::nth_element(maxima.begin(), kth, maxima.end(), std::greater<>());
  return *kth;
}

/// Ids of the `top_k` largest logits, ascending; of equal logits the lower ids.
std::vector<token_id> top_k_ids(std::span<const float> logits, std::size_t top_k) {
  const auto maxima = maxima_of(logits);
  const float bound = lower_bound_of_kth(maxima, top_k);
  std::vector<token_id> ids;
  for (std::size_t block = 0; block < maxima.size(); ++block) {
    if (maxima[block] < bound) {
      continue;
    }
    const auto end = std::min(logits.size(), (block + 1) * top_k_block);
    for (std::size_t i = block * top_k_block; i < end; ++i) {
      if (logits[i] >= bound) {
        ids.push_back(static_cast<token_id>(i));
      }
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

SOUFFLEUR_CLONES
double sum_of(std::span<const double> values) {
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

SOUFFLEUR_CLONES
void multiply_all(std::span<double> values, double factor) {
  for (double& value : values) {
    value *= factor;
  }
}

void normalise(distribution& law) { multiply_all(law.probabilities, 1 / sum_of(law.probabilities)); }

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

constexpr std::size_t block_size = 64;

/// weights[i] = e^((logits[i] - best) * per_temperature), or 0 if that is negligible, for at most block_size
/// logits; returns how many are not.
SOUFFLEUR_CLONES
std::size_t weigh_block(std::span<const float> logits, float best, double per_temperature, double* weights) {
  std::size_t n_kept = 0;
  for (const float logit : logits) {
    n_kept += (static_cast<double>(logit) - best) * per_temperature > negligible ? 1 : 0;
  }
  if (n_kept == 0) {
    return 0;
  }
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const double x = (static_cast<double>(logits[i]) - best) * per_temperature;
    const double weight = exp_of_non_positive(x > negligible ? x : negligible);
    weights[i] = x > negligible ? weight : 0;
  }
  return n_kept;
}

/// Calls visit(first id, size, weights, n_kept) for every block of logits that has a weight to keep.
template <class Visit>
void for_weights(std::span<const float> logits, float best, double per_temperature, Visit visit) {
  double weights[block_size];
  for (std::size_t first = 0; first < logits.size(); first += block_size) {
    const std::size_t size = std::min(block_size, logits.size() - first);
    const std::size_t n_kept = weigh_block(logits.subspan(first, size), best, per_temperature, weights);
    if (n_kept > 0) {
      visit(first, size, weights, n_kept);
    }
  }
}

/// Weights e^((logit - best) / temperature) of all tokens that are not negligible, not yet normalised.
void weights_of_all(std::span<const float> logits, float best, double per_temperature, distribution& law) {
  law.tokens.clear();
  law.probabilities.clear();
  law.tokens.reserve(logits.size());
  law.probabilities.reserve(logits.size());
  for_weights(logits, best, per_temperature,
              [&law](std::size_t first, std::size_t size, const double* weights, std::size_t n_kept) {
                const std::size_t n = law.tokens.size();
                law.tokens.resize(n + size);
                token_id* tokens = law.tokens.data() + n;
                if (n_kept == size) {
                  law.probabilities.insert(law.probabilities.end(), weights, weights + size);
                  std::iota(tokens, tokens + size, static_cast<token_id>(first));
                  return;
                }
                law.probabilities.resize(n + size);
                double* probabilities = law.probabilities.data() + n;
                std::size_t at = 0;
                for (std::size_t i = 0; i < size; ++i) {
                  tokens[at] = static_cast<token_id>(first + i);
                  probabilities[at] = weights[i];
                  at += weights[i] > 0 ? 1 : 0;
                }
                law.tokens.resize(n + n_kept);
                law.probabilities.resize(n + n_kept);
              });
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

/// Whether any of at most block_size values exceeds `bound`.
SOUFFLEUR_CLONES
bool any_above(std::span<const double> values, double bound) {
  int n_above = 0;
  for (const double value : values) {
    n_above += value > bound ? 1 : 0;
  }
  return n_above > 0;
}

std::vector<std::size_t> indices_above(std::span<const double> values, double bound) {
  std::vector<std::size_t> found;
  for (std::size_t first = 0; first < values.size(); first += block_size) {
    const auto block = values.subspan(first, std::min(block_size, values.size() - first));
    if (!any_above(block, bound)) {
      continue;
    }
    for (std::size_t i = 0; i < block.size(); ++i) {
      if (block[i] > bound) {
        found.push_back(first + i);
      }
    }
  }
  return found;
}

/// Keeps the smallest set, most likely first and lower id first among equals, that holds at least `top_p`.
/// Only tokens above (1 - top_p) / n are sorted: all the others together cannot hold more than 1 - top_p.
void keep_top_p(distribution& law, double top_p) {
  auto kept = indices_above(law.probabilities, 0.5 * (1 - top_p) / static_cast<double>(law.tokens.size()));
  std::sort(kept.begin(), kept.end(), [&](std::size_t a, std::size_t b) {
    return law.probabilities[a] != law.probabilities[b] ? law.probabilities[a] > law.probabilities[b] : a < b;
  });
  double cumulative = 0;
  std::size_t n_kept = 0;
  while (n_kept < kept.size() && (n_kept == 0 || cumulative < top_p)) {
    cumulative += law.probabilities[kept[n_kept++]];
  }
  kept.resize(n_kept);
  std::sort(kept.begin(), kept.end());
  for (std::size_t i = 0; i < n_kept; ++i) {
    law.tokens[i] = law.tokens[kept[i]];
    law.probabilities[i] = law.probabilities[kept[i]];
  }
  law.tokens.resize(n_kept);
  law.probabilities.resize(n_kept);
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

uniform_coins coins_at(std::uint64_t seed, std::uint64_t position) {
  return uniform_coins{[=](const coin& which) {
    return counter_uniform(seed, position + static_cast<std::uint64_t>(which.offset), which.purpose,
                           which.index);
  }};
}

token_id argmax(std::span<const float> logits) {
  const float best = largest(logits);
  return best == minus_infinity ? 0 : static_cast<token_id>(index_of(logits, best));
}

std::vector<likely_token> likeliest(std::span<const float> logits, int n) {
  std::vector<likely_token> found;
  if (n <= 0) {
    return found;
  }
  for (const token_id id : top_k_ids(logits, static_cast<std::size_t>(n))) {
    found.push_back({id, logits[static_cast<std::size_t>(id)]});
  }
  const float best = std::ranges::max(found, {}, &likely_token::probability).probability;
  if (!std::isfinite(best)) {
    return {};
  }
  float sum = 0;
  for (auto& one : found) {
    one.probability = std::exp(one.probability - best);
    sum += one.probability;
  }
  for (auto& one : found)
    one.probability /= sum;
  std::ranges::stable_sort(found, std::ranges::greater{}, &likely_token::probability);
  return found;
}

SOUFFLEUR_CLONES
void forbid_all_but(std::span<const std::uint64_t> allowed, std::span<float> logits) {
  constexpr std::size_t word_size = 64;
  const auto n_whole = std::min(allowed.size(), logits.size() / word_size);
  for (std::size_t w = 0; w < n_whole; ++w) {
    const auto word = allowed[w];
    float* const block = logits.data() + w * word_size;
    if (word == 0)
      std::fill(block, block + word_size, minus_infinity);
    else if (word != ~std::uint64_t{0})
      for (std::size_t i = 0; i < word_size; ++i)
        block[i] = (word >> i & 1) != 0 ? block[i] : minus_infinity;
  }
  for (std::size_t i = n_whole * word_size; i < logits.size(); ++i)
    if (i / word_size >= allowed.size() || (allowed[i / word_size] >> (i % word_size) & 1) == 0)
      logits[i] = minus_infinity;
}

distribution next_token_distribution(std::span<float> logits, const sampling_params& params,
                                     const token_counts* counts, std::span<const token_id> forbidden) {
  const bool changes = !params.logit_bias.empty() || params.has_penalties() || !forbidden.empty();
  const token_id came_in = changes ? argmax(logits) : 0;
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
  thread_local distribution scratch; // as large as the vocabulary; keeps its storage from call to call
  const bool narrows = params.top_p < 1 || params.min_p > 0;
  distribution whole;
  distribution& law = narrows ? scratch : whole;
  if (params.top_k > 0 && static_cast<std::size_t>(params.top_k) < logits.size()) {
    law =
        weights_of(top_k_ids(logits, static_cast<std::size_t>(params.top_k)), logits, best, per_temperature);
  } else {
    weights_of_all(logits, best, per_temperature, law);
  }
  normalise(law);
  if (params.top_p < 1) {
    keep_top_p(law, std::max(0.0, static_cast<double>(params.top_p)));
  }
  if (params.min_p > 0) {
    keep_min_p(law, std::min(1.0, static_cast<double>(params.min_p)));
  }
  return narrows ? distribution{law} : std::move(whole);
}

token_id sample(const distribution& law, double uniform) { return token_at(law, uniform); }

token_logprobs logprobs_of(std::span<const float> logits, token_id chosen, int n_top) {
  const float best = largest(logits);
  double sum = 0;
  for_weights(logits, best, 1, [&sum](std::size_t, std::size_t size, const double* weights, std::size_t) {
    sum += sum_of({weights, size});
  });
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
