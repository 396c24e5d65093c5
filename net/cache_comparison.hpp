// Try the cache: how alike two questions are, and what each policy would make of that.
#pragma once

#include "actors/messages/embedding.hpp"
#include "actors/messages/generation.hpp"
#include "actors/messages/observation.hpp"

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include <string>
#include <variant>

namespace souffleur {

/// The question `a` is stored; `b` is asked.
struct comparison_call {
  std::string a;
  std::string b;
  double threshold = 0;
  double max_error = 0;
};

/// Of {"a", "b", "threshold", "max_error"}; the last two may be left out, and are then the server's.
std::variant<comparison_call, generation_failed> parse_comparison(const boost::json::value& body,
                                                                  const cache_rules& rules);

/// As what the embedder is asked.
embedding_request questions_of(const comparison_call& call);

/// `found`: of both questions. Policies decide as for an entry without a record.
boost::json::object comparison_body(const comparison_call& call, const embeddings& found,
                                    const cache_rules& rules);

} // namespace souffleur
