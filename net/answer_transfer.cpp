#include "net/answer_transfer.hpp"

#include "engine/cache/entry_json.hpp"
#include "net/stored_answers.hpp"

#include <istream>
#include <ostream>

namespace souffleur {

namespace {

constexpr std::size_t lines_between_reports = 256;

/// Calls `use` with the entry of each line until one is wrong, or `use` returns a reason why not.
template <class Use>
result<std::size_t> read_entries(std::istream& lines, Use use) {
  std::size_t n_lines = 0;
  std::size_t n_entries = 0;
  for (std::string line; std::getline(lines, line);) {
    ++n_lines;
    if (line.find_first_not_of(" \t\r") == std::string::npos)
      continue;
    const auto entry = entry_from_json(line);
    const auto done = entry ? use(*entry) : result<std::monostate>{failure{entry.error()}};
    if (!done)
      return failure{"line " + std::to_string(n_lines) + ": " + done.error()};
    ++n_entries;
  }
  if (lines.bad())
    return failure{"cannot be read"};
  return n_entries;
}

} // namespace

result<std::size_t> export_answers(answer_store& store, std::ostream& lines, unix_seconds now_s,
                                   const transfer_progress& progress) {
  const auto n_all = static_cast<std::size_t>(store.counters().n_entries);
  std::size_t n_done = 0;
  const auto visited = visit_entries(store, now_s, [&](const cache_entry& entry) {
    lines << entry_as_json(entry) << '\n';
    if (++n_done % lines_between_reports == 0)
      progress(n_done, n_all);
    return lines.good();
  });
  if (!visited)
    return failure{visited.error()};
  if (!lines.flush())
    return failure{"cannot be written"};
  return n_done;
}

result<imported_answers> import_answers(answer_store& store, std::istream& lines, unix_seconds now_s,
                                        const transfer_progress& progress) {
  const auto n_all =
      read_entries(lines, [](const cache_entry&) { return result<std::monostate>{std::monostate{}}; });
  if (!n_all)
    return failure{n_all.error() + "; nothing is imported"};
  lines.clear();
  lines.seekg(0);
  imported_answers counts;
  const auto n_read = read_entries(lines, [&](const cache_entry& entry) {
    if (entry.expires_s <= now_s) {
      ++counts.n_expired;
      return result<std::monostate>{std::monostate{}};
    }
    if (++counts.n_stored % lines_between_reports == 0)
      progress(counts.n_stored, *n_all);
    return store.put(entry);
  });
  if (!n_read)
    return failure{n_read.error() + "; the lines before it are imported"};
  return counts;
}

} // namespace souffleur
