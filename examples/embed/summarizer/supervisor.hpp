// Has documents summarised, a few at a time, whoever dies meanwhile.
#pragma once

#include "messages.hpp"
#include "settings.hpp"

#include <souffleur/actors/serving_system.hpp>

#include <memory>
#include <vector>

namespace summarizer {

/// What became of it all.
struct summary_report {
  int n_summaries = 0;
  int n_given_up = 0; ///< documents whose actor died too often
  int n_restarts = 0; ///< of documents' actors
  int n_retries = 0;  ///< of questions
  int n_answers = 0;
  souffleur::generation_usage usage; ///< of all answers
};

/// Starts a supervisor, which has an actor for each document that is under way. It prints summaries as they
/// come, starts an actor again that has died, ends when there is no more to do, and has then filled in
/// `report`.
caf::actor spawn_supervisor(caf::actor_system& system, std::weak_ptr<souffleur::serving_system> souffleur,
                            std::vector<document> documents, summarizer_settings settings,
                            std::shared_ptr<summary_report> report);

} // namespace summarizer
