#include "engine/jinja/factory.hpp"
#include "engine/jinja/filters.hpp"
#include "engine/jinja/operators.hpp"
#include "engine/jinja/show.hpp"
#include "engine/jinja/text_edit.hpp"
#include "engine/jinja/unicode.hpp"

namespace souffleur::jinja {
namespace {

template <auto edit>
value apply_edit(execution& run, const value& input, const arguments& given) {
  bound_arguments::bind(run, "this filter", {}, given);
  return make_text(run, edit(to_text(run, input)));
}

/// Jinja's own: words begin after space, '-', '(', '{', '[' and '<' only.
std::string title_words(std::string_view text) {
  std::string out;
  std::size_t start = 0;
  for (std::size_t i = 0; i < text.size();) {
    const auto [c, n_bytes] = code_point_at(text, i);
    i += n_bytes;
    if (is_space(c) ||
        (c < 0x80 && std::string_view("-({[<").find(static_cast<char>(c)) != std::string_view::npos)) {
      out += capitalize(text.substr(start, i - n_bytes - start));
      out += text.substr(i - n_bytes, n_bytes);
      start = i;
    }
  }
  return out + capitalize(text.substr(start));
}

value trim(execution& run, const value& input, const arguments& given) {
  const auto bound = bound_arguments::bind(run, "trim", {"chars"}, given);
  const std::string text = to_text(run, input);
  const bool plain = !bound.has(0) || bound[0]->is(kind::none);
  const std::string_view characters = plain ? std::string_view() : bound.text_or(run, 0, "");
  return make_text(run, std::string(strip(text, side::both, plain ? nullptr : &characters)));
}

value replace(execution& run, const value& input, const arguments& given) {
  const auto bound = bound_arguments::bind(run, "replace", {{"old", "new", "count"}, 2}, given);
  const std::int64_t count = bound.has(2) && bound[2]->is(kind::none) ? -1 : bound.integer_or(run, 2, -1);
  if (run.failed()) {
    return {};
  }
  return value(
      replace_all(run, to_text(run, input), to_text(run, *bound[0]), to_text(run, *bound[1]), count));
}

std::string escape_html(std::string_view text) {
  constexpr std::string_view entities[] = {"&amp;", "&lt;", "&gt;", "&#34;", "&#39;"};
  std::string out;
  for (const char c : text) {
    const auto at = std::string_view("&<>\"'").find(c);
    if (at == std::string_view::npos) {
      out += c;
    } else {
      out += entities[at];
    }
  }
  return out;
}

std::string unchanged(std::string_view text) { return std::string(text); }

/// The indentation that `width` asks for: that many spaces, or the text itself.
std::string indentation(execution& run, const bound_arguments& bound) {
  if (bound.has(0) && bound[0]->is(kind::text)) {
    return bound[0]->text();
  }
  const std::int64_t width = bound.integer_or(run, 0, 4);
  return text_writer(run).append(static_cast<std::size_t>(width < 0 ? 0 : width), ' ').take();
}

value indent(execution& run, const value& input, const arguments& given) {
  const auto bound = bound_arguments::bind(run, "indent", {"width", "first", "blank"}, given);
  const std::string space = indentation(run, bound);
  const bool first_too = bound.truth_or(1, false);
  const bool blank_too = bound.truth_or(2, false);
  const std::string text = to_text(run, input) + "\n";
  text_writer out(run);
  bool first = true;
  for (const std::string_view line : split_lines(text)) {
    const bool wanted = first ? first_too : blank_too || !line.empty();
    out.append(first ? "" : "\n").append(wanted ? std::string_view(space) : std::string_view()).append(line);
    first = false;
    if (!run.step()) {
      break;
    }
  }
  return value(out.take());
}

constexpr filter table[] = {{"upper", apply_edit<upper>},
                            {"lower", apply_edit<lower>},
                            {"capitalize", apply_edit<capitalize>},
                            {"title", apply_edit<title_words>},
                            {"trim", trim},
                            {"replace", replace},
                            {"escape", apply_edit<escape_html>},
                            {"e", apply_edit<escape_html>},
                            {"safe", apply_edit<unchanged>},
                            {"string", apply_edit<unchanged>},
                            {"indent", indent}};

} // namespace

std::span<const filter> text_filters() { return table; }

} // namespace souffleur::jinja
