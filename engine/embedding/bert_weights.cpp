#include "engine/embedding/bert_weights.hpp"

#include <cstring>

namespace souffleur {

namespace {

/// Reads tensors by name and keeps the first complaint.
class tensor_reader {
public:
  tensor_reader(std::shared_ptr<const safetensors_file> file, weight_arena& arena)
      : file_(std::move(file)), arena_(arena) {}

  std::span<const std::byte> raw(const std::string& name, const std::vector<std::int64_t>& shape) {
    const auto* found = find(name, shape);
    return found ? found->data : std::span<const std::byte>{};
  }
  std::vector<float> vector(const std::string& name, std::int64_t n) { return floats(find(name, {n})); }
  layer_norm_weights norm(const std::string& name, std::int64_t n) {
    return {vector(name + ".weight", n), vector(name + ".bias", n)};
  }
  packed_matrix matrix(const std::string& name, int n_out, int n_in) {
    const auto* found = find(name, {n_out, n_in});
    if (!found)
      return {};
    const auto values = floats(found);
    file_->release_pages(*found);
    return packed_matrix::pack(tensor_type::f32, std::as_bytes(std::span{values}), n_out, n_in, &arena_);
  }
  const std::string& complaint() const { return complaint_; }

private:
  const safetensors_tensor* find(const std::string& name, const std::vector<std::int64_t>& shape) {
    const auto* found = file_->find_tensor(name);
    if (!found)
      complain(name, "is missing");
    else if (found->type != element_type::F32)
      complain(name, std::string{to_string(found->type)} + " is not supported (F32 is)");
    else if (found->shape != shape)
      complain(name, "has another shape than config.json says");
    else
      return found;
    return nullptr;
  }
  void complain(const std::string& name, const std::string& why) {
    if (complaint_.empty())
      complaint_ = "tensor \"" + name + "\": " + why;
  }
  static std::vector<float> floats(const safetensors_tensor* tensor) {
    if (!tensor)
      return {};
    std::vector<float> values(tensor->data.size() / sizeof(float));
    std::memcpy(values.data(), tensor->data.data(), tensor->data.size());
    return values;
  }

  std::shared_ptr<const safetensors_file> file_;
  weight_arena& arena_;
  std::string complaint_;
};

bert_layer read_layer(tensor_reader& in, const bert_config& c, int index) {
  const auto name = [&](const std::string& part) {
    return "encoder.layer." + std::to_string(index) + "." + part;
  };
  bert_layer layer;
  for (const auto* part : {"query", "key", "value"}) {
    const auto whole = name("attention.self.") + part;
    layer.qkv.push_back(in.matrix(whole + ".weight", c.n_hidden, c.n_hidden));
    const auto bias = in.vector(whole + ".bias", c.n_hidden);
    layer.qkv_bias.insert(layer.qkv_bias.end(), bias.begin(), bias.end());
  }
  layer.attention_output = in.matrix(name("attention.output.dense.weight"), c.n_hidden, c.n_hidden);
  layer.attention_output_bias = in.vector(name("attention.output.dense.bias"), c.n_hidden);
  layer.attention_norm = in.norm(name("attention.output.LayerNorm"), c.n_hidden);
  layer.inner = in.matrix(name("intermediate.dense.weight"), c.n_inner, c.n_hidden);
  layer.inner_bias = in.vector(name("intermediate.dense.bias"), c.n_inner);
  layer.output = in.matrix(name("output.dense.weight"), c.n_hidden, c.n_inner);
  layer.output_bias = in.vector(name("output.dense.bias"), c.n_hidden);
  layer.output_norm = in.norm(name("output.LayerNorm"), c.n_hidden);
  return layer;
}

std::size_t matrix_bytes(const bert_config& c) {
  const auto packed = [&](int n_out, int n_in) {
    return packed_matrix::packed_bytes(tensor_type::f32, n_out, n_in);
  };
  return static_cast<std::size_t>(c.n_layers) *
         (4 * packed(c.n_hidden, c.n_hidden) + packed(c.n_inner, c.n_hidden) + packed(c.n_hidden, c.n_inner));
}

} // namespace

result<bert_weights> read_bert_weights(const std::shared_ptr<const safetensors_file>& file,
                                       const bert_config& config) {
  weight_arena arena{matrix_bytes(config)};
  tensor_reader in{file, arena};
  const auto n = config.n_hidden;
  bert_weights weights;
  weights.file = file;
  weights.words = in.raw("embeddings.word_embeddings.weight", {config.n_vocabulary, n});
  weights.positions = in.raw("embeddings.position_embeddings.weight", {config.n_positions, n});
  const auto* segments = file->find_tensor("embeddings.token_type_embeddings.weight");
  const auto n_segments = segments && segments->shape.size() == 2 ? segments->shape[0] : 0;
  const auto segment_rows = in.raw("embeddings.token_type_embeddings.weight", {n_segments, n});
  weights.embedding_norm = in.norm("embeddings.LayerNorm", n);
  for (int i = 0; i < config.n_layers && in.complaint().empty(); ++i)
    weights.layers.push_back(read_layer(in, config, i));
  if (in.complaint().empty() && n_segments == 0)
    return failure{"tensor \"embeddings.token_type_embeddings.weight\": has no rows"};
  if (!in.complaint().empty())
    return failure{in.complaint()};
  weights.segment.resize(static_cast<std::size_t>(n));
  std::memcpy(weights.segment.data(), segment_rows.data(), weights.segment.size() * sizeof(float));
  return weights;
}

std::size_t bert_weights_bytes(const bert_config& c) {
  const std::size_t n_rows = static_cast<std::size_t>(c.n_vocabulary) +
                             static_cast<std::size_t>(c.n_positions) + 8 +
                             static_cast<std::size_t>(c.n_layers) * 16; // the last for vectors
  return matrix_bytes(c) + n_rows * static_cast<std::size_t>(c.n_hidden) * sizeof(float);
}

} // namespace souffleur
