// Tokens drawn from logits. A block has a row; shares are whole numbers (shares.hpp), so its threads may add
// them up in any order.
#include "engine/cuda/launch.cuh"
#include "engine/cuda/shares.hpp"

namespace souffleur::cuda {

namespace {

constexpr int draw_threads = 512;
constexpr int draw_warps = draw_threads / warp_lanes;
/// That top-p searches in shared memory. Seldom are more in question.
constexpr int most_listed = 4096;

struct listed_token {
  float logit;
  std::int32_t token;
};

struct block_memory {
  std::uint64_t of_warps[draw_warps];
  listed_token list[most_listed];
  int n_listed;
};

struct amounts {
  std::uint64_t before; ///< of the threads before this one
  std::uint64_t total;
};

/// Of what each thread brings. All threads call it.
__device__ amounts sum_of_block(std::uint64_t own, block_memory& memory) {
  const int lane = static_cast<int>(threadIdx.x) % warp_lanes;
  const int warp = static_cast<int>(threadIdx.x) / warp_lanes;
  std::uint64_t sum = own;
  SOUFFLEUR_UNROLL
  for (int step = 1; step < warp_lanes; step *= 2) {
    const std::uint64_t other = __shfl_up_sync(all_lanes, sum, step);
    sum += lane >= step ? other : 0;
  }
  __syncthreads(); // of_warps has been read
  if (lane == warp_lanes - 1)
    memory.of_warps[warp] = sum;
  __syncthreads();
  amounts result{sum - own, 0};
  for (int i = 0; i < draw_warps; ++i) {
    result.before += i < warp ? memory.of_warps[i] : 0;
    result.total += memory.of_warps[i];
  }
  return result;
}

/// Visits, over all threads, each token in question: those listed, or all.
struct tokens_in_question {
  const float* logits;
  int n;
  const listed_token* list; ///< null: all

  template <class Visit>
  __device__ void each(const Visit& visit) const {
    for (int i = static_cast<int>(threadIdx.x); i < n; i += draw_threads)
      list ? visit(list[i].logit, list[i].token) : visit(logits[i], i);
  }
};

/// The largest key from which on the tokens weigh `enough` together. REQUIRES: all do; their ids are below
/// most_drawn_tokens.
template <class Weigh>
__device__ std::uint64_t key_that_leaves(std::uint64_t enough, const tokens_in_question& tokens,
                                         const Weigh& weigh, block_memory& memory) {
  constexpr std::uint64_t same_in_all = 0xFFFFFFFFU & ~static_cast<std::uint64_t>(most_drawn_tokens - 1);
  std::uint64_t key = 0;
  for (std::uint64_t bit = std::uint64_t{1} << 63; bit > 0; bit >>= 1) {
    key |= bit;
    if (bit & same_in_all)
      continue;
    std::uint64_t weight = 0;
    tokens.each([&](float logit, int token) { weight += key_of(logit, token) >= key ? weigh(logit) : 0; });
    weight = sum_of_block(weight, memory).total;
    if (weight == enough)
      return key;
    if (weight < enough)
      key ^= bit;
  }
  return key;
}

/// Those with at least a share and a key, listed; all, if they are too many for that.
__device__ tokens_in_question narrowed(const tokens_in_question& all, std::uint64_t least_share,
                                       std::uint64_t least_key, float best, double per_temperature,
                                       block_memory& memory) {
  if (threadIdx.x == 0)
    memory.n_listed = 0;
  __syncthreads();
  all.each([&](float logit, int token) {
    if (key_of(logit, token) < least_key || share_of(logit, best, per_temperature) < least_share)
      return;
    const int place = atomicAdd(&memory.n_listed, 1);
    if (place < most_listed)
      memory.list[place] = {logit, token};
  });
  __syncthreads();
  if (memory.n_listed > most_listed)
    return all;
  return {all.logits, memory.n_listed, memory.list};
}

__global__ void draw_tokens(const draw_call call) {
  __shared__ block_memory memory;
  wait_for_inputs();
  const auto row = static_cast<std::ptrdiff_t>(blockIdx.x);
  const token_draw draw = call.draws[row];
  const int n = call.n_vocabulary;
  const float* logits = call.logits + row * n;
  const float best = logits[call.choices[row]];
  if (!(draw.temperature > 0) || !isfinite(best))
    return;
  const double per_temperature = 1 / static_cast<double>(draw.temperature);
  const auto share = [&](float logit) { return share_of(logit, best, per_temperature); };
  const tokens_in_question all{logits, n, nullptr};

  std::uint64_t least_key = 0;
  if (draw.top_k > 0 && draw.top_k < n)
    least_key = key_that_leaves(
        static_cast<std::uint64_t>(draw.top_k), all, [](float) { return std::uint64_t{1}; }, memory);
  if (draw.top_p < 1) {
    std::uint64_t own = 0;
    all.each([&](float logit, int token) { own += key_of(logit, token) >= least_key ? share(logit) : 0; });
    const auto total = sum_of_block(own, memory).total;
    const auto enough = share_for_top_p(total, draw.top_p);
    // Tokens below the bound have less than half of what top-p leaves out together.
    const auto bound = (total - enough) / (2 * static_cast<std::uint64_t>(n)) + 1;
    const auto some = narrowed(all, bound, least_key, best, per_temperature, memory);
    const auto of_top_p = key_that_leaves(enough, some, share, memory);
    least_key = of_top_p > least_key ? of_top_p : least_key;
  }

  // In ascending order: a piece of the row for each thread.
  const auto least_share = share_for_min_p(draw.min_p);
  const auto kept_share = [&](int token) {
    const std::uint64_t one = key_of(logits[token], token) >= least_key ? share(logits[token]) : 0;
    return one >= least_share ? one : 0;
  };
  const int piece = (n + draw_threads - 1) / draw_threads;
  const int begin = min(n, static_cast<int>(threadIdx.x) * piece);
  const int end = min(n, begin + piece);
  std::uint64_t own = 0;
  for (int token = begin; token < end; ++token)
    own += kept_share(token);
  const auto kept = sum_of_block(own, memory);
  const auto at = place_of(draw.uniform, kept.total);
  if (at < kept.before || at >= kept.before + own)
    return;
  int token = begin;
  for (std::uint64_t until = kept.before + kept_share(begin); until <= at; until += kept_share(token))
    ++token;
  call.choices[row] = token;
}

} // namespace

void launch_draw(const launch_queue& queue, const draw_call& call) {
  launch(queue, draw_tokens, dim3(static_cast<unsigned>(call.n_rows)), draw_threads, 0, call);
}

} // namespace souffleur::cuda
