#include "engine/jinja/template.hpp"

#include <boost/json.hpp>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace souffleur::jinja {
namespace {

namespace json = boost::json;

/// Whether the row's template comes out as jinja2 has it: the text, or the stage that failed. What jinja2
/// finds while rendering (calls of unknown functions) may be found while parsing here.
void check_row(const json::object& row) {
  const auto program = template_program::parse(std::string_view(row.at("template").as_string()));
  const json::value* fails = row.if_contains("fails");
  if (fails != nullptr && (fails->as_string() == "parse" || !program.ok())) {
    EXPECT_FALSE(program.ok()) << row;
    return;
  }
  ASSERT_TRUE(program.ok()) << row << "\n" << program.error();
  const auto text = program->render(row.at("variables").as_object());
  if (fails != nullptr) {
    EXPECT_FALSE(text.ok()) << row << "\n" << text.value();
  } else {
    ASSERT_TRUE(text.ok()) << row << "\n" << text.error();
    EXPECT_EQ(text.value(), std::string(row.at("expected").as_string()))
        << row.at("id") << row.at("template");
  }
}

TEST(JinjaGolden, EveryTemplateComesOutAsJinja2HasIt) {
  std::ifstream in(std::filesystem::path(SOUFFLEUR_GOLDEN) / "jinja_cases.jsonl");
  int n_rows = 0;
  for (std::string line; std::getline(in, line); ++n_rows) {
    check_row(json::parse(line).as_object());
  }
  EXPECT_GE(n_rows, 150);
}

} // namespace
} // namespace souffleur::jinja
