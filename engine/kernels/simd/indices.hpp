// A loop over constants.
#pragma once

#include <type_traits>
#include <utility>

namespace souffleur {
namespace {

template <class F, int... I>
__attribute__((always_inline)) inline void for_index_list(const F& body, std::integer_sequence<int, I...>) {
  (body(std::integral_constant<int, I>{}), ...);
}

/// Calls body(integral_constant) for 0, ..., N - 1.
template <int N, class F>
__attribute__((always_inline)) inline void for_indices(const F& body) {
  for_index_list(body, std::make_integer_sequence<int, N>{});
}

} // namespace
} // namespace souffleur
