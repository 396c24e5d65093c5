#include "engine/jinja/methods.hpp"

#include "engine/jinja/factory.hpp"
#include "engine/jinja/operators.hpp"
#include "engine/jinja/text_methods.hpp"

#include <algorithm>

namespace souffleur::jinja {
namespace {

value view_of(execution& run, const dict& entries, bool with_keys, bool with_values) {
  std::vector<value> out;
  for (const auto& [key, v] : entries.entries()) {
    if (!run.step()) {
      return {};
    }
    out.push_back(with_keys && with_values ? make_sequence(run, flavour::tuple, {key, v})
                  : with_keys              ? key
                                           : v);
  }
  return make_sequence(run, flavour::view, std::move(out));
}

value items(execution& run, const value& receiver, const arguments& given) {
  bound_arguments::bind(run, "items", {}, given);
  return view_of(run, receiver.entries(), true, true);
}
value keys(execution& run, const value& receiver, const arguments& given) {
  bound_arguments::bind(run, "keys", {}, given);
  return view_of(run, receiver.entries(), true, false);
}
value values(execution& run, const value& receiver, const arguments& given) {
  bound_arguments::bind(run, "values", {}, given);
  return view_of(run, receiver.entries(), false, true);
}
value get(execution& run, const value& receiver, const arguments& given) {
  const auto bound = bound_arguments::bind(run, "get", {{"key", "default"}, 1}, given);
  const value* found = bound.has(0) ? receiver.entries().find(*bound[0]) : nullptr;
  return found != nullptr ? *found : bound.has(1) ? *bound[1] : value(none{});
}
value copy(execution& run, const value& receiver, const arguments& given) {
  bound_arguments::bind(run, "copy", {}, given);
  return receiver;
}

value count(execution& run, const value& receiver, const arguments& given) {
  const auto bound = bound_arguments::bind(run, "count", {{"value"}, 1}, given);
  std::int64_t n = 0;
  for (const value& item : receiver.items().items) {
    n += bound.has(0) && equal(run, item, *bound[0]) ? 1 : 0;
  }
  return value(n);
}
value index(execution& run, const value& receiver, const arguments& given) {
  const auto bound = bound_arguments::bind(run, "index", {{"value"}, 1}, given);
  const auto& all = receiver.items().items;
  const auto at = std::find_if(all.begin(), all.end(),
                               [&](const value& v) { return bound.has(0) && equal(run, v, *bound[0]); });
  if (at == all.end()) {
    run.fail("index(): the value is not in the list");
  }
  return value(static_cast<std::int64_t>(at - all.begin()));
}

constexpr method dict_methods[] = {
    {"items", items}, {"keys", keys}, {"values", values}, {"get", get}, {"copy", copy}};
constexpr method list_methods[] = {{"count", count}, {"index", index}};

std::span<const method> methods_of(const value& receiver) {
  switch (receiver.type()) {
  case kind::text:
    return text_methods();
  case kind::dict:
    return dict_methods;
  case kind::sequence:
    return receiver.items().how == flavour::list || receiver.items().how == flavour::tuple
               ? std::span<const method>(list_methods)
               : std::span<const method>();
  default:
    return {};
  }
}

const method* find_method(std::span<const method> all, std::string_view name) {
  const auto at = std::find_if(all.begin(), all.end(), [&](const method& m) { return m.name == name; });
  return at == all.end() ? nullptr : &*at;
}

} // namespace

bool is_method_name(std::string_view name) {
  return find_method(text_methods(), name) != nullptr || find_method(dict_methods, name) != nullptr ||
         find_method(list_methods, name) != nullptr || name == "cycle";
}

bool has_method(const value& receiver, std::string_view name) {
  return find_method(methods_of(receiver), name) != nullptr || (receiver.is(kind::loop) && name == "cycle");
}

value call_method(execution& run, const value& receiver, std::string_view name, const arguments& given) {
  if (receiver.is(kind::loop)) {
    if (given.positional.empty()) {
      run.fail("cycle() needs an argument");
      return {};
    }
    return given.positional[receiver.loop().index % given.positional.size()];
  }
  return find_method(methods_of(receiver), name)->run(run, receiver, given);
}

} // namespace souffleur::jinja
