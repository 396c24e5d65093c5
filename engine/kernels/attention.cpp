#include "engine/kernels/attention.hpp"

#include "engine/kernels/kernel_table.hpp"

#include <algorithm>
#include <atomic>
#include <limits>
#include <memory>
#include <span>
#include <vector>

namespace souffleur {

namespace {

constexpr int part_tokens = 128; ///< positions whose weighted values are summed up apart from the others'
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

/// A tile's queries, gathered and scaled. The pages are those of its first row.
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
    if (n_tiles >= enough_tiles_per_thread * team.size())
      // Later rows see more: from the back, the long tiles come first.
      team.run(n_tiles, [&](int i) { attend_tile(tiles_[static_cast<std::size_t>(n_tiles - 1 - i)]); });
    else
      run_by_parts(team);
  }

private:
  int first_position(int row) const {
    return rows_.window > 0 ? std::max(0, places_.positions[row] + 1 - rows_.window) : 0;
  }

  void place_tiles() {
    for (int row = 0; row < places_.n_rows;) {
      int last = row + 1;
      while (last < places_.n_rows && places_.owner_of(last) == places_.owner_of(row))
        ++last;
      place_tiles_of_sequence(row, last);
      row = last;
    }
  }

  /// Tiles that read the same keys and values are neighbours.
  void place_tiles_of_sequence(int first_row, int last_row) {
    const int most = kernels_.tile_sizes.back();
    const int n_shared = rows_.n_heads / layer_.n_kv_heads;
    const int heads_at_once = std::min(n_shared, most);
    const int rows_at_once = std::max(1, most / n_shared);
    for (int head = 0; head < rows_.n_heads;) {
      const int kv_head = head / n_shared;
      const int last_head = std::min(head + heads_at_once, (kv_head + 1) * n_shared);
      for (int row = first_row; row < last_row; row += rows_at_once) {
        const int end_row = std::min(row + rows_at_once, last_row);
        int begin = first_position(row);
        int end = 0;
        for (int r = row; r < end_row; ++r) {
          begin = std::min(begin, first_position(r));
          end = std::max(end, places_.positions[r] + 1);
        }
        tiles_.push_back({row, end_row, head, last_head, kv_head, begin / part_tokens,
                          (end + part_tokens - 1) / part_tokens});
      }
      head = last_head;
    }
  }

  bool read_the_same(const tile_place& a, const tile_place& b) const {
    return a.kv_head == b.kv_head && places_.owner_of(a.first_row) == places_.owner_of(b.first_row);
  }

  /// One task for each part of the keys and values that some tiles read, so that they are read once. Whoever
  /// finishes a tile's last part puts its parts together, in order.
  void run_by_parts(thread_team& team) {
    struct part_task {
      std::size_t first_tile, last_tile;
      int part;
    };
    std::vector<part_task> tasks;
    std::vector<std::size_t> first_states; // of each tile
    std::vector<std::atomic<int>> n_missing(tiles_.size());
    std::size_t n_states = 0;
    for (std::size_t first = 0; first < tiles_.size();) {
      std::size_t last = first;
      int first_part = tiles_[first].first_part;
      int last_part = 0;
      for (; last < tiles_.size() && read_the_same(tiles_[first], tiles_[last]); ++last) {
        const int n_parts = tiles_[last].last_part - tiles_[last].first_part;
        first_part = std::min(first_part, tiles_[last].first_part);
        last_part = std::max(last_part, tiles_[last].last_part);
        first_states.push_back(n_states);
        n_missing[last] = n_parts;
        n_states += static_cast<std::size_t>(n_parts);
      }
      for (int part = first_part; part < last_part; ++part)
        tasks.push_back({first, last, part});
      first = last;
    }
    thread_local std::vector<std::unique_ptr<attention_state>> kept; // from call to call
    auto& states = kept;
    while (states.size() < n_states)
      states.push_back(std::make_unique<attention_state>());
    team.run(static_cast<int>(tasks.size()), [&](int task) {
      const auto [first, last, part] = tasks[static_cast<std::size_t>(task)];
      for (auto i = first; i < last; ++i)
        attend_part_of(i, part, &states[first_states[i]], n_missing[i]);
    });
  }

  /// `states` and `n_missing` are the tile's.
  void attend_part_of(std::size_t tile_index, int part, std::unique_ptr<attention_state>* states,
                      std::atomic<int>& n_missing) const {
    const auto& place = tiles_[tile_index];
    if (part < place.first_part || part >= place.last_part)
      return;
    thread_local gathered_tile gathered;
    gather(place, gathered);
    attend_part(place, gathered, part, *states[part - place.first_part]);
    if (n_missing.fetch_sub(1, std::memory_order_acq_rel) > 1)
      return;
    for (int p = 1; p < place.last_part - place.first_part; ++p)
      kernels_.merge(gathered.tile, *states[p], *states[0]);
    scatter(place, gathered, *states[0]);
  }

