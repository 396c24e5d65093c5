#include "net/cache_comparison.hpp"

#include "net/json_fields.hpp"
#include "policies/cache_policy.hpp"
#include "policies/lexical_guards.hpp"

#include <boost/json/array.hpp>

#include <algorithm>
#include <numeric>

namespace souffleur {

namespace json = boost::json;

namespace {

constexpr std::size_t max_question_bytes = 8192;

std::string question(json_fields& fields, std::string_view name) {
  auto text = fields.text(name).value_or("");
  if (text.empty())
    fields.complain(name, "must be a question", "missing_required_parameter");
  if (text.size() > max_question_bytes)
    fields.complain(name, "may have at most " + std::to_string(max_question_bytes) + " bytes");
  return text;
}

double cosine(const std::vector<float>& a, const std::vector<float>& b) {
  return std::clamp(std::inner_product(a.begin(), a.end(), b.begin(), 0.0), -1.0, 1.0);
}

const char* use_name(semantic_use use) {
  constexpr const char* names[] = {"ignore", "draft", "serve"};
  return names[static_cast<int>(use)];
}

/// Not one of those with which an answer is generated for the sake of comparing.
constexpr double usual_coin = 0.5;

json::object decision_object(std::string_view name, const semantic_candidate& candidate,
                             const semantic_demand& demand, const cache_rules& rules) {
  const auto decision = make_cache_policy(name, rules.calibration)->decide(candidate, demand, usual_coin);
  json::object shown{{"policy", name}, {"use", use_name(decision.use)}, {"verify", decision.verify}};
  if (name != "bounded")
    return shown;
  const double floor = rules.calibration.floor_for(demand.max_error);
  shown["right"] = decision.right;
  shown["floor"] = floor > 1 ? json::value(nullptr) : json::value(floor);
  return shown;
}

} // namespace

std::variant<comparison_call, generation_failed> parse_comparison(const json::value& body,
                                                                  const cache_rules& rules) {
  const auto* object = body.if_object();
  if (object == nullptr)
    return bad_parameter("", "The body must be a JSON object.", "invalid_type");
  json_fields fields{*object};
  comparison_call call;
  call.a = question(fields, "a");
  call.b = question(fields, "b");
  call.threshold = fields.number("threshold", {0, 1}).value_or(rules.threshold);
  call.max_error = fields.number("max_error", {0, 1}).value_or(rules.max_error);
  if (fields.error())
    return *fields.error();
  return call;
}

embedding_request questions_of(const comparison_call& call) {
  embedding_request request;
  request.texts = {call.a, call.b};
  return request;
}

json::object comparison_body(const comparison_call& call, const embeddings& found, const cache_rules& rules) {
  const auto& a = found.at(0);
  const auto& b = found.at(1);
  const auto verdict = compare(std::string_view{call.a}, std::string_view{call.b});
  const semantic_candidate candidate{cosine(a.vector, b.vector), verdict.refused_by, {}};
  const semantic_demand demand{call.threshold, call.max_error};
  json::array decisions;
  for (const auto* name : {"fixed", "guarded", "bounded"})
    decisions.push_back(decision_object(name, candidate, demand, rules));
  return {
      {"object", "cache.comparison"},
      {"similarity", candidate.similarity},
      {"guard",
       {{"refused_by", verdict.passes() ? json::value(nullptr) : json::value(to_string(verdict.refused_by))},
        {"why", valid_utf8(verdict.why)}}},
      {"is_truncated", a.is_truncated || b.is_truncated},
      {"threshold", call.threshold},
      {"max_error", call.max_error},
      {"policy_in_force", rules.policy},
      {"decisions", std::move(decisions)}};
}

} // namespace souffleur
