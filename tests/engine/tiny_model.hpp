// Small models with made-up weights: the same as those of tests/golden/make_tiny_models.py.
#pragma once

#include "engine/language_model.hpp"
#include "tests/engine/tiny_gguf.hpp"

#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace souffleur::testing {

struct tiny_sizes {
  int n_layers = 4;
  int n_hidden = 64;
  int n_feed_forward = 96;
  int n_heads = 4;
  int n_kv_heads = 2;
  int head_dim = 32;
  int n_vocabulary = 96;
  int n_context = 64;
};

/// Numbers in [-1, 1) that depend on the name alone (FNV-1a, then splitmix64).
inline std::vector<float> uniform_values(std::string_view name, std::size_t n) {
  std::uint64_t seed = 14695981039346656037ULL;
  for (const char byte : name)
    seed = (seed ^ static_cast<std::uint8_t>(byte)) * 1099511628211ULL;
  std::vector<float> values;
  for (std::size_t i = 1; i <= n; ++i) {
    std::uint64_t z = seed + i * 0x9E3779B97F4A7C15ULL;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    z ^= z >> 31;
    values.push_back(static_cast<float>(static_cast<double>(z >> 40) / (1 << 23) - 1));
  }
  return values;
}

inline void add_norm(tiny_gguf& file, const std::string& name, int n) {
  auto values = uniform_values(name, static_cast<std::size_t>(n));
  for (auto& value : values)
    value = value / 2 + 1;
  file.tensor(name, {n}, values);
}

inline void add_matrix(tiny_gguf& file, const std::string& name, int n_out, int n_in) {
  auto values = uniform_values(name, static_cast<std::size_t>(n_out) * static_cast<std::size_t>(n_in));
  if (name != "token_embd.weight")
    for (auto& value : values)
      value *= static_cast<float>(std::sqrt(3.0 / n_in));
  file.tensor(name, {n_in, n_out}, values);
}

/// What every architecture has, and an output matrix of its own.
inline tiny_gguf tiny_llama(const std::string& architecture = "llama", const tiny_sizes& sizes = {}) {
  tiny_gguf file;
  const auto key = [&](const char* name) { return architecture + "." + name; };
  const auto id = [&](const char* name, int value) { file.id(key(name), static_cast<std::uint32_t>(value)); };
  file.text("general.architecture", architecture);
  id("block_count", sizes.n_layers);
  id("embedding_length", sizes.n_hidden);
  id("feed_forward_length", sizes.n_feed_forward);
  id("context_length", sizes.n_context);
  id("attention.head_count", sizes.n_heads);
  id("attention.head_count_kv", sizes.n_kv_heads);
  id("attention.key_length", sizes.head_dim);
  id("attention.value_length", sizes.head_dim);
  file.number(key("attention.layer_norm_rms_epsilon"), 1e-6F).number(key("rope.freq_base"), 1e6F);
  add_matrix(file, "token_embd.weight", sizes.n_vocabulary, sizes.n_hidden);
  add_matrix(file, "output.weight", sizes.n_vocabulary, sizes.n_hidden);
  add_norm(file, "output_norm.weight", sizes.n_hidden);
  for (int i = 0; i < sizes.n_layers; ++i) {
    const auto name = [&](const char* part) { return "blk." + std::to_string(i) + "." + part + ".weight"; };
    for (const auto* part : {"attn_norm", "ffn_norm"})
      add_norm(file, name(part), sizes.n_hidden);
    add_matrix(file, name("attn_q"), sizes.n_heads * sizes.head_dim, sizes.n_hidden);
    for (const auto* part : {"attn_k", "attn_v"})
      add_matrix(file, name(part), sizes.n_kv_heads * sizes.head_dim, sizes.n_hidden);
    add_matrix(file, name("attn_output"), sizes.n_hidden, sizes.n_heads * sizes.head_dim);
    for (const auto* part : {"ffn_gate", "ffn_up"})
      add_matrix(file, name(part), sizes.n_feed_forward, sizes.n_hidden);
    add_matrix(file, name("ffn_down"), sizes.n_hidden, sizes.n_feed_forward);
  }
  return file;
}

inline void add_layer_norms(tiny_gguf& file, const tiny_sizes& sizes, const std::vector<std::string>& parts,
                            int n) {
  for (int i = 0; i < sizes.n_layers; ++i)
    for (const auto& part : parts)
      add_norm(file, "blk." + std::to_string(i) + "." + part + ".weight", n);
}

inline tiny_gguf tiny_qwen3(const tiny_sizes& sizes = {}) {
  auto file = tiny_llama("qwen3", sizes);
  add_layer_norms(file, sizes, {"attn_q_norm", "attn_k_norm"}, sizes.head_dim);
  return file;
}

/// Tied; every third layer global, with positions stretched by 4.
inline tiny_gguf tiny_gemma3(int window, const tiny_sizes& sizes = {}) {
  auto file = tiny_llama("gemma3", sizes);
  add_layer_norms(file, sizes, {"attn_q_norm", "attn_k_norm"}, sizes.head_dim);
  add_layer_norms(file, sizes, {"post_attention_norm", "post_ffw_norm"}, sizes.n_hidden);
  file.id("gemma3.attention.sliding_window", static_cast<std::uint32_t>(window));
  file.id("gemma3.attention.sliding_window_pattern", 3);
  file.text("gemma3.rope.scaling.type", "linear").number("gemma3.rope.scaling.factor", 4);
  return file.remove_tensor("output.weight");
}

/// One sequence's outputs at a time.
template <class Read>
void for_each_output(language_model& model, std::span<const sequence_rows> batch, const Read& read) {
  model.forward_each(batch, [&](std::size_t first, std::span<const row_outputs> outputs) {
    for (std::size_t i = 0; i < outputs.size(); ++i)
      read(first + i, outputs[i]);
  });
}

} // namespace souffleur::testing
