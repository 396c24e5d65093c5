// One document on its way to a summary.
#pragma once

#include "messages.hpp"
#include "settings.hpp"

#include <souffleur/actors/messages/generation.hpp>

#include <memory>

namespace summarizer {

struct document_task {
  document_number number = 0;
  document what;
  summarizer_settings settings;
  std::weak_ptr<souffleur::generation_service> souffleur;
  caf::actor supervisor;
};

/// Asks for some sections at a time, reads the answers as far as it has granted, and puts a question again
/// that Souffleur could not answer. Tells the supervisor how it goes and, at last, the summary; dies if it
/// cannot get one. With it die its generations.
caf::actor spawn_document(caf::actor_system& system, document_task task);

} // namespace summarizer
