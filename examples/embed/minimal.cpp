// Souffleur's actors in an actor system of one's own: one question, and its answer as it comes.
//   minimal [MODEL [QUESTION]]
#include <souffleur/actors/chat_request.hpp>
#include <souffleur/actors/generation_source.hpp>
#include <souffleur/actors/hosted_serving.hpp>
#include <souffleur/actors/open_model.hpp>

#include <iostream>

using namespace souffleur;

struct host_config : caf::actor_system_config {
  host_config() { set_serving_defaults(*this); }
};

/// Shows an answer. Takes eight tokens, and then as many as it has shown.
caf::behavior reader(caf::event_based_actor* self, std::weak_ptr<generation_service> souffleur,
                     const std::string& question, bool* answered) {
  const auto begun = spawn_generation(self->system(), souffleur, chat_request(question, 80), self, 8);
  return {[self, answered, source = begun.source](const generation_update& update) {
    if (const auto* delta = std::get_if<generation_delta>(&update.event)) {
      std::cout << delta->text() << std::flush;
      compat::send(self, source, token_grant{static_cast<std::int64_t>(delta->tokens.size())});
    } else if (const auto* failed = std::get_if<generation_failed>(&update.event)) {
      std::cerr << failed->message << '\n';
      self->quit();
    } else if (const auto* finished = std::get_if<generation_finished>(&update.event)) {
      const auto& usage = finished->usage;
      std::cout << "\n(" << usage.n_output_tokens << " tokens in " << usage.n_steps << " steps)\n";
      *answered = true;
      self->quit();
    }
  }};
}

int fail(const std::string& why) {
  std::cerr << why << '\n';
  return 1;
}

int main(int argc, char** argv) {
  serving_config serving;
  auto loaded = open_model(argc > 1 ? argv[1] : "smollm2", serving);
  if (!loaded)
    return fail(loaded.error());
  host_config config;
  caf::actor_system system{config};
  auto started = start_serving_in(system, serving, std::move(*loaded), {});
  if (!started)
    return fail(started.error());
  const std::shared_ptr<serving_system> souffleur = std::move(*started);
  bool answered = false;
  caf::scoped_actor self{system};
  self->wait_for(system.spawn(reader, souffleur, argc > 2 ? argv[2] : "Why is the sky blue?", &answered));
  souffleur->stop();
  return answered ? 0 : 1;
}
