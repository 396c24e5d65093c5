#include "engine/jinja/show.hpp"

#include "engine/jinja/concat.hpp"
#include "engine/jinja/unicode.hpp"

#include <charconv>
#include <cmath>
#include <cstdio>

namespace souffleur::jinja {
namespace {

std::string hex(char32_t c, int n_digits) {
  char digits[16];
  std::snprintf(digits, sizeof digits, "%0*x", n_digits, static_cast<unsigned>(c));
  return digits;
}

std::string escaped(char32_t c) {
  switch (c) {
  case '\n':
    return "\\n";
  case '\r':
    return "\\r";
  case '\t':
    return "\\t";
  case '\\':
    return "\\\\";
  default:
    return c < 0x100     ? concat("\\x", hex(c, 2))
           : c < 0x10000 ? concat("\\u", hex(c, 4))
                         : concat("\\U", hex(c, 8));
  }
}

void write_quoted(text_writer& out, std::string_view text) {
  const bool single = text.find('\'') != std::string_view::npos && text.find('"') == std::string_view::npos;
  const char quote = single ? '"' : '\'';
  out.append(1, quote);
  for (std::size_t i = 0; i < text.size();) {
    const auto [c, n_bytes] = code_point_at(text, i);
    if (c == static_cast<char32_t>(quote)) {
      out.append("\\");
    }
    if (c == '\\' || !is_printable(c)) {
      out.append(escaped(c));
    } else {
      out.append(text.substr(i, n_bytes));
    }
    i += n_bytes;
  }
  out.append(1, quote);
}

void write_repr(text_writer& out, execution& run, const value& v);

void write_items(text_writer& out, execution& run, const std::vector<value>& items) {
  for (std::size_t i = 0; i < items.size() && !run.failed(); ++i) {
    out.append(i == 0 ? "" : ", ");
    write_repr(out, run, items[i]);
  }
}

void write_range(text_writer& out, const std::vector<value>& items) {
  const std::int64_t first = items.empty() ? 0 : items.front().integral();
  const std::int64_t step = items.size() < 2 ? 1 : items[1].integral() - first;
  const std::int64_t stop = items.empty() ? 0 : items.back().integral() + step;
  out.append(concat("range(", std::to_string(first), ", ", std::to_string(stop)));
  out.append(step == 1 ? ")" : concat(", ", std::to_string(step), ")"));
}

void write_sequence(text_writer& out, execution& run, const sequence& all) {
  switch (all.how) {
  case flavour::list:
    out.append("[");
    write_items(out, run, all.items);
    out.append("]");
    break;
  case flavour::tuple:
    out.append("(");
    write_items(out, run, all.items);
    out.append(all.items.size() == 1 ? ",)" : ")");
    break;
  case flavour::range:
    write_range(out, all.items);
    break;
  case flavour::view:
    out.append("dict_view([");
    write_items(out, run, all.items);
    out.append("])");
    break;
  case flavour::generator:
    out.append("<generator object>");
    break;
  }
}

void write_dict(text_writer& out, execution& run, const dict& all) {
  out.append("{");
  bool first = true;
  for (const auto& [key, v] : all.entries()) {
    if (run.failed()) {
      break;
    }
    out.append(first ? "" : ", ");
    first = false;
    write_repr(out, run, key);
    out.append(": ");
    write_repr(out, run, v);
  }
  out.append("}");
}

void write_repr(text_writer& out, execution& run, const value& v) {
  if (v.is(kind::text)) {
    write_quoted(out, v.text());
  } else if (v.is(kind::undefined)) {
    out.append("Undefined");
  } else {
    write(out, run, v);
  }
}

} // namespace

std::string number_text(double d) {
  if (std::isnan(d)) {
    return "nan";
  }
  if (std::isinf(d)) {
    return d < 0 ? "-inf" : "inf";
  }
  char buffer[64];
  const double size = std::fabs(d);
  const bool plain = size == 0 || (size >= 1e-4 && size < 1e16);
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, d,
                                 plain ? std::chars_format::fixed : std::chars_format::scientific)
                       .ptr;
  std::string text(buffer, end);
  return plain && text.find('.') == std::string::npos ? text + ".0" : text;
}

void write(text_writer& out, execution& run, const value& v) {
  if (!run.step()) {
    return;
  }
  switch (v.type()) {
  case kind::undefined:
    break;
  case kind::none:
    out.append("None");
    break;
  case kind::boolean:
    out.append(v.boolean() ? "True" : "False");
    break;
  case kind::integer:
    out.append(std::to_string(v.integral()));
    break;
  case kind::real:
    out.append(number_text(v.number()));
    break;
  case kind::text:
    out.append(v.text());
    break;
  case kind::sequence:
    write_sequence(out, run, v.items());
    break;
  case kind::dict:
    write_dict(out, run, v.entries());
    break;
  case kind::name_space:
  case kind::loop:
    out.append("<").append(type_name(v)).append(">");
    break;
  case kind::callable:
    out.append("<function ").append(v.function().name).append(">");
    break;
  }
}

std::string to_text(execution& run, const value& v) {
  text_writer out(run);
  write(out, run, v);
  return out.take();
}

} // namespace souffleur::jinja
