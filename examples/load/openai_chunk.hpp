// What a chunk of an OpenAI-style stream says to somebody who measures.
#pragma once

#include <boost/json/object.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace souffleur::load {

struct openai_chunk {
  std::string text;          ///< of all kinds: content, reasoning, plain text
  std::string finish_reason; ///< empty: not yet
  std::string source;        ///< of the answer, if a Souffleur says it
  std::string error;         ///< empty: none
  std::int64_t n_prompt = -1;
  std::int64_t n_cached = -1;
  std::int64_t n_output = -1;
};

/// None if it is not a JSON object.
std::optional<openai_chunk> parse_openai_chunk(std::string_view data);
/// Of {"error": …} in its various forms; empty if there is none.
std::string error_in(const boost::json::object& body);

} // namespace souffleur::load
