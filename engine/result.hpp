// A value, or the reason why there is none.
#pragma once

#include <cassert>
#include <string>
#include <utility>
#include <variant>

namespace souffleur {

/// Why an operation that may be expected to fail did so: what and where, for a person to read.
struct failure {
  std::string message;
};

/// Holds either a `T` or a `failure`. Expected failures travel as values; exceptions are for bugs.
template <class T>
class [[nodiscard]] result {
public:
  result(T value) : content_(std::move(value)) {}
  result(failure why) : content_(std::move(why)) {}

  bool ok() const { return content_.index() == 0; }
  explicit operator bool() const { return ok(); }

  /// REQUIRES: ok().
  T& value() {
    assert(ok());
    return *std::get_if<0>(&content_);
  }
  const T& value() const {
    assert(ok());
    return *std::get_if<0>(&content_);
  }
  T& operator*() { return value(); }
  const T& operator*() const { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  /// REQUIRES: !ok().
  const std::string& error() const {
    assert(!ok());
    return std::get_if<1>(&content_)->message;
  }

private:
  std::variant<T, failure> content_;
};

} // namespace souffleur
