#include "engine/model/load_model.hpp"

#include "engine/cuda/cuda_backend.hpp"
#include "engine/cuda/device_model.hpp"
#include "engine/dequantize.hpp"
#include "engine/model/architectures.hpp"
#include "engine/model/footprint.hpp"
#include "engine/model/pair_order.hpp"
#include "engine/model/transformer.hpp"

#include <xxhash.h>

#include <cstring>
#include <set>
#include <string>
#include <vector>

namespace souffleur {

namespace {

/// Takes tensors out of a file, checking their shapes; the first complaint sticks.
class weight_reader {
public:
  explicit weight_reader(const gguf_file& file) : file_(file), arena_(packed_weights_bytes(file)) {}

  packed_matrix matrix(const std::string& name, int n_out, int n_in) {
    const auto* tensor = checked(name, {n_in, n_out});
    return tensor ? packed_matrix::pack(tensor->type, tensor->data, n_out, n_in, &arena_) : packed_matrix{};
  }
  /// One gated matrix, or two if their formats differ.
  std::vector<packed_matrix> gate_and_up(const std::string& gate_name, const std::string& up_name, int n_out,
                                         int n_in) {
    const auto* gate = checked(gate_name, {n_in, n_out});
    const auto* up = checked(up_name, {n_in, n_out});
    if (!gate || !up)
      return {};
    if (gate->type != up->type)
      return {packed_matrix::pack(gate->type, gate->data, n_out, n_in, &arena_),
              packed_matrix::pack(up->type, up->data, n_out, n_in, &arena_)};
    return {packed_matrix::pack_gated(gate->type, gate->data, up->data, n_out, n_in, &arena_)};
  }
  /// Rows in the order that row_of_pairs gives.
  packed_matrix matrix_of_pairs(const std::string& name, int n_out, int n_in, int head_dim) {
    const auto* tensor = checked(name, {n_in, n_out});
    if (!tensor)
      return {};
    const auto row_bytes = tensor->data.size() / static_cast<std::size_t>(n_out);
    std::vector<std::byte> rows(tensor->data.size());
    for (int row = 0; row < n_out; ++row)
      std::memcpy(rows.data() + static_cast<std::size_t>(row) * row_bytes,
                  tensor->data.data() + static_cast<std::size_t>(row_of_pairs(row, head_dim)) * row_bytes,
                  row_bytes);
    return packed_matrix::pack(tensor->type, rows, n_out, n_in, &arena_);
  }
  std::vector<float> vector_of_pairs(const std::string& name, int n, int head_dim) {
    const auto from = vector(name, n);
    std::vector<float> values(from.size());
    for (std::size_t i = 0; i < from.size(); ++i)
      values[i] = from[static_cast<std::size_t>(row_of_pairs(static_cast<int>(i), head_dim))];
    return values;
  }
  std::vector<float> vector(const std::string& name, int n) {
    const auto* tensor = checked(name, {n});
    if (!tensor)
      return {};
    std::vector<float> values(static_cast<std::size_t>(n));
    dequantize(tensor->type, tensor->data, values);
    return values;
  }
  bool has(const std::string& name) const { return file_.find_tensor(name) != nullptr; }
  /// Complains about a tensor that was not taken: it would change the results in a way that is not built.
  void expect_nothing_left() {
    for (const auto& tensor : file_.tensors())
      if (complaint_.empty() && !taken_.contains(&tensor))
        complaint_ = "tensor \"" + tensor.name + "\": is not supported in this architecture";
  }
  const std::string& complaint() const { return complaint_; }

private:
  const gguf_tensor* checked(const std::string& name, const std::vector<std::int64_t>& shape) {
    if (!complaint_.empty())
      return nullptr;
    const auto* tensor = file_.find_tensor(name);
    if (!tensor)
      complaint_ = "tensor \"" + name + "\": is missing";
    else if (tensor->shape != shape)
      complaint_ = "tensor \"" + name + "\": its shape does not fit the model's metadata";
    else
      return *taken_.insert(tensor).first;
    return nullptr;
  }

