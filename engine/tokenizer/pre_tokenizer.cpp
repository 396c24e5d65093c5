#include "engine/tokenizer/pre_tokenizer.hpp"

#include "engine/tokenizer/utf8.hpp"

#include <cstdint>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

namespace souffleur {

namespace {

// The patterns are facts about the models: OpenAI's GPT-2 encoder, the tokenizer.json files of Llama 3 and
// Qwen2, and llama.cpp's fallback for `default`. White space is spelled out because PCRE2's \s also takes
// U+180E, which Unicode has not counted as white space since version 6.3.
#define SPACE R"(\t-\r\x{20}\x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000})"

constexpr const char* any_digit = R"(\p{N})";
constexpr const char* gpt2_words = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^)" SPACE
                                   R"(\p{L}\p{N}]+|[)" SPACE R"(]+(?![^)" SPACE R"(])|[)" SPACE R"(]+)";
constexpr const char* llama3_words =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^)" SPACE
    R"(\p{L}\p{N}]+[\r\n]*|[)" SPACE R"(]*[\r\n]+|[)" SPACE R"(]+(?![^)" SPACE R"(])|[)" SPACE R"(]+)";
constexpr const char* qwen2_words =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^)" SPACE
    R"(\p{L}\p{N}]+[\r\n]*|[)" SPACE R"(]*[\r\n]+|[)" SPACE R"(]+(?![^)" SPACE R"(])|[)" SPACE R"(]+)";
constexpr const char* punctuation = R"([\p{P}\$\+<=>\^~\|]+)";
constexpr const char* number = R"(\p{N}+)";
constexpr const char* three_digits = R"([0-9][0-9][0-9])";

#undef SPACE

struct family {
  const char* name;
  std::vector<const char*> stages;
  bool normalises_to_nfc = false;
  bool prefers_whole_words = false;
  bool adds_bos_by_default = false;
};

const std::vector<family>& families() {
  static const std::vector<family> known = {
      {.name = "default", .stages = {punctuation, gpt2_words, number, three_digits}},
      {.name = "gpt-2", .stages = {gpt2_words}},
      {.name = "llama-bpe",
       .stages = {llama3_words},
       .prefers_whole_words = true,
       .adds_bos_by_default = true},
      {.name = "smollm", .stages = {any_digit, gpt2_words}},
      {.name = "qwen2", .stages = {qwen2_words}, .normalises_to_nfc = true}};
  return known;
}

struct code_deleter {
  void operator()(pcre2_code* code) const { pcre2_code_free(code); }
};
struct context_deleter {
  void operator()(pcre2_match_context* context) const { pcre2_match_context_free(context); }
};
struct match_deleter {
  void operator()(pcre2_match_data* match) const { pcre2_match_data_free(match); }
};

} // namespace

class pre_tokenizer::pattern {
public:
  static result<std::shared_ptr<const pattern>> compile(std::string_view source) {
    int error = 0;
    PCRE2_SIZE at = 0;
    auto made = std::make_shared<pattern>();
    made->code_.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(source.data()), source.size(),
                                    PCRE2_UTF | PCRE2_UCP, &error, &at, nullptr));
    made->context_.reset(pcre2_match_context_create(nullptr));
    if (!made->code_ || !made->context_)
      return failure{"PCRE2 does not take a pre-tokenizer pattern (error " + std::to_string(error) + " at " +
                     std::to_string(at) + "); was it built without Unicode?"};
    // Without JIT (a hardened kernel, an exotic machine) the interpreter gives the same matches.
    pcre2_jit_compile(made->code_.get(), PCRE2_JIT_COMPLETE);
    // A long run of spaces takes many steps, but never more than its length; the default limit would cut it.
    pcre2_set_match_limit(made->context_.get(), UINT32_MAX);
    return std::shared_ptr<const pattern>{std::move(made)};
  }

  /// If PCRE2 gives up (no memory), the rest is one word: still lossless.
  void split(std::string_view text, std::vector<std::string_view>& words) const {
    const std::unique_ptr<pcre2_match_data, match_deleter> match{pcre2_match_data_create(1, nullptr)};
    std::size_t done = 0;
    while (match && done < text.size()) {
      const int n = pcre2_match(code_.get(), reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), done,
                                PCRE2_NO_UTF_CHECK, match.get(), context_.get());
      const auto* range = pcre2_get_ovector_pointer(match.get());
      if (n < 0 || range[1] <= range[0])
        break;
      if (range[0] > done)
        words.push_back(text.substr(done, range[0] - done));
      words.push_back(text.substr(range[0], range[1] - range[0]));
      done = range[1];
    }
    if (done < text.size())
      words.push_back(text.substr(done));
  }

private:
  std::unique_ptr<pcre2_code, code_deleter> code_;
  std::unique_ptr<pcre2_match_context, context_deleter> context_;
};

result<pre_tokenizer> pre_tokenizer::named(std::string_view name) {
  std::string known;
  for (const auto& candidate : families()) {
    known.append(known.empty() ? "" : ", ").append(candidate.name);
    if (candidate.name != name)
      continue;
    pre_tokenizer made;
    for (const auto* source : candidate.stages) {
      auto stage = pattern::compile(source);
      if (!stage)
        return failure{stage.error()};
      made.stages_.push_back(std::move(*stage));
    }
    made.normalises_to_nfc_ = candidate.normalises_to_nfc;
    made.prefers_whole_words_ = candidate.prefers_whole_words;
    made.adds_bos_by_default_ = candidate.adds_bos_by_default;
    return made;
  }
  return failure{std::string{name} + " is not supported (known: " + known + ")"};
}

std::string pre_tokenizer::normalised(std::string_view text) const {
  return normalises_to_nfc_ ? nfc(text) : std::string{text};
}

void pre_tokenizer::split(std::string_view text, std::vector<std::string_view>& words) const {
  std::vector<std::string_view> parts{text};
  std::vector<std::string_view> finer;
  for (const auto& stage : stages_) {
    finer.clear();
    for (const auto part : parts)
      stage->split(part, finer);
    parts.swap(finer);
  }
  words.insert(words.end(), parts.begin(), parts.end());
}

} // namespace souffleur
