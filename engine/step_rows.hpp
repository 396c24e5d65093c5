// The rows of a step as a forward pass reads them, whatever device computes it.
#pragma once

#include "engine/language_model.hpp"
#include "engine/tree_lines.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace souffleur {

/// A line is the pages that a row writes to and attends to: a sequence's own, or those of a side branch of
/// its tree, which has scratch pages from the page on in which it leaves the main one.
class step_rows {
public:
  /// The model's scratch pages follow its `n_pages` own.
  explicit step_rows(int n_pages) : n_pages_(n_pages) {}

  /// REQUIRES: the step's trees need no more than n_scratch_pages; that is also checked.
  void collect(std::span<const sequence_rows> batch);

  /// What side lines share with their sequence in the first of their own pages: to be copied before the step.
  std::vector<page_turn> side_beginnings() const;
  /// What language_model::keep copies.
  std::vector<page_turn> copies_to_keep(std::size_t sequence, int row) const;

  int n_rows() const { return static_cast<int>(tokens.size()); }
  bool has_trees() const { return !trees_.empty(); }

  std::vector<std::int32_t> tokens;
  std::vector<std::int32_t> positions;  ///< (n_rows,)
  std::vector<std::int32_t> places;     ///< (n_rows,): positions less those dropped before: where in the line
  std::vector<std::int32_t> lines;      ///< (n_rows,)
  std::vector<std::int32_t> page_table; ///< (n_lines, table_width)
  std::vector<std::int32_t> owners;     ///< (n_lines,): the line's sequence in the batch
  std::vector<std::int32_t> copies;     ///< (n, 2): rows, and other lines where they are stored, too
  std::size_t table_width = 0;

private:
  struct placed_tree {
    std::size_t sequence; ///< in the batch
    tree_lines lines;
    int first_place;
    std::vector<page_id> pages;
    std::vector<page_id> scratch; ///< by line, the first of its own pages; of the main line none
  };

  void add_line(std::size_t sequence, std::span<const page_id> pages);
  placed_tree& add_tree(std::size_t s, const sequence_rows& sequence);

  int n_pages_;
  page_id next_scratch_ = 0;
  std::vector<placed_tree> trees_;
};

} // namespace souffleur
