#include "engine/cuda/decoder.hpp"

#include "engine/dequantize.hpp"
#include "engine/model/pair_order.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace souffleur::cuda {

template <class T>
T* decoder::allocate(std::size_t n) {
  memory_.push_back(device_.allocate(std::max<std::size_t>(n * sizeof(T), 16)));
  if (!memory_.back())
    is_out_of_memory_ = true;
  return reinterpret_cast<T*>(memory_.back().get());
}

template <class T>
void decoder::put(const std::vector<T>& values, T* to) {
  if (!values.empty())
    device_.upload(values.data(), to, values.size() * sizeof(T));
}

/// Brings tensors to the device; the first complaint sticks.
class decoder::loader {
public:
  loader(decoder& target, const tensor_finder& find) : target_(target), find_(find) {}

  bool has(const std::string& name) const { return find_(name) != nullptr; }
  const std::string& complaint() const { return complaint_; }

  struct matrix_source {
    std::string name;
    int n_out;
    bool is_paired = false; ///< in the order of rope's pairs
  };

  linear matrices(const std::vector<matrix_source>& sources, int n_in) {
    linear result;
    int first_output = 0;
    for (std::size_t i = 0; i < sources.size();) {
      std::size_t end = i + 1;
      const auto type = type_of(sources[i]);
      int n_out = sources[i].n_out;
      for (; end < sources.size() && type_of(sources[end]) == type; ++end)
        n_out += sources[end].n_out;
      add(result, type, n_out, n_in, first_output, [&](const device_matrix& shape, std::uint8_t* to) {
        for (row_sequence rows; i < end; rows.first += sources[i++].n_out)
          pack(sources[i], n_in, shape, rows, to);
      });
      i = end;
      first_output += n_out;
    }
    return result;
  }

  /// Rows of gate and up alternate.
  linear gated(const std::string& gate, const std::string& up, int n_out, int n_in) {
    const matrix_source sources[] = {{gate, n_out}, {up, n_out}};
    linear result;
    if (type_of(sources[0]) != type_of(sources[1]))
      complain("tensor \"" + up + "\": is of another type than gate's");
    add(result, type_of(sources[0]), 2 * n_out, n_in, 0, [&](const device_matrix& shape, std::uint8_t* to) {
      for (int i = 0; i < 2; ++i)
        pack(sources[i], n_in, shape, {i, 2}, to);
    });
    return result;
  }

  const float* vector(const std::string& name, int n) { return floats(values(name, n, false)); }

  /// Several vectors as one; null if the first is not there.
  const float* vectors(const std::vector<matrix_source>& sources) {
    if (!has(sources.front().name))
      return nullptr;
    std::vector<float> all;
    for (const auto& source : sources) {
      const auto some = values(source.name, source.n_out, source.is_paired);
      all.insert(all.end(), some.begin(), some.end());
    }
    return floats(all);
  }

  const float* floats(const std::vector<float>& values) {
    auto* at = target_.allocate<float>(values.size());
    if (at)
      target_.put(values, at);
    return at;
  }

private:
  void complain(const std::string& complaint) {
    if (complaint_.empty())
      complaint_ = complaint;
  }

  const gguf_tensor* checked(const std::string& name, const std::vector<std::int64_t>& shape) {
    const auto* tensor = find_(name);
    if (!tensor)
      complain("tensor \"" + name + "\": is missing");
    else if (tensor->shape != shape)
      complain("tensor \"" + name + "\": its shape does not fit the model's metadata");
    else
      return tensor;
    return nullptr;
  }

  tensor_type type_of(const matrix_source& source) const {
    const auto* tensor = find_(source.name);
    return tensor ? tensor->type : tensor_type::f32;
  }

  template <class Fill>
  void add(linear& result, tensor_type type, int n_out, int n_in, int first_output, const Fill& fill) {
    if (!has_device_layout(type))
      complain("a tensor's type " + std::string{to_string(type)} + ": has no layout for the device");
    if (!complaint_.empty())
      return;
    std::vector<std::uint8_t> packed(device_bytes(type, n_out, n_in));
    fill(matrix_at(nullptr, type, n_out, n_in), packed.data());
    auto* at = target_.allocate<std::uint8_t>(packed.size());
    if (!at)
      return;
    target_.put(packed, at);
    result.parts.emplace_back(matrix_at(at, type, n_out, n_in), first_output);
    target_.weight_bytes_ += packed.size();
    (packed_format_of(type).is_real ? result.reads_real : result.reads_rounded) = true;
  }