  int tile_size_for(int n_used) const {
    return *std::ranges::find_if(kernels_.tile_sizes, [&](int size) { return size >= n_used; });
  }

  void gather(const tile_place& place, gathered_tile& gathered) const {
    const int n_heads = place.last_head - place.first_head;
    const int n_used = n_heads * (place.last_row - place.first_row);
    const int n = tile_size_for(n_used);
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

  void attend_part(const tile_place& place, const gathered_tile& gathered, int part,
                   attention_state& state) const {
    if (places_.owners && !reads_one_line(place, part))
      return attend_branches(place, gathered, part, state);
    attend_one_line(gathered, part, state);
  }

  /// Whether the pages of the part are the same for all rows.
  bool reads_one_line(const tile_place& place, int part) const {
    const std::ptrdiff_t from = std::ptrdiff_t{part} * (part_tokens / page_tokens);
    const std::ptrdiff_t n = std::min<std::ptrdiff_t>(part_tokens / page_tokens, places_.table_width - from);
    const auto* pages = places_.pages_of(place.first_row) + from;
    for (int row = place.first_row + 1; row < place.last_row; ++row)
      if (places_.sequences[row] != places_.sequences[place.first_row] &&
          !std::equal(pages, pages + n, places_.pages_of(row) + from))
        return false;
    return true;
  }

  /// The rows of each line have a tile of their own there.
  void attend_branches(const tile_place& place, const gathered_tile& gathered, int part,
                       attention_state& state) const {
    const int dim = layer_.head_dim;
    const int n_heads = place.last_head - place.first_head;
    for (int j = 0; j < gathered.tile.n_queries; ++j) { // those that fill up
      state.largest[j] = -std::numeric_limits<float>::infinity();
      std::ranges::fill(state.masses[j], 0.0F);
    }
    std::fill_n(state.totals, gathered.tile.n_queries * dim, 0.0F);
    bool is_done[max_tile_queries] = {};
    for (int row = place.first_row; row < place.last_row; ++row) {
      if (is_done[row - place.first_row])
        continue;
      int queries[max_tile_queries];
      int n = 0;
      for (int other = row; other < place.last_row; ++other)
        if (places_.sequences[other] == places_.sequences[row]) {
          is_done[other - place.first_row] = true;
          for (int h = 0; h < n_heads; ++h)
            queries[n++] = (other - place.first_row) * n_heads + h;
        }
      attend_branch(gathered, {queries, static_cast<std::size_t>(n)}, places_.pages_of(row), part, state);
    }
  }

  void attend_branch(const gathered_tile& gathered, std::span<const int> queries, const page_id* pages,
                     int part, attention_state& state) const {
    thread_local gathered_tile branch;
    thread_local attention_state branch_state;
    const int dim = layer_.head_dim;
    const int n_used = static_cast<int>(queries.size());
    const int n = tile_size_for(n_used);
    branch.tile = gathered.tile;
    branch.tile.pages = pages;
    branch.tile.n_queries = n;
    branch.tile.q = branch.q;
    branch.tile.first = branch.first;
    branch.tile.end = branch.end;
    for (int j = 0; j < n; ++j) {
      const bool is_used = j < n_used;
      const int query = queries[static_cast<std::size_t>(is_used ? j : 0)];
      branch.first[j] = gathered.first[query];
      branch.end[j] = is_used ? gathered.end[query] : 0;
      for (int d = 0; d < dim; ++d)
        branch.q[d * n + j] = is_used ? gathered.q[d * gathered.tile.n_queries + query] : 0.0F;
    }
    attend_one_line(branch, part, branch_state);
    for (int j = 0; j < n_used; ++j) {
      const int query = queries[static_cast<std::size_t>(j)];
      state.largest[query] = branch_state.largest[j];
      std::ranges::copy(branch_state.masses[j], state.masses[query]);
      std::copy_n(branch_state.totals + j * dim, dim, state.totals + query * dim);
    }
  }

  void attend_one_line(const gathered_tile& gathered, int part, attention_state& state) const {
    int end = 0;
    for (int j = 0; j < gathered.tile.n_queries; ++j)
      end = std::max(end, gathered.end[j]);
    kernels_.attend(gathered.tile, part * part_tokens, std::min(end, (part + 1) * part_tokens), state);
  }

  void attend_tile(const tile_place& place) const {
    thread_local gathered_tile gathered;
    thread_local attention_state states[2];
    gather(place, gathered);
    attend_part(place, gathered, place.first_part, states[0]);
    for (int part = place.first_part + 1; part < place.last_part; ++part) {
      attend_part(place, gathered, part, states[1]);
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
};

} // namespace

void attend(const kv_layer& layer, const row_places& places, const attention_rows& rows, thread_team& team,
            isa level) {
  attention{layer, places, rows, kernels_of(level)}.run(team);
}

} // namespace souffleur
