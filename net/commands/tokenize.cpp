#include "net/commands/tokenize.hpp"

#include "engine/gguf.hpp"
#include "engine/model/model_folder.hpp"
#include "engine/tokenizer.hpp"
#include "engine/tokenizer/utf8.hpp"
#include "net/commands/words.hpp"

#include <CLI/CLI.hpp>

#include <cstdio>
#include <iostream>
#include <iterator>
#include <string>
#include <string_view>

namespace souffleur {

namespace {

/// So that a token's line ends, and bytes that are only a part of a character, can be seen.
std::string shown(std::string_view bytes) {
  const bool is_text = is_valid_utf8(bytes);
  std::string text;
  for (const char c : bytes) {
    if (c == '\n') {
      text += "\\n";
    } else if (c == '\t') {
      text += "\\t";
    } else if (c == '\\') {
      text += "\\\\";
    } else if (!is_text && static_cast<unsigned char>(c) > 127) {
      char hex[8];
      std::snprintf(hex, sizeof hex, "\\x%02x", static_cast<unsigned char>(c));
      text += hex;
    } else {
      text += c;
    }
  }
  return text;
}

} // namespace

int run_tokenize(int argc, const char* const* argv) {
  std::string model = "smollm2", folder = default_model_folder(), text;
  bool ids_only = false, count_only = false;
  CLI::App app{"A text as the tokens of a model.", "souffleur tokenize"};
  app.add_option("TEXT", text, "-: from standard input")->required();
  app.add_option("--model.path,--model", model, "GGUF file, or the name of a fetched model")
      ->capture_default_str();
  app.add_option("--model.folder", folder, "where named models are")->capture_default_str();
  auto* ids = app.add_flag("--ids", ids_only, "the ids, in one line");
  app.add_flag("--count", count_only, "how many there are")->excludes(ids);
  if (const auto code = parse_or_leave(app, argc, argv))
    return *code;
  const auto fail = [](const std::string& why) {
    std::fprintf(stderr, "souffleur tokenize: %s\n", why.c_str());
    return 1;
  };
  const auto path = find_model_file(model, folder);
  if (path.empty())
    return fail("\"" + model + "\" is neither a file nor a model in " + folder);
  const auto file = gguf_file::open(path);
  if (!file)
    return fail(file.error());
  const auto vocabulary = tokenizer::from_gguf(**file);
  if (!vocabulary)
    return fail(path + ": " + vocabulary.error());
  if (text == "-")
    text.assign(std::istreambuf_iterator<char>{std::cin}, {});
  const auto tokens = (*vocabulary)->encode(text, true);
  if (count_only) {
    std::printf("%zu\n", tokens.size());
  } else if (ids_only) {
    for (std::size_t i = 0; i < tokens.size(); ++i)
      std::printf("%s%d", i == 0 ? "" : " ", tokens[i]);
    std::printf("\n");
  } else {
    for (const auto id : tokens)
      std::printf("%8d  |%s|\n", id, shown((*vocabulary)->piece(id)).c_str());
    std::printf("%zu tokens\n", tokens.size());
  }
  return 0;
}

} // namespace souffleur
