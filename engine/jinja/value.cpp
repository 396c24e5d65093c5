#include "engine/jinja/value.hpp"

#include <algorithm>

namespace souffleur::jinja {
std::int64_t value::integral() const {
  const bool* b = std::get_if<bool>(&content_);
  return b != nullptr ? static_cast<std::int64_t>(*b) : std::get<std::int64_t>(content_);
}

double value::number() const {
  const double* d = std::get_if<double>(&content_);
  return d != nullptr ? *d : static_cast<double>(integral());
}

const void* value::identity() const {
  switch (type()) {
  case kind::text:
    return &text();
  case kind::sequence:
    return &items();
  case kind::dict:
    return &entries();
  case kind::name_space:
    return &space();
  case kind::loop:
    return &loop();
  case kind::callable:
    return &function();
  default:
    return nullptr;
  }
}

int value::depth() const {
  switch (type()) {
  case kind::sequence:
    return items().depth;
  case kind::dict:
    return entries().depth();
  case kind::loop:
    return loop().depth;
  case kind::callable:
    return function().depth();
  default:
    return 0;
  }
}

sequence::sequence(flavour f, std::vector<value> v) : how(f), items(std::move(v)), depth(1) {
  for (const value& item : items) {
    depth = std::max(depth, item.depth() + 1);
  }
}

void dict::set(value key, value v) {
  depth_ = std::max(depth_, v.depth() + 1);
  if (const auto place = place_of(key)) {
    entries_[*place].second = std::move(v);
    return;
  }
  const std::size_t place = entries_.size();
  if (key.is(kind::text)) {
    texts_.emplace(key.text(), place);
  } else if (key.is_number()) {
    numbers_.emplace(key.number(), place);
  } else {
    none_ = place;
  }
  entries_.emplace_back(std::move(key), std::move(v));
}

std::optional<std::size_t> dict::place_of(const value& key) const {
  if (key.is(kind::text)) {
    const auto at = texts_.find(key.text());
    return at == texts_.end() ? std::nullopt : std::optional(at->second);
  }
  if (key.is_number()) {
    const auto [begin, end] = numbers_.equal_range(key.number());
    for (auto at = begin; at != end; ++at) {
      const value& other = entries_[at->second].first;
      if (!key.is_integral() || !other.is_integral() || key.integral() == other.integral()) {
        return at->second;
      }
    }
    return std::nullopt;
  }
  return key.is(kind::none) ? none_ : std::nullopt;
}

const value* dict::find(const value& key) const {
  const auto place = place_of(key);
  return place ? &entries_[*place].second : nullptr;
}

const value* dict::find(std::string_view key) const {
  const auto at = texts_.find(key);
  return at == texts_.end() ? nullptr : &entries_[at->second].second;
}

bool is_key(const value& v) { return v.is(kind::none) || v.is_number() || v.is(kind::text); }

const value* name_space::find(std::string_view name) const {
  const auto at =
      std::find_if(attributes.begin(), attributes.end(), [&](const auto& a) { return a.first == name; });
  return at == attributes.end() ? nullptr : &at->second;
}

void name_space::set(std::string_view name, value v) {
  if (const value* old = find(name)) {
    *const_cast<value*>(old) = std::move(v);
  } else {
    attributes.emplace_back(name, std::move(v));
  }
}

std::string_view type_name(const value& v) {
  switch (v.type()) {
  case kind::undefined:
    return "undefined";
  case kind::none:
    return "None";
  case kind::boolean:
    return "bool";
  case kind::integer:
    return "int";
  case kind::real:
    return "float";
  case kind::text:
    return "str";
  case kind::dict:
    return "dict";
  case kind::name_space:
    return "namespace";
  case kind::loop:
    return "loop";
  case kind::callable:
    return "function";
  case kind::sequence:
    break;
  }
  switch (v.items().how) {
  case flavour::list:
    return "list";
  case flavour::tuple:
    return "tuple";
  case flavour::range:
    return "range";
  case flavour::view:
    return "dict view";
  case flavour::generator:
    return "generator";
  }
  return "object";
}

} // namespace souffleur::jinja
