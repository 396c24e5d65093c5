#include "examples/cluster_simulator/worker_costs.hpp"

#include <boost/json/parse.hpp>

#include <algorithm>
#include <fstream>
#include <iterator>

namespace souffleur::cluster_simulation {

worker_costs default_costs() {
  worker_costs costs;
  costs.decode = {{1, 5840}, {2, 6400}, {4, 7010}, {8, 9415}, {16, 17450}};
  costs.prefill = {{1, 5840}, {16, 12'200}, {64, 54'100}, {256, 195'700}};
  costs.attention_us = costs.prefill_attention_us = 2.25;
  costs.step_us = 1376;
  return costs;
}

result<worker_costs> read_costs(const std::string& path) {
  std::ifstream file{path};
  const std::string text{std::istreambuf_iterator<char>{file}, {}};
  if (!file)
    return failure{"cannot read \"" + path + "\""};
  try {
    const auto document = boost::json::parse(text);
    const auto times = [&](const char* name) {
      std::vector<step_time> all;
      for (const auto& point : document.at(name).as_array())
        all.push_back({static_cast<int>(point.at(0).to_number<int>()), point.at(1).to_number<double>()});
      return all;
    };
    worker_costs costs;
    costs.decode = times("decode");
    costs.prefill = times("prefill");
    costs.attention_us = document.at("attention_us").to_number<double>();
    costs.prefill_attention_us = document.at("prefill_attention_us").to_number<double>();
    costs.step_us = document.at("step_us").to_number<double>();
    costs.request_us = document.at("request_us").to_number<double>();
    for (auto& [name, factors] : {std::pair{"crowding", &costs.crowding},
                                  {"decode_spread", &costs.decode_spread},
                                  {"prefill_spread", &costs.prefill_spread}}) {
      if (const auto* all = document.as_object().if_contains(name))
        for (const auto& times : all->as_array())
          factors->push_back(times.to_number<double>());
      if (!std::ranges::all_of(*factors, [](double times) { return times > 0; }))
        return failure{path + ": " + name + " has to be above 0"};
    }
    for (const auto* curve : {&costs.decode, &costs.prefill})
      for (const auto& point : *curve)
        if (point.n_rows < 1 || point.us <= 0)
          return failure{path + ": rows and times have to be above 0"};
    return costs;
  } catch (const std::exception& error) {
    return failure{path + ": " + error.what()};
  }
}

} // namespace souffleur::cluster_simulation
