#include "engine/jinja/functions.hpp"

#include "engine/jinja/concat.hpp"
#include "engine/jinja/factory.hpp"
#include "engine/jinja/operators.hpp"
#include "engine/jinja/show.hpp"

#include <array>
#include <ctime>

namespace souffleur::jinja {
namespace {

value call_range(execution& run, const arguments& given) {
  const auto bound = bound_arguments::bind(run, "range", {{"start", "stop", "step"}, 1}, given);
  const bool one = !bound.has(1);
  const std::int64_t start = one ? 0 : bound.integer_or(run, 0, 0);
  const std::int64_t stop = bound.integer_or(run, one ? 0 : 1, 0);
  const std::int64_t step = bound.integer_or(run, 2, 1);
  if (step == 0) {
    run.fail("range() takes no step of zero");
  }
  std::vector<value> items;
  if (run.failed()) {
    return {};
  }
  for (std::int64_t i = start; step > 0 ? i < stop : i > stop;) {
    if (static_cast<std::int64_t>(items.size()) == max_range_items) {
      run.fail(concat("range() yields at most ", std::to_string(max_range_items), " items"));
    }
    if (!run.step()) {
      return {};
    }
    items.emplace_back(i);
    if (__builtin_add_overflow(i, step, &i)) {
      break;
    }
  }
  return make_sequence(run, flavour::range, std::move(items));
}

value call_dict(execution& run, const arguments& given) {
  return make_dict(run, merge_arguments(run, "dict", given));
}

value call_raise(execution& run, const arguments& given) {
  const auto bound = bound_arguments::bind(run, "raise_exception", {{"message"}, 1}, given);
  if (bound.has(0)) {
    run.fail(to_text(run, *bound[0]));
  }
  return {};
}

value call_strftime(execution& run, const arguments& given) {
  const auto bound = bound_arguments::bind(run, "strftime_now", {{"format"}, 1}, given);
  const std::string format(bound.text_or(run, 0, ""));
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  ::localtime_r(&now, &local);
  std::array<char, 1024> text; // longer results come out empty, as an empty format does
  const std::size_t n = std::strftime(text.data(), text.size(), format.c_str(), &local);
  return make_text(run, std::string(text.data(), n));
}

struct function {
  std::string_view name;
  value (*run)(execution&, const arguments&);
};

constexpr function functions[] = {{"range", call_range},
                                  {"dict", call_dict},
                                  {"raise_exception", call_raise},
                                  {"strftime_now", call_strftime}};

const function* find_function(std::string_view name) {
  for (const function& f : functions) {
    if (f.name == name) {
      return &f;
    }
  }
  return nullptr;
}

} // namespace

bool is_function_name(std::string_view name) { return name == "namespace" || find_function(name) != nullptr; }

value call_function(execution& run, std::string_view name, const arguments& given) {
  return find_function(name)->run(run, given);
}

dict merge_arguments(execution& run, std::string_view callee, const arguments& given) {
  dict merged;
  for (const value& v : given.positional) {
    if (!v.is(kind::dict) || given.positional.size() > 1) {
      run.fail(concat(callee, "() takes one dict and keyword arguments"));
      return {};
    }
    run.step(static_cast<std::int64_t>(v.entries().size()));
    merged = v.entries();
  }
  for (const auto& [name, v] : given.keyword) {
    merged.set(make_text(run, std::string(name)), v);
  }
  return run.failed() ? dict() : merged;
}

} // namespace souffleur::jinja
