#include "document_actor.hpp"

#include "summary_job.hpp"

#include <souffleur/actors/chat_request.hpp>
#include <souffleur/actors/generation_source.hpp>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <map>
#include <utility>

namespace summarizer {

using namespace souffleur;

namespace {

/// Tokens of an answer that may be on their way: a slow document has a short mailbox.
constexpr std::int64_t window_tokens = 16;
constexpr std::chrono::milliseconds retry_delay{200};

/// An answer that is coming in.
struct reading {
  std::size_t step = 0;
  generation_source source;
  std::string text;
};

struct document_state {
  document_task task;
  summary_job job{{""}};
  std::map<request_id, reading> readings;
  std::map<std::size_t, int> n_failures; ///< by step
};

using self_pointer = caf::stateful_actor<document_state>*;

generation_request request_of(const std::string& question, const summarizer_settings& settings) {
  auto request = chat_request(question, settings.max_tokens, instructions());
  request.sampling.temperature = 0.1F;
  request.sampling.seed = 1; // whoever dies meanwhile: the same question gets the same answer
  request.seed_given = true;
  return request;
}

/// Asks as much as may be asked at once.
void ask(self_pointer self) {
  auto& state = compat::state_of(self);
  const auto& task = state.task;
  while (static_cast<int>(state.readings.size()) < task.settings.sections_at_once) {
    const auto step = state.job.next_step();
    if (!step)
      return;
    const auto begun =
        spawn_generation(self->system(), task.souffleur, request_of(state.job.question(*step), task.settings),
                         self, window_tokens);
    state.readings.emplace(begun.id, reading{*step, begun.source, ""});
  }
}

std::string last_words(const std::string& text) {
  constexpr std::size_t most_bytes = 80;
  return text.substr(text.size() - std::min(text.size(), most_bytes));
}

void read_on(self_pointer self, reading& answer, const generation_delta& delta) {
  answer.text += delta.text();
  compat::send(self, answer.source, token_grant{static_cast<std::int64_t>(delta.tokens.size())});
  compat::send(self, compat::state_of(self).task.supervisor, answer_grows{last_words(answer.text)});
}

void conclude(self_pointer self, const reading& answer, const generation_usage& usage) {
  auto& state = compat::state_of(self);
  compat::send(self, state.task.supervisor, section_answered{usage});
  state.job.answer(answer.step, answer.text);
  if (const auto& summary = state.job.summary())
    compat::send(self, state.task.supervisor, document_summarised{state.task.number, *summary});
  else
    ask(self);
}

void put_off(self_pointer self, const reading& answer, const generation_failed& failed) {
  auto& state = compat::state_of(self);
  state.job.give_back(answer.step);
  const bool may_go_better = failed.status == 429 || failed.status >= 500;
  if (may_go_better && ++state.n_failures[answer.step] < state.task.settings.max_attempts) {
    compat::send(self, state.task.supervisor, question_retried{});
    self->delayed_send(self, retry_delay, retry_due{});
  } else {
    std::cerr << state.task.what.name << ": " << failed.message << '\n';
    self->quit(caf::exit_reason::unhandled_exception);
  }
}

void note(self_pointer self, const generation_update& update) {
  auto& readings = compat::state_of(self).readings;
  const auto found = readings.find(update.id);
  if (found == readings.end())
    return;
  if (const auto* delta = std::get_if<generation_delta>(&update.event))
    read_on(self, found->second, *delta);
  else if (const auto* finished = std::get_if<generation_finished>(&update.event))
    conclude(self, readings.extract(found).mapped(), finished->usage);
  else if (const auto* failed = std::get_if<generation_failed>(&update.event))
    put_off(self, readings.extract(found).mapped(), *failed);
}

caf::behavior summarising(self_pointer self, document_task task) {
  auto& state = compat::state_of(self);
  state.job = summary_job{sections_of(task.what.text, task.settings.section_words)};
  state.task = std::move(task);
  ask(self);
  return {[self](const generation_update& update) { note(self, update); }, [self](retry_due) { ask(self); }};
}

} // namespace

caf::actor spawn_document(caf::actor_system& system, document_task task) {
  return system.spawn(summarising, std::move(task));
}

} // namespace summarizer
