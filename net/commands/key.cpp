#include "net/commands/key.hpp"

#include "net/api_keys.hpp"
#include "net/commands/words.hpp"
#include "net/random_hex.hpp"

#include <CLI/CLI.hpp>

#include <cstdio>
#include <string>

namespace souffleur {

int run_key(int argc, const char* const* argv) {
  constexpr std::size_t key_bytes = 24;
  std::string tenant;
  CLI::App app{
      "Makes a key of a tenant: on standard output the line for the file of server.api_keys, which has "
      "the key's hash alone; on standard error the key, which stands nowhere else.",
      "souffleur key"};
  app.add_option("TENANT", tenant, "who will have it")->required();
  if (const auto code = parse_or_leave(app, argc, argv))
    return *code;
  if (tenant.starts_with('#') || tenant.find_first_of(" \t\r\n") != std::string::npos) {
    std::fputs("souffleur key: a tenant's name has no blanks and does not begin with #\n", stderr);
    return 2;
  }
  const auto key = "sk-" + random_hex(key_bytes);
  std::printf("%s %s\n", tenant.c_str(), hashed_key(key).c_str());
  std::fprintf(stderr, "%s\n", key.c_str());
  return 0;
}

} // namespace souffleur
