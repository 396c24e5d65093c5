// Uses one thing of each layer through the installed headers.
#include "actors/serving_system.hpp"
#include "engine/chat_template.hpp"
#include "net/server.hpp"
#include "policies/eviction_policy.hpp"

#include <cstdio>

int main() {
  const bool has_lru = souffleur::make_eviction_policy("lru") != nullptr;
  souffleur::chat_input input;
  input.messages = {{{"role", "user"}, {"content", "hello"}}};
  const auto rendered = souffleur::chat_template::chatml()->render(input);
  souffleur::serving_config config;
  config.eviction_policy = "no such policy";
  const auto refused = souffleur::serving_system::start(config, {}, {});
  std::printf("%s\n%s\n", rendered ? rendered->c_str() : "?", refused ? "?" : refused.error().c_str());
  return has_lru && rendered && !refused ? 0 : 1;
}
