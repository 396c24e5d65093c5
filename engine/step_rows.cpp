#include "engine/step_rows.hpp"

#include <algorithm>
#include <numeric>
#include <stdexcept>

namespace souffleur {

void step_rows::collect(std::span<const sequence_rows> batch) {
  for (auto* list : {&tokens, &positions, &places, &lines, &page_table, &owners, &copies})
    list->clear();
  trees_.clear();
  next_scratch_ = n_pages_;
  table_width = 0;
  for (const auto& sequence : batch)
    table_width = std::max(table_width, sequence.pages.size());
  for (std::size_t s = 0; s < batch.size(); ++s) {
    const auto& sequence = batch[s];
    const auto first_line = static_cast<std::int32_t>(owners.size());
    add_line(s, sequence.pages);
    const tree_lines* tree = sequence.parents.empty() ? nullptr : &add_tree(s, sequence).lines;
    for (int i = 0; i < static_cast<int>(sequence.tokens.size()); ++i) {
      tokens.push_back(sequence.tokens[static_cast<std::size_t>(i)]);
      positions.push_back(sequence.first_position + (tree ? tree->depth(i) : i));
      places.push_back(positions.back() - sequence.n_dropped);
      lines.push_back(first_line + (tree ? tree->line_of(i) : 0));
    }
  }
}

void step_rows::add_line(std::size_t sequence, std::span<const page_id> pages) {
  owners.push_back(static_cast<std::int32_t>(sequence));
  page_table.insert(page_table.end(), pages.begin(), pages.end());
  page_table.resize(owners.size() * table_width, 0);
}

/// The side lines, and the copies of rows in them that have another line. Called before the sequence's rows
/// are collected.
step_rows::placed_tree& step_rows::add_tree(std::size_t s, const sequence_rows& sequence) {
  const int first_place = sequence.first_position - sequence.n_dropped;
  auto& tree = trees_.emplace_back(placed_tree{s,
                                               tree_lines{sequence.parents, first_place},
                                               first_place,
                                               {sequence.pages.begin(), sequence.pages.end()},
                                               {-1}});
  const auto& of_tree = tree.lines.lines();
  for (std::size_t l = 1; l < of_tree.size(); ++l) {
    const auto& line = of_tree[l];
    const auto index = static_cast<std::int32_t>(owners.size());
    add_line(s, sequence.pages);
    auto* pages = page_table.data() + page_table.size() - table_width;
    std::iota(pages + line.first_own_page, pages + line.first_own_page + line.n_own_pages, next_scratch_);
    tree.scratch.push_back(next_scratch_);
    next_scratch_ += line.n_own_pages;
    for (const int row : line.rows)
      if (tree.lines.line_of(row) != static_cast<int>(l) &&
          first_place + tree.lines.depth(row) >= line.first_own_page * page_tokens)
        copies.insert(copies.end(), {static_cast<std::int32_t>(tokens.size()) + row, index});
  }
  if (next_scratch_ > n_pages_ + n_scratch_pages)
    throw std::length_error{"the step's trees take too many pages"};
  return tree;
}

std::vector<page_turn> step_rows::side_beginnings() const {
  std::vector<page_turn> beginnings;
  for (const auto& tree : trees_) {
    const auto& of_tree = tree.lines.lines();
    for (std::size_t l = 1; l < of_tree.size(); ++l)
      if (of_tree[l].first_own_page * page_tokens < tree.first_place)
        beginnings.push_back(
            {tree.pages[static_cast<std::size_t>(of_tree[l].first_own_page)], tree.scratch[l], 0});
  }
  return beginnings;
}

std::vector<page_turn> step_rows::copies_to_keep(std::size_t sequence, int row) const {
  std::vector<page_turn> kept;
  const auto tree = std::ranges::find(trees_, sequence, &placed_tree::sequence);
  if (tree == trees_.end())
    return kept;
  const auto line = static_cast<std::size_t>(tree->lines.line_of(row));
  const auto& from = tree->lines.lines()[line];
  const int last_page = (tree->first_place + tree->lines.depth(row)) / page_tokens;
  const auto* pages = tree->pages.data() + from.first_own_page;
  for (int i = 0; i < from.n_own_pages && from.first_own_page + i <= last_page; ++i)
    kept.push_back({tree->scratch[line] + i, pages[i], 0});
  return kept;
}

} // namespace souffleur
