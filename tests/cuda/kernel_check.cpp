// Every kernel against the host backend, bit by bit, over generated shapes; and rows alone against the same
// rows among others.
//
//   kernel_check [--host] [--rounds N] [--seed S]     --host: the host against itself, to test this program
#include "engine/cuda/cuda_backend.hpp"
#include "tests/cuda/twins.hpp"
#include "tests/engine/random_blocks.hpp"

#include <algorithm>
#include <cstdlib>
#include <numeric>
#include <string_view>

namespace souffleur::cuda {
namespace {

using testing::random_blocks;
using testing::random_floats;

class kernel_check {
public:
  kernel_check(twins& both, unsigned seed) : both_(both), random_(seed) {}

  void run(int n_rounds) {
    for (int round = 0; round < n_rounds; ++round) {
      for (const auto type : device_types)
        check_product(type);
      check_norm();
      check_embedding();
      check_attention();
      check_choices();
      check_acceptance();
      both_.clear();
    }
  }

private:
  int any(int from, int to) { return std::uniform_int_distribution<int>{from, to}(random_); }
  template <class T>
  T one_of(std::initializer_list<T> values) {
    return values.begin()[any(0, static_cast<int>(values.size()) - 1)];
  }

  /// Random weights on both sides.
  struct twin_matrix {
    device_matrix host, device;
  };
  twin_matrix any_matrix(tensor_type type, int n_out, int n_in) {
    const auto source = random_blocks(type, n_out * n_in, random_);
    std::vector<std::uint8_t> packed(device_bytes(type, n_out, n_in));
    pack_rows(matrix_at(nullptr, type, n_out, n_in), source, n_out, {}, packed.data());
    const auto pair = both_.put(packed);
    return {matrix_at(pair.host, type, n_out, n_in), matrix_at(pair.device, type, n_out, n_in)};
  }

  struct twin_rows {
    twin<float> rows;
    twin<std::int8_t> quants;
    twin<block_stats> stats;
    activation_rows host() const { return {rows.host, {quants.host, stats.host}}; }
    activation_rows device() const { return {rows.device, {quants.device, stats.device}}; }
  };
  twin_rows poisoned_rows(int n_rows, int n) {
    const auto size = [&](int rows) { return static_cast<std::size_t>(rows) * static_cast<std::size_t>(n); };
    const auto n_padded = padded_rows(n_rows);
    return {both_.poisoned<float>(size(n_rows)), both_.poisoned<std::int8_t>(size(n_padded)),
            both_.poisoned<block_stats>(size(n_padded) / block_values)};
  }
  bool compare(const std::string& what, const twin_rows& rows, int n) {
    const bool is_same = both_.compare(what + " rows", rows.rows, n);
    return both_.compare(what + " quants in tiles", rows.quants, tile_rows * n) &&
           both_.compare(what + " stats in tiles", rows.stats, tile_rows * n / block_values) && is_same;
  }

