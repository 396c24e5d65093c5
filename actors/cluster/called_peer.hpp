// A node that is called until it answers, and again when it was lost. Include this only in .cpp files of this
// folder.
#pragma once

#include "actors/cluster/handshake.hpp"
#include "actors/cluster/node_system.hpp"
#include "actors/messages/admission.hpp"

#include <algorithm>
#include <utility>

namespace souffleur {

/// The caller's side of a connection: away, knocking, registered. A member of its actor's state; what is said
/// to the other node beside the greeting is its owner's.
class called_peer {
public:
  explicit called_peer(std::chrono::milliseconds longest_pause) : longest_pause_(longest_pause) {}

  bool is_away() const { return now_ == phase::away; }
  bool is_knocking() const { return now_ == phase::knocking; }
  bool is_registered() const { return now_ == phase::registered; }
  /// Null: away, or not found yet.
  const caf::actor& node() const { return node_; }
  const std::string& nonce() const { return nonce_; }

  /// Looks for it, if it is away: `greeting(nonce)` is sent to whom it finds, else `lost(why)` is called.
  template <class Self, class Greeting, class Lost>
  void call(Self* self, const caf::io::middleman_actor& connector, const std::string& address,
            std::chrono::milliseconds silence, Greeting greeting, Lost lost) {
    if (!is_away())
      return;
    now_ = phase::knocking;
    hear(compat::now(self));
    look_up(
        self, connector, address, silence,
        [this, self, greeting](const caf::actor& found) {
          node_ = found;
          hear(compat::now(self));
          nonce_ = make_nonce();
          self->monitor(node_);
          compat::send(self, node_, greeting(nonce_));
        },
        lost);
  }

  /// It has taken this node for what it says it is.
  void took_us() {
    now_ = phase::registered;
    pause_ = first_pause;
    last_complaint_.clear();
  }
  void hear(steady_time now) { heard_ = now; }
  bool is_silent(steady_time now, std::chrono::milliseconds longest) const {
    return !is_away() && node_ && now - heard_ > longest;
  }
  bool is_down(const caf::down_msg& down) const { return node_ && down.source == node_.address(); }

  /// Forgets it. After how long it is to be called again: twice as long as the last time.
  template <class Self>
  std::chrono::milliseconds lose(Self* self) {
    if (node_)
      self->demonitor(node_);
    node_ = nullptr;
    now_ = phase::away;
    return std::exchange(pause_, std::min(2 * pause_, longest_pause_));
  }
  const std::string& last_complaint() const { return last_complaint_; }
  /// Each is said once.
  bool is_new_complaint(const std::string& why) { return std::exchange(last_complaint_, why) != why; }

private:
  static constexpr std::chrono::milliseconds first_pause{100};

  enum class phase { away, knocking, registered } now_ = phase::away;
  caf::actor node_;
  std::string nonce_;
  std::string last_complaint_;
  steady_time heard_{};
  std::chrono::milliseconds longest_pause_;
  std::chrono::milliseconds pause_{first_pause};
};

} // namespace souffleur
