// Server-sent events (WHATWG HTML, section 9.2.6) out of bytes that come in any pieces.
#pragma once

#include <string>
#include <string_view>
#include <utility>

namespace souffleur::load {

/// Invariant: what is reported does not depend on how the bytes were cut. Of an event only the data is
/// reported; an event that the end of the stream cuts off is dropped, as the standard says.
class sse_parser {
public:
  /// Calls on_data(std::string_view) for each event that `bytes` complete; the view lives as long as the
  /// call.
  template <class OnData>
  void feed(std::string_view bytes, OnData&& on_data) {
    while (take_line(bytes)) {
      if (line_.empty())
        dispatch(on_data);
      else
        read_field();
      line_.clear();
    }
  }

private:
  /// Moves bytes into line_; true if that completed it. `\r\n` is one line end, also across two feeds.
  bool take_line(std::string_view& bytes) {
    if (after_return_ && !bytes.empty()) {
      after_return_ = false;
      if (bytes.front() == '\n')
        bytes.remove_prefix(1);
    }
    const auto end = bytes.find_first_of("\r\n");
    line_.append(bytes.substr(0, end));
    if (end == std::string_view::npos) {
      bytes = {};
      return false;
    }
    after_return_ = bytes[end] == '\r';
    bytes.remove_prefix(end + 1);
    return true;
  }

  void read_field() {
    std::string_view line = line_;
    if (std::exchange(first_line_, false) && line.substr(0, 3) == "\xEF\xBB\xBF")
      line.remove_prefix(3);
    constexpr std::string_view name = "data";
    if (line.substr(0, name.size()) != name)
      return;
    line.remove_prefix(name.size());
    if (!line.empty()) {
      if (line.front() != ':')
        return;
      line.remove_prefix(line.substr(0, 2) == ": " ? 2 : 1);
    }
    data_.append(line);
    data_ += '\n';
  }

  template <class OnData>
  void dispatch(OnData& on_data) {
    first_line_ = false;
    if (data_.empty())
      return;
    data_.pop_back();
    on_data(std::string_view{data_});
    data_.clear();
  }

  std::string line_;
  std::string data_; ///< of the event under way, each line with its end
  bool after_return_ = false;
  bool first_line_ = true;
};

} // namespace souffleur::load
