// OpenAI's embeddings endpoint: from JSON to texts, from vectors to JSON.
#pragma once

#include "actors/messages/embedding.hpp"

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include <string>
#include <variant>

namespace souffleur {

struct embedding_call {
  embedding_request request; ///< its tenant and client are still to be set
  bool as_base64 = false;    ///< of little-endian floats, instead of an array of numbers
};

/// Texts that one call may ask for.
constexpr int max_embedding_inputs = 2048;

/// Checks every field it knows; the error names the first wrong one. `input` is a string or an array of
/// strings: ids of a vocabulary that no client knows are refused. `served`: null if there is no model.
std::variant<embedding_call, generation_failed> parse_embedding_request(const boost::json::value& body,
                                                                        const served_embedder* served);

/// The list of embeddings with usage; which inputs were cut off stands in `souffleur`.
boost::json::object embedding_body(const embeddings& answer, bool as_base64, const std::string& model);

} // namespace souffleur
