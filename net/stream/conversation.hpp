// What a stream's client and the model have said, so that the client need not say it again.
#pragma once

#include "actors/messages/generation.hpp"

#include <boost/json/value.hpp>

#include <cstddef>
#include <optional>
#include <string_view>
#include <variant>

namespace souffleur {

/// Invariant: frame() is a generate frame that begins the conversation as it is now: with it, another server
/// would answer the same.
class conversation {
public:
  /// Nothing: a `prompt` of token ids cannot be continued by text. `frame`: a valid generate frame, of
  /// `n_bytes`.
  static std::optional<conversation> from(boost::json::value frame, std::size_t n_bytes);

  /// With what a valid append frame says, which may have other parameters.
  std::variant<conversation, generation_failed> continued_by(const boost::json::value& append,
                                                             std::size_t n_bytes) const;
  void answered(std::string_view text);

  const boost::json::value& frame() const { return frame_; }
  /// As it came over the wire.
  std::size_t n_bytes() const { return n_bytes_; }

private:
  conversation(boost::json::value frame, std::size_t n_bytes) : frame_(std::move(frame)), n_bytes_(n_bytes) {}
  bool is_chat() const { return frame_.get_object().contains("messages"); }

  boost::json::value frame_;
  std::size_t n_bytes_;
};

} // namespace souffleur
