// What has to hold of an automaton before anybody reads with it.
#pragma once

#include "engine/grammar/automaton.hpp"

#include <optional>
#include <vector>

namespace souffleur::grammar {

/// A call behind which its rule just ends becomes a jump.
void make_last_calls_jumps(std::vector<automaton::state>& states);

/// Finds out which calls may read nothing.
void mark_empty_calls(std::vector<automaton::state>& states);

/// Removes edges that lead to no end. False if none is left from `start`.
bool drop_dead_ends(std::vector<automaton::state>& states, state_id start);

/// Sets reads_other_text; `character` is where a character of a JSON string begins.
void mark_other_text(std::vector<automaton::state>& states, std::optional<state_id> character);

/// A rule's start that calls itself, perhaps through others, before a byte is read.
/// REQUIRES: mark_empty_calls.
std::optional<state_id> left_recursive_state(const std::vector<automaton::state>& states);

} // namespace souffleur::grammar
