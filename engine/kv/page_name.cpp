#include "engine/kv/page_name.hpp"

#include "policies/blake2b.hpp"

#include <string>

namespace souffleur {

namespace {

page_name child_name(const page_name& parent, const page_key& tokens) {
  auto text = std::array<char, sizeof parent.bytes + sizeof tokens>{};
  std::memcpy(text.data(), parent.bytes.data(), sizeof parent.bytes);
  std::memcpy(text.data() + sizeof parent.bytes, tokens.data(), sizeof tokens);
  return name_of_text({text.data(), text.size()});
}

} // namespace

page_name name_of_text(std::string_view text) {
  auto name = page_name{};
  blake2b(text, name.bytes);
  return name;
}

page_name root_name(std::string_view format, std::string_view salt) {
  return name_of_text(std::to_string(format.size()).append(" ").append(format).append(salt));
}

std::vector<named_page> name_pages(const page_name& root, std::span<const page_key> keys) {
  auto pages = std::vector<named_page>{};
  pages.reserve(keys.size());
  for (const auto& key : keys) {
    const auto& parent = pages.empty() ? root : pages.back().name;
    pages.push_back({.name = child_name(parent, key), .parent = parent, .tokens = key});
  }
  return pages;
}

} // namespace souffleur
