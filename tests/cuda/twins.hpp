// The same data on two backends, and what differs after both have worked on it.
#pragma once

#include "engine/cuda/backend.hpp"

#include <cstdio>
#include <cstring>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace souffleur::cuda {

/// A buffer on each.
template <class T>
struct twin {
  T* host = nullptr;
  T* device = nullptr;
  std::size_t size = 0;
};

/// A reference and a device under test. Remembers how many comparisons failed.
class twins {
public:
  twins(backend& host, backend& device) : host_(host), device_(device) {}

  backend& host() { return host_; }
  backend& device() { return device_; }

  template <class T>
  twin<T> put(const std::vector<T>& values) {
    auto pair = allocate<T>(values.size());
    host_.upload(values.data(), pair.host, values.size() * sizeof(T));
    device_.upload(values.data(), pair.device, values.size() * sizeof(T));
    return pair;
  }
  /// Every byte 0xFF: a NaN, so that what is not written is seen.
  template <class T>
  twin<T> poisoned(std::size_t n) {
    auto pair = allocate<T>(n);
    const std::vector<unsigned char> poison(n * sizeof(T), 0xFF);
    host_.upload(poison.data(), pair.host, poison.size());
    device_.upload(poison.data(), pair.device, poison.size());
    return pair;
  }
  template <class T>
  std::vector<T> on_device(const twin<T>& pair) {
    std::vector<T> values(pair.size);
    device_.download(pair.device, values.data(), pair.size * sizeof(T));
    return values;
  }
  template <class T>
  std::vector<T> on_host(const twin<T>& pair) {
    std::vector<T> values(pair.size);
    host_.download(pair.host, values.data(), pair.size * sizeof(T));
    return values;
  }

  /// Bit by bit. `row` is the length of a row, for the message.
  template <class T>
  bool compare(const std::string& what, const twin<T>& pair, int row) {
    return same(what, on_host(pair), on_device(pair), row);
  }
  template <class T>
  bool same(const std::string& what, const std::vector<T>& expected, const std::vector<T>& got, int row) {
    ++n_compared_;
    const auto error = device_.take_error();
    if (error.empty() && std::memcmp(expected.data(), got.data(), expected.size() * sizeof(T)) == 0)
      return true;
    ++n_different_;
    if (n_different_ > 40)
      return false;
    std::printf("DIFFERENT %s %s\n", what.c_str(), error.c_str());
    int n_shown = 0;
    std::size_t n_wrong = 0;
    for (std::size_t i = 0; i < expected.size(); ++i) {
      if (std::memcmp(&expected[i], &got[i], sizeof(T)) == 0)
        continue;
      ++n_wrong;
      if (n_shown++ < 3)
        std::printf("  row %zu column %zu: expected %s, got %s\n", i / static_cast<std::size_t>(row),
                    i % static_cast<std::size_t>(row), text_of(expected[i]).c_str(), text_of(got[i]).c_str());
    }
    std::printf("  %zu of %zu\n", n_wrong, expected.size());
    return false;
  }

  /// Frees all buffers.
  void clear() { memory_.clear(); }
  int n_compared() const { return n_compared_; }
  int n_different() const { return n_different_; }

private:
  template <class T>
  twin<T> allocate(std::size_t n) {
    memory_.push_back(host_.allocate(n * sizeof(T) + 16));
    auto* host = reinterpret_cast<T*>(memory_.back().get());
    memory_.push_back(device_.allocate(n * sizeof(T) + 16));
    return {host, reinterpret_cast<T*>(memory_.back().get()), n};
  }
  static std::string text_of(float value) {
    char text[64];
    std::snprintf(text, sizeof text, "%.9g", static_cast<double>(value));
    return text;
  }
  static std::string text_of(const block_stats& stats) {
    return text_of(stats.scale) + " " + std::to_string(stats.sums[0]) + " " + std::to_string(stats.sums[1]);
  }
  template <class T>
  static std::string text_of(T value) {
    return std::to_string(value);
  }

  backend& host_;
  backend& device_;
  std::vector<std::shared_ptr<std::byte>> memory_;
  int n_compared_ = 0;
  int n_different_ = 0;
};

} // namespace souffleur::cuda
