// The values that templates compute with: Python's, as far as chat templates see them.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace souffleur::jinja {

struct sequence;
class dict;
struct name_space;
struct loop_state;
struct callable;

/// What a missing variable or attribute yields; `what` says which one for the error message.
struct undefined {
  std::shared_ptr<const std::string> what;
};
struct none {};

enum class kind { undefined, none, boolean, integer, real, text, sequence, dict, name_space, loop, callable };

/// Cheap to copy; what it refers to is immutable but for namespaces, loops and generators.
class value {
public:
  value() : content_(undefined{}) {}
  value(undefined u) : content_(std::move(u)) {}
  value(none n) : content_(n) {}
  explicit value(bool b) : content_(b) {}
  explicit value(std::int64_t i) : content_(i) {}
  explicit value(double d) : content_(d) {}
  explicit value(std::string s) : content_(std::make_shared<const std::string>(std::move(s))) {}
  explicit value(std::shared_ptr<sequence> s) : content_(std::move(s)) {}
  explicit value(std::shared_ptr<const dict> d) : content_(std::move(d)) {}
  explicit value(name_space* n) : content_(n) {}
  explicit value(std::shared_ptr<loop_state> l) : content_(std::move(l)) {}
  explicit value(std::shared_ptr<const callable> c) : content_(std::move(c)) {}

  kind type() const { return static_cast<kind>(content_.index()); }
  bool is(kind k) const { return type() == k; }
  /// Booleans are numbers, as in Python.
  bool is_number() const { return is(kind::boolean) || is(kind::integer) || is(kind::real); }
  bool is_integral() const { return is(kind::boolean) || is(kind::integer); }

  /// REQUIRES of the following: the kind named.
  bool boolean() const { return std::get<bool>(content_); }
  std::int64_t integral() const;
  double number() const;
  const std::string& text() const { return *std::get<std::shared_ptr<const std::string>>(content_); }
  sequence& items() const { return *std::get<std::shared_ptr<sequence>>(content_); }
  const dict& entries() const { return *std::get<std::shared_ptr<const dict>>(content_); }
  name_space& space() const { return *std::get<name_space*>(content_); }
  loop_state& loop() const { return *std::get<std::shared_ptr<loop_state>>(content_); }
  const callable& function() const { return *std::get<std::shared_ptr<const callable>>(content_); }
  const undefined& missing() const { return std::get<undefined>(content_); }

  /// Same object, not merely equal.
  const void* identity() const;
  /// Lists and dicts above the innermost plain value.
  int depth() const;

private:
  std::variant<undefined, none, bool, std::int64_t, double, std::shared_ptr<const std::string>,
               std::shared_ptr<sequence>, std::shared_ptr<const dict>, name_space*,
               std::shared_ptr<loop_state>, std::shared_ptr<const callable>>
      content_;
};

/// `view` is what dict.items() and its like give; `generator` what map and select give: always true, without
/// length or indices, and empty after its first use.
enum class flavour { list, tuple, range, view, generator };

struct sequence {
  sequence(flavour f, std::vector<value> v);
  flavour how;
  std::vector<value> items;
  int depth;
};

/// Keeps insertion order. Keys compare as in Python: 1, 1.0 and true are one key.
class dict {
public:
  dict() = default;
  /// REQUIRES: is_key(key). Replaces the value of an equal key, keeping its place.
  void set(value key, value v);
  const value* find(const value& key) const;
  const value* find(std::string_view key) const;
  const std::vector<std::pair<value, value>>& entries() const { return entries_; }
  std::size_t size() const { return entries_.size(); }
  int depth() const { return depth_; }

private:
  std::optional<std::size_t> place_of(const value& key) const;

  std::vector<std::pair<value, value>> entries_;
  // Ordered, so that no choice of keys makes a search slow. The views are of the keys in entries_.
  std::map<std::string_view, std::size_t> texts_;
  std::multimap<double, std::size_t> numbers_;
  std::optional<std::size_t> none_;
  int depth_ = 1;
};

/// Whether a value may be a dict key: none, numbers and texts are; tuples are not supported.
bool is_key(const value& v);

/// Owned by the rendering, so that a namespace can hold itself without leaking.
struct name_space {
  std::vector<std::pair<std::string, value>> attributes;
  const value* find(std::string_view name) const;
  void set(std::string_view name, value v);
};

/// What `loop` means inside a for block.
struct loop_state {
  std::vector<value> items;
  std::size_t index = 0;
  int depth = 1;
};

struct macro_closure;

/// A macro, a function of the environment or a method of a value.
struct callable {
  std::string name;
  std::optional<value> receiver;              ///< set: a method
  std::shared_ptr<const macro_closure> macro; ///< set: a macro
  int depth() const { return receiver ? receiver->depth() + 1 : 1; }
};

/// The name that Python gives the type, for error messages.
std::string_view type_name(const value& v);

inline value text_value(std::string_view s) { return value(std::string(s)); }

} // namespace souffleur::jinja
