#include "engine/cuda/decoder.hpp"

#include "engine/dequantize.hpp"
#include "engine/model/pair_order.hpp"
#include "engine/model/rope_frequencies.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

namespace souffleur::cuda {

template <class T>
T* decoder::allocate(std::size_t n) {
  memory_.push_back(device_.allocate(std::max<std::size_t>(n * sizeof(T), 16)));
  if (!memory_.back())
    is_out_of_memory_ = true;
  return reinterpret_cast<T*>(memory_.back().get());
}

namespace {

/// Steps of more rows are not recorded: they come in too many shapes, and have enough to do.
constexpr int most_recorded_rows = 64;
constexpr std::size_t most_known_steps = 256;
/// Of a line that a block of attention takes: a long prompt is many blocks' work.
constexpr int most_tile_rows = 16;

} // namespace

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
    if (at && !values.empty())
      target_.device_.upload(values.data(), at, values.size() * sizeof(float));
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
    target_.device_.upload(packed.data(), at, packed.size());
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
  if (c.head_dim != 32 && c.head_dim != 64 && c.head_dim != 128 && c.head_dim != 256)
    return failure{"heads of " + std::to_string(c.head_dim) + " values: have no kernels yet"};
  if (c.n_hidden > most_norm_values)
    return failure{"rows of " + std::to_string(c.n_hidden) + " values: have no kernels yet"};
  if (c.n_vocabulary > most_drawn_tokens)
    return failure{"a vocabulary of " + std::to_string(c.n_vocabulary) + " tokens: has no kernels yet"};
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
  const std::ptrdiff_t layer_halves = std::ptrdiff_t{kv_size} * page_tokens; // of keys, or values
  const std::ptrdiff_t page_stride = 2 * layer_halves * c.n_layers;
  result->pages_ = result->allocate<std::uint16_t>(static_cast<std::size_t>(limits.n_pages) *
                                                   static_cast<std::size_t>(page_stride));
  for (int i = 0; i < c.n_layers && in.complaint().empty(); ++i) {
    const auto name = [&](const char* part) { return "blk." + std::to_string(i) + "." + part; };
    const bool is_paired = c.rope_interleaved;
    layer one{};
    one.attention_norm = in.vector(name("attn_norm.weight"), c.n_hidden);
    one.feed_forward_norm = in.vector(name("ffn_norm.weight"), c.n_hidden);
    if (c.has_qk_norm) {
      one.q_norm = in.vector(name("attn_q_norm.weight"), c.head_dim);
      one.k_norm = in.vector(name("attn_k_norm.weight"), c.head_dim);
    }
    if (c.has_norms_after_parts) {
      one.norm_after_attention = in.vector(name("post_attention_norm.weight"), c.n_hidden);
      one.norm_after_feed_forward = in.vector(name("post_ffw_norm.weight"), c.n_hidden);
    }
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
    auto* kv = result->pages_ + 2 * layer_halves * i;
    one.kv = {kv, kv + layer_halves, page_stride, c.n_kv_heads, c.head_dim};
    const auto& own = c.layers[static_cast<std::size_t>(i)];
    one.window = own.window;
    const auto known = std::ranges::find(result->ropes_, own.rope, &rope_table::config);
    one.rope = static_cast<std::size_t>(known - result->ropes_.begin());
    if (known == result->ropes_.end())
      result->add_rope(own.rope);
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

void decoder::add_rope(const rope_config& rope) {
  const auto n = static_cast<std::size_t>(limits_.n_places + limits_.n_rows) *
                 static_cast<std::size_t>(config_.head_dim / 2);
  ropes_.push_back({rope, allocate<float>(n), allocate<float>(n)});
  if (is_out_of_memory_)
    return;
  std::vector<std::int32_t> positions(static_cast<std::size_t>(limits_.n_places));
  std::iota(positions.begin(), positions.end(), 0);
  put_angles(ropes_.back(), positions, 0);
}

/// In double precision before they are rounded.
void decoder::put_angles(const rope_table& rope, std::span<const std::int32_t> positions, int first_slot) {
  std::vector<float> cosines;
  std::vector<float> sines;
  const auto frequencies = rope_frequencies(rope.config, config_.head_dim);
  for (const int position : positions)
    for (const double frequency : frequencies) {
      const double angle = position * frequency;
      cosines.push_back(static_cast<float>(std::cos(angle)));
      sines.push_back(static_cast<float>(std::sin(angle)));
    }
  const auto first = static_cast<std::ptrdiff_t>(first_slot) * (config_.head_dim / 2);
  device_.upload(cosines.data(), rope.cosines + first, cosines.size() * sizeof(float));
  device_.upload(sines.data(), rope.sines + first, sines.size() * sizeof(float));
}

std::vector<std::int32_t> decoder::angles_of(std::span<const std::int32_t> positions) {
  std::vector<std::int32_t> angles{positions.begin(), positions.end()};
  std::vector<std::int32_t> far;
  for (auto& angle : angles)
    if (angle >= limits_.n_places) {
      far.push_back(angle);
      angle = limits_.n_places + static_cast<std::int32_t>(far.size()) - 1;
    }
  if (!far.empty())
    for (const auto& rope : ropes_)
      put_angles(rope, far, limits_.n_places);
  return angles;
}

void decoder::allocate_step() {
  const auto size = [](int n) { return static_cast<std::size_t>(n); };
  const auto n_rows = size(limits_.n_rows);
  const auto n_lines = size(limits_.n_lines);
  constexpr std::size_t draw_size = sizeof(token_draw) / sizeof(std::int32_t);
  n_inputs_ = (7 + draw_size) * n_rows + 2 * n_rows * n_lines + n_lines * size(pages_for(limits_.n_places));
  inputs_ = allocate<std::int32_t>(n_inputs_);
  staging_ = device_.allocate_on_host(n_inputs_ * sizeof(std::int32_t));
  is_out_of_memory_ |= !staging_;
  choices_ = allocate<std::int32_t>(n_rows);
  if (limits_.keeps_history)
    history_ = allocate<std::int32_t>(n_rows * size(limits_.n_places));
  const int q_size = config_.n_heads * config_.head_dim;
  const auto widest = size(std::max({config_.n_hidden, q_size, config_.n_feed_forward}));
  x_ = allocate<float>(n_rows * size(config_.n_hidden));
  if (config_.has_norms_after_parts)
    addend_ = allocate<float>(n_rows * size(config_.n_hidden));
  normed_ = allocate<float>(n_rows * size(config_.n_hidden));
  qkv_ = allocate<float>(n_rows * size(q_size + 2 * config_.n_kv_heads * config_.head_dim));
  attended_ = allocate<float>(n_rows * size(q_size));
  activated_ = allocate<float>(n_rows * size(config_.n_feed_forward));
  const auto n_parts = size((limits_.n_places + part_tokens - 1) / part_tokens);
  workspace_ = allocate<float>(n_rows * size(config_.n_heads) * n_parts * size(config_.head_dim + 2));
  logits_ = allocate<float>(n_rows * size(config_.n_vocabulary));
  const auto n_padded = size(padded_rows(limits_.n_rows));
  rounded_ = {allocate<std::int8_t>(n_padded * widest),
              allocate<block_stats>(n_padded * widest / block_values)};
  choice_keys_ = allocate<std::uint64_t>(n_rows * size(argmax_chunks(config_.n_vocabulary)));
}

void decoder::set_batch(const row_batch& batch) {
  batch_ = batch;
  std::vector<std::int32_t> tiles; // row_tile's
  for (int row = 0; row < batch.n_rows(); ++row) {
    const auto at = static_cast<std::size_t>(row);
    if (row > 0 && batch.lines[at] == batch.lines[at - 1] && tiles.back() < most_tile_rows)
      ++tiles.back();
    else
      tiles.insert(tiles.end(), {row, 1});
  }
  n_tiles_ = static_cast<int>(tiles.size() / 2);
  const auto angles = angles_of(batch.positions);
  device_.wait(); // the last batch may be on its way
  auto* const staged = reinterpret_cast<std::int32_t*>(staging_.get());
  std::size_t n = 0;
  const auto put = [&]<class T>(const std::vector<T>& values) {
    std::memcpy(staged + n, values.data(), values.size() * sizeof(T));
    return inputs_ + std::exchange(n, n + values.size() * sizeof(T) / sizeof(std::int32_t));
  };
  // First, because it needs the alignment of a double.
  draws_ = batch.draws.empty() ? nullptr : reinterpret_cast<const token_draw*>(put(batch.draws));
  tiles_ = reinterpret_cast<const row_tile*>(put(tiles));
  tokens_ = put(batch.tokens);
  places_ = put(batch.places);
  lines_ = put(batch.lines);
  angles_ = angles.empty() ? nullptr : put(angles);
  sampled_ = put(batch.sampled);
  copies_ = put(batch.copies);
  page_table_ = put(batch.page_table);
  device_.queue_upload(staged, inputs_, n * sizeof(std::int32_t));
}

decoder::step_shape decoder::shape() const {
  return {batch_.n_rows(),    static_cast<int>(batch_.sampled.size()),
          n_tiles_,           static_cast<int>(batch_.copies.size() / 2),
          batch_.table_width, n_parts(),
          angles_ != nullptr, draws_ != nullptr};
}

void decoder::queue_known_step() {
  if (batch_.n_rows() > most_recorded_rows)
    return queue_step();
  if (known_steps_.size() >= most_known_steps)
    known_steps_.clear();
  auto& known = known_steps_[shape()];
  if (++known.n_times == 1)
    return queue_step();
  if (!known.replay)
    known.replay = device_.record([this] { queue_step(); });
  known.replay();
}

row_places decoder::places() const {
  return {lines_, places_, page_table_, batch_.table_width, batch_.n_rows()};
}

activation_rows decoder::input_of(const linear& weights, float* rows) const {
  return {weights.reads_real ? rows : nullptr, weights.reads_rounded ? rounded_ : rounded_rows{}};
}

void decoder::queue_step() {
  device_.embed(embedding_, tokens_, batch_.n_rows(), static_cast<float>(config_.embedding_scale), x_);
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
  if (draws_)
    device_.draw({logits_, n_sampled, config_.n_vocabulary, draws_, choices_});
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
                            .angles = angles_,
                            .rows = places(),
                            .copies = copies_,
                            .n_copies = static_cast<int>(batch_.copies.size() / 2),
                            .kv = layer.kv,
                            .q_norm = layer.q_norm,
                            .k_norm = layer.k_norm,
                            .epsilon = config_.norm_epsilon});
  const auto attended = input_of(layer.attention_output, attended_);
  device_.attend({.qkv = qkv_,
                  .n_heads = config_.n_heads,
                  .scale = static_cast<float>(config_.attention_scale),
                  .window = layer.window,
                  .rows = places(),
                  .tiles = tiles_,
                  .n_tiles = n_tiles_,
                  .n_parts = n_parts(),
                  .kv = layer.kv,
                  .workspace = workspace_,
                  .out = attended});
  add_to_x(layer.attention_output, attended, layer.norm_after_attention);
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
  add_to_x(layer.down, activated, layer.norm_after_feed_forward);
}

