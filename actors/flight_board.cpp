#include "actors/flight_board.hpp"

#include "engine/elapsed.hpp"

#include <algorithm>
#include <utility>

namespace souffleur {

namespace {

void append(generation_delta& all, const generation_delta& more) {
  all.tokens.insert(all.tokens.end(), more.tokens.begin(), more.tokens.end());
  all.tail += more.tail;
}

/// Of a reader whose stream ends before its flight does.
generation_finished early_end(const flight_reader& reader, const generation_delta& so_far,
                              finish_reason reason) {
  generation_finished end{reason, "", {}};
  end.usage.n_prompt_tokens = reader.accepted.n_prompt_tokens;
  end.usage.n_output_tokens = static_cast<int>(so_far.tokens.size());
  return end;
}

cached_answer_ptr answer_of(const generation_delta& all, const generation_finished& end) {
  auto answer = std::make_shared<cached_answer>();
  answer->pieces.reserve(all.tokens.size());
  for (const auto& token : all.tokens)
    answer->pieces.push_back({token.id, token.bytes, token.text});
  answer->tail = all.tail;
  answer->stop_string = end.stop_string;
  answer->n_tokens = end.usage.n_output_tokens;
  return answer;
}

} // namespace

flight_board::boarding flight_board::board(const key_digest& name, flight_reader reader) {
  const std::lock_guard lock{mutex_};
  const auto found = by_name_.find(name);
  if (found == by_name_.end())
    return open(name, std::move(reader));
  const auto generation = found->second;
  auto& to = flights_.at(generation);
  if (!to.deadline.postpone(reader.deadline)) { // its end is on its way, and is not this reader's
    close(to);
    return open(name, std::move(reader));
  }
  by_reader_[reader.id] = generation;
  admit(to, std::move(reader));
  return {generation};
}

flight_board::boarding flight_board::board_alone(flight_reader reader) {
  const std::lock_guard lock{mutex_};
  return open(std::nullopt, std::move(reader));
}

flight_board::boarding flight_board::open(std::optional<key_digest> name, flight_reader reader) {
  const request_id generation = reader.id | flight_bit;
  by_reader_[reader.id] = generation;
  if (name)
    by_name_[*name] = generation;
  auto& made = flights_[generation];
  made.name = name;
  made.deadline = reader.deadline;
  admit(made, std::move(reader));
  return {generation, true};
}

void flight_board::close(flight& to) {
  if (to.name)
    by_name_.erase(*to.name);
  to.name.reset();
}

void flight_board::admit(flight& to, flight_reader reader) {
  reader.reply->accepted(reader.accepted);
  auto& aboard = to.readers.emplace_back(reader_state{std::move(reader), to.readers.empty()});
  if (to.so_far.tokens.empty() && to.so_far.tail.empty())
    return;
  aboard.first_token_at = aboard.who.arrival;
  aboard.who.reply->delta(to.so_far);
}

std::optional<shared_deadline> flight_board::deadline_of(request_id generation) const {
  const std::lock_guard lock{mutex_};
  const auto found = flights_.find(generation);
  if (found == flights_.end())
    return std::nullopt;
  return found->second.deadline;
}

void flight_board::on_landing(request_id generation, landing then) {
  const std::lock_guard lock{mutex_};
  const auto found = flights_.find(generation);
  if (found != flights_.end() && !found->second.is_secluded)
    found->second.then = std::move(then);
}

std::shared_ptr<reply_handle> flight_board::reply_to(request_id generation) {
  return std::make_shared<reply_handle>(
      [self = shared_from_this(), generation](generation_event event) {
        self->publish(generation, std::move(event));
      },
      nullptr, "");
}

void flight_board::publish(request_id generation, generation_event event) {
  const std::lock_guard lock{mutex_};
  const auto found = flights_.find(generation);
  if (found == flights_.end() || std::holds_alternative<generation_accepted>(event))
    return;
  if (const auto* delta = std::get_if<generation_delta>(&event)) {
    send(found->second, *delta);
    return;
  }
  // Whoever asks for the same from now on finds the answer in the cache, or generates anew.
  if (const auto* end = std::get_if<generation_finished>(&event))
    land(found->first, found->second, *end);
  else
    for (const auto& reader : found->second.readers)
      reader.who.reply->fail(std::get<generation_failed>(event));
  remove(found);
}

void flight_board::send(flight& to, const generation_delta& delta) {
  append(to.so_far, delta);
  const auto now = std::chrono::steady_clock::now();
  for (auto& reader : to.readers) {
    if (!reader.first_token_at)
      reader.first_token_at = now;
    reader.who.reply->delta(delta);
  }
}

void flight_board::land(request_id generation, flight& ended, const generation_finished& end) {
  if (ended.then && end.reason == finish_reason::stop)
    ended.then(answer_of(ended.so_far, end));
  for (const auto& reader : ended.readers) {
    auto own = end;
    if (own.usage.source == answer_source::model && !reader.is_first)
      own.usage.source = answer_source::flight;
    report(generation, reader, own);
    reader.who.reply->finish(own);
  }
}

/// A generation reports itself.
void flight_board::report(request_id generation, const reader_state& reader,
                          const generation_finished& end) const {
  if (end.usage.source == answer_source::model)
    return;
  const auto& who = reader.who;
  const double ttft_ms = reader.first_token_at ? ms_between(who.arrival, *reader.first_token_at) : -1;
  const auto now = std::chrono::steady_clock::now();
  metrics_->record(
      request_report{to_string(end.reason),
                     end.usage,
                     ttft_ms,
                     ms_between(who.arrival, now),
                     who.id,
                     generation,
                     who.tenant,
                     {who.arrival, {}, {}, {}, reader.first_token_at.value_or(steady_time{}), now}});
}

void flight_board::remove(flights::iterator ended) {
  for (const auto& reader : ended->second.readers)
    by_reader_.erase(reader.who.id);
  close(ended->second);
  flights_.erase(ended);
}

flight_board::departure flight_board::leave(request_id reader) {
  const std::lock_guard lock{mutex_};
  const auto found = by_reader_.find(reader);
  if (found == by_reader_.end())
    return {};
  const auto aboard = flights_.find(found->second);
  auto& readers = aboard->second.readers;
  const auto who = std::ranges::find(readers, reader, [](const reader_state& one) { return one.who.id; });
  who->who.reply->finish(early_end(who->who, aboard->second.so_far, finish_reason::cancelled));
  by_reader_.erase(found);
  readers.erase(who);
  departure left{true, std::nullopt};
  if (readers.empty()) {
    left.deserted = aboard->first;
    remove(aboard);
  }
  return left;
}

flight_board::seclusion flight_board::take_for_itself(request_id reader) {
  const std::lock_guard lock{mutex_};
  const auto found = by_reader_.find(reader);
  if (found == by_reader_.end())
    return {};
  auto& flight = flights_.at(found->second);
  if (flight.readers.size() > 1)
    return {true};
  close(flight);
  flight.then = nullptr;
  flight.is_secluded = true;
  return {true, found->second};
}

std::vector<request_id> flight_board::expire(steady_time now) {
  const std::lock_guard lock{mutex_};
  std::vector<request_id> deserted;
  for (auto at = flights_.begin(); at != flights_.end();) {
    auto& [generation, flight] = *at;
    std::erase_if(flight.readers, [&, until = flight.deadline.at()](const reader_state& reader) {
      if (reader.who.deadline > now || reader.who.deadline == until)
        return false;
      by_reader_.erase(reader.who.id);
      reader.who.reply->finish(early_end(reader.who, flight.so_far, finish_reason::deadline));
      return true;
    });
    const auto here = at++;
    if (here->second.readers.empty()) {
      deserted.push_back(here->first);
      remove(here);
    }
  }
  return deserted;
}

bool flight_board::empty() const {
  const std::lock_guard lock{mutex_};
  return flights_.empty();
}

} // namespace souffleur
