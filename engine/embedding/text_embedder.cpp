#include "engine/embedding/text_embedder.hpp"

#include "engine/embedding/bert_encoder.hpp"
#include "engine/model/model_folder.hpp"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <xxhash.h>

namespace souffleur {

namespace {

constexpr int most_ids = 256; ///< of a text, as sentence-transformers has it
constexpr int least_ids = 2;  ///< [CLS] and [SEP]

result<std::string> content_of(const std::filesystem::path& path) {
  std::ifstream file{path, std::ios::binary};
  std::string content{std::istreambuf_iterator<char>{file}, {}};
  if (!file || content.empty())
    return failure{path.string() + ": cannot be read, or is empty"};
  return content;
}

/// XXH3 over configuration, vocabulary and every tensor, in the order of the file.
std::string fingerprint_of(const embedder_files& files) {
  const std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state{XXH3_createState(), &XXH3_freeState};
  XXH3_64bits_reset_withSeed(state.get(), files.text_hash);
  for (const auto& tensor : files.tensors->tensors()) {
    XXH3_64bits_update(state.get(), tensor.name.c_str(), tensor.name.size() + 1);
    XXH3_64bits_update(state.get(), tensor.data.data(), tensor.data.size());
    files.tensors->release_pages(tensor);
  }
  char digits[17];
  std::snprintf(digits, sizeof digits, "%016llx",
                static_cast<unsigned long long>(XXH3_64bits_digest(state.get())));
  return digits;
}

class bert_embedder final : public text_embedder {
public:
  bert_embedder(const embedder_files& files, bert_weights weights, std::string fingerprint,
                const embedder_options& options)
      : fingerprint_(std::move(fingerprint)), n_dimensions_(files.config.n_hidden),
        max_ids_(std::min(most_ids, files.config.n_positions)), vocabulary_(files.vocabulary),
        encoder_(files.config, std::move(weights), options.n_threads, options.level) {}

  const std::string& fingerprint() const override { return fingerprint_; }
  int n_dimensions() const override { return n_dimensions_; }
  int max_ids() const override { return max_ids_; }
  wordpieces encode(std::string_view text) const override {
    return vocabulary_->encode(text, static_cast<std::size_t>(max_ids_));
  }

  std::vector<std::vector<float>> embed(std::span<const std::span<const token_id>> texts) override {
    const auto n = static_cast<std::size_t>(n_dimensions_);
    std::vector<std::vector<float>> vectors;
    vectors.reserve(texts.size());
    std::vector<float> block;
    while (!texts.empty()) {
      const auto n_texts = block_of(texts);
      block.resize(n_texts * n);
      encoder_.encode(texts.first(n_texts), block.data());
      for (std::size_t t = 0; t < n_texts; ++t)
        vectors.emplace_back(block.begin() + static_cast<std::ptrdiff_t>(t * n),
                             block.begin() + static_cast<std::ptrdiff_t>((t + 1) * n));
      texts = texts.subspan(n_texts);
    }
    return vectors;
  }

private:
  /// As many of the first texts as fit into a block, one at least.
  static std::size_t block_of(std::span<const std::span<const token_id>> texts) {
    std::size_t n_texts = 0;
    for (std::size_t n_rows = 0; n_texts < texts.size(); ++n_texts) {
      n_rows += texts[n_texts].size();
      if (n_texts > 0 && n_rows > static_cast<std::size_t>(embedding_block_rows))
        break;
    }
    return n_texts;
  }

  std::string fingerprint_;
  int n_dimensions_;
  int max_ids_;
  std::shared_ptr<const wordpiece_tokenizer> vocabulary_;
  bert_encoder encoder_;
};

} // namespace

result<embedder_files> open_embedder(const std::string& folder) {
  const std::filesystem::path root{folder};
  const auto config_text = content_of(root / "config.json");
  if (!config_text)
    return failure{config_text.error()};
  const auto config = read_bert_config(*config_text);
  if (!config)
    return failure{(root / "config.json").string() + ": " + config.error()};
  const auto vocabulary_text = content_of(root / "vocab.txt");
  if (!vocabulary_text)
    return failure{vocabulary_text.error()};
  const auto vocabulary = wordpiece_tokenizer::from_vocabulary(*vocabulary_text);
  if (!vocabulary)
    return failure{(root / "vocab.txt").string() + ": " + vocabulary.error()};
  if ((*vocabulary)->vocabulary_size() > config->n_vocabulary)
    return failure{(root / "vocab.txt").string() + ": has more pieces than config.json says"};
  const auto tensors = safetensors_file::open(root / "model.safetensors");
  if (!tensors)
    return failure{tensors.error()};
  const auto texts = *config_text + *vocabulary_text;
  return embedder_files{*config, *tensors, *vocabulary, XXH3_64bits(texts.data(), texts.size())};
}

std::size_t embedder_bytes(const embedder_files& files) {
  constexpr std::size_t vocabulary_bytes_per_piece = 128;
  return bert_weights_bytes(files.config) +
         bert_encoder::scratch_bytes(files.config, embedding_block_rows, least_ids) +
         static_cast<std::size_t>(files.vocabulary->vocabulary_size()) * vocabulary_bytes_per_piece;
}

result<std::shared_ptr<text_embedder>> load_embedder(const embedder_files& files,
                                                     const embedder_options& options) {
  auto fingerprint = fingerprint_of(files);
  auto weights = read_bert_weights(files.tensors, files.config);
  if (!weights)
    return failure{"model.safetensors: " + weights.error()};
  return std::shared_ptr<text_embedder>{
      std::make_shared<bert_embedder>(files, std::move(*weights), std::move(fingerprint), options)};
}

result<std::shared_ptr<text_embedder>> load_embedder(const std::string& model,
                                                     const embedder_options& options) {
  const auto folder = find_embedding_folder(model, default_model_folder());
  if (folder.empty())
    return failure{"\"" + model + "\" is neither a folder of an embedding model nor one in " +
                   default_model_folder()};
  const auto files = open_embedder(folder);
  return files ? load_embedder(*files, options) : failure{files.error()};
}

std::vector<float> text_embedder::vector_of(std::string_view text) {
  const auto pieces = encode(text);
  const std::span<const token_id> one[] = {pieces.ids};
  return embed(one).front();
}

} // namespace souffleur
