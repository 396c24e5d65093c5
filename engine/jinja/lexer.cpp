#include "engine/jinja/lexer.hpp"

#include "engine/jinja/concat.hpp"
#include "engine/jinja/limits.hpp"
#include "engine/jinja/string_literal.hpp"
#include "engine/jinja/unicode.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

namespace souffleur::jinja {
namespace {

bool is_ascii_digit(char c) { return c >= '0' && c <= '9'; }

/// "\r\n" and "\r" become "\n"; one newline at the very end goes.
std::string normalize(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (std::size_t i = 0; i < source.size(); ++i) {
    const bool pair = source[i] == '\r' && i + 1 < source.size() && source[i + 1] == '\n';
    out += source[i] == '\r' ? '\n' : source[i];
    i += pair ? 1 : 0;
  }
  if (!out.empty() && out.back() == '\n') {
    out.pop_back();
  }
  return out;
}

class lexer {
public:
  explicit lexer(std::string source) : source_(std::move(source)) {}

  result<std::vector<token>> run() {
    while (position_ < source_.size() && !error_) {
      read_text();
      if (position_ < source_.size() && !error_) {
        read_tag();
      }
    }
    if (error_) {
      return failure{*error_};
    }
    push(token_kind::end, "");
    return std::move(tokens_);
  }

private:
  std::string_view rest() const { return std::string_view(source_).substr(position_); }
  bool ahead(std::string_view text) const { return rest().substr(0, text.size()) == text; }

  void advance(std::size_t n) {
    line_ += static_cast<int>(std::count(source_.begin() + static_cast<std::ptrdiff_t>(position_),
                                         source_.begin() + static_cast<std::ptrdiff_t>(position_ + n), '\n'));
    position_ += n;
  }

  void skip_space() { advance(rest().size() - strip(rest(), side::left).size()); }

  void fail(std::string_view what) {
    if (!error_) {
      error_ = concat("line ", std::to_string(line_), ": ", what);
    }
  }

  void push(token_kind kind, std::string text) { tokens_.push_back({kind, std::move(text), line_, 0, 0}); }

  void push_data(std::string_view text) {
    if (!text.empty()) {
      push(token_kind::data, std::string(text));
    }
  }

  /// Offset of the next "{{", "{%" or "{#" at or after `from`.
  std::size_t next_tag(std::size_t from) const {
    for (std::size_t at = source_.find('{', from); at != std::string::npos; at = source_.find('{', at + 1)) {
      const char next = at + 1 < source_.size() ? source_[at + 1] : '\0';
      if (next == '{' || next == '%' || next == '#') {
        return at;
      }
    }
    return source_.size();
  }

  /// `text` lies before a tag whose sign ('-', '+' or another character) decides what space goes.
  /// `line_starting`: the text begins a line.
  static std::string_view trim_before(std::string_view text, char sign, bool is_output, bool line_starting) {
    if (sign == '-') {
      return strip(text, side::right);
    }
    if (sign == '+' || is_output) {
      return text;
    }
    const std::size_t newline = text.rfind('\n');
    const std::size_t line = newline == std::string_view::npos ? 0 : newline + 1;
    const bool blank = strip(text.substr(line), side::left).empty();
    return (line > 0 || line_starting) && blank ? text.substr(0, line) : text;
  }

  bool at_line_start() const { return position_ == 0 || source_[position_ - 1] == '\n'; }

  void read_text() {
    const std::size_t tag = next_tag(position_);
    const std::string_view text = std::string_view(source_).substr(position_, tag - position_);
    if (tag == source_.size()) {
      push_data(text);
      advance(text.size());
      return;
    }
    const char sign = tag + 2 < source_.size() ? source_[tag + 2] : '\0';
    push_data(trim_before(text, sign, source_[tag + 1] == '{', at_line_start()));
    advance(text.size());
  }

  void read_tag() {
    const char what = source_[position_ + 1];
    const std::size_t begin = position_;
    advance(2);
    if (ahead("-") || ahead("+")) {
      advance(1);
    }
    if (what == '#') {
      read_comment();
    } else if (what == '%' && read_raw()) {
      return;
    } else {
      push(what == '{' ? token_kind::output_begin : token_kind::block_begin,
           source_.substr(begin, position_ - begin));
      read_code(what == '{');
    }
  }

