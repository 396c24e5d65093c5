#include "supervisor.hpp"

#include "document_actor.hpp"
#include "terminal.hpp"

#include <iostream>
#include <map>
#include <utility>

namespace summarizer {

using namespace souffleur;

namespace {

struct supervisor_state {
  std::weak_ptr<serving_system> souffleur;
  std::vector<document> documents;
  summarizer_settings settings;
  std::shared_ptr<summary_report> report;
  document_number next = 0; ///< the first that has not been begun
  std::map<document_number, caf::actor> running;
  std::map<document_number, int> n_deaths;
  compat::watch_list watched;
  status_line status;
};

using self_pointer = caf::stateful_actor<supervisor_state>*;

void begin_documents(self_pointer self);

void note_death(self_pointer self, document_number number);

void begin(self_pointer self, document_number number) {
  auto& state = compat::state_of(self);
  const auto worker = spawn_document(
      self->system(), {number, state.documents[number], state.settings, state.souffleur, self});
  state.running[number] = worker;
  state.watched.watch(self, worker, [self, number](const caf::error&) {
    if (compat::state_of(self).running.contains(number))
      note_death(self, number);
  });
}

void note_death(self_pointer self, document_number number) {
  auto& state = compat::state_of(self);
  if (++state.n_deaths[number] < state.settings.max_attempts) {
    ++state.report->n_restarts;
    begin(self, number);
    return;
  }
  std::cerr << state.documents[number].name << " is given up\n";
  ++state.report->n_given_up;
  state.running.erase(number);
  begin_documents(self);
}

/// Begins as many as may run; without any there is no more to do.
void begin_documents(self_pointer self) {
  auto& state = compat::state_of(self);
  while (state.next < state.documents.size() &&
         static_cast<int>(state.running.size()) < state.settings.documents_at_once)
    begin(self, state.next++);
  if (state.running.empty())
    self->quit();
}

/// Its work is done, or not to be done; the supervisor no longer minds its end.
void dismiss(supervisor_state& state, document_number number) {
  const auto worker = state.running.extract(number);
  compat::urgent_exit(worker.mapped(), caf::exit_reason::user_shutdown);
}

void show(self_pointer self, const document_summarised& done) {
  auto& state = compat::state_of(self);
  if (!state.running.contains(done.number)) // one that was killed had come to its end, too
    return;
  state.status.clear();
  std::cout << state.documents[done.number].name << '\n' << indented(done.summary) << '\n' << std::flush;
  ++state.report->n_summaries;
  dismiss(state, done.number);
  begin_documents(self);
}

/// For whoever wants to see what happens then.
void kill_somebody(supervisor_state& state) {
  const auto victim = std::exchange(state.settings.kill, "");
  if (victim == "document" && !state.running.empty())
    compat::urgent_exit(state.running.begin()->second, caf::exit_reason::kill);
  else if (const auto souffleur = state.souffleur.lock(); souffleur && !victim.empty())
    souffleur->kill(victim);
}

void count(summary_report& report, const generation_usage& usage) {
  ++report.n_answers;
  report.usage.n_prompt_tokens += usage.n_prompt_tokens;
  report.usage.n_cached_tokens += usage.n_cached_tokens;
  report.usage.n_output_tokens += usage.n_output_tokens;
  report.usage.n_steps += usage.n_steps;
}

std::string progress(const supervisor_state& state) {
  return std::to_string(state.report->n_summaries) + " of " + std::to_string(state.documents.size()) +
         " documents, " + std::to_string(state.report->n_answers) + " answers";
}

void stop(self_pointer self) {
  auto& state = compat::state_of(self);
  state.status.clear();
  while (!state.running.empty())
    dismiss(state, state.running.begin()->first);
  self->quit();
}

caf::behavior supervising(self_pointer self, std::weak_ptr<serving_system> souffleur,
                          std::vector<document> documents, summarizer_settings settings,
                          std::shared_ptr<summary_report> report) {
  auto& state = compat::state_of(self);
  state.souffleur = std::move(souffleur);
  state.documents = std::move(documents);
  state.settings = std::move(settings);
  state.report = std::move(report);
  begin_documents(self);
  return {[self](const answer_grows& answer) {
            auto& showing = compat::state_of(self);
            showing.status.show(progress(showing), answer.last_words);
          },
          [self](const section_answered& answer) {
            count(*compat::state_of(self).report, answer.usage);
            kill_somebody(compat::state_of(self));
          },
          [self](question_retried) { ++compat::state_of(self).report->n_retries; },
          [self](const document_summarised& done) { show(self, done); }, [self](interrupted) { stop(self); }};
}

} // namespace

caf::actor spawn_supervisor(caf::actor_system& system, std::weak_ptr<serving_system> souffleur,
                            std::vector<document> documents, summarizer_settings settings,
                            std::shared_ptr<summary_report> report) {
  return system.spawn(supervising, std::move(souffleur), std::move(documents), std::move(settings),
                      std::move(report));
}

} // namespace summarizer
