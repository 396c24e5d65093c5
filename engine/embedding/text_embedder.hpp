// Texts to vectors whose cosine says how much they mean the same.
#pragma once

#include "engine/embedding/bert_weights.hpp"
#include "engine/embedding/wordpiece_tokenizer.hpp"
#include "engine/kernels/isa.hpp"
#include "engine/result.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace souffleur {

/// Rows (ids) of texts that go through the encoder together.
inline constexpr int embedding_block_rows = 256;

struct embedder_options {
  int n_threads = 1; ///< of its own
  isa level = best_isa();
};

/// A tokenizer and an encoder.
class text_embedder {
public:
  virtual ~text_embedder() = default;

  /// Identifies vocabulary, weights and format: equal fingerprints give equal vectors.
  virtual const std::string& fingerprint() const = 0;
  virtual int n_dimensions() const = 0;
  /// Ids of a text that are read; the rest is left out.
  virtual int max_ids() const = 0;
  /// Thread-safe.
  virtual wordpieces encode(std::string_view text) const = 0;
  /// (n_dimensions,) for each text, of length 1. A text's vector is bit-identical whatever others there are.
  /// One caller at a time. REQUIRES: texts as encode() gives them.
  virtual std::vector<std::vector<float>> embed(std::span<const std::span<const token_id>> texts) = 0;
  /// Of one text.
  std::vector<float> vector_of(std::string_view text);
};

/// A model's folder: model.safetensors, config.json and vocab.txt.
struct embedder_files {
  bert_config config;
  std::shared_ptr<const safetensors_file> tensors;
  std::shared_ptr<const wordpiece_tokenizer> vocabulary;
  std::uint64_t text_hash = 0; ///< of configuration and vocabulary
};

/// The error names the file and what is wrong in it.
result<embedder_files> open_embedder(const std::string& folder);

/// Upper bound of the memory that the embedder takes.
std::size_t embedder_bytes(const embedder_files& files);

result<std::shared_ptr<text_embedder>> load_embedder(const embedder_files& files,
                                                     const embedder_options& options);
/// Both in one call: of a model's folder, or of the fetched model of that name.
result<std::shared_ptr<text_embedder>> load_embedder(const std::string& model,
                                                     const embedder_options& options = {});

} // namespace souffleur
