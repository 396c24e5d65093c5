#include "engine/jinja/text_methods.hpp"

#include "engine/jinja/concat.hpp"
#include "engine/jinja/factory.hpp"
#include "engine/jinja/operators.hpp"
#include "engine/jinja/text_edit.hpp"
#include "engine/jinja/unicode.hpp"

#include <algorithm>

namespace souffleur::jinja {
namespace {

template <auto edit>
value edited(execution& run, const value& receiver, const arguments& given) {
  bound_arguments::bind(run, "this method", {}, given);
  return make_text(run, edit(receiver.text()));
}

/// Null if the argument is missing or none.
const value* given_or_null(const bound_arguments& bound, std::size_t i) {
  return bound.has(i) && !bound[i]->is(kind::none) ? bound[i] : nullptr;
}

template <side where>
value stripped(execution& run, const value& receiver, const arguments& given) {
  const auto bound = bound_arguments::bind(run, "strip", {"chars"}, given);
  const bool plain = given_or_null(bound, 0) == nullptr;
  const std::string_view characters = plain ? std::string_view() : bound.text_or(run, 0, "");
  return make_text(run, std::string(strip(receiver.text(), where, plain ? nullptr : &characters)));
}

template <auto cut>
value split_by(execution& run, const value& receiver, const arguments& given) {
  const auto bound = bound_arguments::bind(run, "split", {"sep", "maxsplit"}, given);
  const bool plain = given_or_null(bound, 0) == nullptr;
  const std::string_view separator = plain ? std::string_view() : bound.text_or(run, 0, " ");
  const std::int64_t limit = bound.integer_or(run, 1, -1);
  return make_sequence(run, flavour::list, cut(run, receiver.text(), plain ? nullptr : &separator, limit));
}

/// The part of the receiver between the code points that arguments `i` and `i + 1` name, as slices do.
std::string part_between(execution& run, const value& receiver, const bound_arguments& bound, std::size_t i) {
  const value part = slice(run, receiver, given_or_null(bound, i), given_or_null(bound, i + 1), nullptr);
  return part.is(kind::text) ? part.text() : std::string();
}

bool matches(execution& run, std::string_view text, const value& affix, bool at_end) {
  if (!affix.is(kind::text)) {
    if (require_defined(run, affix)) {
      run.fail(concat("startswith() and endswith() need a string, not ", type_name(affix)));
    }
    return false;
  }
  return at_end ? text.ends_with(affix.text()) : text.starts_with(affix.text());
}

template <bool at_end>
value has_affix(execution& run, const value& receiver, const arguments& given) {
  const auto bound =
      bound_arguments::bind(run, at_end ? "endswith" : "startswith", {{"affix", "start", "end"}, 1}, given);
  if (run.failed()) {
    return {};
  }
  const std::string text = part_between(run, receiver, bound, 1);
  if (!bound[0]->is(kind::sequence) || bound[0]->items().how != flavour::tuple) {
    return value(matches(run, text, *bound[0], at_end));
  }
  const auto& all = bound[0]->items().items;
  return value(
      std::any_of(all.begin(), all.end(), [&](const value& v) { return matches(run, text, v, at_end); }));
}

template <bool without_end>
value without_affix(execution& run, const value& receiver, const arguments& given) {
  const auto bound = bound_arguments::bind(run, "this method", {{"affix"}, 1}, given);
  const std::string_view affix = bound.text_or(run, 0, "");
  std::string_view text = receiver.text();
  if (without_end && text.ends_with(affix)) {
    text.remove_suffix(affix.size());
  } else if (!without_end && text.starts_with(affix)) {
    text.remove_prefix(affix.size());
  }
  return make_text(run, std::string(text));
}

value replaced(execution& run, const value& receiver, const arguments& given) {
  const auto bound = bound_arguments::bind(run, "replace", {{"old", "new", "count"}, 2}, given);
  const auto old = bound.text_or(run, 0, " ");
  const auto by = bound.text_or(run, 1, "");
  const auto count = bound.integer_or(run, 2, -1);
  return run.failed() ? value() : value(replace_all(run, receiver.text(), old, by, count));
}

value joined(execution& run, const value& receiver, const arguments& given) {
  const auto bound = bound_arguments::bind(run, "join", {{"iterable"}, 1}, given);
  if (run.failed()) {
    return {};
  }
  const auto parts = iterate(run, *bound[0]);
  for (const value& part : parts) {
    if (!part.is(kind::text) && require_defined(run, part)) {
      run.fail(concat("join() needs strings, not ", type_name(part)));
    }
  }
  return value(join(run, parts, receiver.text()));
}

/// Place in code points of the first or last occurrence, -1 if there is none.
template <bool from_right, bool must_be_there>
value found(execution& run, const value& receiver, const arguments& given) {
  const auto bound = bound_arguments::bind(run, "find", {{"sub", "start", "end"}, 1}, given);
  const std::string_view needle = bound.text_or(run, 0, "");
  const std::string text = part_between(run, receiver, bound, 1);
  if (!run.step(1 +
                static_cast<std::int64_t>(text.size() / 64 * (from_right ? needle.size() / 64 + 1 : 1)))) {
    return {};
  }
  const std::size_t at = from_right ? text.rfind(needle) : find(text, needle);
  if (at == std::string::npos) {
    if (must_be_there) {
      run.fail("index(): the substring is not there");
    }
    return value(std::int64_t{-1});
  }
  std::int64_t start = bound.has(1) ? bound.integer_or(run, 1, 0) : 0;
  const auto n = length(run, receiver);
  start = start < 0 ? std::max<std::int64_t>(0, start + n) : start;
  return value(start + static_cast<std::int64_t>(count_code_points(std::string_view(text).substr(0, at))));
}

value counted(execution& run, const value& receiver, const arguments& given) {
  const auto bound = bound_arguments::bind(run, "count", {{"sub"}, 1}, given);
  const std::string_view needle = bound.text_or(run, 0, " ");
  const std::string& text = receiver.text();
  if (needle.empty()) {
    return value(length(run, receiver) + 1);
  }
  std::int64_t n = 0;
  for (std::size_t at = find(text, needle); at != std::string::npos && run.step(); ++n) {
    at = find(text, needle, at + needle.size());
  }
  return value(n);
}

value lines(execution& run, const value& receiver, const arguments& given) {
  bound_arguments::bind(run, "splitlines", {}, given);
  std::vector<value> out;
  for (const std::string_view line : split_lines(receiver.text())) {
    out.push_back(make_text(run, std::string(line)));
    if (!run.step()) {
      break;
    }
  }
  return make_sequence(run, flavour::list, std::move(out));
}

template <bool from_right>
value partitioned(execution& run, const value& receiver, const arguments& given) {
  const auto bound = bound_arguments::bind(run, "partition", {{"sep"}, 1}, given);
  const std::string_view separator = bound.text_or(run, 0, " ");
  const std::string_view text = receiver.text();
  if (separator.empty()) {
    run.fail("partition() takes no empty separator");
  }
  run.step(1 + static_cast<std::int64_t>(text.size() / 64 * (separator.size() / 64 + 1)));
  if (run.failed()) {
    return {};
  }
  const std::size_t at = from_right ? text.rfind(separator) : find(text, separator);
  const bool missing = at == std::string_view::npos;
  const std::string_view before = missing ? (from_right ? "" : text) : text.substr(0, at);
  const std::string_view after = missing ? (from_right ? text : "") : text.substr(at + separator.size());
  return make_sequence(run, flavour::tuple,
                       {make_text(run, std::string(before)),
                        make_text(run, std::string(missing ? std::string_view() : separator)),
                        make_text(run, std::string(after))});
}

/// Whether there is a code point and `holds` is true of all.
template <auto... holds>
value all_are(execution& run, const value& receiver, const arguments& given) {
  bound_arguments::bind(run, "this method", {}, given);
  run.step(1 + static_cast<std::int64_t>(receiver.text().size() / 16));
  const auto text = decode(receiver.text());
  return value(!text.empty() &&
               std::all_of(text.begin(), text.end(), [](char32_t c) { return (holds(c) || ...); }));
}

template <auto wanted, auto unwanted>
value has_case(execution& run, const value& receiver, const arguments& given) {
  bound_arguments::bind(run, "this method", {}, given);
  run.step(1 + static_cast<std::int64_t>(receiver.text().size() / 16));
  const auto text = decode(receiver.text());
  return value(std::any_of(text.begin(), text.end(), wanted) &&
               std::none_of(text.begin(), text.end(), unwanted));
}

enum class placement { left, right, center };

template <placement where>
value padded(execution& run, const value& receiver, const arguments& given) {
  const auto bound = bound_arguments::bind(run, "this method", {{"width", "fillchar"}, 1}, given);
  const std::int64_t missing = bound.integer_or(run, 0, 0) - length(run, receiver);
  const std::string_view fill = bound.text_or(run, 1, " ");
  if (count_code_points(fill) != 1) {
    run.fail("the fill character must be exactly one character long");
  }
  if (run.failed() || missing <= 0) {
    return receiver;
  }
  const std::int64_t odd_left = missing & (length(run, receiver) + missing) & 1;
  const std::int64_t n_left = where == placement::left    ? 0
                              : where == placement::right ? missing
                                                          : missing / 2 + odd_left;
  text_writer out(run);
  for (std::int64_t i = 0; i < missing && run.step(); ++i) {
    if (i == n_left) {
      out.append(receiver.text());
    }
    out.append(fill);
  }
  if (n_left == missing) {
    out.append(receiver.text());
  }
  return value(out.take());
}

constexpr method table[] = {{"strip", stripped<side::both>},
                            {"lstrip", stripped<side::left>},
                            {"rstrip", stripped<side::right>},
                            {"split", split_by<split>},
                            {"rsplit", split_by<split_from_right>},
                            {"splitlines", lines},
                            {"partition", partitioned<false>},
                            {"rpartition", partitioned<true>},
                            {"startswith", has_affix<false>},
                            {"endswith", has_affix<true>},
                            {"removeprefix", without_affix<false>},
                            {"removesuffix", without_affix<true>},
                            {"upper", edited<upper>},
                            {"lower", edited<lower>},
                            {"title", edited<title>},
                            {"capitalize", edited<capitalize>},
                            {"replace", replaced},
                            {"join", joined},
                            {"find", found<false, false>},
                            {"rfind", found<true, false>},
                            {"index", found<false, true>},
                            {"rindex", found<true, true>},
                            {"count", counted},
                            {"isalpha", all_are<is_alpha>},
                            {"isdigit", all_are<is_digit>},
                            {"isalnum", all_are<is_alpha, is_digit>},
                            {"isspace", all_are<is_space>},
                            {"isupper", has_case<is_upper, is_lower>},
                            {"islower", has_case<is_lower, is_upper>},
                            {"ljust", padded<placement::left>},
                            {"rjust", padded<placement::right>},
                            {"center", padded<placement::center>}};

} // namespace

std::span<const method> text_methods() { return table; }

} // namespace souffleur::jinja
