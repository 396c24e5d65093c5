// Summarises documents, several at once, with Souffleur's actors beside our own in one actor system.
//
//   summarizer [--model NAME|FILE] [--kill ACTOR] FILE...
//
// --kill ends an actor after the first answer: "document", one of ours, or one of Souffleur's, say
// "scheduler", "verifier" or "kv_manager". The summaries come all the same. Ctrl-C ends it at once.
#include "interruption.hpp"
#include "own_policies.hpp"
#include "supervisor.hpp"

#include <souffleur/actors/hosted_serving.hpp>
#include <souffleur/actors/open_model.hpp>

#include <chrono>
#include <fstream>
#include <iostream>
#include <sstream>

namespace {

using namespace summarizer;

struct host_config : caf::actor_system_config {
  host_config() { souffleur::set_serving_defaults(*this); }
};

struct options {
  std::string model = "smollm2";
  std::vector<std::string> files;
  summarizer_settings settings;
};

options parse(int argc, char** argv) {
  options chosen;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--model" && i + 1 < argc)
      chosen.model = argv[++i];
    else if (word == "--kill" && i + 1 < argc)
      chosen.settings.kill = argv[++i];
    else
      chosen.files.push_back(word);
  }
  return chosen;
}

std::vector<document> read_documents(const std::vector<std::string>& files) {
  std::vector<document> documents;
  for (const auto& path : files) {
    std::ifstream file{path};
    std::stringstream text;
    text << file.rdbuf();
    if (file && text.str().find_first_not_of(" \t\r\n") != std::string::npos)
      documents.push_back({path, text.str()});
    else
      std::cerr << path << ": nothing to read\n";
  }
  return documents;
}

souffleur::serving_config serving_with_own_policies() {
  register_policies();
  souffleur::serving_config config;
  config.eviction_policy = "keep_instructions";
  config.acceptance_policy = "even_pace";
  return config;
}

void print(const summary_report& report, double took_s) {
  const auto& usage = report.usage;
  const auto of = [](double part, double whole) { return whole > 0 ? part / whole : 0; };
  std::ostringstream out;
  out.precision(1);
  out << std::fixed << report.n_summaries << " summaries from " << report.n_answers << " answers in "
      << took_s << " s: " << of(usage.n_output_tokens, took_s) << " tokens/s, "
      << of(usage.n_output_tokens, usage.n_steps) << " tokens a step, "
      << 100 * of(usage.n_cached_tokens, usage.n_prompt_tokens) << " % of the prompts was shared\n"
      << report.n_restarts << " documents begun again, " << report.n_retries << " questions put again, "
      << report.n_given_up << " documents given up\n";
  std::cerr << out.str();
}

int fail(const std::string& why) {
  std::cerr << why << '\n';
  return 1;
}

/// Exit code: 0 if there is a summary of every document.
int run(const options& chosen) {
  interruption ctrl_c;
  const auto documents = read_documents(chosen.files);
  if (documents.empty())
    return fail("usage: summarizer [--model NAME|FILE] [--kill ACTOR] FILE...");
  const auto config = serving_with_own_policies();
  auto loaded = souffleur::open_model(chosen.model, config);
  if (!loaded)
    return fail(loaded.error());
  host_config host;
  caf::actor_system system{host};
  auto started = souffleur::start_serving_in(system, config, std::move(*loaded), {});
  if (!started)
    return fail(started.error());
  const std::shared_ptr<souffleur::serving_system> souffleur = std::move(*started);

  const auto begun = std::chrono::steady_clock::now();
  const auto report = std::make_shared<summary_report>();
  const auto supervisor = spawn_supervisor(system, souffleur, documents, chosen.settings, report);
  ctrl_c.then([supervisor] { souffleur::compat::anon_send(supervisor, interrupted{}); });
  caf::scoped_actor { system } -> wait_for(supervisor); // ours have ended
  souffleur->stop();                                    // Souffleur's have ended
  print(*report, std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count());
  return report->n_summaries == static_cast<int>(documents.size()) ? 0 : 1;
}

} // namespace

int main(int argc, char** argv) { return run(parse(argc, argv)); }
