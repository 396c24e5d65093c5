#include "policies/guards/order.hpp"

#include "policies/guards/lexicon.hpp"

#include <algorithm>
#include <unordered_map>

namespace souffleur::guards {

namespace {

bool joins(const std::string& text) {
  return text == "and" || text == "or" || text == "vs" || text == "versus" || text == "&";
}

/// Of long texts the beginning decides: three words at a time are looked at.
constexpr std::size_t most_compared = 64;

struct place {
  std::size_t in_a = 0;
  std::size_t in_b = 0;
};

/// Where the words stand that each text has exactly once, in the order of `a`.
std::vector<place> common_places(const std::vector<actor_word>& a, const std::vector<actor_word>& b) {
  struct seen {
    int n_a = 0;
    int n_b = 0;
    place at;
  };
  std::unordered_map<std::string_view, seen> words;
  for (std::size_t i = 0; i < a.size(); ++i) {
    ++words[a[i].stem].n_a;
    words[a[i].stem].at.in_a = i;
  }
  for (std::size_t i = 0; i < b.size(); ++i) {
    ++words[b[i].stem].n_b;
    words[b[i].stem].at.in_b = i;
  }
  std::vector<place> common;
  for (const auto& [stem, where] : words)
    if (where.n_a == 1 && where.n_b == 1)
      common.push_back(where.at);
  std::sort(common.begin(), common.end(), [](const place& x, const place& y) { return x.in_a < y.in_a; });
  if (common.size() > most_compared)
    common.resize(most_compared);
  return common;
}

/// Some word stands between `u` and `v` (u first in a, v first in b) in both texts.
bool have_a_pivot(const std::vector<place>& common, const place& u, const place& v) {
  return std::any_of(common.begin(), common.end(), [&](const place& m) {
    return u.in_a < m.in_a && m.in_a < v.in_a && v.in_b < m.in_b && m.in_b < u.in_b;
  });
}

} // namespace

std::vector<actor_word> actors_of(const std::vector<word>& words) {
  std::vector<actor_word> actors;
  std::string role;
  bool is_joined = false;
  for (const auto& one : words) {
    if (one.before == ',' || one.is_initial)
      role.clear();
    if (joins(one.text)) {
      is_joined = true;
      if (!actors.empty())
        actors.back().is_listed = true;
    } else if (gives_a_role(one.text)) {
      role = one.text;
    } else if (!is_function_word(one.text) || is_joined) {
      actors.push_back({one.stem, role, is_joined});
      is_joined = false;
    }
    if (one.after == ',' || one.after == '?')
      role.clear();
  }
  return actors;
}

std::string exchanged(const std::vector<actor_word>& a, const std::vector<actor_word>& b) {
  const auto common = common_places(a, b);
  for (std::size_t i = 0; i < common.size(); ++i)
    for (std::size_t j = i + 1; j < common.size(); ++j) {
      const auto& u = common[i];
      const auto& v = common[j];
      const auto &ua = a[u.in_a], &va = a[v.in_a], &ub = b[u.in_b], &vb = b[v.in_b];
      const bool trade_roles = ua.role != va.role && ua.role == vb.role && va.role == ub.role;
      const bool are_listed = (ua.is_listed || va.is_listed) && (ub.is_listed || vb.is_listed);
      const bool keep_roles = ua.role == ub.role && va.role == vb.role && ua.role == va.role;
      const bool turn_around = u.in_b > v.in_b && keep_roles && !are_listed && have_a_pivot(common, u, v);
      if (trade_roles || turn_around)
        return ua.stem + "/" + va.stem;
    }
  return {};
}

} // namespace souffleur::guards
