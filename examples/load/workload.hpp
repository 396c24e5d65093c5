// What is asked: conversations made offline from a seed.
#pragma once

#include "engine/result.hpp"
#include "examples/load/dialogue.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace souffleur::load {

class workload {
public:
  virtual ~workload() = default;
  /// The i-th dialogue; the same whenever and by whomever it is asked for.
  virtual dialogue at(std::uint64_t i) const = 0;
};

struct workload_options {
  std::uint64_t seed = 1;
  std::string prompts;    ///< chat: JSON lines with "turns", a list of strings; empty: questions are made up
  int prompt_words = 200; ///< random: of a prompt; rag: of a document; shared_prefix: of a system prompt
  int n_shared = 4;       ///< rag: documents; shared_prefix: system prompts; repeated: subjects
  int n_turns = 4;        ///< multi_turn
  double think_s = 0.5;   ///< mean pause between an answer and the next turn
  bool unique = false; ///< a number of its own at the beginning of each dialogue, so that no prefix is shared
};

struct workload_name {
  const char* name;
  const char* about;
};
const std::vector<workload_name>& workload_names();

/// Fails on an unknown name and on a file that cannot be used.
result<std::unique_ptr<workload>> make_workload(const std::string& name, const workload_options& options);

} // namespace souffleur::load
