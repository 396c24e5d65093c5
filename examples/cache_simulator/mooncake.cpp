#include "examples/cache_simulator/trace.hpp"

#include <boost/json.hpp>

#include <istream>
#include <map>

namespace souffleur::cache_simulator {

namespace {

namespace json = boost::json;

/// Empty, or what is wrong with the line.
std::string read_line(const std::string& line, std::map<std::int64_t, std::int32_t>& names, request& to) {
  auto error = json::error_code{};
  const auto parsed = json::parse(line, error);
  if (error) {
    return "not JSON: " + error.message();
  }
  const auto* fields = parsed.if_object();
  if (!fields) {
    return "not an object";
  }
  for (const char* field : {"timestamp", "input_length", "output_length"}) {
    const auto* value = fields->if_contains(field);
    if (!value || !value->is_number() || value->to_number<double>() < 0) {
      return std::string(field) + " is not a number of 0 or more";
    }
  }
  const auto* ids = fields->if_contains("hash_ids");
  if (!ids || !ids->is_array()) {
    return "hash_ids is not an array";
  }
  for (const auto& id : ids->get_array()) {
    if (!id.is_int64()) {
      return "hash_ids has an element that is not an integer";
    }
    const auto next = static_cast<std::int32_t>(names.size());
    to.pages.push_back(names.emplace(id.get_int64(), next).first->second);
  }
  to.n_prompt_pages = static_cast<int>(to.pages.size());
  return {};
}

} // namespace

result<trace> read_mooncake(std::istream& in, const std::string& name) {
  auto read = trace{.name = name, .requests = {}};
  auto names = std::map<std::int64_t, std::int32_t>{};
  auto line = std::string{};
  for (auto n_line = 1; std::getline(in, line); ++n_line) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) {
      continue;
    }
    auto one = request{};
    if (const auto wrong = read_line(line, names, one); !wrong.empty()) {
      return failure{name + ":" + std::to_string(n_line) + ": " + wrong};
    }
    read.requests.push_back(std::move(one));
  }
  if (read.requests.empty()) {
    return failure{name + ": no requests"};
  }
  return read;
}

} // namespace souffleur::cache_simulator
