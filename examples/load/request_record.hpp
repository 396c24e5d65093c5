// What is known about one request once it is over.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace souffleur::load {

enum class request_role : std::uint8_t { warm_up, measured, probe };
enum class request_outcome : std::uint8_t { completed, cancelled, failed };

constexpr const char* to_string(request_outcome outcome) {
  constexpr const char* names[] = {"completed", "cancelled", "failed"};
  return names[static_cast<int>(outcome)];
}

/// Times are nanoseconds since the run began.
struct request_record {
  request_role role = request_role::measured;
  request_outcome outcome = request_outcome::failed;
  std::string error; ///< of a failed one
  std::uint64_t dialogue = 0;
  int turn = 0;

  std::int64_t intended_ns = 0; ///< when it was to be sent
  std::int64_t sent_ns = 0;     ///< when its first byte was written
  std::int64_t ended_ns = 0;
  std::vector<std::int64_t> output_ns; ///< when each streamed output that has text came

  int n_prompt_tokens = 0; ///< 0: the server does not say
  int n_cached_tokens = 0; ///< of the prompt, as the server says
  int n_output_tokens = 0; ///< as the server says, else one an output
  bool counted_by_server = false;
  std::string finish_reason;
  std::string source; ///< of the answer, as Souffleur says: model, flight, exact, semantic
  std::string text;   ///< the answer
};

} // namespace souffleur::load
