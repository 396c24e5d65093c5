#include "engine/cache/calibration_file.hpp"

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <ostream>

namespace souffleur {

namespace json = boost::json;

namespace {

constexpr std::string_view format = "souffleur cache calibration 1";

/// Numbers that are missing, wrong or out of range are NaN, and then the first of them has a name.
class number_reader {
public:
  double number(const json::object& of, std::string_view name, double least, double most) {
    json::error_code error;
    const auto* value = of.if_contains(name);
    const double number = value != nullptr ? value->to_number<double>(error) : std::nan("");
    if (!error && number >= least && number <= most)
      return number;
    complain(name);
    return std::nan("");
  }
  void complain(std::string_view name) {
    if (wrong_.empty())
      wrong_ = name;
  }
  const std::string& wrong() const { return wrong_; }

private:
  std::string wrong_;
};

const json::object* object_in(const json::object& of, std::string_view name) {
  const auto* value = of.if_contains(name);
  return value != nullptr ? value->if_object() : nullptr;
}

std::string text_in(const json::object& of, std::string_view name) {
  const auto* value = of.if_contains(name);
  return value != nullptr && value->is_string() ? std::string{value->get_string()} : std::string{};
}

threshold_prior prior_in(const json::object& all, number_reader& numbers) {
  const auto* prior = object_in(all, "prior");
  if (prior == nullptr) {
    numbers.complain("prior");
    return {};
  }
  return {numbers.number(*prior, "mean", -1, 2), numbers.number(*prior, "spread", 1e-6, 2),
          numbers.number(*prior, "slope", 1e-6, 1e6)};
}

std::vector<certified_floor> floors_in(const json::object& all, number_reader& numbers) {
  std::vector<certified_floor> floors;
  const auto* rows = all.if_contains("floors");
  if (rows == nullptr || !rows->is_array()) {
    numbers.complain("floors");
    return floors;
  }
  for (const auto& row : rows->get_array()) {
    if (!row.is_object()) {
      numbers.complain("floors");
      return floors;
    }
    floors.push_back({numbers.number(row.get_object(), "max_error", 0, 1),
                      numbers.number(row.get_object(), "threshold", 0, 2)});
  }
  if (!std::is_sorted(floors.begin(), floors.end(),
                      [](const auto& a, const auto& b) { return a.max_error < b.max_error; }))
    numbers.complain("floors");
  return floors;
}

} // namespace

result<calibration_file> calibration_file::read(std::istream& json) {
  const std::string content{std::istreambuf_iterator<char>{json}, {}};
  json::error_code error;
  const auto value = json::parse(content, error);
  const auto* all = error ? nullptr : value.if_object();
  if (all == nullptr || text_in(*all, "format") != format)
    return failure{"is no \"" + std::string{format} + "\""};
  number_reader numbers;
  calibration_file made;
  made.embedder = text_in(*all, "embedder");
  const auto basis = text_in(*all, "errors_per");
  if (basis != "request" && basis != "hit")
    numbers.complain("errors_per");
  made.calibration.basis = basis == "hit" ? error_basis::per_hit : error_basis::per_request;
  made.confidence = numbers.number(*all, "confidence", 0, 1);
  const double n_requests = numbers.number(*all, "n_requests", 0, 1e9);
  made.calibration.prior = prior_in(*all, numbers);
  made.calibration.floors = floors_in(*all, numbers);
  if (!numbers.wrong().empty())
    return failure{"\"" + numbers.wrong() + "\" is missing or wrong"};
  made.n_requests = static_cast<int>(n_requests);
  return made;
}

result<calibration_file> calibration_file::read(const std::string& path) {
  std::ifstream file{path};
  if (!file)
    return failure{path + ": cannot be read: " + std::strerror(errno)};
  auto made = read(file);
  return made ? std::move(made) : failure{path + ": " + made.error()};
}

void calibration_file::write(std::ostream& json) const {
  json::array floors;
  for (const auto& floor : calibration.floors)
    floors.push_back(json::object{{"max_error", floor.max_error}, {"threshold", floor.threshold}});
  const auto& prior = calibration.prior;
  json << json::serialize(json::object{
              {"format", format},
              {"embedder", embedder},
              {"errors_per", calibration.basis == error_basis::per_hit ? "hit" : "request"},
              {"confidence", confidence},
              {"n_requests", n_requests},
              {"prior", {{"mean", prior.mean}, {"spread", prior.spread}, {"slope", prior.slope}}},
              {"floors", std::move(floors)}})
       << '\n';
}

} // namespace souffleur
