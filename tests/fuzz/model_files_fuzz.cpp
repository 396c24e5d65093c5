// Files of models: who fetches one from somewhere gets what somebody else wrote.
#include "engine/embedding/safetensors.hpp"
#include "engine/gguf.hpp"
#include "engine/model/architectures.hpp"
#include "engine/tokenizer.hpp"
#include "tests/engine/embedding/tiny_safetensors.hpp"
#include "tests/engine/tiny_gguf.hpp"
#include "tests/fuzz/target.hpp"

namespace souffleur::fuzz {
namespace {

/// A span that lies in the file can be read to its last byte.
std::uint8_t ends_of(std::span<const std::byte> data) {
  return data.empty() ? 0 : static_cast<std::uint8_t>(data.front() ^ data.back());
}

/// Tensors lie in the file, and are found by their names.
template <class File>
void look_at_tensors(const File& file) {
  volatile std::uint8_t seen = 0;
  for (const auto& tensor : file.tensors()) {
    seen = seen ^ ends_of(tensor.data);
    require(file.find_tensor(tensor.name) == &tensor, "a tensor is found by its name");
  }
}

void take_gguf(std::string_view input) {
  const exact_bytes bytes{input};
  const auto file = gguf_file::parse(bytes.span());
  if (!file)
    return;
  look_at_tensors(**file);
  for (const auto& tensor : (*file)->tensors()) {
    const auto shape = block_shape_of(tensor.type);
    require(tensor.data.size() == static_cast<std::size_t>(tensor.n_values() / shape.n_values) *
                                      static_cast<std::size_t>(shape.n_bytes),
            "a tensor has the bytes of its shape");
  }
  (void)read_config(**file);
  if (const auto words = tokenizer::from_gguf(**file))
    (void)(*words)->decode((*words)->encode("Hello, world! <|im_start|> é \xff", true));
}

testing::tiny_gguf with_model(testing::tiny_gguf file, const std::string& architecture) {
  file.text("general.architecture", architecture);
  const auto key = [&](const char* name) { return architecture + "." + name; };
  file.id(key("block_count"), 1).id(key("context_length"), 64).id(key("embedding_length"), 8);
  file.id(key("feed_forward_length"), 16).id(key("attention.head_count"), 2);
  file.id(key("attention.head_count_kv"), 1).id(key("attention.key_length"), 4);
  file.number(key("attention.layer_norm_rms_epsilon"), 1e-5F).number(key("rope.freq_base"), 10000);
  return file.tensor("token_embd.weight", {8, 4}, std::vector<float>(32, 0.5F));
}

std::vector<std::string> gguf_seeds() {
  auto words = testing::tiny_vocabulary{}.merged("H", "e").merged("l", "l").merged("He", "ll");
  words.token("<|im_start|>", 3).token("<|im_end|>", 3);
  auto pieces = testing::tiny_sentence_pieces{}.token("▁H", -1).token("el", -2).token("▁Hel", -3);
  pieces.token("<end>", 0, 3);
  std::vector<std::string> seeds;
  for (const auto* pre : {"gpt-2", "qwen2", "llama-bpe", "smollm"})
    seeds.push_back(text_of(words.file(pre).bytes()));
  seeds.push_back(text_of(pieces.file().flag("tokenizer.ggml.add_bos_token", true).bytes()));
  for (const auto* architecture : {"llama", "qwen2", "qwen3", "gemma3"})
    seeds.push_back(text_of(with_model({}, architecture).bytes()));
  return seeds;
}

void take_safetensors(std::string_view input) {
  const exact_bytes bytes{input};
  const auto file = safetensors_file::parse(bytes.span());
  if (!file)
    return;
  look_at_tensors(**file);
}

std::vector<std::string> safetensors_seeds() {
  const std::vector<std::byte> half(12);
  const auto two = testing::tiny_safetensors{}
                       .floats("embeddings.word_embeddings.weight", {2, 3}, {1, 2, 3, 4, 5, 6})
                       .tensor("half", element_type::F16, {2, 3}, half)
                       .tensor("nothing", element_type::I64, {0}, {});
  const std::string meta =
      R"({"__metadata__":{"format":"pt"},"a":{"dtype":"U8","shape":[],"data_offsets":[0,1]}})";
  return {text_of(two.bytes()), text_of(testing::safetensors_of(meta, std::vector<std::byte>(1)))};
}

const registered gguf{{"gguf", take_gguf, gguf_seeds}};
const registered safetensors{{"safetensors", take_safetensors, safetensors_seeds}};

} // namespace
} // namespace souffleur::fuzz
