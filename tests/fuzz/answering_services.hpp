// Services that answer everything at once, with a few words.
#pragma once

#include "actors/messages/embedding.hpp"
#include "actors/messages/generation.hpp"

namespace souffleur::fuzz {

class answering_service final : public generation_service {
public:
  void submit(generation_request request, generation_sink sink) override {
    sink(generation_accepted{3, request.sampling.seed});
    generation_delta delta;
    for (const auto* word : {"Hel", "lo", " <tool_call>\n{\"name\":\"f\",\"arguments\":{}}\n</tool_call>"})
      delta.tokens.push_back({1, token_origin::model, word, word, {}});
    sink(std::move(delta));
    sink(generation_finished{});
  }
  void cancel(request_id) override {}
  void change(request_id, const generation_change&) override {}
  const served_model& model() const override { return model_; }
  std::vector<token_id> tokenize(const std::string& text, bool) const override {
    return {text.begin(), text.end()};
  }
  std::string detokenize(const std::vector<token_id>& tokens) const override {
    std::string text;
    for (const auto token : tokens)
      text.push_back(static_cast<char>(token));
    return text;
  }
  std::string metrics() const override { return "souffleur_up 1\n"; }
  void ask_kv(int, kv_sink sink) override { sink(kv_summary{}); }
  void forget_answers(const std::string&, purge_sink sink) override { sink(cache_purged{1, true}); }
  bool ready() const override { return true; }

private:
  served_model model_{"served", "abc", 2048, 256, 1700000000, 0, 0};
};

class answering_embeddings final : public embedding_service {
public:
  const served_embedder* embedder() const override { return &embedder_; }
  void embed(embedding_request request, embedding_sink sink) override {
    sink(embeddings(request.texts.size(), embedded_text{{0.6F, 0.8F}, 3, false}));
  }

private:
  served_embedder embedder_{"small", "abc", 2, 256};
};

} // namespace souffleur::fuzz
