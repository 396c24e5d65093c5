// A stream socket of which no call blocks beyond a deadline, or raises SIGPIPE.
#pragma once

#include "engine/cache/redis/deadline.hpp"
#include "engine/cache/redis/endpoint.hpp"
#include "engine/result.hpp"

#include <cstddef>
#include <span>
#include <string_view>
#include <utility>
#include <variant>

namespace souffleur {

class stream_socket {
public:
  static result<stream_socket> connect(const socket_address& address, deadline until);
  stream_socket(stream_socket&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  stream_socket& operator=(stream_socket&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~stream_socket();

  /// Whether it has ended, or has something to read: what nobody asked for.
  bool is_readable() const;
  result<std::monostate> send(std::string_view bytes, deadline until);
  /// At least one byte.
  result<std::size_t> receive(std::span<char> into, deadline until);

private:
  explicit stream_socket(int descriptor) : descriptor_(descriptor) {}

  int descriptor_;
};

} // namespace souffleur
