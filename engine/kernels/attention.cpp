#include "engine/kernels/attention.hpp"

#include "engine/kernels/kernel_table.hpp"

#include <algorithm>
#include <atomic>
#include <memory>
#include <vector>

namespace souffleur {

namespace {

constexpr int part_tokens = 256; ///< positions whose weighted values are summed up apart from the others'
static_assert(part_tokens % attention_block_tokens == 0);
/// With fewer tiles a thread, their parts are shared out one by one.
constexpr int enough_tiles_per_thread = 4;

/// Rows [first_row, last_row) of one sequence and query heads [first_head, last_head) of one KV head.
struct tile_place {
  int first_row, last_row;
  int first_head, last_head;
  int kv_head;
  int first_part, last_part;
};

/// A tile's queries, gathered and scaled.
struct gathered_tile {
  attention_tile tile;
  alignas(64) float q[max_tile_queries * max_head_dim];
  int first[max_tile_queries];
  int end[max_tile_queries];
};

class attention {
public:
  attention(const kv_layer& layer, const row_places& places, const attention_rows& rows,
            const kernel_table& kernels)
      : layer_(layer), places_(places), rows_(rows), kernels_(kernels) {
    place_tiles();
  }

  void run(thread_team& team) {
    const auto n_tiles = static_cast<int>(tiles_.size());
    if (n_tiles >= enough_tiles_per_thread * team.size() || n_parts_ == n_tiles) {
      // Later rows see more: from the back, the long tiles come first.
      team.run(n_tiles, [&](int i) { attend_tile(tiles_[static_cast<std::size_t>(n_tiles - 1 - i)]); });
      return;
    }
    // Each part on its own; whoever finishes a tile's last part puts them together, in order.
    thread_local std::vector<std::unique_ptr<attention_state>> kept; // from call to call
    auto& states = kept;
    while (states.size() < static_cast<std::size_t>(n_parts_))
      states.push_back(std::make_unique<attention_state>());
    std::vector<std::atomic<int>> n_missing(tiles_.size());
    std::vector<std::pair<int, int>> tasks; // tile, its part
    std::vector<int> first_states;
    for (int i = 0; i < n_tiles; ++i) {
      const auto& place = tiles_[static_cast<std::size_t>(i)];
      n_missing[static_cast<std::size_t>(i)] = place.last_part - place.first_part;
      first_states.push_back(static_cast<int>(tasks.size()));
      for (int part = place.first_part; part < place.last_part; ++part)
        tasks.emplace_back(i, part);
    }
    team.run(n_parts_, [&](int task) {
      const auto [i, part] = tasks[static_cast<std::size_t>(task)];
      const auto& place = tiles_[static_cast<std::size_t>(i)];
      gathered_tile gathered;
      gather(place, gathered);
      attend_part(gathered, part, *states[static_cast<std::size_t>(task)]);
      if (n_missing[static_cast<std::size_t>(i)].fetch_sub(1, std::memory_order_acq_rel) > 1)
        return;
      const auto first = static_cast<std::size_t>(first_states[static_cast<std::size_t>(i)]);
      for (int p = 1; p < place.last_part - place.first_part; ++p)
        kernels_.merge(gathered.tile, *states[first + static_cast<std::size_t>(p)], *states[first]);
      scatter(place, gathered, *states[first]);
    });
  }

private:
  int first_position(int row) const {
    return rows_.window > 0 ? std::max(0, places_.positions[row] + 1 - rows_.window) : 0;
  }

  void place_tiles() {
    const int most = kernels_.tile_sizes.back();
    const int n_shared = rows_.n_heads / layer_.n_kv_heads;
    const int heads_at_once = std::min(n_shared, most);
    const int rows_at_once = std::max(1, most / n_shared);
    for (int row = 0; row < places_.n_rows;) {
      int last = row + 1;
      while (last < places_.n_rows && last - row < rows_at_once &&
             places_.sequences[last] == places_.sequences[row])
        ++last;
      int begin = first_position(row);
      int end = 0;
      for (int r = row; r < last; ++r) {
        begin = std::min(begin, first_position(r));
        end = std::max(end, places_.positions[r] + 1);
      }
      const int first_part = begin / part_tokens;
      const int last_part = (end + part_tokens - 1) / part_tokens;
      for (int kv_head = 0; kv_head < layer_.n_kv_heads; ++kv_head)
        for (int head = 0; head < n_shared; head += heads_at_once) {
          const int first_head = kv_head * n_shared + head;
          tiles_.push_back({row, last, first_head, first_head + std::min(heads_at_once, n_shared - head),
                            kv_head, first_part, last_part});
          n_parts_ += last_part - first_part;
        }
      row = last;
    }
  }

  void gather(const tile_place& place, gathered_tile& gathered) const {
    const int n_heads = place.last_head - place.first_head;
    const int n_used = n_heads * (place.last_row - place.first_row);
    const int n = *std::find_if(kernels_.tile_sizes.begin(), kernels_.tile_sizes.end(),
                                [&](int size) { return size >= n_used; });
    gathered.tile = {
        &layer_,     places_.pages_of(place.first_row), place.kv_head, n, gathered.q, gathered.first,
        gathered.end};
    for (int j = 0; j < n; ++j) {
      const bool is_used = j < n_used;
      const int row = is_used ? place.first_row + j / n_heads : place.first_row;
      const float* q = rows_.q + row * rows_.q_stride +
                       static_cast<std::ptrdiff_t>(place.first_head + j % n_heads) * layer_.head_dim;
      gathered.first[j] = first_position(row);
      gathered.end[j] = is_used ? places_.positions[row] + 1 : 0; // those that fill up see nothing
      for (int d = 0; d < layer_.head_dim; ++d)
        gathered.q[d * n + j] = is_used ? q[d] * rows_.scale : 0.0F;
    }
  }

  void attend_part(const gathered_tile& gathered, int part, attention_state& state) const {
    int end = 0;
    for (int j = 0; j < gathered.tile.n_queries; ++j)
      end = std::max(end, gathered.end[j]);
    kernels_.attend(gathered.tile, part * part_tokens, std::min(end, (part + 1) * part_tokens), state);
  }

  void attend_tile(const tile_place& place) const {
    thread_local gathered_tile gathered;
    thread_local attention_state states[2];
    gather(place, gathered);
    attend_part(gathered, place.first_part, states[0]);
    for (int part = place.first_part + 1; part < place.last_part; ++part) {
      attend_part(gathered, part, states[1]);
      kernels_.merge(gathered.tile, states[1], states[0]);
    }
    scatter(place, gathered, states[0]);
  }

  void scatter(const tile_place& place, const gathered_tile& gathered, const attention_state& state) const {
    float out[max_tile_queries * max_head_dim];
    kernels_.finish(gathered.tile, state, out);
    const int n_heads = place.last_head - place.first_head;
    const std::ptrdiff_t n = static_cast<std::ptrdiff_t>(n_heads) * layer_.head_dim;
    for (int row = place.first_row; row < place.last_row; ++row)
      std::copy_n(out + (row - place.first_row) * n, n,
                  rows_.out + row * rows_.out_stride +
                      static_cast<std::ptrdiff_t>(place.first_head) * layer_.head_dim);
  }

  const kv_layer& layer_;
  const row_places& places_;
  const attention_rows& rows_;
  const kernel_table& kernels_;
  std::vector<tile_place> tiles_;
  int n_parts_ = 0;
};

} // namespace

void attend(const kv_layer& layer, const row_places& places, const attention_rows& rows, thread_team& team,
            isa level) {
  attention{layer, places, rows, kernels_of(level)}.run(team);
}

} // namespace souffleur
