#include "net/stream/session.hpp"

#include "net/json_fields.hpp"
#include "net/stream/frame_text.hpp"

#include <algorithm>

namespace souffleur {

stream_session::stream_session(stream_host& host, const stream_limits& limits, std::string model_name,
                               std::string tenant, std::function<void()> on_news)
    : host_(host), limits_(limits), model_name_(std::move(model_name)), tenant_(std::move(tenant)),
      on_news_(std::move(on_news)) {}

stream_session::~stream_session() { leave(false); }

void stream_session::obey(std::string_view frame, stream_time now) {
  trim_kept(now);
  auto parsed = parse_stream_command(frame, model_name_);
  if (auto* refused = std::get_if<refused_command>(&parsed))
    return refuse(refused->stream, std::move(refused->error));
  auto& command = std::get<stream_command>(parsed);
  if (auto* generate = std::get_if<generate_command>(&command))
    obey(std::move(*generate), frame.size());
  else if (const auto* append = std::get_if<append_command>(&command))
    obey(*append, frame.size());
  else if (const auto* credit = std::get_if<credit_command>(&command))
    obey(*credit);
  else if (const auto* cancel = std::get_if<cancel_command>(&command))
    obey(*cancel);
  else if (const auto* update = std::get_if<update_command>(&command))
    obey(*update);
  else if (const auto* resume = std::get_if<resume_command>(&command))
    obey(*resume);
  else if (const auto* watch = std::get_if<watch_command>(&command))
    obey(*watch);
  else
    obey(std::get<ping_command>(command));
}

void stream_session::obey(generate_command command, std::size_t n_bytes) {
  const auto found = streams_.find(command.stream);
  if ((found != streams_.end() && found->second->runs()) || (watch_ && watch_->name() == command.stream))
    return refuse(command.stream, {400, "duplicate_stream", "This stream is still running.", "id", 0});
  if (!has_room(command.stream))
    return;
  if (found != streams_.end())
    drop(found);
  auto then = command.keep ? conversation::from(std::move(command.frame), n_bytes) : std::nullopt;
  const bool resumable = command.resumable && limits_.resume.count() > 0;
  const outbox_options options{command.wishes.credit, command.wishes.batch.value_or(limits_.batch),
                               resumable ? limits_.max_replay_bytes : 0, then.has_value()};
  const auto made = std::make_shared<stream>(
      command.stream, tenant_, stream_outbox{command.stream, model_name_, options}, limits_.max_kept_bytes);
  if (resumable)
    host_.make_resumable(made);
  adopt(made);
  begin_turn(made, std::move(command.request), std::move(then));
}

void stream_session::obey(const append_command& command, std::size_t n_bytes) {
  const auto found = streams_.find(command.stream);
  if (found == streams_.end())
    return refuse(command.stream,
                  {404, "unknown_stream", "There is no such stream, or it is not kept any more.", "id", 0});
  const auto in = found->second;
  if (in->runs())
    return refuse(command.stream, {409, "stream_running", "A stream can go on when it has ended.", "id", 0});
  if (in->said() == nullptr)
    return refuse(command.stream, {409, "not_appendable",
                                   "Of this stream no conversation was kept; send all of it.", "id", 0});
  auto continued = in->said()->continued_by(command.frame, n_bytes);
  if (auto* failed = std::get_if<generation_failed>(&continued))
    return refuse(command.stream, std::move(*failed));
  auto& then = std::get<conversation>(continued);
  auto request = read_generation(then.frame(), model_name_);
  if (auto* failed = std::get_if<generation_failed>(&request))
    return refuse(command.stream, std::move(*failed));
  if (!has_room(command.stream))
    return;
  in->outbox().begin_turn(command.wishes);
  begin_turn(in, std::move(std::get<generation_request>(request)), std::move(then));
}

void stream_session::obey(const credit_command& command) {
  if (const auto to = find_running(command.stream))
    to->outbox().grant(command.n_tokens);
}

void stream_session::obey(const cancel_command& command) {
  if (watch_ && watch_->name() == command.stream) {
    notices_.push_back(watch_->last_frame());
    watch_.reset();
    return;
  }
  if (const auto ended = find_running(command.stream)) {
    ended->outbox().abandon();
    host_.cancel(ended->request());
  }
}

void stream_session::obey(const update_command& command) {
  const auto changed = find_running(command.stream);
  if (!changed)
    return;
  if (command.change.stop_thinking && !host_.thinks())
    return refuse(command.stream,
                  bad_parameter("stop_thinking",
                                "This model does not think: its vocabulary has no mark such as </think>.",
                                "unsupported_value"));
  host_.change(changed->request(), command.change);
}

void stream_session::obey(const resume_command& command) {
  const auto back = host_.find_resumable(command.token, command.stream, tenant_);
  if (!back)
    return refuse(command.stream, {404, "unknown_resume_token",
                                   "No stream with this id and token waits for its client.", "token", 0});
  const auto found = streams_.find(command.stream);
  const bool is_other = found != streams_.end() && found->second != back;
  if (is_other && found->second->runs())
    return refuse(command.stream, {400, "duplicate_stream", "This stream is still running.", "id", 0});
  if (back->runs() && back->holder != this && !has_room(command.stream))
    return;
  const auto rewound = back->outbox().rewind(command.after);
  if (rewound == stream_outbox::rewound::not_sent)
    return refuse(command.stream,
                  bad_parameter("after", "'after' is " + std::to_string(command.after) + "; frames up to " +
                                             std::to_string(back->outbox().n_sent() - 1) + " were sent."));
  if (rewound == stream_outbox::rewound::gone)
    return refuse(command.stream,
                  {410, "frames_gone",
                   "Of the frames behind " + std::to_string(command.after) + " those before " +
                       std::to_string(back->outbox().oldest_kept()) + " are not kept any more.",
                   "after", 0});
  if (is_other)
    drop(found);
  if (back->holder != nullptr && back->holder != this)
    back->holder->lose(*back);
  host_.unpark(*back);
  adopt(back);
  notices_.push_back(resumed_frame(command.stream, command.after, back->runs(), back->outbox().credit()));
}

void stream_session::obey(const watch_command& command) {
  if (!host_.can_be_watched())
    return refuse(command.stream, {404, "nothing_to_watch", "This server cannot be watched.", "type", 0});
  if (streams_.contains(command.stream) || (watch_ && watch_->name() != command.stream))
    return refuse(command.stream,
                  {400, "duplicate_stream", "A connection has one watch, with an id of its own.", "id", 0});
  if (watch_)
    watch_->change_interval(command.interval);
  else
    watch_.emplace(command.stream, command.interval);
}

void stream_session::obey(const ping_command& command) { notices_.push_back(pong_frame(command.data)); }

void stream_session::refuse(const std::string& stream, generation_failed error) {
  notices_.push_back(refusal_frame({stream, std::move(error)}));
}

stream_session::stream_ptr stream_session::find_running(const std::string& name) {
  const auto found = streams_.find(name);
  if (found != streams_.end() && found->second->runs())
    return found->second;
  refuse(name, {404, "unknown_stream", "There is no such stream, or it has ended.", "id", 0});
  return nullptr;
}

bool stream_session::has_room(const std::string& name) {
  const auto n = std::ranges::count_if(streams_, [](const auto& one) { return one.second->runs(); });
  if (n < limits_.max_streams)
    return true;
  refuse(name, {429, "too_many_streams",
                "A connection may have " + std::to_string(limits_.max_streams) + " live streams.", "id", 1});
  return false;
}

void stream_session::begin_turn(const stream_ptr& in, generation_request request,
                                std::optional<conversation> then) {
  request.tenant = tenant_;
  const auto id = host_.submit(std::move(request), in);
  in->outbox().set_request_name(host_.name_of(id));
  in->begin_turn(id, std::move(then));
}

void stream_session::adopt(const stream_ptr& one) {
  one->holder = this;
  one->on_news = on_news_;
  streams_[one->id()] = one;
}

void stream_session::drop(streams::iterator at) {
  const auto gone = at->second;
  streams_.erase(at);
  gone->holder = nullptr;
  gone->on_news = nullptr;
  if (gone->runs())
    host_.cancel(gone->request());
  if (gone->is_resumable())
    host_.forget(*gone);
}

void stream_session::lose(const stream& gone) {
  streams_.erase(gone.id());
  refuse(gone.id(), {409, "resumed_elsewhere", "Another connection has resumed this stream.", "id", 0});
  on_news_();
}

std::optional<std::string> stream_session::next(stream_time now) {
  last_served_request_ = 0;
  if (!notices_.empty()) {
    auto frame = std::move(notices_.front());
    notices_.pop_front();
    return frame;
  }
  auto at = streams_.upper_bound(last_served_);
  for (std::size_t i = 0; i < streams_.size(); ++i, ++at) {
    if (at == streams_.end())
      at = streams_.begin();
    const bool ran = at->second->runs();
    if (auto frame = at->second->next(now)) {
      last_served_ = at->first;
      last_served_request_ = at->second->request();
      if (ran && !at->second->runs())
        trim_kept(now);
      return frame;
    }
  }
  trim_kept(now);
  if (watch_ && watch_->due() <= now)
    return host_.look(*watch_);
  return std::nullopt;
}

bool stream_session::is_worth_keeping(const stream& ended) const {
  return ended.said() != nullptr || ended.is_resumable() || !ended.outbox().finished();
}

void stream_session::trim_kept(stream_time now) {
  int n_kept = 0;
  std::size_t n_bytes = 0;
  for (auto at = streams_.begin(); at != streams_.end();) {
    const auto here = at++;
    const auto& one = *here->second;
    if (one.runs())
      continue;
    if (!is_worth_keeping(one) || one.ended_at() + limits_.keep <= now) {
      drop(here);
      continue;
    }
    ++n_kept;
    n_bytes += one.n_kept_bytes();
  }
  while (n_kept > limits_.max_kept_streams || n_bytes > limits_.max_kept_bytes) {
    const auto order = [](const auto& one) { return std::pair{one.second->runs(), one.second->ended_at()}; };
    const auto oldest = std::ranges::min_element(streams_, {}, order);
    --n_kept;
    n_bytes -= oldest->second->n_kept_bytes();
    drop(oldest);
  }
}

std::optional<stream_time> stream_session::due() const {
  std::optional<stream_time> first;
  const auto consider = [&](stream_time at) { first = first ? std::min(*first, at) : at; };
  for (const auto& [name, one] : streams_) {
    if (!one->runs())
      consider(one->ended_at() + limits_.keep);
    if (const auto batch = one->outbox().due())
      consider(*batch);
  }
  if (watch_)
    consider(watch_->due());
  return first;
}

std::size_t stream_session::n_held_tokens() const {
  std::size_t n = 0;
  for (const auto& [name, one] : streams_)
    n += one->outbox().n_held_tokens();
  return n;
}

std::size_t stream_session::n_sendable_tokens() const {
  std::size_t n = 0;
  for (const auto& [name, one] : streams_)
    n += one->outbox().n_sendable_tokens();
  return n;
}

void stream_session::leave(bool may_come_back) {
  while (!streams_.empty()) {
    const auto first = streams_.begin();
    const auto one = first->second;
    if (!may_come_back || !one->is_resumable()) {
      drop(first);
      continue;
    }
    streams_.erase(first);
    one->holder = nullptr;
    one->on_news = nullptr;
    host_.park(one);
  }
}

} // namespace souffleur
