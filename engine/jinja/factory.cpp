#include "engine/jinja/factory.hpp"

#include "engine/jinja/concat.hpp"

#include <limits>

namespace souffleur::jinja {
namespace {

constexpr std::size_t bytes_per_item = sizeof(value);
constexpr std::size_t bytes_per_entry = 2 * sizeof(value) + 64;

bool fits(execution& run, const value& v) {
  if (v.depth() > max_value_depth) {
    run.fail("lists and dicts nest too deeply");
  }
  return !run.failed();
}

value convert(execution& run, const boost::json::value& json, int depth);

value convert(execution& run, const boost::json::array& json, int depth) {
  std::vector<value> items;
  for (const auto& item : json) {
    items.push_back(convert(run, item, depth));
  }
  return make_sequence(run, flavour::list, std::move(items));
}

value convert(execution& run, const boost::json::object& json, int depth) {
  dict entries;
  for (const auto& [key, v] : json) {
    entries.set(make_text(run, std::string(key)), convert(run, v, depth));
  }
  return make_dict(run, std::move(entries));
}

value convert(execution& run, const boost::json::value& json, int depth) {
  if (depth > max_value_depth) {
    run.fail("lists and dicts nest too deeply");
  }
  if (!run.step()) {
    return {};
  }
  switch (json.kind()) {
  case boost::json::kind::null:
    return none{};
  case boost::json::kind::bool_:
    return value(json.get_bool());
  case boost::json::kind::int64:
    return value(static_cast<std::int64_t>(json.get_int64()));
  case boost::json::kind::uint64:
    return json.get_uint64() <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())
               ? value(static_cast<std::int64_t>(json.get_uint64()))
               : value(static_cast<double>(json.get_uint64()));
  case boost::json::kind::double_:
    return value(json.get_double());
  case boost::json::kind::string:
    return make_text(run, std::string(json.get_string()));
  case boost::json::kind::array:
    return convert(run, json.get_array(), depth + 1);
  case boost::json::kind::object:
    return convert(run, json.get_object(), depth + 1);
  }
  return {};
}

} // namespace

value make_sequence(execution& run, flavour how, std::vector<value> items) {
  if (!run.create(items.size() * bytes_per_item)) {
    return {};
  }
  value made(std::make_shared<sequence>(how, std::move(items)));
  return fits(run, made) ? made : value();
}

value make_dict(execution& run, dict entries) {
  if (!run.create(entries.size() * bytes_per_entry)) {
    return {};
  }
  value made(std::make_shared<const dict>(std::move(entries)));
  return fits(run, made) ? made : value();
}

value make_text(execution& run, std::string text) {
  if (text.size() > run.bounds().max_output_bytes) {
    run.fail(concat("the text grows beyond ", std::to_string(run.bounds().max_output_bytes), " bytes"));
  }
  return run.create(text.size()) ? value(std::move(text)) : value();
}

value make_undefined(execution& run, std::string what) {
  run.create(what.size());
  return undefined{std::make_shared<const std::string>(std::move(what))};
}

value from_json(execution& run, const boost::json::value& json) { return convert(run, json, 0); }

} // namespace souffleur::jinja