  void pack(const matrix_source& source, int n_in, const device_matrix& shape, const row_sequence& rows,
            std::uint8_t* to) {
    const auto* tensor = checked(source.name, {n_in, source.n_out});
    if (!tensor)
      return;
    if (!source.is_paired)
      return pack_rows(shape, tensor->data, source.n_out, rows, to);
    const auto row_bytes = tensor->data.size() / static_cast<std::size_t>(source.n_out);
    std::vector<std::byte> ordered(tensor->data.size());
    for (int row = 0; row < source.n_out; ++row) {
      const auto from = static_cast<std::size_t>(row_of_pairs(row, target_.config_.head_dim));
      std::memcpy(ordered.data() + static_cast<std::size_t>(row) * row_bytes,
                  tensor->data.data() + from * row_bytes, row_bytes);
    }
    pack_rows(shape, ordered, source.n_out, rows, to);
  }

  std::vector<float> values(const std::string& name, int n, bool is_paired) {
    std::vector<float> all(static_cast<std::size_t>(n));
    const auto* tensor = checked(name, {n});
    if (!tensor)
      return all;
    dequantize(tensor->type, tensor->data, all);
    auto ordered = all;
    for (int i = 0; is_paired && i < n; ++i)
      ordered[static_cast<std::size_t>(i)] =
          all[static_cast<std::size_t>(row_of_pairs(i, target_.config_.head_dim))];
    return ordered;
  }

  decoder& target_;
  const tensor_finder& find_;
  std::string complaint_;
};

result<std::unique_ptr<decoder>> decoder::load(const transformer_config& config, const tensor_finder& find,
                                               const decoder_limits& limits, backend& device) {
  const auto& c = config;
  if (c.has_qk_norm || c.has_norms_after_parts || c.embedding_scale != 1)
    return failure{"further norms and scaled embeddings: have no kernels yet"};
  if (c.head_dim != 32 && c.head_dim != 64 && c.head_dim != 128 && c.head_dim != 256)
    return failure{"heads of " + std::to_string(c.head_dim) + " values: have no kernels yet"};
  if (c.n_hidden > most_norm_values)
    return failure{"rows of " + std::to_string(c.n_hidden) + " values: have no kernels yet"};
  std::unique_ptr<decoder> result{new decoder{config, limits, device}};
  loader in{*result, find};
  const bool is_tied = !in.has("output.weight");
  const auto embedding = in.matrices({{"token_embd.weight", c.n_vocabulary}}, c.n_hidden);
  if (!is_tied)
    result->weight_bytes_ = 0;
  result->output_ = is_tied ? embedding : in.matrices({{"output.weight", c.n_vocabulary}}, c.n_hidden);
  result->output_norm_ = in.vector("output_norm.weight", c.n_hidden);
  const int q_size = c.n_heads * c.head_dim;
  const int kv_size = c.n_kv_heads * c.head_dim;
  const auto kv_values =
      static_cast<std::size_t>(limits.n_pages) * page_tokens * static_cast<std::size_t>(kv_size);
  for (int i = 0; i < c.n_layers && in.complaint().empty(); ++i) {
    const auto name = [&](const char* part) { return "blk." + std::to_string(i) + "." + part; };
    const bool is_paired = c.rope_interleaved;
    layer one{};
    one.attention_norm = in.vector(name("attn_norm.weight"), c.n_hidden);
    one.feed_forward_norm = in.vector(name("ffn_norm.weight"), c.n_hidden);
    one.qkv = in.matrices({{name("attn_q.weight"), q_size, is_paired},
                           {name("attn_k.weight"), kv_size, is_paired},
                           {name("attn_v.weight"), kv_size}},
                          c.n_hidden);
    one.qkv.bias = in.vectors({{name("attn_q.bias"), q_size, is_paired},
                               {name("attn_k.bias"), kv_size, is_paired},
                               {name("attn_v.bias"), kv_size}});
    one.attention_output = in.matrices({{name("attn_output.weight"), c.n_hidden}}, q_size);
    one.gate_up = in.gated(name("ffn_gate.weight"), name("ffn_up.weight"), c.n_feed_forward, c.n_hidden);
    one.down = in.matrices({{name("ffn_down.weight"), c.n_hidden}}, c.n_feed_forward);
    one.kv = {result->allocate<std::uint16_t>(kv_values), result->allocate<std::uint16_t>(kv_values),
              c.n_kv_heads, c.head_dim};
    const auto& own = c.layers[static_cast<std::size_t>(i)];
    one.window = own.window;
    const auto known = std::ranges::find(result->ropes_, own.rope, &rope_table::config);
    one.rope = static_cast<std::size_t>(known - result->ropes_.begin());
    if (known == result->ropes_.end()) {
      const int half = c.head_dim / 2;
      std::vector<float> cosines;
      std::vector<float> sines;
      for (int position = 0; position < limits.n_positions; ++position)
        for (int k = 0; k < half; ++k) {
          const double angle =
              position * (std::pow(own.rope.base, -2.0 * k / c.head_dim) / own.rope.position_scale);
          cosines.push_back(static_cast<float>(std::cos(angle)));
          sines.push_back(static_cast<float>(std::sin(angle)));
        }
      result->ropes_.push_back({own.rope, in.floats(cosines), in.floats(sines)});
    }
    result->layers_.push_back(std::move(one));
  }
  if (!in.complaint().empty())
    return failure{in.complaint()};
  result->allocate_step();
  if (result->is_out_of_memory_)
    return failure{"the device's memory: is not enough for the model"};
  result->embedding_ = embedding.parts.front().first;
  return result;
}

