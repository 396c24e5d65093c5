#include "examples/cache_simulator/trace.hpp"

#include <algorithm>
#include <random>

namespace souffleur::cache_simulator {

namespace {

/// std's distributions differ between libraries; these do not.
class dice {
public:
  explicit dice(std::uint64_t seed) : random_(seed) {}
  /// 0 .. n - 1
  int below(int n) { return static_cast<int>(random_() % static_cast<std::uint64_t>(n)); }
  /// 0 .. n - 1, small ones more often.
  int low_below(int n) { return std::min(below(n), std::min(below(n), below(n))); }

private:
  std::mt19937_64 random_;
};

class trace_maker {
public:
  trace_maker(int n_requests, std::uint64_t seed) : n_requests_(n_requests), dice_(seed) {}

  std::vector<request> make(const std::string& model) {
    if (model == "chat") {
      chat();
    } else if (model == "system_prompt") {
      system_prompt();
    } else if (model == "agent_tree") {
      agent_tree();
    } else {
      scan();
    }
    return std::move(made_);
  }

private:
  using pages = std::vector<std::int32_t>;

  bool more() const { return static_cast<int>(made_.size()) < n_requests_; }
  void add(pages& to, int n) {
    while (n-- > 0) {
      to.push_back(next_page_++);
    }
  }
  /// Grows `context` by an answer.
  void ask(pages& context, int n_answer) {
    const auto n_prompt = static_cast<int>(context.size());
    add(context, n_answer);
    made_.push_back({context, n_prompt});
  }
  std::vector<pages> some(int n, int n_pages) {
    auto all = std::vector<pages>(static_cast<std::size_t>(n));
    for (auto& one : all) {
      add(one, n_pages + dice_.below(n_pages));
    }
    return all;
  }
  pages& low_of(std::vector<pages>& all) {
    return all[static_cast<std::size_t>(dice_.low_below(static_cast<int>(all.size())))];
  }

  /// Talks that go on turn by turn, some soon and some late, and end at some time.
  void chat() {
    auto talks = some(40, 6);
    while (more()) {
      auto& talk = low_of(talks);
      if (dice_.below(10) == 0) {
        talk.clear();
      }
      add(talk, 2 + dice_.below(6));
      ask(talk, 4 + dice_.below(12));
    }
  }

  /// Few long system prompts, many questions that never come again.
  void system_prompt() {
    const auto prompts = some(24, 32);
    while (more()) {
      auto question = prompts[static_cast<std::size_t>(dice_.low_below(24))];
      add(question, 1 + dice_.below(12));
      ask(question, 2 + dice_.below(12));
    }
  }

  /// Agents with a shared trunk try branches of branches and go back to one of the last steps.
  void agent_tree() {
    const auto trunks = some(6, 24);
    auto steps = trunks;
    while (more()) {
      const auto n = static_cast<int>(steps.size());
      const auto from = dice_.below(8) == 0 ? dice_.below(6) : n - 1 - dice_.low_below(std::min(n, 24));
      auto step = steps[static_cast<std::size_t>(from)];
      if (step.size() > 160) {
        step = trunks[static_cast<std::size_t>(dice_.below(6))];
      }
      add(step, 1 + dice_.below(6));
      ask(step, 2 + dice_.below(8));
      steps.push_back(step);
    }
  }

  /// Prompts worth keeping, and between them runs of long ones that never come again.
  void scan() {
    auto kept = some(16, 16);
    while (more()) {
      for (auto n = 4 + dice_.below(8); n > 0 && more(); --n) {
        auto one = low_of(kept);
        ask(one, 2);
      }
      for (auto n = dice_.below(12); n > 0 && more(); --n) {
        auto one = pages{};
        add(one, 40 + dice_.below(80));
        ask(one, 2);
      }
    }
  }

  int n_requests_;
  dice dice_;
  std::int32_t next_page_ = 0;
  std::vector<request> made_;
};

} // namespace

const std::vector<std::string>& trace_models() {
  static const std::vector<std::string> names = {"chat", "system_prompt", "agent_tree", "scan"};
  return names;
}

trace make_trace(const std::string& model, int n_requests, std::uint64_t seed) {
  return {.name = model, .requests = trace_maker(n_requests, seed).make(model)};
}

} // namespace souffleur::cache_simulator
