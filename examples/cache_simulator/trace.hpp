// What the simulator replays: prompts and answers as runs of page names.
#pragma once

#include "engine/result.hpp"

#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

namespace souffleur::cache_simulator {

/// One request: the pages of its prompt and then of its answer. Equal names at equal places after equal
/// names are equal KV.
struct request {
  std::vector<std::int32_t> pages;
  int n_prompt_pages = 0;
};

struct trace {
  std::string name;
  std::vector<request> requests;
};

/// Names of the seeded models of traces.
const std::vector<std::string>& trace_models();

/// Makes `n_requests` requests of a model of trace_models(). The same arguments give the same trace.
trace make_trace(const std::string& model, int n_requests, std::uint64_t seed);

/// Reads Mooncake's JSON lines (timestamp, input_length, output_length, hash_ids). One hash is one page here,
/// whatever it stands for there; answers are not in hash_ids and so not replayed. `name` is for errors, which
/// say the line.
result<trace> read_mooncake(std::istream& in, const std::string& name);

} // namespace souffleur::cache_simulator