/// x += part W^T, which is normed first where the architecture does so.
void decoder::add_to_x(const linear& weights, const activation_rows& part, const float* norm_after) {
  const int n_rows = batch_.n_rows();
  const bool is_direct = norm_after == nullptr;
  multiply(weights, part,
           {.n_rows = n_rows,
            .y = is_direct ? x_ : addend_,
            .y_stride = config_.n_hidden,
            .accumulate = is_direct});
  if (!is_direct)
    device_.normalise({.x = addend_,
                       .weight = norm_after,
                       .epsilon = config_.norm_epsilon,
                       .n_rows = n_rows,
                       .n = config_.n_hidden,
                       .out = {x_, {}},
                       .accumulate = true});
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
  device_.advance({choices_, tokens_, places_, history_, limits_.n_places, batch_.n_rows()});
}

std::vector<std::int32_t> decoder::choices() {
  std::vector<std::int32_t> values(batch_.sampled.size());
  device_.download(choices_, values.data(), values.size() * sizeof(std::int32_t));
  return values;
}

std::vector<float> decoder::logits() {
  std::vector<float> values(batch_.sampled.size() * static_cast<std::size_t>(config_.n_vocabulary));
  logits(0, values);
  return values;
}

void decoder::logits(int first, std::span<float> out) {
  device_.download(logits_ + std::ptrdiff_t{first} * config_.n_vocabulary, out.data(), out.size_bytes());
}

