#include "engine/tree_lines.hpp"

#include "policies/token.hpp"

#include <algorithm>
#include <numeric>

namespace souffleur {

namespace {

constexpr int nowhere = -1;

std::size_t index(int row) { return static_cast<std::size_t>(row); }

std::vector<int> path_to(std::span<const int> parents, int leaf) {
  std::vector<int> rows;
  for (int row = leaf; row >= 0; row = parents[index(row)])
    rows.push_back(row);
  std::ranges::reverse(rows);
  return rows;
}

/// Down the first children from row 0, then the others in their order.
std::vector<int> leaves_of(std::span<const int> parents) {
  std::vector<int> first_child(parents.size(), nowhere);
  for (int row = static_cast<int>(parents.size()) - 1; row >= 0; --row)
    if (parents[index(row)] >= 0)
      first_child[index(parents[index(row)])] = row;
  int main = 0;
  while (first_child[index(main)] != nowhere)
    main = first_child[index(main)];
  std::vector<int> leaves{main};
  for (int row = 0; row < static_cast<int>(parents.size()); ++row)
    if (row != main && first_child[index(row)] == nowhere)
      leaves.push_back(row);
  return leaves;
}

} // namespace

tree_lines::tree_lines(std::span<const int> parents, int first_place) : line_of_(parents.size(), nowhere) {
  for (const int parent : parents)
    depths_.push_back(parent < 0 ? 0 : depth(parent) + 1);
  for (const int leaf : leaves_of(parents)) {
    line one{path_to(parents, leaf)};
    const auto leaves_main = std::ranges::find_if(one.rows, [&](int row) { return line_of(row) != 0; });
    if (!lines_.empty()) {
      const int place = first_place + static_cast<int>(leaves_main - one.rows.begin());
      one.first_own_page = place / page_tokens;
      one.n_own_pages = (first_place + depth(leaf)) / page_tokens - one.first_own_page + 1;
    }
    for (const int row : one.rows)
      if (line_of(row) == nowhere)
        line_of_[index(row)] = static_cast<int>(lines_.size());
    lines_.push_back(std::move(one));
  }
}

int tree_lines::n_scratch_pages() const {
  return std::accumulate(lines_.begin(), lines_.end(), 0,
                         [](int sum, const line& one) { return sum + one.n_own_pages; });
}

} // namespace souffleur