  void check_product(tensor_type type) {
    const bool is_super = block_shape_of(type).n_values > block_values;
    const int n_blocks = one_of({1, 2, any(3, 40), 18, 28, 48, any(60, 160), any(256, 300)});
    const int n_in =
        block_values * (is_super ? (n_blocks + super_blocks - 1) / super_blocks * super_blocks : n_blocks);
    const int n_out = one_of({2, 2 * any(1, 40), 576, 2 * any(40, 400)}) + (any(0, 3) == 0 ? 1 : 0);
    const int n_rows = one_of({1, 2, 3, 4, any(5, 8), any(9, 16), any(17, 40)});
    const auto weights = any_matrix(type, n_out, n_in);
    const auto input = both_.put(random_floats(n_rows * n_in, random_));
    const auto x = poisoned_rows(n_rows, n_in);
    both_.host().normalise({.x = input.host, .n_rows = n_rows, .n = n_in, .out = x.host()});
    both_.device().normalise({.x = input.device, .n_rows = n_rows, .n = n_in, .out = x.device()});
    const auto name = "product " + std::string{to_string(type)} + " " + std::to_string(n_out) + "x" +
                      std::to_string(n_in) + ", rows " + std::to_string(n_rows);
    compare(name + ", rounding", x, n_in);
    const bool is_gated = n_out % 2 == 0 && any(0, 2) == 0;
    const bool accumulates = !is_gated && any(0, 1) == 0;
    const auto bias = both_.put(random_floats(n_out, random_));
    const bool has_bias = !is_gated && any(0, 1) == 0;
    const int width = is_gated ? n_out / 2 : n_out;
    const auto gate = one_of({activation::silu, activation::gelu_tanh});
    const auto before = random_floats(n_rows * width, random_);
    const auto y = accumulates ? both_.put(before) : both_.poisoned<float>(before.size());
    const auto call = [&](const device_matrix& matrix, const activation_rows& rows, const float* own_bias,
                          float* to, int n) {
      return matmul_call{matrix,      rows,     n,   to, width, has_bias ? own_bias : nullptr,
                         accumulates, is_gated, gate};
    };
    both_.host().multiply(call(weights.host, x.host(), bias.host, y.host, n_rows));
    both_.device().multiply(call(weights.device, x.device(), bias.device, y.device, n_rows));
    both_.compare(name + (is_gated ? " gated" : accumulates ? " accumulated" : ""), y, width);

    // Some of the rows without those before them.
    const int first = any(0, n_rows - 1);
    const int n = any(1, n_rows - first);
    const auto alone = accumulates ? both_.put(before) : both_.poisoned<float>(before.size());
    const auto some = poisoned_rows(n, n_in);
    both_.device().normalise(
        {.x = input.device + std::ptrdiff_t{first} * n_in, .n_rows = n, .n = n_in, .out = some.device()});
    both_.device().multiply(
        call(weights.device, some.device(), bias.device, alone.device + std::ptrdiff_t{first} * width, n));
    const auto cut = [&](const std::vector<float>& all) {
      return std::vector<float>(all.begin() + std::ptrdiff_t{first} * width,
                                all.begin() + std::ptrdiff_t{first + n} * width);
    };
    both_.same(name + ", among others and alone", cut(both_.on_device(y)), cut(both_.on_device(alone)),
               width);
  }

  void check_norm() {
    const int n = block_values * any(1, 100);
    const int n_in = any(1, 20);
    const int n_rows = any(1, 20);
    const auto x = both_.put(random_floats(n * n_in, random_));
    const auto weight = both_.put(random_floats(n, random_));
    std::vector<std::int32_t> from(static_cast<std::size_t>(n_rows));
    for (auto& row : from)
      row = any(0, n_in - 1);
    const auto from_rows = both_.put(from);
    const auto out = poisoned_rows(n_rows, n);
    both_.host().normalise({x.host, from_rows.host, weight.host, 1e-5F, n_rows, n, out.host()});
    both_.device().normalise({x.device, from_rows.device, weight.device, 1e-5F, n_rows, n, out.device()});
    compare("norm of " + std::to_string(n), out, n);

    const auto sum = both_.put(random_floats(n * n_rows, random_));
    both_.host().normalise({x.host, from_rows.host, weight.host, 1e-5F, n_rows, n, {sum.host, {}}, true});
    both_.device().normalise(
        {x.device, from_rows.device, weight.device, 1e-5F, n_rows, n, {sum.device, {}}, true});
    both_.compare("norm added of " + std::to_string(n), sum, n);
  }

  void check_embedding() {
    for (const auto type : device_types) {
      const int n_in = 256 * any(1, 3);
      const auto weights = any_matrix(type, 50, n_in);
      std::vector<std::int32_t> ids(static_cast<std::size_t>(any(1, 9)));
      for (auto& id : ids)
        id = any(0, 49);
      const auto tokens = both_.put(ids);
      const int n_rows = static_cast<int>(ids.size());
      const auto x = both_.poisoned<float>(ids.size() * static_cast<std::size_t>(n_in));
      const float scale = one_of({1.0F, 25.3F});
      both_.host().embed(weights.host, tokens.host, n_rows, scale, x.host);
      both_.device().embed(weights.device, tokens.device, n_rows, scale, x.device);
      both_.compare("embedding " + std::string{to_string(type)}, x, n_in);
    }
  }