std::vector<std::int32_t> decoder::history(int row, int begin, int end) {
  std::vector<std::int32_t> values(static_cast<std::size_t>(end - begin));
  device_.download(history_ + std::ptrdiff_t{row} * limits_.n_places + begin, values.data(),
                   values.size() * sizeof(std::int32_t));
  return values;
}

std::size_t decoder::page_bytes() const {
  return static_cast<std::size_t>(layers_.front().kv.page_stride) * sizeof(std::uint16_t);
}

std::byte* decoder::page_at(page_id page) const {
  return reinterpret_cast<std::byte*>(pages_) + static_cast<std::ptrdiff_t>(page_bytes()) * page;
}

void decoder::copy_page(page_id from, page_id to) { device_.copy(page_at(from), page_at(to), page_bytes()); }

void decoder::turn_page(page_id page, int n_positions) {
  const auto angle = std::ptrdiff_t{angles_of(std::span{&n_positions, 1}).front()} * (config_.head_dim / 2);
  for (const auto& layer : layers_) {
    const auto& rope = ropes_[layer.rope];
    device_.turn({layer.kv, page, rope.cosines + angle, rope.sines + angle});
  }
}

void decoder::save_page(page_id page, std::span<std::byte> bytes) const {
  device_.download(page_at(page), bytes.data(), bytes.size());
}

void decoder::load_page(page_id page, std::span<const std::byte> bytes) {
  device_.upload(bytes.data(), page_at(page), bytes.size());
}

} // namespace souffleur::cuda
