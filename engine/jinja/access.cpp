#include "engine/jinja/concat.hpp"
#include "engine/jinja/factory.hpp"
#include "engine/jinja/methods.hpp"
#include "engine/jinja/operators.hpp"
#include "engine/jinja/unicode.hpp"

#include <algorithm>

namespace souffleur::jinja {
namespace {

value missing_attribute(execution& run, const value& object, std::string_view name) {
  return make_undefined(run, concat("'", type_name(object), " object' has no attribute '", name, "'"));
}

value item_or_undefined(execution& run, const std::vector<value>& items, std::int64_t i,
                        std::string_view what) {
  const auto n = static_cast<std::int64_t>(items.size());
  const std::int64_t place = i < 0 ? i + n : i;
  if (place < 0 || place >= n) {
    return make_undefined(run, concat(what, " has no element ", std::to_string(i)));
  }
  return items[static_cast<std::size_t>(place)];
}

/// `depth` counts recursive loops, which there are none of.
value loop_attribute(execution& run, const value& object, std::string_view name) {
  const loop_state& loop = object.loop();
  const auto index = static_cast<std::int64_t>(loop.index);
  const auto n = static_cast<std::int64_t>(loop.items.size());
  const std::pair<std::string_view, std::int64_t> counters[] = {
      {"index", index + 1},         {"index0", index}, {"length", n}, {"revindex", n - index},
      {"revindex0", n - index - 1}, {"depth", 1},      {"depth0", 0}};
  for (const auto& [counter, v] : counters) {
    if (name == counter) {
      return value(v);
    }
  }
  if (name == "first") {
    return value(index == 0);
  }
  if (name == "last") {
    return value(index + 1 == n);
  }
  if (name == "previtem") {
    return index > 0 ? loop.items[loop.index - 1] : make_undefined(run, "there is no previous item");
  }
  if (name == "nextitem") {
    return index + 1 < n ? loop.items[loop.index + 1] : make_undefined(run, "there is no next item");
  }
  return missing_attribute(run, object, name);
}

value method(const value& object, std::string_view name) {
  return value(std::make_shared<const callable>(callable{std::string(name), object, nullptr}));
}

value character(execution& run, const value& object, std::int64_t i) {
  const std::string& text = object.text();
  run.step(1 + static_cast<std::int64_t>(text.size() / 16));
  const auto all = decode(text);
  const auto n = static_cast<std::int64_t>(all.size());
  const std::int64_t place = i < 0 ? i + n : i;
  if (place < 0 || place >= n) {
    return make_undefined(run, concat("str object has no element ", std::to_string(i)));
  }
  return make_text(run, encode(std::u32string_view(all).substr(static_cast<std::size_t>(place), 1)));
}

/// The places that Python's slice picks from `n`.
struct slice_range {
  std::int64_t start, stop, step;
};

std::int64_t clamp_place(std::int64_t i, std::int64_t n, std::int64_t low, std::int64_t high) {
  return std::clamp(i < 0 ? i + n : i, low, high);
}

slice_range resolve(std::int64_t n, const std::int64_t* start, const std::int64_t* stop, std::int64_t step) {
  const std::int64_t low = step > 0 ? 0 : -1;
  const std::int64_t high = step > 0 ? n : n - 1;
  return {start != nullptr ? clamp_place(*start, n, low, high) : (step > 0 ? low : high),
          stop != nullptr ? clamp_place(*stop, n, low, high) : (step > 0 ? high : low), step};
}

template <class Sequence>
Sequence pick(const Sequence& from, const slice_range& range) {
  Sequence out;
  const std::int64_t span = range.step > 0 ? range.stop - range.start : range.start - range.stop;
  // The step is bounded first: its negation or sum must not overflow.
  const auto n = static_cast<std::int64_t>(from.size());
  const std::int64_t stride = std::clamp(range.step, -n - 1, n + 1);
  for (std::int64_t done = 0; done<span; done += stride> 0 ? stride : -stride) {
    out.push_back(from[static_cast<std::size_t>(range.start + (stride > 0 ? done : -done))]);
  }
  return out;
}

bool read_bound(execution& run, const value* bound, std::int64_t& out, const std::int64_t*& place) {
  if (bound == nullptr || bound->is(kind::none)) {
    return true;
  }
  if (!bound->is_integral()) {
    if (require_defined(run, *bound)) {
      run.fail("slice indices must be integers");
    }
    return false;
  }
  out = bound->integral();
  place = &out;
  return true;
}

} // namespace

value attribute(execution& run, const value& object, std::string_view name) {
  if (!require_defined(run, object)) {
    return {};
  }
  if (has_method(object, name)) {
    return method(object, name);
  }
  const value* found = object.is(kind::dict)         ? object.entries().find(name)
                       : object.is(kind::name_space) ? object.space().find(name)
                                                     : nullptr;
  if (found != nullptr) {
    return *found;
  }
  return object.is(kind::loop) ? loop_attribute(run, object, name) : missing_attribute(run, object, name);
}

value subscript(execution& run, const value& object, const value& key) {
  if (!require_defined(run, object)) {
    return {};
  }
  if (object.is(kind::dict)) {
    if (const value* found = object.entries().find(key)) {
      return *found;
    }
  }
  if (key.is(kind::text)) {
    return attribute(run, object, key.text());
  }
  if (key.is_integral() && object.is(kind::text)) {
    return character(run, object, key.integral());
  }
  if (key.is_integral() && object.is(kind::sequence)) {
    const flavour how = object.items().how;
    if (how != flavour::view && how != flavour::generator) {
      return item_or_undefined(run, object.items().items, key.integral(), type_name(object));
    }
  }
  return make_undefined(run, concat("'", type_name(object), " object' has no such element"));
}

value slice(execution& run, const value& object, const value* start, const value* stop, const value* step) {
  std::int64_t numbers[3];
  const std::int64_t* places[3] = {};
  if (!require_defined(run, object) || !read_bound(run, start, numbers[0], places[0]) ||
      !read_bound(run, stop, numbers[1], places[1]) || !read_bound(run, step, numbers[2], places[2])) {
    return {};
  }
  const std::int64_t stride = places[2] != nullptr ? *places[2] : 1;
  if (stride == 0) {
    run.fail("slice step cannot be zero");
    return {};
  }
  if (object.is(kind::text)) {
    run.step(1 + static_cast<std::int64_t>(object.text().size() / 16));
    const auto all = decode(object.text());
    const auto range = resolve(static_cast<std::int64_t>(all.size()), places[0], places[1], stride);
    return make_text(run, encode(pick(all, range)));
  }
  if (object.is(kind::sequence) && object.items().how != flavour::view &&
      object.items().how != flavour::generator) {
    const auto& all = object.items().items;
    run.step(1 + static_cast<std::int64_t>(all.size()));
    const auto range = resolve(static_cast<std::int64_t>(all.size()), places[0], places[1], stride);
    return make_sequence(run, object.items().how, pick(all, range));
  }
  // Jinja looks the slice up as a key, and finds none.
  return make_undefined(run, concat("'", type_name(object), " object' cannot be sliced"));
}

std::vector<value> iterate(execution& run, const value& v) {
  std::vector<value> out;
  switch (v.type()) {
  case kind::undefined:
    return out;
  case kind::text: {
    const std::string& text = v.text();
    run.create(text.size() * (sizeof(value) + sizeof(std::string)));
    for (std::size_t i = 0; i < text.size() && run.step();) {
      const auto n_bytes = code_point_at(text, i).n_bytes;
      out.push_back(text_value(std::string_view(text).substr(i, n_bytes)));
      i += n_bytes;
    }
    return out;
  }
  case kind::dict:
    for (const auto& [key, item] : v.entries().entries()) {
      out.push_back(key);
    }
    break;
  case kind::sequence:
    if (v.items().how == flavour::generator) {
      out.swap(v.items().items);
    } else {
      out = v.items().items;
    }
    break;
  default:
    run.fail(concat(type_name(v), " is not iterable"));
  }
  run.step(1 + static_cast<std::int64_t>(out.size()));
  run.create(out.size() * sizeof(value));
  return out;
}

} // namespace souffleur::jinja