  /// Sequences of several rows at random positions, some with two lines that share their first pages.
  struct placed_rows {
    std::vector<std::int32_t> lines, places, page_table, copies;
    std::vector<row_tile> tiles;
    int table_width = 0, n_pages = 0, n_places = 0;
    int n_rows() const { return static_cast<int>(lines.size()); }
  };
  placed_rows any_places() {
    placed_rows placed;
    const int longest = one_of({20, 130, 300, 700});
    placed.table_width = pages_for(longest + 40);
    const int n_lines = any(1, 6);
    for (int line = 0; line < n_lines; ++line) {
      const bool is_branch = line > 0 && any(0, 2) == 0;
      const int shared =
          is_branch ? any(0, longest / page_tokens) : 0; // pages; nobody's rows but the first line's
      for (int i = 0; i < placed.table_width; ++i)
        placed.page_table.push_back(
            i < shared ? placed.page_table[static_cast<std::size_t>((line - 1) * placed.table_width + i)]
                       : placed.n_pages++);
      const int n = any(1, 9);
      const int first = any(shared * page_tokens, longest);
      if (is_branch && placed.places.back() < first)
        placed.copies.insert(placed.copies.end(), {placed.n_rows() - 1, line});
      placed.tiles.push_back({placed.n_rows(), n});
      for (int i = 0; i < n; ++i) {
        placed.lines.push_back(line);
        placed.places.push_back(first + i);
        placed.n_places = std::max(placed.n_places, first + i + 1);
      }
    }
    return placed;
  }

