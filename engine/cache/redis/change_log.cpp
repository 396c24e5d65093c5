#include "engine/cache/redis/change_log.hpp"

#include "engine/cache/redis/keys.hpp"

#include <algorithm>
#include <unordered_set>

namespace souffleur {

namespace {

constexpr std::string_view added_field = "+";
constexpr std::string_view removed_field = "-";

/// One field, which says what was done, and its value, which says to what.
std::optional<logged_change> change_of(const redisReply& record) {
  const auto parts = items_of(record);
  if (parts.size() != 2)
    return std::nullopt;
  const auto fields = items_of(*parts[1]);
  if (fields.size() != 2)
    return std::nullopt;
  const auto field = text_of(*fields[0]).value_or("");
  const auto exact = digest_from_hex(text_of(*fields[1]).value_or(""));
  if (!exact || (field != added_field && field != removed_field))
    return std::nullopt;
  return logged_change{*exact, field == added_field ? entry_change::added : entry_change::removed};
}

std::string_view id_of(const redisReply& record) {
  const auto parts = items_of(record);
  return parts.empty() ? std::string_view{} : text_of(*parts[0]).value_or("");
}

bool has_only_digits(std::string_view text) { return text.find_first_not_of("0123456789") == text.npos; }

void keep_last_of_each(std::vector<logged_change>& changes) {
  std::unordered_set<key_digest, key_digest_hash> later;
  std::vector<logged_change> kept;
  for (auto change = changes.rbegin(); change != changes.rend(); ++change)
    if (later.insert(change->exact).second)
      kept.push_back(*change);
  std::reverse(kept.begin(), kept.end());
  changes = std::move(kept);
}

} // namespace

void log_change(redis_pipeline& to, std::string_view key, entry_change change, std::string_view exact_hex,
                std::size_t n_most) {
  const auto field = change == entry_change::added ? added_field : removed_field;
  to.add({"XADD", key, "MAXLEN", "~", std::to_string(n_most), "*", field, exact_hex});
}

std::optional<logged_changes> changes_of(const redisReply& reply) {
  if (error_of(reply))
    return std::nullopt;
  logged_changes read;
  for (const auto* record : items_of(reply)) {
    ++read.n_records;
    read.last_id = id_of(*record);
    if (const auto change = change_of(*record))
      read.changes.push_back(*change);
    else
      ++read.n_damaged;
  }
  keep_last_of_each(read.changes);
  return read;
}

std::optional<change_position> change_position::parse(std::string_view text) {
  const auto first = text.find(' ');
  const auto second = text.find(' ', first == text.npos ? first : first + 1);
  if (second == text.npos)
    return std::nullopt;
  change_position parsed{std::string{text.substr(0, first)},
                         std::string{text.substr(first + 1, second - first - 1)},
                         std::string{text.substr(second + 1)}};
  const auto dash = parsed.last_id.find('-');
  if (dash == text.npos || !has_only_digits(parsed.cursor) ||
      !has_only_digits(parsed.last_id.substr(0, dash)) || !has_only_digits(parsed.last_id.substr(dash + 1)))
    return std::nullopt;
  return parsed;
}

} // namespace souffleur