void decoder::allocate_step() {
  const auto n_rows = static_cast<std::size_t>(limits_.n_rows);
  const auto n_lines = static_cast<std::size_t>(limits_.n_lines);
  const auto size = [](int n) { return static_cast<std::size_t>(n); };
  tokens_ = allocate<std::int32_t>(n_rows);
  positions_ = allocate<std::int32_t>(n_rows);
  lines_ = allocate<std::int32_t>(n_rows);
  page_table_ = allocate<std::int32_t>(n_lines * size(pages_for(limits_.n_positions)));
  copies_ = allocate<std::int32_t>(2 * n_rows * n_lines);
  sampled_ = allocate<std::int32_t>(n_rows);
  choices_ = allocate<std::int32_t>(n_rows);
  history_ = allocate<std::int32_t>(n_rows * size(limits_.n_positions));
  tiles_ = allocate<row_tile>(n_rows);
  const int q_size = config_.n_heads * config_.head_dim;
  const auto widest = size(std::max({config_.n_hidden, q_size, config_.n_feed_forward}));
  x_ = allocate<float>(n_rows * size(config_.n_hidden));
  normed_ = allocate<float>(n_rows * size(config_.n_hidden));
  qkv_ = allocate<float>(n_rows * size(q_size + 2 * config_.n_kv_heads * config_.head_dim));
  attended_ = allocate<float>(n_rows * size(q_size));
  activated_ = allocate<float>(n_rows * size(config_.n_feed_forward));
  const auto n_parts = size((limits_.n_positions + part_tokens - 1) / part_tokens);
  workspace_ = allocate<float>(n_rows * size(config_.n_heads) * n_parts * size(config_.head_dim + 2));
  logits_ = allocate<float>(n_rows * size(config_.n_vocabulary));
  const auto n_padded = size(padded_rows(limits_.n_rows));
  rounded_ = {allocate<std::int8_t>(n_padded * widest),
              allocate<block_stats>(n_padded * widest / block_values)};
  choice_keys_ = allocate<std::uint64_t>(n_rows * size(argmax_chunks(config_.n_vocabulary)));
}

void decoder::set_batch(const row_batch& batch) {
  batch_ = batch;
  put(batch.tokens, tokens_);
  put(batch.positions, positions_);
  put(batch.lines, lines_);
  put(batch.page_table, page_table_);
  put(batch.copies, copies_);
  put(batch.sampled, sampled_);
  std::vector<row_tile> tiles;
  for (int row = 0; row < batch.n_rows(); ++row) {
    const auto at = static_cast<std::size_t>(row);
    if (row > 0 && batch.lines[at] == batch.lines[at - 1])
      ++tiles.back().n_rows;
    else
      tiles.push_back({row, 1});
  }
  put(tiles, tiles_);
  n_tiles_ = static_cast<int>(tiles.size());
}

row_positions decoder::places() const {
  return {lines_, positions_, page_table_, batch_.table_width, batch_.n_rows()};
}

activation_rows decoder::input_of(const linear& weights, float* rows) const {
  return {weights.reads_real ? rows : nullptr, weights.reads_rounded ? rounded_ : rounded_rows{}};
}

