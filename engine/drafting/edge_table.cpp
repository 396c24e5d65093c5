#include "engine/drafting/edge_table.hpp"

#include <utility>

namespace souffleur {
namespace {

constexpr int least_log2 = 2;

} // namespace

/// Fibonacci hashing: the top bits of a product with 2^32 over the golden ratio.
std::size_t edge_table::home(token_id token) const {
  return (static_cast<std::uint32_t>(token) * 2654435769U) >> (32 - log2_);
}

const suffix_edge* edge_table::find(token_id token) const {
  if (n_ == 0) {
    return nullptr;
  }
  for (auto i = home(token); places_[i].count != 0; i = after(i)) {
    if (places_[i].token == token) {
      return &places_[i];
    }
  }
  return nullptr;
}

suffix_edge* edge_table::find(token_id token) {
  return const_cast<suffix_edge*>(std::as_const(*this).find(token));
}

void edge_table::add(const suffix_edge& edge) {
  if (4 * (n_ + 1) > 3 * n_places()) {
    resize(places_ ? log2_ + 1 : least_log2);
  }
  auto i = home(edge.token);
  while (places_[i].count != 0) {
    i = after(i);
  }
  places_[i] = edge;
  ++n_;
}

void edge_table::remove(token_id token) {
  const auto mask = n_places() - 1;
  auto gap = static_cast<std::size_t>(find(token) - places_.get());
  for (auto i = after(gap); places_[i].count != 0; i = after(i)) {
    // What lies beyond the gap fills it, if the search for it passes there.
    if (((i - home(places_[i].token)) & mask) >= ((i - gap) & mask)) {
      places_[gap] = places_[i];
      gap = i;
    }
  }
  places_[gap] = suffix_edge{};
  if (--n_ == 0) {
    *this = {};
  } else if (8 * n_ < n_places() && log2_ > least_log2) {
    resize(log2_ - 1);
  }
}

void edge_table::resize(int log2) {
  auto old = edge_table{};
  std::swap(old, *this);
  log2_ = log2;
  places_ = std::make_unique<suffix_edge[]>(std::size_t{1} << log2);
  for (const auto& edge : old.places()) {
    if (edge.count != 0) {
      add(edge);
    }
  }
}

} // namespace souffleur
