// What the lexical guards say of pairs of questions.
//
//   souffleur_guard_tool --summary < tests/data/guard_pairs.jsonl     shares by category, tuned and held out
//   souffleur_guard_tool < PAIRS.jsonl                                a line a pair: guard, reason, overlap,
//   a, b
//
// A line of the input is {"a": text, "b": text} with "label" ("trap" or "harmless", "category", "held_out")
// or with "duplicate" (1 or 0).
#include "policies/lexical_guards.hpp"

#include <boost/json/parse.hpp>

#include <cstdio>
#include <iostream>
#include <map>
#include <string>

using namespace souffleur;

namespace {

struct share {
  int n = 0;
  int n_refused = 0;
};

std::string text_of(const boost::json::object& row, std::string_view key) {
  const auto* value = row.if_contains(key);
  return value != nullptr && value->is_string() ? std::string{value->get_string()} : std::string{};
}

/// What a pair is counted under.
std::string group_of(const boost::json::object& row) {
  if (const auto* duplicate = row.if_contains("duplicate"))
    return *duplicate == 1 ? "duplicate" : "other";
  const auto* held_out = row.if_contains("held_out");
  const bool is_held_out = held_out != nullptr && held_out->is_bool() && held_out->get_bool();
  return text_of(row, "label") + (is_held_out ? " held-out" : " tuned");
}

void print(const std::map<std::string, share>& shares) {
  for (const auto& [name, counts] : shares)
    std::printf("%-32s %6d pairs %6.1f %% refused\n", name.c_str(), counts.n,
                100.0 * counts.n_refused / counts.n);
}

} // namespace

int main(int n_arguments, char** arguments) {
  const bool summary = n_arguments > 1 && std::string_view{arguments[1]} == "--summary";
  std::map<std::string, share> groups;
  std::map<std::string, share> categories;
  std::map<std::string, share> guards;
  for (std::string line; std::getline(std::cin, line);) {
    const auto row = boost::json::parse(line).as_object();
    const auto a = text_signature{text_of(row, "a")};
    const auto b = text_signature{text_of(row, "b")};
    const auto verdict = compare(a, b);
    const auto words = overlap(a, b);
    const auto group = group_of(row);
    for (auto* counts :
         {&groups[group], &categories[text_of(row, "label") + " " + text_of(row, "category")]}) {
      ++counts->n;
      counts->n_refused += verdict.passes() ? 0 : 1;
    }
    auto& by_guard =
        guards[group.substr(0, group.find(' ')) + " by " + std::string{to_string(verdict.refused_by)}];
    ++by_guard.n;
    by_guard.n_refused += verdict.passes() ? 0 : 1;
    if (!summary)
      std::printf("%s\t%s\t%s\t%d\t%d\t%d\t%s\t%s\n", group.c_str(), to_string(verdict.refused_by).data(),
                  verdict.why.c_str(), words.n_shared, words.n_only_a, words.n_only_b,
                  text_of(row, "a").c_str(), text_of(row, "b").c_str());
  }
  if (summary)
    for (const auto* shares : {&groups, &categories, &guards})
      print(*shares);
}
