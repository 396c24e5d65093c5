// Finds the calls of functions in an answer's text.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace souffleur {

struct tool_call {
  std::string name;
  std::string arguments; ///< a JSON object, as text
  bool operator==(const tool_call&) const = default;
};

/// Reads Qwen's and Hermes' form: <tool_call>, a JSON object with `name` and `arguments` (or `parameters`),
/// </tool_call>; the last end may be missing. What looks like a call and is none stays text, as it was. Text
/// is held back while it could still begin a call, and blanks around calls are nobody's.
///
/// The concatenation of everything returned does not depend on how the text was cut.
class tool_call_reader {
public:
  struct piece {
    std::string text;
    std::vector<tool_call> calls; ///< behind the text
  };

  piece read(std::string_view text);
  /// The rest, at the end of the answer.
  piece finish();
  int n_calls() const { return n_calls_; }

private:
  void take_outside(piece& into);
  bool take_call(piece& into);
  void add_text(piece& into, std::string_view text);
  bool add_call(piece& into, std::string_view body);

  std::string pending_;
  std::string blanks_; ///< held back until text follows
  bool inside_ = false;
  int n_calls_ = 0;
};

} // namespace souffleur
