// A generation_service that a test plays by hand: it keeps every request and its sink.
#pragma once

#include "actors/messages/generation.hpp"

#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <thread>

namespace souffleur::testing {

/// Tokens are the bytes of the text. Thread-safe.
class fake_service final : public generation_service {
public:
  void submit(generation_request request, generation_sink sink) override {
    const auto id = request.id;
    std::lock_guard lock{mutex_};
    order_.push_back(id);
    requests_.emplace(id, std::move(request));
    sinks_.emplace(id, std::move(sink));
    changed_.notify_all();
  }
  void cancel(request_id id) override {
    std::lock_guard lock{mutex_};
    cancelled_.insert(id);
    changed_.notify_all();
  }
  void change(request_id id, const generation_change& change) override {
    std::lock_guard lock{mutex_};
    changes_.emplace_back(id, change);
    changed_.notify_all();
  }
  const served_model& model() const override { return model_; }
  std::vector<token_id> tokenize(const std::string& text, bool parse_special) const override {
    std::vector<token_id> tokens;
    if (!parse_special)
      tokens.push_back(0);
    for (const char c : text)
      tokens.push_back(static_cast<unsigned char>(c));
    return tokens;
  }
  std::string detokenize(const std::vector<token_id>& tokens) const override {
    std::string text;
    for (const auto token : tokens)
      text.push_back(static_cast<char>(token));
    return text;
  }
  std::string metrics() const override { return "souffleur_up 1\n"; }
  void ask_kv(int, kv_sink sink) override {
    std::lock_guard lock{mutex_};
    kv_sinks_.push_back(std::move(sink));
    changed_.notify_all();
  }
  /// Nothing of "nobody", for which the cache does not answer; else as many entries as the name has letters.
  void forget_answers(const std::string& tenant, purge_sink sink) override {
    if (tenant == "nobody")
      sink(std::nullopt);
    else
      sink(cache_purged{tenant.size(), true});
  }
  bool ready() const override { return ready_; }

  /// Waits for the next question about the KV memory; null if none comes within 10 s.
  kv_sink wait_for_kv_question() {
    std::unique_lock lock{mutex_};
    if (!changed_.wait_for(lock, std::chrono::seconds{10}, [&] { return !kv_sinks_.empty(); }))
      return nullptr;
    auto sink = std::move(kv_sinks_.back());
    kv_sinks_.pop_back();
    return sink;
  }

  void set_ready(bool ready) { ready_ = ready; }

  /// Waits for the i-th request. 0 if it does not come within 10 s.
  request_id wait_for_request(std::size_t i) {
    std::unique_lock lock{mutex_};
    const bool came = changed_.wait_for(lock, std::chrono::seconds{10}, [&] { return order_.size() > i; });
    return came ? order_[i] : 0;
  }
  /// False if it is not cancelled within 5 s.
  bool wait_for_cancel(request_id id) {
    std::unique_lock lock{mutex_};
    return changed_.wait_for(lock, std::chrono::seconds{5}, [&] { return cancelled_.count(id) > 0; });
  }
  bool is_cancelled(request_id id) {
    std::lock_guard lock{mutex_};
    return cancelled_.count(id) > 0;
  }
  /// Waits for the i-th change. Its id is 0 if it does not come within 5 s.
  std::pair<request_id, generation_change> wait_for_change(std::size_t i) {
    std::unique_lock lock{mutex_};
    const bool came = changed_.wait_for(lock, std::chrono::seconds{5}, [&] { return changes_.size() > i; });
    return came ? changes_[i] : std::pair<request_id, generation_change>{};
  }
  std::size_t n_requests() {
    std::lock_guard lock{mutex_};
    return order_.size();
  }
  generation_request request(request_id id) {
    std::lock_guard lock{mutex_};
    return requests_.at(id);
  }

  void tell(request_id id, generation_event event) {
    generation_sink sink;
    {
      std::lock_guard lock{mutex_};
      sink = sinks_.at(id);
    }
    sink(std::move(event));
  }
  void accept(request_id id) { tell(id, generation_accepted{3, 42}); }
  /// A token a word.
  void say(request_id id, const std::vector<std::string>& words) {
    generation_delta delta;
    for (const auto& word : words)
      delta.tokens.push_back({1, token_origin::model, word, word, {}});
    tell(id, std::move(delta));
  }
  void finish(request_id id, finish_reason reason = finish_reason::stop) {
    generation_usage usage;
    usage.n_prompt_tokens = 3;
    usage.n_output_tokens = 2;
    tell(id, generation_finished{reason, "", usage});
  }
  void answer(request_id id, const std::vector<std::string>& words) {
    accept(id);
    say(id, words);
    finish(id);
  }

private:
  served_model model_{"served", "abc", 2048, 256, 1700000000, 0, 0};
  bool ready_ = true;
  std::vector<kv_sink> kv_sinks_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<request_id> order_;
  std::map<request_id, generation_request> requests_;
  std::map<request_id, generation_sink> sinks_;
  std::set<request_id> cancelled_;
  std::vector<std::pair<request_id, generation_change>> changes_;
};

} // namespace souffleur::testing
