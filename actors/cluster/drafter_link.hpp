// A drafter in another process as its server sees it: somebody who comes, answers orders, and is lost.
#pragma once

#include "actors/cluster/cluster_config.hpp"
#include "actors/messages/remote_draft.hpp"
#include "engine/tokenizer.hpp"

#include <functional>
#include <memory>
#include <string>
#include <variant>
#include <vector>

namespace souffleur {

/// It knows no sequence.
struct drafter_joined {
  std::string model_name;
  std::vector<step_time> passes;
};
struct drafter_left {
  std::string why;
};
using drafter_news = std::variant<drafter_joined, drafter_left, drafted_batch>;
using drafter_listener = std::function<void(drafter_news)>;

/// Thread-safe.
class drafter_link {
public:
  virtual ~drafter_link() = default;
  /// From now on `listener`, and no earlier one, is told; first, if the drafter is there, that it is. Called
  /// on any thread.
  virtual void listen(drafter_listener listener) = 0;
  /// Gives the order a number, which no other has, and returns it. It is lost if nobody is there.
  virtual std::uint64_t send(draft_order order) = 0;

  /// Connects to the drafter at `address` (HOST:PORT), again and again while it is away; nothing waits for
  /// it. Of `config` the secret, the TLS files and the times are used. `races`: as in drafting_terms.
  static std::shared_ptr<drafter_link> start(const cluster_config& config, const std::string& address,
                                             const std::string& model_name,
                                             std::shared_ptr<const tokenizer> vocabulary, bool races);
};

} // namespace souffleur
