// A process that drafts for a server in another one.
#pragma once

#include "actors/cluster/cluster_config.hpp"
#include "engine/language_model.hpp"
#include "engine/result.hpp"
#include "engine/tokenizer.hpp"

#include <cstdint>
#include <memory>
#include <string>

namespace souffleur {

struct drafter_parts {
  std::string model_name;
  std::shared_ptr<language_model> model;
  std::shared_ptr<const tokenizer> vocabulary;
  std::string eviction;     ///< of its pages: a name that make_eviction_policy() knows
  bool drafts_ahead = true; ///< it goes on while its drafts are verified
};

class drafter_node {
public:
  /// Measures the model and listens from now on, until destruction. Fails if the address cannot be bound.
  static result<std::unique_ptr<drafter_node>> start(const cluster_config& config, drafter_parts parts);
  virtual ~drafter_node() = default;
  virtual std::uint16_t port() const = 0;
};

} // namespace souffleur