  void read_comment() {
    const std::size_t end = source_.find("#}", position_);
    if (end == std::string::npos) {
      return fail("a comment has no end");
    }
    const char sign = end > position_ ? source_[end - 1] : '\0';
    advance(end + 2 - position_);
    finish_block(sign);
  }

  /// After "%}" or "#}": the sign before it, or trim_blocks, eats space.
  void finish_block(char sign) {
    if (sign == '-') {
      skip_space();
    } else if (sign != '+' && ahead("\n")) {
      advance(1);
    }
  }

  /// Matches `word` as the whole of a block from `at`, after its sign; where the block ends, and its last
  /// sign.
  struct simple_block {
    std::size_t end;
    char sign;
  };
  std::optional<simple_block> match_block(std::size_t at, std::string_view word, bool may_keep) const {
    const auto skip = [&] {
      at = source_.size() - strip(std::string_view(source_).substr(at), side::left).size();
    };
    skip();
    if (source_.compare(at, word.size(), word) != 0) {
      return std::nullopt;
    }
    at += word.size();
    skip();
    const char sign = at < source_.size() ? source_[at] : '\0';
    at += sign == '-' || (may_keep && sign == '+') ? 1 : 0;
    return source_.compare(at, 2, "%}") == 0 ? std::optional(simple_block{at + 2, sign}) : std::nullopt;
  }

  bool read_raw() {
    const auto begin = match_block(position_, "raw", false);
    if (!begin) {
      return false;
    }
    advance(begin->end - position_);
    if (begin->sign == '-') {
      skip_space();
    }
    for (std::size_t at = source_.find("{%", position_); at != std::string::npos;
         at = source_.find("{%", at + 2)) {
      const char sign = at + 2 < source_.size() ? source_[at + 2] : '\0';
      const std::size_t inner = at + (sign == '-' || sign == '+' ? 3 : 2);
      if (const auto end = match_block(inner, "endraw", true)) {
        const auto text = std::string_view(source_).substr(position_, at - position_);
        push_data(trim_before(text, sign, false, at_line_start()));
        advance(end->end - position_);
        finish_block(end->sign);
        return true;
      }
    }
    fail("a raw block has no end");
    return true;
  }

  /// Inside "{{" or "{%", up to and with its end.
  void read_code(bool is_output) {
    std::string brackets;
    while (!error_) {
      skip_space();
      if (position_ >= source_.size()) {
        return fail("a tag has no end");
      }
      if (brackets.empty() && read_end(is_output)) {
        return;
      }
      read_token(brackets);
    }
  }

  bool read_end(bool is_output) {
    const std::string_view end = is_output ? "}}" : "%}";
    const bool has_sign = ahead("-") || (!is_output && ahead("+"));
    if (rest().substr(has_sign ? 1 : 0, 2) != end) {
      return false;
    }
    const char sign = has_sign ? source_[position_] : '\0';
    push(is_output ? token_kind::output_end : token_kind::block_end, std::string(end));
    advance(has_sign ? 3 : 2);
    if (!is_output) {
      finish_block(sign);
    } else if (sign == '-') {
      skip_space();
    }
    return true;
  }

  void read_token(std::string& brackets) {
    const char c = source_[position_];
    if (is_ascii_digit(c)) {
      read_number();
    } else if (c == '"' || c == '\'') {
      read_string();
    } else if (name_size() > 0) {
      const std::size_t n = name_size();
      push(token_kind::name, source_.substr(position_, n));
      advance(n);
    } else {
      read_symbol(brackets);
    }
  }

  std::size_t name_size() const {
    std::size_t n = 0;
    while (position_ + n < source_.size()) {
      const auto [c, n_bytes] = code_point_at(source_, position_ + n);
      if (c != '_' && !is_alpha(c) && !(n > 0 && is_digit(c))) {
        break;
      }
      n += n_bytes;
    }
    return n;
  }

