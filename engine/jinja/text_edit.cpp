#include "engine/jinja/text_edit.hpp"

#include "engine/jinja/factory.hpp"
#include "engine/jinja/show.hpp"
#include "engine/jinja/unicode.hpp"

#include <algorithm>

namespace souffleur::jinja {
namespace {

constexpr std::int64_t unlimited = std::int64_t{1} << 62;

std::string insert_everywhere(execution& run, std::string_view text, std::string_view by,
                              std::int64_t limit) {
  text_writer out(run);
  std::size_t i = 0;
  for (std::int64_t done = 0; done < limit && run.step(); ++done) {
    out.append(by);
    if (i == text.size()) {
      return out.take();
    }
    const std::size_t n_bytes = code_point_at(text, i).n_bytes;
    out.append(text.substr(i, n_bytes));
    i += n_bytes;
  }
  out.append(text.substr(i));
  return out.take();
}

std::vector<value> split_at_space(execution& run, std::string_view text, std::int64_t limit) {
  std::vector<value> parts;
  text = strip(text, side::left);
  while (!text.empty() && run.step()) {
    if (static_cast<std::int64_t>(parts.size()) == limit) {
      parts.push_back(make_text(run, std::string(text)));
      break;
    }
    std::size_t end = 0;
    while (end < text.size()) {
      const auto [c, n_bytes] = code_point_at(text, end);
      if (is_space(c)) {
        break;
      }
      end += n_bytes;
    }
    parts.push_back(make_text(run, std::string(text.substr(0, end))));
    text = strip(text.substr(end), side::left);
  }
  return parts;
}

/// Joins what a full split cut too often, from the left.
std::vector<value> split_at_space_from_right(execution& run, std::string_view text, std::int64_t limit) {
  std::vector<value> parts;
  text = strip(text, side::right);
  while (!text.empty() && run.step()) {
    if (static_cast<std::int64_t>(parts.size()) == limit) {
      parts.push_back(make_text(run, std::string(text)));
      break;
    }
    std::size_t start = 0;
    for (std::size_t i = 0; i < text.size();) {
      const auto [c, n_bytes] = code_point_at(text, i);
      i += n_bytes;
      start = is_space(c) ? i : start;
    }
    run.step(static_cast<std::int64_t>(text.size() / 64));
    parts.push_back(make_text(run, std::string(text.substr(start))));
    text = strip(text.substr(0, start), side::right);
  }
  std::reverse(parts.begin(), parts.end());
  return parts;
}

bool check_separator(execution& run, const std::string_view* separator) {
  if (separator != nullptr && separator->empty()) {
    run.fail("split() takes no empty separator");
  }
  return !run.failed();
}

} // namespace

std::string replace_all(execution& run, std::string_view text, std::string_view old, std::string_view by,
                        std::int64_t count) {
  const std::int64_t limit = count < 0 ? unlimited : count;
  if (old.empty()) {
    return insert_everywhere(run, text, by, limit);
  }
  text_writer out(run);
  std::size_t from = 0;
  for (std::int64_t done = 0; done < limit && run.step(); ++done) {
    const std::size_t at = find(text, old, from);
    if (at == std::string_view::npos) {
      break;
    }
    out.append(text.substr(from, at - from)).append(by);
    from = at + old.size();
  }
  out.append(text.substr(from));
  return out.take();
}

std::vector<value> split(execution& run, std::string_view text, const std::string_view* separator,
                         std::int64_t limit) {
  limit = limit < 0 ? unlimited : limit;
  if (!check_separator(run, separator)) {
    return {};
  }
  if (separator == nullptr) {
    return split_at_space(run, text, limit);
  }
  std::vector<value> parts;
  std::size_t from = 0;
  while (static_cast<std::int64_t>(parts.size()) < limit && run.step()) {
    const std::size_t at = find(text, *separator, from);
    if (at == std::string_view::npos) {
      break;
    }
    parts.push_back(make_text(run, std::string(text.substr(from, at - from))));
    from = at + separator->size();
  }
  parts.push_back(make_text(run, std::string(text.substr(from))));
  return parts;
}

std::vector<value> split_from_right(execution& run, std::string_view text, const std::string_view* separator,
                                    std::int64_t limit) {
  limit = limit < 0 ? unlimited : limit;
  if (!check_separator(run, separator)) {
    return {};
  }
  if (separator == nullptr) {
    return split_at_space_from_right(run, text, limit);
  }
  std::vector<value> parts;
  while (static_cast<std::int64_t>(parts.size()) < limit &&
         run.step(1 + static_cast<std::int64_t>(separator->size() / 64))) {
    const std::size_t at = text.rfind(*separator);
    if (at == std::string_view::npos) {
      break;
    }
    parts.push_back(make_text(run, std::string(text.substr(at + separator->size()))));
    text = text.substr(0, at);
  }
  parts.push_back(make_text(run, std::string(text)));
  std::reverse(parts.begin(), parts.end());
  return parts;
}

std::string join(execution& run, const std::vector<value>& parts, std::string_view between) {
  text_writer out(run);
  for (std::size_t i = 0; i < parts.size() && !run.failed(); ++i) {
    out.append(i == 0 ? std::string_view() : between);
    write(out, run, parts[i]);
  }
  return out.take();
}

} // namespace souffleur::jinja
