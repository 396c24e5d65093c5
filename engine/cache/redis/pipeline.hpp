// Commands that go to the server together.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

namespace souffleur {

class redis_pipeline {
public:
  void add(std::span<const std::string_view> words);
  void add(std::initializer_list<std::string_view> words) { add(std::span{words.begin(), words.size()}); }

  std::size_t n_commands() const { return n_commands_; }
  /// In the protocol (RESP).
  std::string_view bytes() const { return bytes_; }

private:
  std::string bytes_;
  std::size_t n_commands_ = 0;
};

} // namespace souffleur
