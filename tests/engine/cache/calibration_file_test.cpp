#include "engine/cache/calibration_file.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <sstream>

namespace souffleur {
namespace {

double between(double least, double most) {
  return least + (most - least) * *rc::gen::inRange(0, 100'001) / 100'000;
}

calibration_file any_calibration() {
  calibration_file made;
  made.embedder = *rc::gen::element<std::string>("", "minilm-1", "\"quoted\"");
  made.confidence = between(0.5, 0.999);
  made.n_requests = *rc::gen::inRange(0, 1'000'000);
  auto& c = made.calibration;
  c.basis = *rc::gen::element(error_basis::per_request, error_basis::per_hit);
  c.prior = {between(0, 1), between(0.01, 1), between(1, 100)};
  double max_error = 0;
  for (int i = *rc::gen::inRange(0, 5); i > 0; --i)
    c.floors.push_back({max_error += between(0.001, 0.1), *rc::gen::arbitrary<bool>() ? 2 : between(0.5, 1)});
  return made;
}

std::string written(const calibration_file& made) {
  std::ostringstream json;
  made.write(json);
  return json.str();
}

result<calibration_file> read(const std::string& text) {
  std::istringstream json{text};
  return calibration_file::read(json);
}

} // namespace

RC_GTEST_PROP(CalibrationFile, IsReadAsItWasWritten, ()) {
  const auto made = any_calibration();
  const auto found = read(written(made));
  RC_ASSERT(found.ok());
  RC_ASSERT(found->embedder == made.embedder);
  RC_ASSERT(found->n_requests == made.n_requests);
  RC_ASSERT(found->calibration.basis == made.calibration.basis);
  const auto is_near = [](double a, double b) { return std::abs(a - b) < 1e-12; };
  RC_ASSERT(is_near(found->confidence, made.confidence));
  const auto& a = found->calibration;
  const auto& b = made.calibration;
  RC_ASSERT((is_near(a.prior.mean, b.prior.mean) && is_near(a.prior.spread, b.prior.spread)));
  RC_ASSERT(is_near(a.prior.slope, b.prior.slope));
  RC_ASSERT(a.floors.size() == b.floors.size());
  for (std::size_t i = 0; i < a.floors.size(); ++i)
    RC_ASSERT((is_near(a.floors[i].max_error, b.floors[i].max_error) &&
               is_near(a.floors[i].threshold, b.floors[i].threshold)));
}

RC_GTEST_PROP(CalibrationFile, ReadsNothingOfAPart, ()) {
  const auto text = written(any_calibration());
  for (std::size_t n = 0; n + 1 < text.size(); ++n)
    RC_ASSERT(!read(text.substr(0, n)));
}

TEST(CalibrationFile, NamesWhatIsWrong) {
  calibration_file made;
  made.calibration.floors = {{0.01, 0.95}, {0.02, 0.9}};
  const auto whole = written(made);
  const auto error_with = [&](const std::string& from, const std::string& to) {
    auto changed = whole;
    const auto at = changed.find(from);
    EXPECT_NE(at, std::string::npos) << from << " in " << whole;
    const auto found = read(changed.replace(at, from.size(), to));
    return found ? std::string{} : found.error();
  };
  EXPECT_EQ(error_with("calibration 1", "calibration 2"), "is no \"souffleur cache calibration 1\"");
  EXPECT_EQ(error_with("\"request\"", "\"day\""), "\"errors_per\" is missing or wrong");
  EXPECT_EQ(error_with("\"slope\"", "\"slop\""), "\"slope\" is missing or wrong");
  EXPECT_EQ(error_with("\"max_error\"", "\"max\""), "\"max_error\" is missing or wrong");
  EXPECT_EQ(error_with("\"threshold\":", "\"threshold\":-"), "\"threshold\" is missing or wrong");
  EXPECT_EQ(error_with("\"floors\":[", "\"floors\":[7,"), "\"floors\" is missing or wrong");
  EXPECT_EQ(error_with("\"floors\":[", "\"floors\":[{\"max_error\":1,\"threshold\":0.9},"),
            "\"floors\" is missing or wrong");
  const auto missing = calibration_file::read("/nowhere/calibration.json");
  ASSERT_FALSE(missing.ok());
  EXPECT_NE(missing.error().find("/nowhere/calibration.json: cannot be read"), std::string::npos);
}

} // namespace souffleur
