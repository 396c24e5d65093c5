#include "engine/jinja/concat.hpp"
#include "engine/jinja/factory.hpp"
#include "engine/jinja/filters.hpp"
#include "engine/jinja/operators.hpp"
#include "engine/jinja/tests.hpp"

namespace souffleur::jinja {
namespace {

arguments without_first(const arguments& given, std::size_t n) {
  arguments rest = given;
  rest.positional.erase(rest.positional.begin(), rest.positional.begin() + static_cast<std::ptrdiff_t>(n));
  return rest;
}

/// The filter or test that the argument names, looked up by `find`.
template <class Find>
auto named(execution& run, const value& name, std::string_view what, Find find) {
  const auto* found = name.is(kind::text) ? find(name.text()) : nullptr;
  if (found == nullptr) {
    run.fail(concat("unknown ", what, " '", name.is(kind::text) ? name.text() : std::string(type_name(name)),
                    "'"));
  }
  return found;
}

value map_attribute(execution& run, std::vector<value> items, const arguments& given) {
  const value& path = *given.find("attribute");
  const value* otherwise = given.find("default");
  for (value& item : items) {
    item = attribute_path(run, item, path);
    item = otherwise != nullptr && item.is(kind::undefined) ? *otherwise : item;
  }
  return make_sequence(run, flavour::generator, std::move(items));
}

value map(execution& run, const value& input, const arguments& given) {
  if (given.positional.empty()) {
    if (given.find("attribute") == nullptr) {
      run.fail("map needs a filter or an attribute");
      return {};
    }
    return map_attribute(run, iterate(run, input), given);
  }
  const filter* how = named(run, given.positional.front(), "filter", find_filter);
  const arguments rest = without_first(given, 1);
  std::vector<value> items = iterate(run, input);
  for (value& item : items) {
    if (!run.step()) {
      return {};
    }
    const execution::nested guard(run, run.line());
    item = run.failed() ? value() : how->run(run, item, rest);
  }
  return make_sequence(run, flavour::generator, std::move(items));
}

/// Keeps the items whose test, of the item or of its attribute, comes out as `wanted`.
template <bool by_attribute, bool wanted>
value choose(execution& run, const value& input, const arguments& given) {
  const std::size_t n_own = by_attribute ? 1 : 0;
  if (given.positional.size() < n_own) {
    run.fail("the name of an attribute is missing");
    return {};
  }
  const bool has_test = given.positional.size() > n_own;
  const test* how = has_test ? named(run, given.positional[n_own], "test", find_test) : nullptr;
  const arguments rest = has_test ? without_first(given, n_own + 1) : arguments();
  std::vector<value> kept;
  for (const value& item : iterate(run, input)) {
    if (!run.step()) {
      break;
    }
    const value subject = by_attribute ? attribute_path(run, item, given.positional.front()) : item;
    if ((how != nullptr ? how->run(run, subject, rest) : truth(subject)) == wanted) {
      kept.push_back(item);
    }
  }
  return make_sequence(run, flavour::generator, std::move(kept));
}

constexpr filter table[] = {{"map", map},
                            {"select", choose<false, true>},
                            {"reject", choose<false, false>},
                            {"selectattr", choose<true, true>},
                            {"rejectattr", choose<true, false>}};

} // namespace

std::span<const filter> selection_filters() { return table; }

} // namespace souffleur::jinja
