#include "engine/drafting/edge_table.hpp"

namespace souffleur {

void edge_table::add(const suffix_edge& edge) {
  if (4 * (size() + 1) > 3 * n_places()) {
    resize(places_ ? log2_ + 1 : least_log2);
  }
  auto i = home(edge.token);
  while (places_[i].count != 0) {
    i = after(i);
  }
  places_[i] = edge;
  ++n();
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
  if (--n() == 0) {
    *this = edge_table{};
  } else if (8 * n() < n_places() && log2_ > least_log2) {
    resize(log2_ - 1);
  }
}

void edge_table::resize(int log2) {
  const auto old = std::exchange(*this, edge_table{});
  log2_ = static_cast<std::uint8_t>(log2);
  places_ = std::make_unique<suffix_edge[]>((std::size_t{1} << log2) + 1);
  for (const auto& edge : old.places()) {
    if (edge.count != 0) {
      add(edge);
    }
  }
  if (!old.empty()) {
    keep(old.kept());
  }
}

} // namespace souffleur
