// Reads JSON strings, one a line, and writes their token ids as JSON arrays. For comparisons with other
// tokenizers.
#include "engine/tokenizer.hpp"

#include <boost/json.hpp>

#include <iostream>

using namespace souffleur;

namespace {

int complain(const std::string& what) {
  std::cerr << "souffleur_tokenize_tool: " << what << '\n';
  return 1;
}

} // namespace

int main(int argc, char** argv) {
  if (argc != 3 || (argv[2] != std::string{"0"} && argv[2] != std::string{"1"}))
    return complain("usage: souffleur_tokenize_tool MODEL.gguf PARSE_SPECIAL(0|1) < strings.jsonl");
  const bool parse_special = *argv[2] == '1';
  const auto file = gguf_file::open(argv[1]);
  if (!file)
    return complain(file.error());
  const auto words = tokenizer::from_gguf(**file);
  if (!words)
    return complain(words.error());
  std::size_t n_lines = 0;
  for (std::string line; std::getline(std::cin, line);) {
    ++n_lines;
    boost::system::error_code error;
    const auto text = boost::json::parse(line, error);
    if (error || !text.is_string())
      return complain("line " + std::to_string(n_lines) + " is no JSON string");
    std::cout << boost::json::value_from((*words)->encode(text.as_string(), parse_special)) << '\n';
  }
  return 0;
}
