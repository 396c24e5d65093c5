#include "net/api_keys.hpp"

#include "policies/blake2b.hpp"

#include <algorithm>
#include <cctype>
#include <fstream>
#include <sstream>

namespace souffleur {

namespace {

constexpr std::string_view hashed = "blake2b:";
constexpr std::size_t least_letters = 16;
constexpr std::size_t most_letters = 128;

bool is_key(std::string_view text) {
  static constexpr std::string_view others = "-._~";
  return text.size() >= least_letters && text.size() <= most_letters &&
         std::ranges::all_of(text, [](char letter) {
           return std::isalnum(static_cast<unsigned char>(letter)) != 0 ||
                  others.find(letter) != std::string_view::npos;
         });
}

key_digest hash_of(std::string_view key) {
  key_digest digest;
  blake2b(key, digest.bytes);
  return digest;
}

/// Nothing if it is neither a key nor a hash of one.
std::optional<key_digest> digest_in(std::string_view text) {
  if (text.starts_with(hashed))
    return digest_from_hex(text.substr(hashed.size()));
  if (!is_key(text))
    return std::nullopt;
  return hash_of(text);
}

failure wrong(int line, const std::string& what) {
  return failure{"line " + std::to_string(line) + ": " + what};
}

} // namespace

result<api_keys> api_keys::read(std::istream& lines) {
  api_keys keys;
  int number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    std::istringstream words{line};
    std::string tenant, key, more;
    words >> tenant >> key >> more;
    if (tenant.empty() || tenant.starts_with('#'))
      continue;
    if (key.empty() || !more.empty())
      return wrong(number, "has to be a tenant's name and a key");
    const auto digest = digest_in(key);
    if (!digest)
      return wrong(number,
                   "the key has to have 16 to 128 letters, digits or - . _ ~, or to be \"blake2b:\" and 64 "
                   "hexadecimal digits");
    if (!keys.tenants_.emplace(*digest, tenant).second)
      return wrong(number, "the key is there already");
  }
  return keys;
}

result<api_keys> api_keys::read(const std::string& path) {
  std::ifstream file{path};
  if (!file)
    return failure{path + " cannot be read"};
  auto keys = read(file);
  if (!keys)
    return failure{path + ", " + keys.error()};
  if (keys->size() == 0)
    return failure{path + " has no keys, so nobody could ask"};
  return keys;
}

std::optional<std::string> api_keys::tenant_of(std::string_view key) const {
  const auto found = tenants_.find(hash_of(key));
  if (found == tenants_.end())
    return std::nullopt;
  return found->second;
}

std::string_view bearer_key(std::string_view authorization) {
  constexpr std::string_view scheme = "bearer ";
  const bool is_bearer = authorization.size() > scheme.size() &&
                         std::equal(scheme.begin(), scheme.end(), authorization.begin(), [](char a, char b) {
                           return a == std::tolower(static_cast<unsigned char>(b));
                         });
  if (!is_bearer)
    return {};
  authorization.remove_prefix(
      std::min(authorization.find_first_not_of(' ', scheme.size()), authorization.size()));
  return authorization;
}

} // namespace souffleur
