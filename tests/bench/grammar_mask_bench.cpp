// What a grammar adds to a step: finding the mask, when it is met for the first time and later on, and
// applying it, beside a forward pass of one row. Takes the path of a GGUF file.
#include "engine/grammar/grammar_library.hpp"
#include "engine/model/load_model.hpp"
#include "engine/sampler.hpp"
#include "engine/step_times.hpp"
#include "engine/tokenizer.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

namespace souffleur {
namespace {

using grammar::language;
using clock = std::chrono::steady_clock;

double us_since(clock::time_point start) {
  return std::chrono::duration<double, std::micro>(clock::now() - start).count();
}

struct example {
  const char* name;
  grammar::output_grammar wanted;
  std::string answer;
};

const std::string person = R"({"type": "object", "required": ["name", "age", "email", "tags"], "properties": {
  "name": {"type": "string"}, "age": {"type": "integer", "minimum": 0, "maximum": 150},
  "email": {"type": "string", "format": "email"},
  "note": {"type": "string", "maxLength": 80},
  "tags": {"type": "array", "items": {"enum": ["red", "green", "blue"]}}}})";

const std::vector<example> examples{
    {"any JSON object",
     {language::json_object, ""},
     R"({"title": "A night at the opera", "year": 1935, "cast": [{"name": "Groucho", "age": 44.5}, null, true]})"},
    {"JSON schema",
     {language::json_schema, person},
     R"({"name": "Ada Lovelace", "age": 36, "email": "ada@example.org", "note": "wrote the first program", "tags": ["red", "blue"]})"},
    {"regular expression", {language::regex, R"((\w+ ){2,30}\d{4})"}, "the quick brown fox jumps over 1234"},
    {"GBNF",
     {language::gbnf, "root ::= (word \" \")* \"end\"\nword ::= [a-z]{1,12}"},
     "some words and then the end"},
};

void print(const char* what, std::vector<double> us) {
  std::ranges::sort(us);
  std::printf("  %-26s median %8.1f us   p90 %8.1f   most %8.1f\n", what, us[us.size() / 2],
              us[us.size() * 9 / 10], us.back());
}

/// The time that `call` takes at each token of the answer.
std::vector<double> at_each_token(const grammar::grammar_cursor& start, const std::vector<token_id>& answer,
                                  const std::function<void(const grammar::grammar_cursor&)>& call) {
  std::vector<double> us;
  std::optional<grammar::grammar_cursor> at = start;
  for (const auto token : answer) {
    const auto before = clock::now();
    call(*at);
    us.push_back(us_since(before));
    at = at->after(token);
    if (!at) {
      std::printf("  (the answer leaves the grammar)\n");
      break;
    }
  }
  return us;
}

void measure(const example& one, grammar::grammar_library& library, const tokenizer& vocabulary,
             std::size_t n_logits) {
  const auto before = clock::now();
  const auto compiled = library.find_or_compile(one.wanted);
  const auto compile_us = us_since(before);
  const auto answer = vocabulary.encode(one.answer, false);
  std::printf("%s: compiled in %.0f us, %zu tokens\n", one.name, compile_us, answer.size());
  const grammar::grammar_cursor start{*compiled};
  std::vector<float> logits(n_logits);
  print("mask, cold", at_each_token(start, answer, [](const auto& at) { at.mask(); }));
  print("mask, warm", at_each_token(start, answer, [](const auto& at) { at.mask(); }));
  print("mask, warm, and applied",
        at_each_token(start, answer, [&](const auto& at) { forbid_all_but(*at.mask(), logits); }));
}

} // namespace
} // namespace souffleur

int main(int argc, char** argv) {
  using namespace souffleur;
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s MODEL.gguf\n", argv[0]);
    return 2;
  }
  const auto file = gguf_file::open(argv[1]);
  if (!file) {
    std::fprintf(stderr, "%s\n", file.error().c_str());
    return 1;
  }
  auto vocabulary = tokenizer::from_gguf(**file);
  auto model = load_model(*file, {});
  if (!vocabulary || !model) {
    std::fprintf(stderr, "%s\n", vocabulary ? model.error().c_str() : vocabulary.error().c_str());
    return 1;
  }
  const auto n_logits = static_cast<std::size_t>((*model)->vocabulary_size());
  std::printf("vocabulary of %zu; a forward pass of one row takes %.0f us\n", n_logits,
              measure_steps(**model).front().us);
  grammar::grammar_library library{*vocabulary};
  const auto before = clock::now();
  static_cast<void>(library.find_or_compile({grammar::language::regex, "a"}));
  std::printf("the vocabulary's tries, once: %.0f us\n", us_since(before));
  for (const auto& one : examples)
    measure(one, library, **vocabulary, n_logits);
  return 0;
}
