// Takes down what one client is told, and whether it was told in a legal order.
#pragma once

#include "actors/messages/generation.hpp"

#include <condition_variable>
#include <memory>
#include <mutex>

namespace souffleur::testing {

struct recorded_answer {
  std::optional<generation_accepted> accepted;
  std::vector<token_id> tokens;
  std::vector<token_origin> origins; ///< of the tokens
  std::string text;
  std::vector<step_trace> steps;
  std::optional<generation_finished> finished;
  std::optional<generation_failed> failed;
  int n_ends = 0;
  std::string breach; ///< of the order [accepted, delta*, one end]
};

/// Thread-safe.
class answer_recorder {
public:
  void take(const generation_event& event) {
    std::lock_guard lock{mutex_};
    if (answer_.n_ends > 0)
      breach("something came after the end");
    if (const auto* accepted = std::get_if<generation_accepted>(&event)) {
      if (answer_.accepted)
        breach("accepted twice");
      answer_.accepted = *accepted;
    } else if (const auto* delta = std::get_if<generation_delta>(&event)) {
      if (!answer_.accepted)
        breach("a delta before the acceptance");
      for (const auto& token : delta->tokens) {
        answer_.tokens.push_back(token.id);
        answer_.origins.push_back(token.origin);
      }
      answer_.text += delta->text();
      if (delta->step)
        answer_.steps.push_back(*delta->step);
    } else {
      ++answer_.n_ends;
      if (const auto* finished = std::get_if<generation_finished>(&event))
        answer_.finished = *finished;
      else
        answer_.failed = std::get<generation_failed>(event);
    }
    changed_.notify_all();
  }

  recorded_answer now() const {
    std::lock_guard lock{mutex_};
    return answer_;
  }

  bool ended() const { return now().n_ends > 0; }

  /// Waits for the end; what there is after half a minute if none comes.
  recorded_answer wait() const {
    std::unique_lock lock{mutex_};
    changed_.wait_for(lock, std::chrono::seconds{30}, [&] { return answer_.n_ends > 0; });
    return answer_;
  }

  /// Waits for the first token.
  void wait_for_token() const {
    std::unique_lock lock{mutex_};
    changed_.wait_for(lock, std::chrono::seconds{30},
                      [&] { return answer_.n_ends > 0 || !answer_.tokens.empty(); });
  }

private:
  void breach(const std::string& what) {
    if (answer_.breach.empty())
      answer_.breach = what;
  }

  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  recorded_answer answer_;
};

inline generation_sink sink_of(const std::shared_ptr<answer_recorder>& recorder) {
  return [recorder](const generation_event& event) { recorder->take(event); };
}

} // namespace souffleur::testing
