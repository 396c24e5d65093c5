// Reads JSON strings, one a line, and writes their token ids as JSON arrays. For comparisons with other
// tokenizers.
#include "engine/embedding/wordpiece_tokenizer.hpp"
#include "engine/tokenizer.hpp"

#include <boost/json.hpp>

#include <fstream>
#include <functional>
#include <iostream>
#include <iterator>

using namespace souffleur;

namespace {

using encoder = std::function<std::vector<token_id>(std::string_view)>;

result<encoder> gguf_encoder(const std::string& path, bool parse_special) {
  const auto file = gguf_file::open(path);
  if (!file)
    return failure{file.error()};
  const auto words = tokenizer::from_gguf(**file);
  if (!words)
    return failure{words.error()};
  return encoder{
      [words = *words, parse_special](std::string_view text) { return words->encode(text, parse_special); }};
}

/// Special tokens are always parsed.
result<encoder> wordpiece_encoder(const std::string& path) {
  std::ifstream file{path, std::ios::binary};
  const std::string vocabulary{std::istreambuf_iterator<char>{file}, {}};
  const auto pieces = wordpiece_tokenizer::from_vocabulary(vocabulary);
  if (!pieces)
    return failure{path + ": " + pieces.error()};
  return encoder{[pieces = *pieces](std::string_view text) { return pieces->encode(text, 1 << 30).ids; }};
}

int complain(const std::string& what) {
  std::cerr << "souffleur_tokenize_tool: " << what << '\n';
  return 1;
}

} // namespace

int main(int argc, char** argv) {
  if (argc != 3 || (argv[2] != std::string{"0"} && argv[2] != std::string{"1"}))
    return complain("usage: souffleur_tokenize_tool MODEL.gguf|vocab.txt PARSE_SPECIAL(0|1) < strings.jsonl");
  const std::string path = argv[1];
  const auto encode = path.ends_with(".txt") ? wordpiece_encoder(path) : gguf_encoder(path, *argv[2] == '1');
  if (!encode)
    return complain(encode.error());
  std::size_t n_lines = 0;
  for (std::string line; std::getline(std::cin, line);) {
    ++n_lines;
    boost::system::error_code error;
    const auto text = boost::json::parse(line, error);
    if (error || !text.is_string())
      return complain("line " + std::to_string(n_lines) + " is no JSON string");
    std::cout << boost::json::value_from((*encode)(text.as_string())) << '\n';
  }
  return 0;
}
