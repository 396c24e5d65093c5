// What an HTTP call is answered with, in whatever words its endpoint has for it.
#pragma once

#include "actors/messages/generation.hpp"

#include <boost/json/object.hpp>

#include <optional>
#include <string>

namespace souffleur {

/// Turns the events of one call's choices into what is sent: all at once or, as they come, server-sent
/// events.
class call_answer {
public:
  virtual ~call_answer() = default;

  /// Server-sent events for one event of a choice; empty if it shows nothing.
  virtual std::string stream(int choice, const generation_event& event) = 0;
  /// Takes an event of a call that is answered at once.
  virtual void collect(int choice, const generation_event& event) = 0;
  /// REQUIRES: every choice has ended.
  virtual boost::json::object body() const = 0;

  virtual bool ended() const = 0;
  /// The first failure among the choices, if any.
  virtual const std::optional<generation_failed>& failure() const = 0;
};

} // namespace souffleur
