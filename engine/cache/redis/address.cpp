#include "engine/cache/redis/address.hpp"

#include <charconv>
#include <optional>

namespace souffleur {

namespace {

constexpr int most_databases = 1 << 20;

std::optional<int> number(std::string_view digits, int most) {
  int value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc{} || end != digits.data() + digits.size() || value < 0 || value > most)
    return std::nullopt;
  return value;
}

std::optional<std::string> percent_decoded(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      plain += text[i];
      continue;
    }
    int byte = 0;
    const auto* digits = text.data() + i + 1;
    if (text.size() - i < 3 || std::from_chars(digits, digits + 2, byte, 16).ptr != digits + 2)
      return std::nullopt;
    plain += static_cast<char>(byte);
    i += 2;
  }
  return plain;
}

/// Cuts off what comes before the last `@`.
result<std::string_view> without_credentials(std::string_view authority, redis_address& address) {
  const auto at = authority.rfind('@');
  if (at == authority.npos)
    return authority;
  const auto credentials = authority.substr(0, at);
  const auto colon = credentials.find(':');
  if (colon == credentials.npos)
    return failure{"names a user without a password: write user:password@ or :password@"};
  const auto user = percent_decoded(credentials.substr(0, colon));
  const auto password = percent_decoded(credentials.substr(colon + 1));
  if (!user || !password)
    return failure{"has a % in the user or password that is not followed by two hexadecimal digits"};
  address.user = *user;
  address.password = *password;
  return authority.substr(at + 1);
}

/// False if it is no number.
bool set_database(std::string_view text, redis_address& address) {
  const auto value = number(text, most_databases);
  if (value)
    address.database = *value;
  return value.has_value();
}

failure no_database() { return failure{"has a database that is not a number"}; }

result<redis_address> parse_tcp(std::string_view rest) {
  redis_address address;
  const auto slash = rest.find('/', rest.find('@') == rest.npos ? 0 : rest.rfind('@'));
  const auto host = without_credentials(rest.substr(0, slash), address);
  if (!host)
    return failure{host.error()};
  const bool is_bracketed = host->starts_with('[');
  const auto host_end = is_bracketed ? host->find(']') : host->find(':');
  if (is_bracketed && host_end == host->npos)
    return failure{"has no ] after its IPv6 address"};
  address.host = host->substr(is_bracketed, host_end == host->npos ? host_end : host_end - is_bracketed);
  const auto after = host_end == host->npos ? "" : host->substr(host_end + is_bracketed);
  if (address.host.empty())
    return failure{"names no host"};
  if (!after.empty()) {
    const auto port = after.starts_with(':') ? number(after.substr(1), 65535) : std::nullopt;
    if (!port || *port == 0)
      return failure{"has a port that is not a number from 1 to 65535"};
    address.port = *port;
  }
  const auto database = slash == rest.npos ? "" : rest.substr(slash + 1);
  if (!database.empty() && !set_database(database, address))
    return no_database();
  return address;
}

result<redis_address> parse_unix(std::string_view rest) {
  constexpr std::string_view database_option = "?db=";
  redis_address address;
  const auto slash = rest.find('/', rest.find('@') == rest.npos ? 0 : rest.find('@'));
  if (slash == rest.npos)
    return failure{"names no path: write unix:///path"};
  const auto host = without_credentials(rest.substr(0, slash), address);
  if (!host)
    return failure{host.error()};
  if (!host->empty())
    return failure{"names a host before the path: write unix:///path"};
  auto path = rest.substr(slash);
  if (const auto option = path.rfind(database_option); option != path.npos) {
    if (!set_database(path.substr(option + database_option.size()), address))
      return no_database();
    path = path.substr(0, option);
  }
  const auto plain = percent_decoded(path);
  if (!plain)
    return failure{"has a % in the path that is not followed by two hexadecimal digits"};
  address.path = *plain;
  return address;
}

result<redis_address> parse_any(std::string_view url) {
  constexpr std::string_view tcp = "redis://";
  constexpr std::string_view local = "unix://";
  if (url.starts_with(tcp))
    return parse_tcp(url.substr(tcp.size()));
  if (url.starts_with(local))
    return parse_unix(url.substr(local.size()));
  if (url.starts_with("rediss://"))
    return failure{
        "asks for TLS, which this client does not have: use redis:// through a tunnel, or unix://"};
  return failure{"does not begin with redis:// or unix://"};
}

} // namespace

std::string redis_address::place() const {
  return path.empty() ? "redis://" + host + ":" + std::to_string(port) : "unix://" + path;
}

result<redis_address> parse_redis_address(std::string_view url) {
  auto parsed = parse_any(url);
  return parsed ? parsed : failure{"the address of Redis " + parsed.error()};
}

} // namespace souffleur