void decoder::queue_step() {
  device_.embed(embedding_, tokens_, batch_.n_rows(), x_);
  for (const auto& layer : layers_) {
    attention_block(layer);
    feed_forward_block(layer);
  }
  const auto n_sampled = static_cast<int>(batch_.sampled.size());
  if (n_sampled == 0)
    return;
  normalise(output_norm_, output_, sampled_, n_sampled);
  multiply(output_, input_of(output_, normed_),
           {.n_rows = n_sampled, .y = logits_, .y_stride = config_.n_vocabulary});
  device_.choose({logits_, n_sampled, config_.n_vocabulary, choice_keys_, choices_});
}

void decoder::attention_block(const layer& layer) {
  const int width = (config_.n_heads + 2 * config_.n_kv_heads) * config_.head_dim;
  const auto& rope = ropes_[layer.rope];
  const int n_rows = batch_.n_rows();
  normalise(layer.attention_norm, layer.qkv, nullptr, n_rows);
  multiply(layer.qkv, input_of(layer.qkv, normed_), {.n_rows = n_rows, .y = qkv_, .y_stride = width});
  device_.rotate_and_store({.qkv = qkv_,
                            .n_heads = config_.n_heads,
                            .cosines = rope.cosines,
                            .sines = rope.sines,
                            .rows = places(),
                            .copies = copies_,
                            .n_copies = static_cast<int>(batch_.copies.size() / 2),
                            .kv = layer.kv});
  const auto attended = input_of(layer.attention_output, attended_);
  device_.attend({.qkv = qkv_,
                  .n_heads = config_.n_heads,
                  .scale = static_cast<float>(config_.attention_scale),
                  .window = layer.window,
                  .rows = places(),
                  .tiles = tiles_,
                  .n_tiles = n_tiles_,
                  .n_parts = (batch_.n_positions + part_tokens - 1) / part_tokens,
                  .kv = layer.kv,
                  .workspace = workspace_,
                  .out = attended});
  multiply(layer.attention_output, attended,
           {.n_rows = n_rows, .y = x_, .y_stride = config_.n_hidden, .accumulate = true});
}

void decoder::feed_forward_block(const layer& layer) {
  const int n_rows = batch_.n_rows();
  normalise(layer.feed_forward_norm, layer.gate_up, nullptr, n_rows);
  multiply(layer.gate_up, input_of(layer.gate_up, normed_),
           {.n_rows = n_rows,
            .y = activated_,
            .y_stride = config_.n_feed_forward,
            .is_gated = true,
            .gate = config_.feed_forward_activation});
  const auto activated = input_of(layer.down, activated_);
  if (layer.down.reads_rounded)
    device_.normalise(
        {.x = activated_, .n_rows = n_rows, .n = config_.n_feed_forward, .out = {nullptr, rounded_}});
  multiply(layer.down, activated,
           {.n_rows = n_rows, .y = x_, .y_stride = config_.n_hidden, .accumulate = true});
}

void decoder::normalise(const float* weight, const linear& reader, const std::int32_t* from_rows,
                        int n_rows) {
  device_.normalise(
      {x_, from_rows, weight, config_.norm_epsilon, n_rows, config_.n_hidden, input_of(reader, normed_)});
}

void decoder::multiply(const linear& weights, const activation_rows& x, matmul_call call) {
  float* y = call.y;
  call.x = x;
  for (const auto& [matrix, first_output] : weights.parts) {
    call.weights = matrix;
    call.y = y + first_output;
    call.bias = weights.bias ? weights.bias + first_output : nullptr;
    device_.multiply(call);
  }
}

void decoder::queue_advance() {
  device_.advance({choices_, tokens_, positions_, history_, limits_.n_positions, batch_.n_rows()});
}

std::vector<std::int32_t> decoder::choices() {
  std::vector<std::int32_t> values(batch_.sampled.size());
  device_.download(choices_, values.data(), values.size() * sizeof(std::int32_t));
  return values;
}

std::vector<float> decoder::logits() {
  std::vector<float> values(batch_.sampled.size() * static_cast<std::size_t>(config_.n_vocabulary));
  device_.download(logits_, values.data(), values.size() * sizeof(float));
  return values;
}

std::vector<std::int32_t> decoder::history(int row, int begin, int end) {
  std::vector<std::int32_t> values(static_cast<std::size_t>(end - begin));
  device_.download(history_ + std::ptrdiff_t{row} * limits_.n_positions + begin, values.data(),
                   values.size() * sizeof(std::int32_t));
  return values;
}

} // namespace souffleur::cuda
