#include "actors/embedding_queue.hpp"

#include <utility>

namespace souffleur {

void embedding_queue::add(const embedding_demand& demand) {
  if (demand.texts.empty()) {
    demand.reply->finish({});
    return;
  }
  auto made = std::make_shared<ticket>();
  made->deadline = demand.deadline;
  made->client = demand.client;
  made->reply = demand.reply;
  for (const auto& text : demand.texts) {
    const auto& pieces = made->texts.emplace_back(embedder_->encode(text));
    made->answer.push_back({{}, static_cast<int>(pieces.ids.size()), pieces.is_truncated});
  }
  waiting_.push_back(std::move(made));
}

bool embedding_queue::is_wanted(const ticket& waiting, steady_time now) {
  if (waiting.client.expired())
    return false;
  if (waiting.deadline > now)
    return true;
  waiting.reply->fail(
      {504, "deadline_exceeded", "The time for this request ran out before its texts were embedded.", "", 0});
  return false;
}

std::vector<embedding_queue::turn> embedding_queue::next_turns(steady_time now) {
  std::vector<turn> turns;
  std::size_t n_rows = 0;
  std::erase_if(waiting_, [&](const ticket_ptr& one) { return !is_wanted(*one, now); });
  while (!waiting_.empty()) {
    const auto whose = waiting_.front();
    n_rows += whose->texts[whose->n_taken].ids.size();
    if (!turns.empty() && n_rows > static_cast<std::size_t>(embedding_block_rows))
      break;
    waiting_.pop_front();
    turns.push_back({whose, whose->n_taken++});
    if (whose->n_taken < whose->texts.size())
      waiting_.push_back(whose);
  }
  return turns;
}

embedding_report embedding_queue::run_round(steady_time now) {
  const auto turns = next_turns(now);
  embedding_report report;
  if (turns.empty())
    return report;
  std::vector<std::span<const token_id>> texts;
  for (const auto& [whose, text] : turns) {
    texts.emplace_back(whose->texts[text].ids);
    report.n_ids += static_cast<int>(texts.back().size());
  }
  report.n_texts = static_cast<int>(texts.size());
  auto vectors = embedder_->embed(texts);
  for (std::size_t i = 0; i < turns.size(); ++i) {
    auto& [whose, text] = turns[i];
    whose->answer[text].vector = std::move(vectors[i]);
    if (text + 1 == whose->texts.size()) // its texts have their turns in order
      whose->reply->finish(std::move(whose->answer));
  }
  return report;
}

} // namespace souffleur
