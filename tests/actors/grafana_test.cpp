// conf/grafana.json asks for metrics that there are.
#include "actors/serving_metrics.hpp"

#include <boost/json/parse.hpp>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <sstream>
#include <string>

namespace souffleur {
namespace {

namespace json = boost::json;

/// Of a server at which everything has happened once.
std::set<std::string> names_of_all_metrics() {
  serving_metrics metrics{"m"};
  step_report step;
  step.n_rows = 1;
  step.shares = {{.gap_ms = 1}};
  step.drafts = {{token_origin::suffix, 2, 1}};
  metrics.record(step);
  metrics.record(request_report{"stop", {}, 1, 2});
  metrics.record(file_tier_counters{});
  metrics.record(embedding_report{});
  metrics.record(cache_report{});
  metrics.record(store_counters{});
  metrics.record_restart("verifier");
  metrics.set_memory({{"weights", 1}});
  request_report hit{"stop", {}, 1, 2};
  hit.usage.source = answer_source::exact;
  metrics.record(hit);
  std::set<std::string> names;
  std::istringstream lines{metrics.text()};
  for (std::string line; std::getline(lines, line);)
    if (!line.starts_with('#'))
      names.insert(line.substr(0, line.find_first_of("{ ")));
  return names;
}

std::string dashboard_text() {
  std::ifstream file{std::string{SOUFFLEUR_SOURCE} + "/conf/grafana.json"};
  return {std::istreambuf_iterator<char>{file}, {}};
}

TEST(GrafanaDashboard, namesOnlyMetricsThatThereAre) {
  const auto dashboard = json::parse(dashboard_text());
  const auto known = names_of_all_metrics();
  const std::regex metric{"(vllm:|souffleur_)[a-z0-9_]+"};
  int n_named = 0;
  for (const auto& panel : dashboard.at("panels").as_array())
    for (const auto& target : panel.at("targets").as_array()) {
      const std::string expression{target.at("expr").as_string()};
      for (auto at = std::sregex_iterator{expression.begin(), expression.end(), metric};
           at != std::sregex_iterator{}; ++at, ++n_named)
        EXPECT_TRUE(known.contains(at->str())) << at->str() << " in " << panel.at("title").as_string();
    }
  EXPECT_GE(n_named, 25);
}

/// The data source and the model are chosen on the dashboard; nothing in it belongs to one installation.
TEST(GrafanaDashboard, isOfNoInstallation) {
  const auto dashboard = json::parse(dashboard_text());
  for (const auto& panel : dashboard.at("panels").as_array()) {
    EXPECT_EQ(panel.at("datasource").at("uid").as_string(), "${datasource}");
    for (const auto& target : panel.at("targets").as_array())
      EXPECT_NE(std::string{target.at("expr").as_string()}.find("$model"), std::string::npos);
  }
}

} // namespace
} // namespace souffleur
