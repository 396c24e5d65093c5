#include "engine/jinja/concat.hpp"
#include "engine/jinja/factory.hpp"
#include "engine/jinja/filters.hpp"
#include "engine/jinja/operators.hpp"
#include "engine/jinja/show.hpp"
#include "engine/jinja/text_edit.hpp"
#include "engine/jinja/unicode.hpp"

#include <algorithm>

namespace souffleur::jinja {
namespace {

value count(execution& run, const value& input, const arguments&) { return value(length(run, input)); }

value list(execution& run, const value& input, const arguments&) {
  return make_sequence(run, flavour::list, iterate(run, input));
}

value first(execution& run, const value& input, const arguments&) {
  if (input.is(kind::sequence) && input.items().how == flavour::generator) {
    auto& items = input.items().items;
    if (items.empty()) {
      return make_undefined(run, "no first item, sequence was empty");
    }
    value taken = items.front();
    run.step(static_cast<std::int64_t>(items.size()));
    items.erase(items.begin());
    return taken;
  }
  const auto items = iterate(run, input);
  return items.empty() ? make_undefined(run, "no first item, sequence was empty") : items.front();
}

bool is_generator(const value& v) { return v.is(kind::sequence) && v.items().how == flavour::generator; }

value last(execution& run, const value& input, const arguments&) {
  if (is_generator(input)) {
    run.fail("'generator' object is not reversible");
    return {};
  }
  const auto items = iterate(run, input);
  return items.empty() ? make_undefined(run, "no last item, sequence was empty") : items.back();
}

value reverse(execution& run, const value& input, const arguments&) {
  auto items = iterate(run, input);
  std::reverse(items.begin(), items.end());
  return input.is(kind::text) ? value(join(run, items, ""))
                              : make_sequence(run, flavour::generator, std::move(items));
}

value join_filter(execution& run, const value& input, const arguments& given) {
  const auto bound = bound_arguments::bind(run, "join", {"d", "attribute"}, given);
  auto items = iterate(run, input);
  if (bound.has(1) && !bound[1]->is(kind::none)) {
    for (value& item : items) {
      item = attribute_path(run, item, *bound[1]);
    }
  }
  return value(join(run, items, bound.has(0) ? to_text(run, *bound[0]) : std::string()));
}

value items(execution& run, const value& input, const arguments&) {
  if (!input.is(kind::dict) && !input.is(kind::undefined)) {
    run.fail(concat("items needs a mapping, not ", type_name(input)));
  }
  std::vector<value> pairs;
  if (input.is(kind::dict)) {
    for (const auto& [key, v] : input.entries().entries()) {
      pairs.push_back(make_sequence(run, flavour::tuple, {key, v}));
    }
  }
  return make_sequence(run, flavour::generator, std::move(pairs));
}

/// An item and what it is ordered or told apart by.
struct keyed {
  value key;
  value item;
};

/// The attributes that a comma-separated list names, each of them folded unless `case_sensitive`.
value sort_key(execution& run, const value& item, const value* attributes, bool case_sensitive) {
  const auto fold = [&](const value& v) { return case_sensitive ? v : fold_case(run, v); };
  if (attributes == nullptr || attributes->is(kind::none)) {
    return fold(item);
  }
  if (!attributes->is(kind::text)) {
    return fold(attribute_path(run, item, *attributes));
  }
  const std::string_view comma = ",";
  std::vector<value> parts = split(run, attributes->text(), &comma, -1);
  for (value& part : parts) {
    part = fold(attribute_path(run, item, part));
  }
  return parts.size() == 1 ? parts.front() : make_sequence(run, flavour::list, std::move(parts));
}

std::vector<keyed> with_keys(execution& run, const std::vector<value>& all, const value* attributes,
                             bool case_sensitive) {
  std::vector<keyed> out;
  for (const value& item : all) {
    if (!run.step()) {
      break;
    }
    out.push_back({sort_key(run, item, attributes, case_sensitive), item});
  }
  return out;
}

std::vector<value> sorted(execution& run, std::vector<keyed> all, bool descending) {
  std::stable_sort(all.begin(), all.end(), [&](const keyed& a, const keyed& b) {
    return descending ? order(run, b.key, a.key) < 0 : order(run, a.key, b.key) < 0;
  });
  std::vector<value> out;
  out.reserve(all.size());
  for (const keyed& k : all) {
    out.push_back(k.item);
  }
  return out;
}

value sort(execution& run, const value& input, const arguments& given) {
  const auto bound = bound_arguments::bind(run, "sort", {"reverse", "case_sensitive", "attribute"}, given);
  auto all = with_keys(run, iterate(run, input), bound[2], bound.truth_or(1, false));
  return make_sequence(run, flavour::list, sorted(run, std::move(all), bound.truth_or(0, false)));
}

value dictsort(execution& run, const value& input, const arguments& given) {
  const auto bound = bound_arguments::bind(run, "dictsort", {"case_sensitive", "by", "reverse"}, given);
  const std::string_view by = bound.text_or(run, 1, "key");
  if (!input.is(kind::dict)) {
    if (require_defined(run, input)) {
      run.fail(concat("dictsort needs a mapping, not ", type_name(input)));
    }
    return {};
  }
  if (by != "key" && by != "value") {
    run.fail("dictsort sorts by 'key' or 'value'");
  }
  std::vector<value> pairs;
  for (const auto& [key, v] : input.entries().entries()) {
    pairs.push_back(make_sequence(run, flavour::tuple, {key, v}));
  }
  const value place(std::int64_t{by == "key" ? 0 : 1});
  auto all = with_keys(run, pairs, &place, bound.truth_or(0, false));
  return make_sequence(run, flavour::list, sorted(run, std::move(all), bound.truth_or(2, false)));
}

value unique(execution& run, const value& input, const arguments& given) {
  const auto bound = bound_arguments::bind(run, "unique", {"case_sensitive", "attribute"}, given);
  dict seen;
  std::vector<value> kept;
  for (const keyed& k : with_keys(run, iterate(run, input), bound[1], bound.truth_or(0, false))) {
    if (!is_key(k.key)) {
      run.fail(concat("unique cannot tell apart values of type ", type_name(k.key)));
      break;
    }
    if (seen.find(k.key) == nullptr) {
      seen.set(k.key, none{});
      kept.push_back(k.item);
    }
  }
  return make_sequence(run, flavour::generator, std::move(kept));
}

template <bool largest>
value extreme(execution& run, const value& input, const arguments& given) {
  const auto bound =
      bound_arguments::bind(run, largest ? "max" : "min", {"case_sensitive", "attribute"}, given);
  const auto all = with_keys(run, iterate(run, input), bound[1], bound.truth_or(0, false));
  const keyed* best = nullptr;
  for (const keyed& k : all) {
    const int sign = best == nullptr ? 0 : order(run, k.key, best->key);
    best = best == nullptr || (largest ? sign > 0 : sign < 0) ? &k : best;
  }
  return best == nullptr ? make_undefined(run, "no aggregated item, sequence was empty") : best->item;
}

value sum(execution& run, const value& input, const arguments& given) {
  const auto bound = bound_arguments::bind(run, "sum", {"attribute", "start"}, given);
  value total = bound.has(1) ? *bound[1] : value(std::int64_t{0});
  for (const value& item : iterate(run, input)) {
    const bool direct = !bound.has(0) || bound[0]->is(kind::none);
    total = calculate(run, binary_operator::add, total, direct ? item : attribute_path(run, item, *bound[0]));
  }
  return total;
}

constexpr filter table[] = {{"length", count},       {"count", count},   {"list", list},
                            {"first", first},        {"last", last},     {"reverse", reverse},
                            {"join", join_filter},   {"items", items},   {"sort", sort},
                            {"dictsort", dictsort},  {"unique", unique}, {"max", extreme<true>},
                            {"min", extreme<false>}, {"sum", sum}};

} // namespace

std::span<const filter> sequence_filters() { return table; }

} // namespace souffleur::jinja