  const gguf_file& file_;
  weight_arena arena_;
  std::set<const gguf_tensor*> taken_;
  std::string complaint_;
};

transformer_layer read_layer(weight_reader& in, const transformer_config& c, int index) {
  const auto name = [&](const char* part) { return "blk." + std::to_string(index) + "." + part; };
  const int q_size = c.n_heads * c.head_dim;
  const int kv_size = c.n_kv_heads * c.head_dim;
  transformer_layer layer;
  layer.attention_norm = in.vector(name("attn_norm.weight"), c.n_hidden);
  layer.feed_forward_norm = in.vector(name("ffn_norm.weight"), c.n_hidden);
  if (c.has_qk_norm) {
    layer.q_norm = in.vector(name("attn_q_norm.weight"), c.head_dim);
    layer.k_norm = in.vector(name("attn_k_norm.weight"), c.head_dim);
  }
  if (c.has_norms_after_parts) {
    layer.norm_after_attention = in.vector(name("post_attention_norm.weight"), c.n_hidden);
    layer.norm_after_feed_forward = in.vector(name("post_ffw_norm.weight"), c.n_hidden);
  }
  const auto rotated = [&](const char* part, int size) {
    return c.rope_interleaved ? in.matrix_of_pairs(name(part), size, c.n_hidden, c.head_dim)
                              : in.matrix(name(part), size, c.n_hidden);
  };
  layer.q = rotated("attn_q.weight", q_size);
  layer.k = rotated("attn_k.weight", kv_size);
  layer.v = in.matrix(name("attn_v.weight"), kv_size, c.n_hidden);
  layer.attention_output = in.matrix(name("attn_output.weight"), c.n_hidden, q_size);
  layer.gate_up =
      in.gate_and_up(name("ffn_gate.weight"), name("ffn_up.weight"), c.n_feed_forward, c.n_hidden);
  layer.down = in.matrix(name("ffn_down.weight"), c.n_hidden, c.n_feed_forward);
  if (in.has(name("attn_q.bias"))) {
    const auto rotated_bias = [&](const char* part, int size) {
      return c.rope_interleaved ? in.vector_of_pairs(name(part), size, c.head_dim)
                                : in.vector(name(part), size);
    };
    layer.q_bias = rotated_bias("attn_q.bias", q_size);
    layer.k_bias = rotated_bias("attn_k.bias", kv_size);
    layer.v_bias = in.vector(name("attn_v.bias"), kv_size);
  }
  return layer;
}

/// XXH3 over all numbers and texts of the metadata and over every tensor.
std::string fingerprint_of(const gguf_file& file) {
  const std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state{XXH3_createState(), &XXH3_freeState};
  XXH3_64bits_reset(state.get());
  const auto mix = [&](const void* data, std::size_t n) { XXH3_64bits_update(state.get(), data, n); };
  const auto mix_text = [&](const std::string& text) { mix(text.c_str(), text.size() + 1); };
  for (const auto& [key, value] : file.metadata()) {
    mix_text(key);
    std::visit(
        [&](const auto& content) {
          using content_type = std::decay_t<decltype(content)>;
          if constexpr (std::is_arithmetic_v<content_type>)
            mix(&content, sizeof content);
          else if constexpr (std::is_same_v<content_type, std::string>)
            mix_text(content);
        },
        value);
  }
  for (const auto& tensor : file.tensors()) {
    mix_text(tensor.name);
    mix(&tensor.type, sizeof tensor.type);
    mix(tensor.shape.data(), tensor.shape.size() * sizeof tensor.shape.front());
    mix(tensor.data.data(), tensor.data.size());
  }
  constexpr char digits[] = "0123456789abcdef";
  const auto hash = XXH3_64bits_digest(state.get());
  std::string text;
  for (int shift = 60; shift >= 0; shift -= 4)
    text += digits[(hash >> shift) & 15U];
  return text;
}

result<std::shared_ptr<language_model>>
load_on_device(const gguf_file& file, const transformer_config& config, const model_options& options) {
  if (options.kv != kv_type::f16)
    return failure{"kv.type: a CUDA device keeps keys and values as f16"};
  auto device = cuda::make_cuda_backend({options.device.cuda});
  if (!device)
    return failure{device.error()};
  return cuda::make_device_model(file, config, fingerprint_of(file).append("-cuda"), options,
                                 std::move(*device));
}

std::string fingerprint_of(const gguf_file& file, kv_type kv) {
  return fingerprint_of(file).append("-kv-").append(to_string(kv));
}

} // namespace

result<model_outline> outline_of(const gguf_file& file, kv_type kv) {
  const auto config = read_config(file);
  if (!config)
    return failure{config.error()};
  model_outline outline{fingerprint_of(file, kv), config->n_context, config->n_vocabulary};
  file.release_pages();
  return outline;
}

result<std::shared_ptr<language_model>> load_model(const std::shared_ptr<const gguf_file>& file,
                                                   const model_options& options,
                                                   const std::function<void(double)>& progress) {
  const auto config = read_config(*file);
  if (!config)
    return failure{config.error()};
  if (!options.device.is_cpu()) {
    auto loaded = load_on_device(*file, *config, options);
    file->release_pages();
    return loaded;
  }
  weight_reader in{*file};
  transformer_weights weights;
  weights.embedding = in.matrix("token_embd.weight", config->n_vocabulary, config->n_hidden);
  if (in.has("output.weight"))
    weights.output = in.matrix("output.weight", config->n_vocabulary, config->n_hidden);
  weights.output_norm = in.vector("output_norm.weight", config->n_hidden);
  for (int i = 0; i < config->n_layers && in.complaint().empty(); ++i) {
    weights.layers.push_back(read_layer(in, *config, i));
    if (progress)
      progress(static_cast<double>(i + 1) / config->n_layers);
  }
  in.expect_nothing_left();
  if (!in.complaint().empty())
    return failure{in.complaint()};
  auto fingerprint = fingerprint_of(*file, options.kv);
  file->release_pages();
  return make_transformer(*config, std::move(weights), std::move(fingerprint), options);
}

} // namespace souffleur
