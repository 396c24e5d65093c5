// The only file that knows which CAF release it compiles against (0.17.6 in Debian 12; 0.18 to 1.x differ
// here).
#pragma once

#include <caf/all.hpp>

#include <chrono>
#include <exception>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#if CAF_VERSION < 1800
#define SOUFFLEUR_CAF_017 1
#endif

namespace souffleur::compat {

namespace detail {
template <class Signature>
struct rpc;

#ifdef SOUFFLEUR_CAF_017
template <class... In>
struct rpc<void(In...)> {
  using type = caf::reacts_to<In...>;
};
template <class Out, class... In>
struct rpc<Out(In...)> {
  using type = typename caf::replies_to<In...>::template with<Out>;
};
#else
template <class Out, class... In>
struct rpc<Out(In...)> {
  using type = caf::result<Out>(In...);
};
#endif
} // namespace detail

/// One message handler of a typed actor, spelled as a function signature.
template <class Signature>
using rpc = typename detail::rpc<Signature>::type;

/// The state of a stateful actor: a data member up to 0.19, a getter since 1.0.
template <class Self>
auto& state_of(Self* self) {
#if CAF_VERSION < 10000
  return self->state;
#else
  return self->state();
#endif
}

/// Fire-and-forget send from an actor.
template <class Self, class Handle, class... Ts>
void send(Self* self, const Handle& to, Ts&&... xs) {
#if CAF_VERSION < 10000
  self->send(to, std::forward<Ts>(xs)...);
#else
  self->mail(std::forward<Ts>(xs)...).send(to);
#endif
}

/// Fire-and-forget send from a thread that is no actor, or to an actor that the sender's type does not know.
template <class Handle, class... Ts>
void anon_send(const Handle& to, Ts&&... xs) {
#if CAF_VERSION < 10000
  caf::anon_send(to, std::forward<Ts>(xs)...);
#else
  caf::anon_mail(std::forward<Ts>(xs)...).send(to);
#endif
}

/// The last part of a behavior: calls `f` whenever nothing has come for so long.
template <class Duration, class F>
auto after_silence(Duration silence, F f) {
  return caf::after(silence) >> std::move(f);
}

/// Overtakes what already waits in the mailbox.
template <class Handle, class... Ts>
void urgent_send(const Handle& to, Ts&&... xs) {
#if CAF_VERSION < 10000
  caf::anon_send<caf::message_priority::high>(to, std::forward<Ts>(xs)...);
#else
  caf::anon_mail(std::forward<Ts>(xs)...).urgent().send(to);
#endif
}

/// Ends an actor before it handles what already waits in its mailbox.
template <class Handle>
void urgent_exit(const Handle& who, caf::exit_reason reason) {
#if CAF_VERSION < 10000
  caf::anon_send<caf::message_priority::high>(caf::actor_cast<caf::actor>(who),
                                              caf::exit_msg{who->address(), reason});
#else
  caf::anon_send_exit(who, reason);
#endif
}

/// Sends a request; the caller continues with `.then(...)`.
template <class Self, class Handle, class Timeout, class... Ts>
auto request(Self* self, const Handle& to, Timeout timeout, Ts&&... xs) {
#if CAF_VERSION < 10000
  return self->request(to, timeout, std::forward<Ts>(xs)...);
#else
  return self->mail(std::forward<Ts>(xs)...).request(to, timeout);
#endif
}

/// Time as the actors see it: a test's scheduler may bring its own.
template <class Self>
std::chrono::steady_clock::time_point now(const Self* self) {
  return self->clock().now();
}

/// What a handler throws ends its actor with an error that says so, without a word on stderr.
template <class Self>
void end_with_exceptions(Self* self) {
  self->set_exception_handler([](std::exception_ptr& thrown) -> caf::error {
    try {
      std::rethrow_exception(thrown);
    } catch (const std::exception& why) {
      return caf::make_error(caf::sec::runtime_error, std::string{why.what()});
    } catch (...) {
      return caf::sec::runtime_error;
    }
  });
}

/// The handler of a request threw; else its actor is gone, or it took too long.
inline bool is_exception(const caf::error& why) { return why == caf::sec::runtime_error; }
inline bool is_timeout(const caf::error& why) { return why == caf::sec::request_timeout; }

/// Calls `on_down(reason)` in the context of `self` after `who` has terminated. Lives in the actor's state.
#if CAF_VERSION < 10000
class watch_list {
public:
  template <class Self, class Handle, class F>
  void watch(Self* self, const Handle& who, F on_down) {
    if (callbacks_.empty())
      self->set_down_handler([this](caf::down_msg& message) { dispatch(message); });
    callbacks_.emplace_back(who->address(), std::move(on_down));
    self->monitor(who);
  }

private:
  void dispatch(const caf::down_msg& message) {
    for (auto i = callbacks_.begin(); i != callbacks_.end(); ++i) {
      if (i->first == message.source) {
        auto on_down = std::move(i->second);
        callbacks_.erase(i);
        on_down(message.reason);
        return;
      }
    }
  }
  std::vector<std::pair<caf::actor_addr, std::function<void(const caf::error&)>>> callbacks_;
};
#else
class watch_list {
public:
  template <class Self, class Handle, class F>
  void watch(Self* self, const Handle& who, F on_down) {
    self->monitor(who, std::move(on_down));
  }
};
#endif

} // namespace souffleur::compat
