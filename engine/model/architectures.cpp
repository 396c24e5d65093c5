#include "engine/model/architectures.hpp"

#include <array>
#include <cmath>
#include <string>

namespace souffleur {

namespace {

struct architecture {
  const char* name;
  transformer_config (*read)(metadata_reader&);
};

constexpr std::array<architecture, 4> known = {
    {{"llama", read_llama}, {"qwen2", read_qwen2}, {"qwen3", read_qwen3}, {"gemma3", read_gemma3}}};

constexpr int max_layers = 1024;
constexpr int max_heads = 4096;
constexpr int max_head_dim = 256;

void read_head_sizes(metadata_reader& in, transformer_config& config) {
  config.n_kv_heads = in.count_or("attention.head_count_kv", config.n_heads);
  config.head_dim = in.count_or("attention.key_length", config.n_hidden / config.n_heads);
  config.attention_scale = 1 / std::sqrt(static_cast<double>(config.head_dim));
  if (config.n_heads % config.n_kv_heads != 0)
    in.complain("attention.head_count_kv", "does not divide the number of heads");
  if (config.head_dim == 0 || config.head_dim % 16 != 0 || config.head_dim > max_head_dim)
    in.complain("attention.key_length",
                "a head size of " + std::to_string(config.head_dim) + " is not supported");
  for (const auto* key : {"attention.value_length", "rope.dimension_count"})
    if (in.count_or(key, config.head_dim) != config.head_dim)
      in.complain(key, "another size than the heads' is not supported");
}

/// Linear scaling is the only kind that is built.
rope_config rope_of(metadata_reader& in) {
  rope_config rope{in.positive_or("rope.freq_base", 10000), in.positive_or("rope.scale_linear", 1)};
  const auto scaling = in.text_or("rope.scaling.type", "none");
  if (scaling == "linear")
    rope.position_scale = in.positive_or("rope.scaling.factor", rope.position_scale);
  else if (scaling != "none")
    in.complain("rope.scaling.type", "\"" + scaling + "\" is not supported (none and linear are)");
  return rope;
}

} // namespace

transformer_config common_config(metadata_reader& in) {
  for (const auto* key : {"expert_count", "attn_logit_softcapping", "final_logit_softcapping"})
    in.refuse(key);
  transformer_config config;
  config.n_layers = in.count("block_count", max_layers);
  config.n_heads = in.count("attention.head_count", max_heads);
  config.n_hidden = in.count("embedding_length");
  config.n_feed_forward = in.count("feed_forward_length");
  config.n_context = in.count("context_length");
  config.norm_epsilon = static_cast<float>(in.positive_or("attention.layer_norm_rms_epsilon", 1e-5));
  read_head_sizes(in, config);
  config.layers.assign(static_cast<std::size_t>(config.n_layers), {.rope = rope_of(in)});
  return config;
}

result<transformer_config> read_config(const gguf_file& file) {
  const auto* name = file.find_string("general.architecture");
  if (!name)
    return failure{"general.architecture: is missing"};
  std::string names;
  for (const auto& candidate : known) {
    names.append(names.empty() ? "" : ", ").append(candidate.name);
    if (candidate.name != *name)
      continue;
    metadata_reader in{file, *name};
    auto config = candidate.read(in);
    if (!in.complaint().empty())
      return failure{in.complaint()};
    const auto* embedding = file.find_tensor("token_embd.weight");
    if (!embedding || embedding->shape.size() != 2)
      return failure{"tensor \"token_embd.weight\": is missing or no matrix"};
    config.n_vocabulary = static_cast<int>(embedding->shape[1]);
    return config;
  }
  return failure{"general.architecture: \"" + *name + "\" is not supported (known: " + names + ")"};
}

} // namespace souffleur
