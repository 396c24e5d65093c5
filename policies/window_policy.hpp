// Which KV a long sequence keeps.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

namespace souffleur {

/// Half-open range of token positions, aligned to pages.
struct token_span {
  int begin = 0;
  int end = 0;
};

class window_policy {
public:
  virtual ~window_policy() = default;
  virtual std::string_view name() const = 0;
  /// Ranges to drop before `n_incoming` rows are added to a sequence that holds positions [0, n_tokens).
  virtual std::vector<token_span> evicted(int n_tokens, int n_incoming) const = 0;
};

/// Names: "full". ("sinks" comes with endless streams.) Null if the name is unknown.
std::unique_ptr<window_policy> make_window_policy(std::string_view name);

} // namespace souffleur
