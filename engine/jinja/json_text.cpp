#include "engine/jinja/concat.hpp"
#include "engine/jinja/operators.hpp"
#include "engine/jinja/show.hpp"
#include "engine/jinja/unicode.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace souffleur::jinja {
namespace {

class json_writer {
public:
  json_writer(text_writer& out, execution& run, const json_style& style)
      : out_(out), run_(run), style_(style) {}

  void write_value(const value& v) {
    if (!run_.step()) {
      return;
    }
    switch (v.type()) {
    case kind::text:
      return write_string(v.text());
    case kind::dict:
      return write_object(v.entries());
    case kind::sequence:
      if (v.items().how == flavour::list || v.items().how == flavour::tuple) {
        return write_array(v.items().items);
      }
      break;
    default:
      if (v.is(kind::none) || v.is_number()) {
        out_.append(plain_text(v));
        return;
      }
    }
    if (require_defined(run_, v)) {
      run_.fail(concat(type_name(v), " has no JSON form"));
    }
  }

private:
  static std::string plain_text(const value& v) {
    if (v.is(kind::real) && !std::isfinite(v.number())) {
      return std::isnan(v.number()) ? "NaN" : v.number() < 0 ? "-Infinity" : "Infinity";
    }
    return v.is(kind::none)      ? "null"
           : v.is(kind::boolean) ? (v.boolean() ? "true" : "false")
           : v.is(kind::integer) ? std::to_string(v.integral())
                                 : number_text(v.number());
  }

  void write_array(const std::vector<value>& items) {
    if (items.empty()) {
      out_.append("[]");
      return;
    }
    out_.append("[");
    ++level_;
    for (std::size_t i = 0; i < items.size() && !run_.failed(); ++i) {
      separate(i);
      write_value(items[i]);
    }
    --level_;
    new_line();
    out_.append("]");
  }

  void write_object(const dict& entries) {
    if (entries.size() == 0) {
      out_.append("{}");
      return;
    }
    std::vector<const std::pair<value, value>*> ordered;
    for (const auto& entry : entries.entries()) {
      ordered.push_back(&entry);
    }
    if (style_.sort_keys) {
      std::stable_sort(ordered.begin(), ordered.end(),
                       [&](const auto* a, const auto* b) { return order(run_, a->first, b->first) < 0; });
    }
    out_.append("{");
    ++level_;
    for (std::size_t i = 0; i < ordered.size() && !run_.failed(); ++i) {
      separate(i);
      const auto& [key, v] = *ordered[i];
      write_string(key.is(kind::text) ? key.text() : plain_text(key));
      out_.append(style_.key_separator);
      write_value(v);
    }
    --level_;
    new_line();
    out_.append("}");
  }

  void separate(std::size_t i) {
    out_.append(i == 0 ? std::string_view() : std::string_view(style_.item_separator));
    new_line();
  }

  void new_line() {
    if (!style_.indent) {
      return;
    }
    out_.append("\n");
    for (int i = 0; i < level_; ++i) {
      out_.append(*style_.indent);
    }
  }

  void write_string(std::string_view text) {
    out_.append("\"");
    std::size_t plain_from = 0;
    for (std::size_t i = 0; i < text.size();) {
      const auto [c, n_bytes] = code_point_at(text, i);
      if (c == '"' || c == '\\' || c < 0x20 || (style_.ascii && c > 0x7e)) {
        out_.append(text.substr(plain_from, i - plain_from)).append(escape(c));
        plain_from = i + n_bytes;
      }
      i += n_bytes;
    }
    out_.append(text.substr(plain_from)).append("\"");
  }

  static std::string escape(char32_t c) {
    constexpr std::string_view named = "\"\"\\\\\nn\rr\tt\ff\bb";
    for (std::size_t i = 0; i < named.size(); i += 2) {
      if (c == static_cast<char32_t>(named[i])) {
        return {'\\', named[i + 1]};
      }
    }
    char text[16];
    if (c >= 0x10000) {
      const unsigned offset = static_cast<unsigned>(c) - 0x10000;
      std::snprintf(text, sizeof text, "\\u%04x\\u%04x", 0xD800 + (offset >> 10), 0xDC00 + (offset & 0x3FF));
    } else {
      std::snprintf(text, sizeof text, "\\u%04x", static_cast<unsigned>(c));
    }
    return text;
  }

  text_writer& out_;
  execution& run_;
  const json_style& style_;
  int level_ = 0;
};

} // namespace

void write_json(text_writer& out, execution& run, const value& v, const json_style& style) {
  json_writer(out, run, style).write_value(v);
}

} // namespace souffleur::jinja
