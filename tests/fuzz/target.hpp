// What is fed with bytes that somebody else chose: a file, a request, a frame.
#pragma once

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace souffleur::fuzz {

struct target {
  std::string_view name;
  /// May refuse the input; must not crash, hang, or take memory out of all proportion.
  void (*take)(std::string_view input);
  /// Inputs that are as they should be, from which others are made.
  std::vector<std::string> (*seeds)();
};

/// All that the program was linked with.
inline std::vector<target>& targets() {
  static std::vector<target> all;
  return all;
}

struct registered {
  explicit registered(const target& one) { targets().push_back(one); }
};

/// What has to hold of every input.
inline void require(bool holds, const char* what) {
  if (!holds)
    throw std::logic_error{what};
}

/// The input in memory of exactly its size, so that a read behind its end is seen.
class exact_bytes {
public:
  explicit exact_bytes(std::string_view text)
      : size_(text.size()), bytes_(std::make_unique<std::byte[]>(text.size())) {
    std::copy(text.begin(), text.end(), reinterpret_cast<char*>(bytes_.get()));
  }
  std::span<const std::byte> span() const { return {bytes_.get(), size_}; }

private:
  std::size_t size_;
  std::unique_ptr<std::byte[]> bytes_;
};

inline std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// A file of tests/golden.
inline std::string golden(const std::string& name) {
  std::ifstream in{std::filesystem::path{SOUFFLEUR_GOLDEN} / name, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

/// The first `n` lines of one.
inline std::vector<std::string> golden_lines(const std::string& name, std::size_t n) {
  std::ifstream in{std::filesystem::path{SOUFFLEUR_GOLDEN} / name};
  std::vector<std::string> lines;
  for (std::string line; lines.size() < n && std::getline(in, line);)
    lines.push_back(line);
  return lines;
}

/// Cuts `choice` off the input's front: a number below `n`, 0 of an empty input.
inline std::size_t take_choice(std::string_view& input, std::size_t n) {
  if (input.empty())
    return 0;
  const auto choice = static_cast<unsigned char>(input.front()) % n;
  input.remove_prefix(1);
  return choice;
}

} // namespace souffleur::fuzz
