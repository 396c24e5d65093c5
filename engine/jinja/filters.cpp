#include "engine/jinja/filters.hpp"

#include "engine/jinja/factory.hpp"
#include "engine/jinja/operators.hpp"
#include "engine/jinja/unicode.hpp"

#include <algorithm>
#include <charconv>

namespace souffleur::jinja {

const filter* find_filter(std::string_view name) {
  for (const auto& part : {text_filters(), sequence_filters(), selection_filters(), value_filters()}) {
    const auto at = std::find_if(part.begin(), part.end(), [&](const filter& f) { return f.name == name; });
    if (at != part.end()) {
      return &*at;
    }
  }
  return nullptr;
}

value attribute_path(execution& run, const value& object, const value& path) {
  if (!path.is(kind::text)) {
    return subscript(run, object, path);
  }
  value reached = object;
  std::string_view rest = path.text();
  for (bool more = true; more && run.step();) {
    const std::size_t dot = rest.find('.');
    const std::string_view name = rest.substr(0, dot);
    std::int64_t index = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), index);
    const bool is_index = error == std::errc() && end == name.data() + name.size();
    reached = subscript(run, reached, is_index ? value(index) : text_value(name));
    more = dot != std::string_view::npos;
    rest = more ? rest.substr(dot + 1) : std::string_view();
  }
  return reached;
}

value fold_case(execution& run, const value& v) {
  return v.is(kind::text) ? make_text(run, lower(v.text())) : v;
}

} // namespace souffleur::jinja
