// Takes an architecture's settings out of a GGUF's metadata.
#pragma once

#include "engine/gguf.hpp"

#include <string>
#include <string_view>

namespace souffleur {

/// Keys are given without the architecture's prefix. The first complaint sticks and names the key; after it,
/// every value is valid but means nothing.
class metadata_reader {
public:
  metadata_reader(const gguf_file& file, std::string_view architecture);

  /// From 1 to `most`; complains if the key is missing.
  int count(std::string_view key, int most = 1 << 24);
  int count_or(std::string_view key, int fallback);
  /// Finite and above 0.
  double positive_or(std::string_view key, double fallback);
  std::string text_or(std::string_view key, std::string_view fallback);
  bool has(std::string_view key) const;
  /// Complains if the key is there and not 0: it would change the results in a way that is not built.
  void refuse(std::string_view key);
  void complain(std::string_view key, const std::string& why);

  const std::string& complaint() const { return complaint_; }

private:
  std::string full(std::string_view key) const { return prefix_ + std::string{key}; }
  void note(const std::string& complaint);
  const gguf_file& file_;
  std::string prefix_;
  std::string complaint_;
};

} // namespace souffleur
