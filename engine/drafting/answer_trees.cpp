#include "engine/drafting/answer_trees.hpp"

#include <algorithm>

namespace souffleur {
namespace {

/// A version is the number of its tree, then the number of the change.
constexpr int version_bits = 40;

/// Kept free, since an edge table may double with an answer that mostly needs little.
std::size_t without_reserve(std::size_t bytes) { return bytes - bytes / 16; }

} // namespace

answer_trees::answer_trees(std::size_t total_bytes, std::size_t tenant_bytes, int depth)
    : total_bytes_(total_bytes), tenant_bytes_(std::min(tenant_bytes, total_bytes)), empty_(depth) {}

void answer_trees::add(std::string_view tenant, std::span<const token_id> answer) {
  const auto limit_bytes = without_reserve(tenant_bytes_);
  if (answer.empty() || !empty_.has_room_for(answer.size(), limit_bytes)) {
    return;
  }
  auto& tree = tree_of(tenant);
  bytes_ -= tree.bytes();
  while (tree.n_texts() > 0 && !tree.has_room_for(answer.size(), limit_bytes)) {
    tree.remove_oldest();
  }
  if (!tree.has_room_for(answer.size(), limit_bytes)) {
    tree = fresh_tree();
  }
  tree.append(answer);
  tree.close();
  if (tree.bytes() > tenant_bytes_) {
    tree = fresh_tree();
  }
  bytes_ += tree.bytes();
  while (bytes_ > total_bytes_) {
    drop_least_used();
  }
}

suffix_tree answer_trees::fresh_tree() { return suffix_tree{empty_.depth(), ++n_made_ << version_bits}; }

suffix_tree& answer_trees::tree_of(std::string_view tenant) {
  if (auto* known = trees_.use(tenant)) {
    return *known;
  }
  auto& made = trees_.add(tenant, fresh_tree());
  bytes_ += made.bytes();
  return made;
}

void answer_trees::drop_least_used() {
  bytes_ -= trees_.used_longest_ago().bytes();
  trees_.drop_used_longest_ago();
}

} // namespace souffleur
