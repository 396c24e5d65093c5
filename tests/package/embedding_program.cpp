// Uses one thing of each layer through the installed headers.
#include <souffleur/actors/serving_system.hpp>
#include <souffleur/engine/chat_template.hpp>
#include <souffleur/net/client/stream_client.hpp>
#include <souffleur/net/server.hpp>
#include <souffleur/policies/eviction_policy.hpp>
#include <souffleur/version.hpp>

#include <cstdio>

static_assert(SOUFFLEUR_VERSION_MAJOR == 0 && SOUFFLEUR_VERSION_MINOR >= 1);

int main() {
  const bool has_lru = souffleur::make_eviction_policy("lru") != nullptr;
  souffleur::chat_input input;
  input.messages = {{{"role", "user"}, {"content", "hello"}}};
  const auto rendered = souffleur::chat_template::chatml()->render(input);
  souffleur::serving_config config;
  config.eviction_policy = "no such policy";
  const auto refused = souffleur::serving_system::start(config, {}, {});
  const bool knows_urls = souffleur::client::parse_stream_url("ws://localhost:1/v1/stream").has_value();
  std::printf("souffleur %s\n%s\n%s\n", souffleur::version.data(), rendered ? rendered->c_str() : "?",
              refused ? "?" : refused.error().c_str());
  return has_lru && rendered && !refused && knows_urls ? 0 : 1;
}
