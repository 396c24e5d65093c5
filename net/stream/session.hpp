// The streams of one connection: what its client's frames do to them. No I/O.
#pragma once

#include "net/stream/command.hpp"
#include "net/stream/limits.hpp"
#include "net/stream/stream.hpp"
#include "net/stream/watch.hpp"

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace souffleur {

/// What a session needs of its server.
class stream_host {
public:
  using stream_ptr = std::shared_ptr<stream>;

  /// Begins a generation whose events go to the stream, later.
  virtual request_id submit(generation_request request, const stream_ptr& to) = 0;
  virtual void cancel(request_id id) = 0;
  virtual void change(request_id id, const generation_change& change) = 0;
  /// What its client is to call it; empty: nothing.
  virtual std::string name_of(request_id) const { return {}; }

  /// Whether its model thinks before it answers.
  virtual bool thinks() const { return false; }

  virtual bool can_be_watched() const { return false; }
  /// The watch's next frame. REQUIRES: can_be_watched().
  virtual std::string look(stream_watch&) { return {}; }

  /// See resumable_streams.
  virtual void make_resumable(const stream_ptr& added) = 0;
  virtual stream_ptr find_resumable(const std::string& token, const std::string& stream_id,
                                    const std::string& tenant) = 0;
  virtual void park(const stream_ptr& left) = 0;
  virtual void unpark(const stream& back) = 0;
  virtual void forget(const stream& gone) = 0;

protected:
  ~stream_host() = default;
};

/// A stream of a session is absent, runs, or is kept: it has ended and can go on (README.md has the diagram).
/// Whatever a client sends is obeyed or refused with a frame; what is refused changes nothing.
class stream_session final : public stream_holder {
public:
  /// `on_news` is called when there may be more to send. `host` must outlive this.
  stream_session(stream_host& host, const stream_limits& limits, std::string model_name, std::string tenant,
                 std::function<void()> on_news);
  ~stream_session();
  stream_session(const stream_session&) = delete;
  stream_session& operator=(const stream_session&) = delete;

  void obey(std::string_view frame, stream_time now);
  /// The next frame to be sent: answers that are no stream's first, then the streams in turn, then a watch's.
  std::optional<std::string> next(stream_time now);
  /// Whose frame next() gave last; 0: no stream's.
  request_id last_served_request() const { return last_served_request_; }
  /// When next() is to be asked again although nothing has happened.
  std::optional<stream_time> due() const;

  std::size_t n_held_tokens() const;
  std::size_t n_sendable_tokens() const;
  /// The client takes no answers, but asks for more.
  bool is_flooded() const { return notices_.size() > max_notices; }
  bool has_streams() const { return !streams_.empty(); }

  /// The connection ends. `may_come_back`: the client did not want that, so resumable streams wait for it.
  /// All others are cancelled.
  void leave(bool may_come_back);

  void lose(const stream& gone) override;

private:
  static constexpr std::size_t max_notices = 256;
  using stream_ptr = std::shared_ptr<stream>;
  using streams = std::map<std::string, stream_ptr>;

  void obey(generate_command command, std::size_t n_bytes);
  void obey(const append_command& command, std::size_t n_bytes);
  void obey(const credit_command& command);
  void obey(const cancel_command& command);
  void obey(const update_command& command);
  void obey(const resume_command& command);
  void obey(const watch_command& command);
  void obey(const ping_command& command);

  void refuse(const std::string& stream, generation_failed error);
  /// Null, after telling the client so, if it does not run.
  stream_ptr find_running(const std::string& name);
  /// Whether one more may run; if not, the client was told so.
  bool has_room(const std::string& name);
  void begin_turn(const stream_ptr& in, generation_request request, std::optional<conversation> then);
  void adopt(const stream_ptr& one);
  void drop(streams::iterator at);
  bool is_worth_keeping(const stream& ended) const;
  /// Ends what is kept for too long, and what is too much.
  void trim_kept(stream_time now);

  stream_host& host_;
  const stream_limits limits_;
  const std::string model_name_;
  const std::string tenant_;
  const std::function<void()> on_news_;
  streams streams_;
  std::string last_served_;
  request_id last_served_request_ = 0;
  std::optional<stream_watch> watch_;
  std::deque<std::string> notices_;
};

} // namespace souffleur
