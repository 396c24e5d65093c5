// One rendering under way: what it has consumed, and why it failed if it has.
#pragma once

#include "engine/jinja/limits.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace souffleur::jinja {

/// The first failure stays; work after it must be harmless and stops at the next check of `failed`.
class execution {
public:
  explicit execution(const limits& bounds) : limits_(bounds) {}
  execution(const execution&) = delete;
  execution& operator=(const execution&) = delete;

  bool failed() const { return error_.has_value(); }
  const std::string& error() const { return *error_; }
  /// Records `what` with the current line unless a failure came first.
  void fail(std::string_view what);

  /// Charges `n` units of work. False if the rendering has failed or this was too much.
  bool step(std::int64_t n = 1);
  /// Charges memory before it is allocated. False as above.
  bool create(std::size_t n_bytes);
  const limits& bounds() const { return limits_; }
  int line() const { return line_; }

  /// A nested evaluation at `line`; on leaving, the outer line is current again.
  class nested {
  public:
    nested(execution& run, int line);
    ~nested();
    nested(const nested&) = delete;
    nested& operator=(const nested&) = delete;

  private:
    execution& run_;
    int outer_line_;
  };

private:
  limits limits_;
  std::int64_t n_steps_ = 0;
  std::size_t n_created_bytes_ = 0;
  int depth_ = 0;
  int line_ = 0;
  std::optional<std::string> error_;
};

/// Builds a string within the limits; past them it fails the execution and takes no more.
class text_writer {
public:
  explicit text_writer(execution& run) : run_(run) {}
  text_writer& append(std::string_view text);
  text_writer& append(std::size_t n, char c);
  std::string take() { return std::move(text_); }
  const std::string& text() const { return text_; }

private:
  bool grow(std::size_t n_bytes);

  execution& run_;
  std::string text_;
};

} // namespace souffleur::jinja
