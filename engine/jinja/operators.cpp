#include "engine/jinja/operators.hpp"

#include "engine/jinja/concat.hpp"
#include "engine/jinja/unicode.hpp"

#include <algorithm>
#include <cmath>

namespace souffleur::jinja {
namespace {

std::int64_t cost_of(const std::string& text) { return 1 + static_cast<std::int64_t>(text.size() / 64); }

bool equal_items(execution& run, const std::vector<value>& a, const std::vector<value>& b) {
  if (a.size() != b.size()) {
    return false;
  }
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!equal(run, a[i], b[i])) {
      return false;
    }
  }
  return true;
}

bool equal_entries(execution& run, const dict& a, const dict& b) {
  if (a.size() != b.size()) {
    return false;
  }
  for (const auto& [key, v] : a.entries()) {
    const value* other = b.find(key);
    if (other == nullptr || !equal(run, v, *other)) {
      return false;
    }
  }
  return true;
}

bool equal_numbers(const value& a, const value& b) {
  return a.is_integral() && b.is_integral() ? a.integral() == b.integral() : a.number() == b.number();
}

bool equal_sequences(execution& run, const value& a, const value& b) {
  if (a.identity() == b.identity()) {
    return true;
  }
  const flavour how = a.items().how;
  return how == b.items().how && how != flavour::generator &&
         equal_items(run, a.items().items, b.items().items);
}

int no_order(execution& run, const value& a, const value& b) {
  if (require_defined(run, a) && require_defined(run, b)) {
    run.fail(concat("cannot order ", type_name(a), " and ", type_name(b)));
  }
  return 0;
}

template <class T>
int three_way(const T& a, const T& b) {
  return a < b ? -1 : b < a ? 1 : 0;
}

int order_items(execution& run, const std::vector<value>& a, const std::vector<value>& b) {
  for (std::size_t i = 0; i < std::min(a.size(), b.size()) && !run.failed(); ++i) {
    if (!equal(run, a[i], b[i])) {
      return order(run, a[i], b[i]);
    }
  }
  return three_way(a.size(), b.size());
}

} // namespace

bool require_defined(execution& run, const value& v) {
  if (v.is(kind::undefined)) {
    run.fail(v.missing().what ? *v.missing().what : "a value is undefined");
  }
  return !v.is(kind::undefined);
}

bool truth(const value& v) {
  switch (v.type()) {
  case kind::undefined:
  case kind::none:
    return false;
  case kind::boolean:
  case kind::integer:
    return v.integral() != 0;
  case kind::real:
    return v.number() != 0;
  case kind::text:
    return !v.text().empty();
  case kind::sequence:
    return v.items().how == flavour::generator || !v.items().items.empty();
  case kind::dict:
    return v.entries().size() != 0;
  default:
    return true;
  }
}

bool equal(execution& run, const value& a, const value& b) {
  if (!run.step()) {
    return false;
  }
  if (a.is_number() && b.is_number()) {
    return equal_numbers(a, b);
  }
  if (a.type() != b.type()) {
    return false;
  }
  switch (a.type()) {
  case kind::text:
    return run.step(cost_of(a.text())) && a.text() == b.text();
  case kind::sequence:
    return equal_sequences(run, a, b);
  case kind::dict:
    return equal_entries(run, a.entries(), b.entries());
  default:
    return a.identity() == b.identity();
  }
}

int order(execution& run, const value& a, const value& b) {
  if (!run.step()) {
    return 0;
  }
  if (a.is_integral() && b.is_integral()) {
    return three_way(a.integral(), b.integral());
  }
  if (a.is_number() && b.is_number()) {
    return three_way(a.number(), b.number());
  }
  if (a.is(kind::text) && b.is(kind::text)) {
    run.step(cost_of(a.text()));
    return three_way(a.text(), b.text()); // the order of UTF-8 bytes is that of code points
  }
  if (a.is(kind::sequence) && b.is(kind::sequence) && a.items().how == b.items().how &&
      (a.items().how == flavour::list || a.items().how == flavour::tuple)) {
    return order_items(run, a.items().items, b.items().items);
  }
  return no_order(run, a, b);
}

bool contains(execution& run, const value& container, const value& item) {
  switch (container.type()) {
  case kind::undefined:
    return false;
  case kind::text:
    if (!item.is(kind::text)) {
      if (require_defined(run, item)) {
        run.fail(concat("'in <string>' needs a string, not ", type_name(item)));
      }
      return false;
    }
    run.step(cost_of(container.text()));
    return find(container.text(), item.text()) != std::string_view::npos;
  case kind::dict:
    return container.entries().find(item) != nullptr;
  case kind::sequence: {
    const auto items = iterate(run, container);
    return std::any_of(items.begin(), items.end(), [&](const value& v) { return equal(run, v, item); });
  }
  default:
    run.fail(concat("'in' cannot search in ", type_name(container)));
    return false;
  }
}

bool compare(execution& run, comparison how, const value& a, const value& b) {
  const auto unordered = [&] { // NaN is in no order with anything
    return a.is_number() && b.is_number() && (std::isnan(a.number()) || std::isnan(b.number()));
  };
  switch (how) {
  case comparison::equal:
    return equal(run, a, b);
  case comparison::not_equal:
    return !equal(run, a, b);
  case comparison::less:
    return order(run, a, b) < 0;
  case comparison::less_equal:
    return order(run, a, b) <= 0 && !unordered();
  case comparison::greater:
    return order(run, a, b) > 0;
  case comparison::greater_equal:
    return order(run, a, b) >= 0 && !unordered();
  case comparison::in:
    return contains(run, b, a);
  case comparison::not_in:
    return !contains(run, b, a);
  }
  return false;
}

std::int64_t length(execution& run, const value& v) {
  switch (v.type()) {
  case kind::undefined:
    return 0;
  case kind::text:
    run.step(cost_of(v.text()));
    return static_cast<std::int64_t>(count_code_points(v.text()));
  case kind::dict:
    return static_cast<std::int64_t>(v.entries().size());
  case kind::sequence:
    if (v.items().how != flavour::generator) {
      return static_cast<std::int64_t>(v.items().items.size());
    }
    [[fallthrough]];
  default:
    run.fail(concat(type_name(v), " has no length"));
    return 0;
  }
}

} // namespace souffleur::jinja
