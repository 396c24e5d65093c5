// How the rows of a tree lie in pages.
#pragma once

#include <span>
#include <vector>

namespace souffleur {

/// Attention folds places at fixed borders, so a row has to find its ancestors at their own places and nobody
/// else there. Every leaf therefore has a line of pages with the path to it. The main line, down the first
/// children, is in the sequence's own pages; a side line shares those before the page in which it leaves the
/// main one, and has scratch pages from there on.
class tree_lines {
public:
  struct line {
    std::vector<int> rows; ///< the path to its leaf
    int first_own_page = 0;
    int n_own_pages = 0; ///< scratch; 0: the main line
  };

  /// `parents` (n_rows,): the row before each one, which comes earlier; -1: what is before the tree, which
  /// ends at `first_place`. REQUIRES: there is a row.
  tree_lines(std::span<const int> parents, int first_place);

  /// The main one first.
  const std::vector<line>& lines() const { return lines_; }
  /// Rows before it on its path.
  int depth(int row) const { return depths_[static_cast<std::size_t>(row)]; }
  /// One that it is on; the main line if it is on that.
  int line_of(int row) const { return line_of_[static_cast<std::size_t>(row)]; }
  int n_scratch_pages() const;

private:
  std::vector<int> depths_;
  std::vector<int> line_of_;
  std::vector<line> lines_;
};

} // namespace souffleur