  void read_number() {
    const std::string_view text = rest();
    std::size_t n = digits(text, 0);
    const std::size_t n_whole = n;
    const bool after_dot = position_ > 0 && source_[position_ - 1] == '.';
    if (!after_dot) {
      if (n < text.size() && text[n] == '.' && digits(text, n + 1) > 0) {
        n += 1 + digits(text, n + 1);
      }
      n += exponent_size(text.substr(n));
    }
    std::string plain(text.substr(0, n));
    std::erase(plain, '_');
    token made{n == n_whole ? token_kind::integer : token_kind::real, plain, line_, 0, 0};
    const char* end = plain.data() + plain.size();
    const auto outcome = n == n_whole ? std::from_chars(plain.data(), end, made.integer).ec
                                      : std::from_chars(plain.data(), end, made.real).ec;
    const bool prefixed = n_whole == 1 && text[0] == '0' && n < text.size() &&
                          std::string_view("xXoObB").find(text[n]) != std::string_view::npos;
    if (prefixed || (n == n_whole && plain.size() > 1 && plain[0] == '0' &&
                     plain.find_first_not_of('0') != std::string::npos)) {
      return fail("numbers with a leading zero are not supported");
    }
    if (outcome != std::errc()) {
      return fail(concat("the number ", plain, " is too large"));
    }
    tokens_.push_back(std::move(made));
    advance(n);
  }

  /// Digits, with single underscores between them.
  static std::size_t digits(std::string_view text, std::size_t from) {
    std::size_t n = from;
    while (n < text.size() &&
           (is_ascii_digit(text[n]) ||
            (text[n] == '_' && n > from && n + 1 < text.size() && is_ascii_digit(text[n + 1])))) {
      ++n;
    }
    return n - std::min(from, n);
  }

  static std::size_t exponent_size(std::string_view text) {
    if (text.empty() || (text[0] != 'e' && text[0] != 'E')) {
      return 0;
    }
    const std::size_t n_sign = text.size() > 1 && (text[1] == '+' || text[1] == '-') ? 1 : 0;
    const std::size_t n = digits(text, 1 + n_sign);
    return n > 0 ? 1 + n_sign + n : 0;
  }

  void read_string() {
    const char quote = source_[position_];
    std::size_t end = position_ + 1;
    while (end < source_.size() && source_[end] != quote) {
      end += source_[end] == '\\' ? 2 : 1;
    }
    if (end >= source_.size()) {
      return fail("a string has no end");
    }
    auto text = unescape(std::string_view(source_).substr(position_ + 1, end - position_ - 1));
    if (!text) {
      return fail(text.error());
    }
    push(token_kind::text, std::move(*text));
    advance(end + 1 - position_);
  }

  void read_symbol(std::string& brackets) {
    static constexpr std::array<std::string_view, 26> symbols = {
        "**", "//", "==", "!=", "<=", ">=", "+", "-", "*", "/", "%", "~", "<",
        ">",  "=",  ".",  ",",  ":",  "|",  "(", ")", "[", "]", "{", "}", ";"};
    const auto at =
        std::find_if(symbols.begin(), symbols.end(), [&](std::string_view s) { return ahead(s); });
    if (at == symbols.end()) {
      return fail(
          concat("unexpected character '", rest().substr(0, code_point_at(source_, position_).n_bytes), "'"));
    }
    balance(brackets, (*at)[0]);
    push(token_kind::symbol, std::string(*at));
    advance(at->size());
  }

  void balance(std::string& brackets, char c) {
    const auto opens = std::string_view("([{").find(c);
    const auto closes = std::string_view(")]}").find(c);
    if (opens != std::string_view::npos) {
      brackets += std::string_view(")]}")[opens];
    } else if (closes != std::string_view::npos) {
      if (brackets.empty() || brackets.back() != c) {
        return fail(concat("unexpected '", std::string(1, c), "'"));
      }
      brackets.pop_back();
    }
  }

  std::string source_;
  std::size_t position_ = 0;
  int line_ = 1;
  std::vector<token> tokens_;
  std::optional<std::string> error_;
};

} // namespace

result<std::vector<token>> tokenize(std::string_view source) {
  if (source.size() > max_source_bytes) {
    return failure{concat("the template is larger than ", std::to_string(max_source_bytes), " bytes")};
  }
  if (!is_valid_utf8(source)) {
    return failure{"the template is not valid UTF-8"};
  }
  return lexer(normalize(source)).run();
}

} // namespace souffleur::jinja