  void check_attention() {
    const auto placed = any_places();
    const int dim = one_of({32, 64, 128, 256});
    const int n_kv = any(1, 3);
    const int n_heads = n_kv * one_of({1, 2, 3, 6, 7, 12});
    const int n_rows = placed.n_rows();
    const int width = (n_heads + 2 * n_kv) * dim;
    const int layer_halves = n_kv * page_tokens * dim;
    const int page_stride = 2 * layer_halves; // a page has keys, then values
    const auto kv_size = static_cast<std::size_t>(placed.n_pages * page_stride);
    std::vector<std::uint16_t> halves(kv_size);
    for (auto& half : halves)
      half = float_to_half(std::normal_distribution<float>{}(random_));
    const auto kv = both_.put(halves);
    const auto qkv = both_.put(random_floats(n_rows * width, random_));
    const auto lines = both_.put(placed.lines);
    const auto places = both_.put(placed.places);
    const auto pages = both_.put(placed.page_table);
    const auto copies = both_.put(placed.copies);
    const auto tiles = both_.put(placed.tiles);
    std::vector<std::int32_t> any_angles;
    for (int row = 0; row < n_rows; ++row)
      any_angles.push_back(any(0, placed.n_places - 1));
    const bool has_angles = any(0, 1) == 0;
    const auto angles = both_.put(any_angles);
    const auto cosines = both_.put(random_floats(placed.n_places * dim / 2, random_));
    const auto sines = both_.put(random_floats(placed.n_places * dim / 2, random_));
    const int n_parts = (placed.n_places + part_tokens - 1) / part_tokens + any(0, 1);
    const auto workspace =
        both_.poisoned<float>(static_cast<std::size_t>(n_rows * n_heads * n_parts * (dim + 2)));
    const auto out = poisoned_rows(n_rows, n_heads * dim);
    const int window = any(0, 2) == 0 ? any(1, 300) : 0;
    const auto name = "attention of " + std::to_string(n_rows) + " rows, heads " + std::to_string(n_heads) +
                      "/" + std::to_string(n_kv) + " x " + std::to_string(dim) + ", " +
                      std::to_string(placed.n_places) + " places, window " + std::to_string(window);
    const row_places on_host{lines.host, places.host, pages.host, placed.table_width, n_rows};
    const row_places on_device{lines.device, places.device, pages.device, placed.table_width, n_rows};
    const kv_pages host_kv{kv.host, kv.host + layer_halves, page_stride, n_kv, dim};
    const kv_pages device_kv{kv.device, kv.device + layer_halves, page_stride, n_kv, dim};
    const int n_copies = static_cast<int>(placed.copies.size() / 2);
    const auto norms = both_.put(random_floats(2 * dim, random_));
    const bool has_norms = any(0, 1) == 0;
    const auto store = [&](const float* cosine, const float* sine, const std::int32_t* angle,
                           const row_places& rows, const std::int32_t* copy, const kv_pages& to, float* heads,
                           const float* norm) {
      return store_call{heads,
                        n_heads,
                        cosine,
                        sine,
                        has_angles ? angle : nullptr,
                        rows,
                        copy,
                        n_copies,
                        to,
                        has_norms ? norm : nullptr,
                        has_norms ? norm + dim : nullptr,
                        1e-6F};
    };
    both_.host().rotate_and_store(
        store(cosines.host, sines.host, angles.host, on_host, copies.host, host_kv, qkv.host, norms.host));
    both_.device().rotate_and_store(store(cosines.device, sines.device, angles.device, on_device,
                                          copies.device, device_kv, qkv.device, norms.device));
    both_.compare(name + ": rotated", qkv, width);
    both_.compare(name + ": keys and values", kv, dim);
    const int turned = any(0, placed.n_pages - 1);
    const int angle = any(0, placed.n_places - 1) * (dim / 2);
    both_.host().turn({host_kv, turned, cosines.host + angle, sines.host + angle});
    both_.device().turn({device_kv, turned, cosines.device + angle, sines.device + angle});
    both_.compare(name + ": a page turned on", kv, dim);
    const float scale = 0.3F;
    const auto n_tiles = static_cast<int>(placed.tiles.size());
    both_.host().attend({qkv.host, n_heads, scale, window, on_host, tiles.host, n_tiles, n_parts, host_kv,
                         workspace.host, out.host()});
    both_.device().attend({qkv.device, n_heads, scale, window, on_device, tiles.device, n_tiles, n_parts,
                           device_kv, workspace.device, out.device()});
    compare(name, out, n_heads * dim);

    // Each row as a tile of its own.
    std::vector<row_tile> single(static_cast<std::size_t>(n_rows));
    for (int row = 0; row < n_rows; ++row)
      single[static_cast<std::size_t>(row)] = {row, 1};
    const auto own_tiles = both_.put(single);
    const auto alone = poisoned_rows(n_rows, n_heads * dim);
    both_.device().attend({qkv.device, n_heads, scale, window, on_device, own_tiles.device, n_rows, n_parts,
                           device_kv, workspace.device, alone.device()});
    both_.same(name + ", in tiles and alone", both_.on_device(out.rows), both_.on_device(alone.rows),
               n_heads * dim);
  }

  token_draw any_draw(int n_vocabulary) {
    std::uniform_real_distribution<double> part;
    token_draw draw;
    draw.uniform = one_of({0x1p-53, part(random_), part(random_), 1 - 0x1p-53});
    draw.temperature = one_of({0.0F, 0.02F, 0.8F, 1.0F, 2.0F});
    draw.top_k = one_of({0, any(1, 50), any(1, n_vocabulary + 2)});
    draw.top_p = one_of({1.0F, 0.9999999F, static_cast<float>(part(random_)), 0.0F});
    draw.min_p = one_of({0.0F, 0.0F, static_cast<float>(0.3 * part(random_)), 1.0F});
    return draw;
  }

