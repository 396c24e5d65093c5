#include "net/api_keys.hpp"

#include "policies/blake2b.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <fstream>
#include <sstream>
#include <system_error>

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

std::string api_keys::read_limit(const std::string& word, own_limits& into) {
  const auto equals = std::min(word.find('='), word.size());
  const auto name = word.substr(0, equals);
  std::optional<double>* limit = name == "requests_per_minute" ? &into.requests_per_minute
                                 : name == "tokens_per_minute" ? &into.tokens_per_minute
                                 : name == "tokens_per_day"    ? &into.tokens_per_day
                                                               : nullptr;
  if (limit == nullptr)
    return "after the key there may be requests_per_minute=N, tokens_per_minute=N and tokens_per_day=N only";
  double value = 0;
  const auto* end = word.data() + word.size();
  const auto read = std::from_chars(word.data() + std::min(equals + 1, word.size()), end, value);
  if (read.ec != std::errc{} || read.ptr != end || !(value >= 0 && value <= 1e12))
    return name + " has to be a number from 0 (no limit) on";
  if (*limit && **limit != value)
    return "the tenant has another " + name + " already";
  *limit = value;
  return "";
}

result<api_keys> api_keys::read(std::istream& lines) {
  api_keys keys;
  int number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    std::istringstream words{line};
    std::string tenant, key;
    words >> tenant >> key;
    if (tenant.empty() || tenant.starts_with('#'))
      continue;
    if (key.empty())
      return wrong(number, "has to be a tenant's name and a key, then perhaps limits");
    for (std::string word; words >> word;)
      if (const auto why = read_limit(word, keys.limits_[tenant]); !why.empty())
        return wrong(number, why);
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

tenant_limits api_keys::limits_of(std::string_view tenant, const tenant_limits& usual) const {
  const auto own = limits_.find(tenant);
  if (own == limits_.end())
    return usual;
  const auto& [requests, tokens, day] = own->second;
  return {requests.value_or(usual.requests_per_minute), tokens.value_or(usual.tokens_per_minute),
          day.value_or(usual.tokens_per_day)};
}

std::string hashed_key(std::string_view key) { return std::string{hashed} + to_hex(hash_of(key)); }

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
