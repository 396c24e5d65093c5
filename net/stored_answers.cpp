#include "net/stored_answers.hpp"

#include "engine/tokenizer/utf8.hpp"

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <ctime>
#include <iomanip>
#include <limits>
#include <map>
#include <ostream>
#include <set>

namespace souffleur {

namespace {

constexpr std::size_t entries_at_once = 256;
constexpr std::size_t shown_digits = 16;
constexpr std::size_t shown_bytes = 100;

std::string digits_of(const key_digest& digest) { return to_hex(digest).substr(0, shown_digits); }

std::string time_text(unix_seconds time_s) {
  const auto time = static_cast<std::time_t>(time_s);
  std::tm parts{};
  char text[32] = "?";
  if (gmtime_r(&time, &parts) != nullptr)
    std::strftime(text, sizeof text, "%F %T", &parts);
  return text;
}

/// One line of it. Clients choose the texts, so nothing may reach a terminal that it would obey.
std::string beginning_of(std::string_view text) {
  std::string shown = repaired_utf8(text.substr(0, shown_bytes));
  for (std::size_t i = 0; i < shown.size(); ++i) {
    const auto byte = static_cast<unsigned char>(shown[i]);
    const bool is_c1 =
        byte == 0xC2 && i + 1 < shown.size() && static_cast<unsigned char>(shown[i + 1]) < 0xA0;
    if (is_c1)
      shown.erase(i, 1);
    if (is_c1 || byte < 0x20 || byte == 0x7F)
      shown[i] = ' ';
  }
  return text.size() > shown_bytes ? shown + "..." : shown;
}

struct entry_statistics {
  std::size_t n_entries = 0;
  std::size_t n_with_question = 0;
  std::size_t n_bytes = 0; ///< of answers, questions and vectors
  unix_seconds oldest_s = std::numeric_limits<unix_seconds>::max();
  unix_seconds newest_s = std::numeric_limits<unix_seconds>::min();

  void count(const cache_entry& entry) {
    ++n_entries;
    n_with_question += entry.question.empty() ? 0 : 1;
    n_bytes += entry.answer->size_bytes() + entry.question.size() + entry.embedding.size() * sizeof(float);
    oldest_s = std::min(oldest_s, entry.created_s);
    newest_s = std::max(newest_s, entry.created_s);
  }
};

void write_row(std::ostream& out, const std::string& name, const entry_statistics& of) {
  out << std::left << std::setw(shown_digits + 2) << name << std::right << std::setw(10) << of.n_entries
      << std::setw(12) << of.n_with_question << std::setw(14) << of.n_bytes << "  "
      << (of.n_entries == 0 ? "" : time_text(of.oldest_s) + "  " + time_text(of.newest_s)) << '\n';
}

void write_as_text(std::ostream& out, const cache_entry& entry) {
  out << digits_of(entry.exact) << "  tenant " << digits_of(entry.owner) << "  " << time_text(entry.created_s)
      << "  until " << time_text(entry.expires_s) << "\n  "
      << (entry.question.empty() ? "(by its exact key only)" : beginning_of(entry.question)) << "\n  -> "
      << beginning_of(entry.answer->text()) << '\n';
}

void write_as_json(std::ostream& out, const cache_entry& entry) {
  out << boost::json::serialize(boost::json::object{{"key", to_hex(entry.exact)},
                                                    {"tenant", to_hex(entry.owner)},
                                                    {"question", repaired_utf8(entry.question)},
                                                    {"answer", repaired_utf8(entry.answer->text())},
                                                    {"created_s", entry.created_s},
                                                    {"expires_s", entry.expires_s}})
      << '\n';
}

} // namespace

result<std::monostate> visit_entries(answer_store& store, unix_seconds now_s,
                                     const std::function<bool(const cache_entry&)>& use) {
  std::string position;
  while (true) {
    const auto changes = store.changes_since(position, entries_at_once, now_s);
    if (!changes)
      return failure{changes.error()};
    for (const auto& entry : changes->added)
      if (!use(*entry))
        return std::monostate{};
    if (changes->is_all)
      return std::monostate{};
    position = changes->position;
  }
}

result<std::monostate> write_statistics(std::ostream& out, answer_store& store, unix_seconds now_s) {
  entry_statistics all;
  std::map<key_digest, entry_statistics> by_tenant;
  const auto visited = visit_entries(store, now_s, [&](const cache_entry& entry) {
    all.count(entry);
    by_tenant[entry.owner].count(entry);
    return true;
  });
  if (!visited)
    return visited;
  const auto counters = store.counters();
  out << "takes " << counters.n_bytes << " bytes, "
      << counters.n_entries - std::min<std::uint64_t>(counters.n_entries, all.n_entries) << " expired, "
      << counters.n_damaged << " damaged\n\n"
      << std::left << std::setw(shown_digits + 2) << "tenant" << std::right << std::setw(10) << "entries"
      << std::setw(12) << "by meaning" << std::setw(14) << "bytes"
      << "  oldest (UTC)         newest\n";
  for (const auto& [owner, of] : by_tenant)
    write_row(out, digits_of(owner), of);
  write_row(out, "all", all);
  return std::monostate{};
}

result<std::monostate> write_list(std::ostream& out, answer_store& store, unix_seconds now_s,
                                  std::size_t n_most, list_format format) {
  std::size_t n_written = 0;
  return visit_entries(store, now_s, [&](const cache_entry& entry) {
    format == list_format::json ? write_as_json(out, entry) : write_as_text(out, entry);
    return ++n_written != n_most;
  });
}

result<std::size_t> forget_all(answer_store& store) {
  std::set<key_digest> owners;
  const auto visited =
      visit_entries(store, std::numeric_limits<unix_seconds>::min(), [&](const cache_entry& one) {
        owners.insert(one.owner);
        return true;
      });
  if (!visited)
    return failure{visited.error()};
  std::size_t n_forgotten = 0;
  for (const auto& owner : owners) {
    const auto n = store.forget(owner);
    if (!n)
      return n;
    n_forgotten += *n;
  }
  return n_forgotten;
}

result<std::size_t> forget_key(answer_store& store, std::string_view digits, unix_seconds now_s) {
  std::vector<key_digest> found;
  const auto visited = visit_entries(store, now_s, [&](const cache_entry& entry) {
    if (to_hex(entry.exact).starts_with(digits))
      found.push_back(entry.exact);
    return found.size() < 2;
  });
  if (!visited)
    return failure{visited.error()};
  if (found.size() != 1)
    return failure{(found.empty() ? "no key begins with " : "more than one key begins with ") +
                   std::string{digits}};
  const auto erased = store.erase(found.front());
  return erased ? result<std::size_t>{1} : failure{erased.error()};
}

} // namespace souffleur
