#include "engine/embedding/bert_config.hpp"

#include "engine/kernels/kernel_table.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <string>

namespace souffleur {

namespace json = boost::json;

namespace {

/// Reads keys and keeps the first complaint.
class config_reader {
public:
  explicit config_reader(const json::object& object) : object_(object) {}

  int size(const char* key) {
    const auto* value = object_.if_contains(key);
    const auto* number = value ? value->if_int64() : nullptr;
    constexpr std::int64_t most = 1 << 24;
    if (!number || *number < 1 || *number > most) {
      complain(key, number ? std::to_string(*number) + " is not plausible" : "is missing");
      return 1;
    }
    return static_cast<int>(*number);
  }
  double number(const char* key) {
    const auto* value = object_.if_contains(key);
    if (value && value->is_number() && value->to_number<double>() > 0)
      return value->to_number<double>();
    complain(key, "is no positive number");
    return 1;
  }
  /// An absent key is as good as `wanted`.
  void expect(const char* key, std::string_view wanted) {
    const auto* value = object_.if_contains(key);
    if (value && !(value->is_string() && value->get_string() == wanted))
      complain(key, json::serialize(*value) + " is not supported (\"" + std::string{wanted} + "\" is)");
  }
  void complain(const std::string& key, const std::string& why) {
    if (complaint_.empty())
      complaint_ = key + ": " + why;
  }
  const std::string& complaint() const { return complaint_; }

private:
  const json::object& object_;
  std::string complaint_;
};

} // namespace

result<bert_config> read_bert_config(std::string_view text) {
  boost::system::error_code error;
  const auto parsed = json::parse(text, error);
  if (error || !parsed.is_object())
    return failure{"is no JSON object"};
  config_reader in{parsed.get_object()};
  in.expect("model_type", "bert");
  in.expect("hidden_act", "gelu");
  in.expect("position_embedding_type", "absolute");
  bert_config config;
  config.n_layers = in.size("num_hidden_layers");
  config.n_hidden = in.size("hidden_size");
  config.n_heads = in.size("num_attention_heads");
  config.n_inner = in.size("intermediate_size");
  config.n_positions = in.size("max_position_embeddings");
  config.n_vocabulary = in.size("vocab_size");
  config.epsilon = static_cast<float>(in.number("layer_norm_eps"));
  // As kv_layer and rows of quantised weights have it.
  if (config.n_hidden % config.n_heads != 0 || config.head_dim() % 16 != 0 ||
      config.head_dim() > max_head_dim || config.n_hidden % 32 != 0 || config.n_inner % 32 != 0)
    in.complain("hidden_size", "sizes of " + std::to_string(config.n_hidden) + " in " +
                                   std::to_string(config.n_heads) + " heads and of " +
                                   std::to_string(config.n_inner) + " are not supported");
  if (!in.complaint().empty())
    return failure{in.complaint()};
  return config;
}

} // namespace souffleur
