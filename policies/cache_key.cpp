#include "policies/cache_key.hpp"

#include <algorithm>
#include <array>
#include <span>

namespace souffleur {

namespace {

/// Another meaning of any field, or another field, gets another version.
constexpr std::string_view schema = "souffleur cache key 2";

template <class T>
void sort_and_drop_repeats(std::vector<T>& values) {
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
}

template <class T, class Add>
void add_list(key_encoder& to, const std::vector<T>& values, Add add) {
  to.begin_list(values.size());
  for (const auto& value : values)
    add(value);
}

void add(key_encoder& to, const std::vector<token_id>& tokens) {
  add_list(to, tokens, [&](token_id token) { to.add(std::int64_t{token}); });
}

void add(key_encoder& to, const cache_sampling& sampling) {
  to.add(sampling.temperature);
  to.add(std::int64_t{sampling.top_k});
  to.add(sampling.top_p);
  to.add(sampling.min_p);
  to.add(sampling.repetition_penalty);
  to.add(sampling.presence_penalty);
  to.add(sampling.frequency_penalty);
  add_list(to, sampling.logit_bias, [&](const auto& entry) {
    to.add(std::int64_t{entry.first});
    to.add(entry.second);
  });
  to.add(static_cast<std::int64_t>(sampling.seed));
  to.add(sampling.acceptance);
  to.add(std::int64_t{sampling.n_logprobs});
  to.add(std::int64_t{sampling.max_tokens});
  to.add(std::int64_t{sampling.min_tokens});
  to.add(std::int64_t{sampling.max_thinking_tokens});
  to.add(std::int64_t{sampling.ignore_eos});
  add_list(to, sampling.stop, [&](const std::string& text) { to.add(text); });
  add(to, sampling.stop_token_ids);
}

/// Everything but the text of the last turn.
key_digest partition_of(const cache_subject& subject) {
  key_encoder encoder;
  encoder.add(schema);
  encoder.add(subject.tenant);
  encoder.add(subject.model);
  add(encoder, canonical(subject.sampling));
  encoder.add(std::int64_t{subject.n_sinks});
  encoder.add(std::int64_t{subject.n_window});
  encoder.add(subject.tools);
  encoder.add(subject.response_format);
  encoder.begin_list(subject.turns.size());
  for (const auto& turn : subject.turns) {
    encoder.add(turn.role);
    encoder.add(turn.extra);
    if (&turn != &subject.turns.back())
      encoder.add(turn.text);
  }
  return encoder.digest();
}

struct spelling {
  std::string_view from;
  std::string_view to;
};

/// UTF-8 sequences that canonical_text writes otherwise.
constexpr std::array spellings = {
    spelling{"\u2018", "'"},   spelling{"\u2019", "'"},  spelling{"\u201A", "'"}, spelling{"\u201C", "\""},
    spelling{"\u201D", "\""},  spelling{"\u201E", "\""}, spelling{"\u2010", "-"}, spelling{"\u2011", "-"},
    spelling{"\u2012", "-"},   spelling{"\u2013", "-"},  spelling{"\u2014", "-"}, spelling{"\u2212", "-"},
    spelling{"\u2026", "..."}, spelling{"\u00A0", " "},  spelling{"\u2002", " "}, spelling{"\u2003", " "},
    spelling{"\u2009", " "},   spelling{"\u202F", " "},  spelling{"\u3000", " "},
};

/// The entry for what `rest` begins with; null if there is none.
const spelling* spelling_at(std::string_view rest) {
  if (static_cast<unsigned char>(rest.front()) < 0x80)
    return nullptr;
  const auto* found = std::find_if(spellings.begin(), spellings.end(),
                                   [&](const spelling& one) { return rest.starts_with(one.from); });
  return found == spellings.end() ? nullptr : found;
}

bool is_blank(char byte) { return byte == ' ' || (byte >= '\t' && byte <= '\r'); }

/// Adds a blank unless the text begins or has just had one.
void add_blank(std::string& text) {
  if (!text.empty() && text.back() != ' ')
    text += ' ';
}

void add_prose(std::string& text, std::string_view prose) {
  while (!prose.empty()) {
    const auto* other = spelling_at(prose);
    const auto written = other != nullptr ? other->to : prose.substr(0, 1);
    if (written == " " || (written.size() == 1 && is_blank(written.front())))
      add_blank(text);
    else
      text += written;
    prose.remove_prefix(other != nullptr ? other->from.size() : 1);
  }
}

constexpr std::string_view fence = "```";

} // namespace

cache_sampling canonical(cache_sampling sampling) {
  sampling.top_k = std::max(sampling.top_k, 0);
  if (sampling.temperature == 0) {
    sampling.top_k = 0;
    sampling.top_p = 1;
    sampling.min_p = 0;
    sampling.seed = 0;
    sampling.acceptance.clear();
  }
  std::erase_if(sampling.logit_bias, [](const auto& entry) { return entry.second == 0; });
  std::stable_sort(sampling.logit_bias.begin(), sampling.logit_bias.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::erase(sampling.stop, "");
  sort_and_drop_repeats(sampling.stop);
  sort_and_drop_repeats(sampling.stop_token_ids);
  return sampling;
}

std::string canonical_text(std::string_view text) {
  std::string made;
  made.reserve(text.size());
  for (bool is_code = false; !text.empty(); is_code = !is_code) {
    const auto n_part = std::min(text.find(fence), text.size());
    if (is_code)
      made += text.substr(0, n_part);
    else
      add_prose(made, text.substr(0, n_part));
    text.remove_prefix(n_part);
    if (text.empty() && !is_code)
      while (made.ends_with(' '))
        made.pop_back();
    if (!text.empty()) {
      made += fence;
      text.remove_prefix(fence.size());
    }
  }
  return made;
}

key_digest cache_owner(std::string_view tenant) {
  key_encoder encoder;
  encoder.add(schema);
  encoder.add("owner");
  encoder.add(tenant);
  return encoder.digest();
}

cache_key key_of(const cache_subject& subject) {
  cache_key key;
  key.partition = partition_of(subject);
  key_encoder exact;
  exact.add(key.partition);
  exact.add(subject.turns.empty() ? std::string_view{} : std::string_view{subject.turns.back().text});
  add(exact, subject.prompt);
  key.exact = exact.digest();
  if (!subject.turns.empty())
    key.text = canonical_text(subject.turns.back().text);
  return key;
}

} // namespace souffleur
