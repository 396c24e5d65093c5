// Counters of speculation, as Prometheus reads them, and as they are documented.

#include "actors/serving_metrics.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <fstream>
#include <iterator>
#include <map>
#include <sstream>
#include <string>
#include <vector>

namespace souffleur {
namespace {

/// 0 if there is no such counter yet.
double value_of(const std::string& text, const std::string& name, const std::string& label = "") {
  std::istringstream lines{text};
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with(name + "{") && line.find(label) != std::string::npos)
      return std::stod(line.substr(line.rfind(' ') + 1));
  return 0;
}

/// Caught: per position counted one too far; drafters counted as one; drafts
/// counted by their tokens.
RC_GTEST_PROP(ServingMetrics, CountDraftsByPositionAndByDrafter, ()) {
  constexpr token_origin drafters[] = {token_origin::prompt_lookup, token_origin::suffix,
                                       token_origin::draft_model};
  constexpr int most = 6;
  serving_metrics metrics{"m"};
  int n_drafts = 0;
  std::vector<int> accepted_at(most + 1);
  std::map<token_origin, draft_report> by_drafter;
  const int n_steps = *rc::gen::inRange(0, 8);
  for (int step = 0; step < n_steps; ++step) {
    step_report report;
    const int n = *rc::gen::inRange(0, 4);
    for (int i = 0; i < n; ++i) {
      draft_report draft{
          *rc::gen::elementOf(std::vector<token_origin>(std::begin(drafters), std::end(drafters))),
          *rc::gen::inRange(1, most + 1), 0};
      draft.n_accepted = *rc::gen::inRange(0, draft.n_drafted + 1);
      report.drafts.push_back(draft);
      ++n_drafts;
      by_drafter[draft.drafter].n_drafted += draft.n_drafted;
      by_drafter[draft.drafter].n_accepted += draft.n_accepted;
      for (int at = 0; at < draft.n_accepted; ++at)
        ++accepted_at[static_cast<std::size_t>(at)];
    }
    metrics.record(report);
  }
  const auto text = metrics.text();
  RC_ASSERT(value_of(text, "vllm:spec_decode_num_drafts_total") == n_drafts);
  for (int at = 0; at <= most; ++at)
    RC_ASSERT(value_of(text, "vllm:spec_decode_num_accepted_tokens_per_pos_total",
                       "position=\"" + std::to_string(at) + "\"") ==
              accepted_at[static_cast<std::size_t>(at)]);
  for (const auto drafter : drafters) {
    const auto label = std::string{"drafter=\""} + to_string(drafter) + "\"";
    RC_ASSERT(value_of(text, "souffleur_draft_tokens_total", label) == by_drafter[drafter].n_drafted);
    RC_ASSERT(value_of(text, "souffleur_accepted_draft_tokens_total", label) ==
              by_drafter[drafter].n_accepted);
  }
}

/// As they stand in text(), without vLLM's prefix and ours.
std::vector<std::string> names_in(const std::string& text) {
  std::vector<std::string> names;
  std::istringstream lines{text};
  for (std::string line; std::getline(lines, line);)
    if (std::istringstream words{line}; line.starts_with("# TYPE ")) {
      std::string name;
      words >> name >> name >> name;
      names.push_back(name.substr(std::string{name.starts_with("vllm:") ? "vllm:" : "souffleur_"}.size()));
    }
  return names;
}

TEST(ServingMetrics, AreAllNamedInTheDocumentation) {
  serving_metrics metrics{"m"};
  step_report step;
  step.drafts.push_back({token_origin::suffix, 2, 1});
  metrics.record(step);
  metrics.record(request_report{"stop", {}, 1, 2});
  metrics.record(file_tier_counters{});
  metrics.record_restart("verifier");
  request_report cached{"stop", {}, 1, 2};
  cached.usage.source = answer_source::exact;
  metrics.record(cached);
  metrics.record(cache_report{});
  metrics.record(store_counters{});
  metrics.record(likeness::same);
  metrics.record(embedding_report{});
  metrics.set_memory({{"weights", 1}});
  std::stringstream documentation;
  documentation << std::ifstream{SOUFFLEUR_SOURCE "/actors/README.md"}.rdbuf();
  const auto names = names_in(metrics.text());
  EXPECT_GE(names.size(), 25U);
  for (const auto& name : names)
    EXPECT_NE(documentation.str().find('`' + name + '`'), std::string::npos) << name;
}

} // namespace
} // namespace souffleur