  void check_choices() {
    const int n_rows = any(1, 20);
    const int n_vocabulary = one_of({1, any(2, 100), any(2000, 9000), 49152});
    auto logits = random_floats(n_rows * n_vocabulary, random_);
    for (auto& logit : logits)
      logit = std::round(4 * logit) / 4; // several are the largest
    const auto pair = both_.put(logits);
    const auto n = static_cast<std::size_t>(n_rows);
    const auto keys =
        both_.poisoned<std::uint64_t>(n * static_cast<std::size_t>(argmax_chunks(n_vocabulary)));
    const auto choices = both_.poisoned<std::int32_t>(n);
    both_.host().choose({pair.host, n_rows, n_vocabulary, keys.host, choices.host});
    both_.device().choose({pair.device, n_rows, n_vocabulary, keys.device, choices.device});
    both_.compare("choices of " + std::to_string(n_vocabulary), choices, 1);

    std::vector<token_draw> wishes(n);
    for (auto& draw : wishes)
      draw = any_draw(n_vocabulary);
    const auto draws = both_.put(wishes);
    both_.host().draw({pair.host, n_rows, n_vocabulary, draws.host, choices.host});
    both_.device().draw({pair.device, n_rows, n_vocabulary, draws.device, choices.device});
    both_.compare("draws of " + std::to_string(n_vocabulary), choices, 1);

    const int width = 50;
    std::vector<std::int32_t> at(n);
    for (auto& place : at)
      place = any(0, width - 1);
    const auto places = both_.put(at);
    const auto tokens = both_.poisoned<std::int32_t>(n);
    const auto history = both_.poisoned<std::int32_t>(n * width);
    both_.host().advance({choices.host, tokens.host, places.host, history.host, width, n_rows});
    both_.device().advance({choices.device, tokens.device, places.device, history.device, width, n_rows});
    both_.compare("next tokens", tokens, 1);
    both_.compare("next places", places, 1);
    both_.compare("history", history, width);
  }

  void check_acceptance() {
    const int n_sequences = any(1, 70);
    std::vector<std::int32_t> first_rows{0};
    std::vector<std::int32_t> tokens, parents, choices;
    int most = 0;
    for (int s = 0; s < n_sequences; ++s) {
      const int n_rows = any(1, 12);
      most = std::max(most, n_rows);
      for (int row = 0; row < n_rows; ++row) {
        tokens.push_back(any(0, 2));
        choices.push_back(any(0, 2));
        parents.push_back(row == 0 ? -1 : any(std::max(0, row - 3), row - 1));
      }
      first_rows.push_back(static_cast<std::int32_t>(tokens.size()));
    }
    const auto rows = both_.put(first_rows);
    const auto drafted = both_.put(tokens);
    const auto tree = both_.put(parents);
    const auto chosen = both_.put(choices);
    const auto n = static_cast<std::size_t>(n_sequences);
    const auto emitted = both_.poisoned<std::int32_t>(n * static_cast<std::size_t>(most));
    const auto n_emitted = both_.poisoned<std::int32_t>(n);
    const auto last = both_.poisoned<std::int32_t>(n);
    both_.host().accept({rows.host, drafted.host, tree.host, chosen.host, n_sequences, most, emitted.host,
                         n_emitted.host, last.host});
    both_.device().accept({rows.device, drafted.device, tree.device, chosen.device, n_sequences, most,
                           emitted.device, n_emitted.device, last.device});
    both_.compare("tokens that stand", emitted, most);
    both_.compare("how many stand", n_emitted, 1);
    both_.compare("where the path ends", last, 1);
  }

  twins& both_;
  std::mt19937 random_;
};

int run(bool on_host, int n_rounds, unsigned seed) {
  const auto host = make_host_backend();
  std::unique_ptr<backend> device;
  if (on_host) {
    device = make_host_backend();
  } else {
    auto made = make_cuda_backend({});
    if (!made) {
      std::printf("%s\n", made.error().c_str());
      return 2;
    }
    device = std::move(*made);
  }
  twins both{*host, *device};
  kernel_check{both, seed}.run(n_rounds);
  std::printf("%s: %d comparisons with the host, %d different (%d rounds, seed %u)\n", device->name().c_str(),
              both.n_compared(), both.n_different(), n_rounds, seed);
  return both.n_different() == 0 ? 0 : 1;
}

} // namespace
} // namespace souffleur::cuda

int main(int argc, char** argv) {
  bool on_host = false;
  int n_rounds = 50;
  unsigned seed = 1;
  for (int i = 1; i < argc; ++i) {
    const std::string_view option{argv[i]};
    if (option == "--host")
      on_host = true;
    else if (option == "--rounds" && i + 1 < argc)
      n_rounds = std::atoi(argv[++i]);
    else if (option == "--seed" && i + 1 < argc)
      seed = static_cast<unsigned>(std::atoi(argv[++i]));
  }
  return souffleur::cuda::run(on_host, n_rounds, seed);
}
