#include "net/openai_embeddings.hpp"

#include "net/json_fields.hpp"
#include "net/openai_request.hpp"

#include <boost/json/array.hpp>

#include <bit>
#include <charconv>
#include <cstdint>

namespace souffleur {

namespace json = boost::json;

namespace {

constexpr int most_timeout_ms = 86'400'000;

std::vector<std::string> read_input(json_fields& fields) {
  const auto* input = fields.find("input");
  if (input == nullptr) {
    fields.complain("input", "is required", "missing_required_parameter");
    return {};
  }
  if (const auto* one = input->if_string())
    return {std::string{*one}};
  const auto* many = input->if_array();
  if (many == nullptr) {
    fields.complain("input", "must be a string or an array of strings, not " + std::string{kind_name(*input)},
                    "invalid_type");
    return {};
  }
  if (many->empty() || many->size() > max_embedding_inputs)
    fields.complain("input", "must have 1 to " + std::to_string(max_embedding_inputs) + " strings");
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < many->size() && !fields.error(); ++i) {
    const auto& value = (*many)[i];
    if (const auto* text = value.if_string())
      texts.emplace_back(*text);
    else if (value.is_int64() || value.is_uint64() || value.is_array())
      fields.complain("input", "must be text: token ids are not supported", "unsupported_value");
    else
      fields.complain("input[" + std::to_string(i) + "]",
                      "must be a string, not " + std::string{kind_name(value)}, "invalid_type");
  }
  return texts;
}

/// The double that is written with as few digits as the float needs.
double short_number(float value) {
  char digits[32];
  const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
  double number = 0;
  std::from_chars(digits, end, number);
  return number;
}

json::array numbers_of(const std::vector<float>& vector) {
  json::array numbers;
  numbers.reserve(vector.size());
  for (const auto value : vector)
    numbers.push_back(short_number(value));
  return numbers;
}

std::string base64_of(const std::vector<float>& vector) {
  static_assert(std::endian::native == std::endian::little);
  constexpr char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const auto* bytes = reinterpret_cast<const unsigned char*>(vector.data());
  const auto n_bytes = vector.size() * sizeof(float);
  std::string text;
  text.reserve((n_bytes + 2) / 3 * 4);
  for (std::size_t i = 0; i < n_bytes; i += 3) {
    const auto byte = [&](std::size_t at) {
      return at < n_bytes ? static_cast<std::uint32_t>(bytes[at]) : 0U;
    };
    const auto group = byte(i) << 16 | byte(i + 1) << 8 | byte(i + 2);
    for (std::size_t digit = 0; digit < 4; ++digit)
      text += i + digit <= n_bytes ? digits[group >> (18 - 6 * digit) & 63U] : '=';
  }
  return text;
}

} // namespace

std::variant<embedding_call, generation_failed> parse_embedding_request(const json::value& body,
                                                                        const served_embedder* served) {
  if (served == nullptr)
    return generation_failed{404, "no_embedding_model",
                             "This server has no embedding model; --embedding.model names one.", "", 0};
  const auto* object = body.if_object();
  if (object == nullptr)
    return bad_parameter("", "The body must be a JSON object.", "invalid_type");
  json_fields fields{*object};
  if (const auto model = fields.text("model"); model && *model != served->name)
    fields.complain(model_not_found(*model, served->name));
  embedding_call call;
  call.request.texts = read_input(fields);
  const auto format = fields.text("encoding_format").value_or("float");
  if (format != "float" && format != "base64")
    fields.complain("encoding_format", "must be \"float\" or \"base64\"");
  call.as_base64 = format == "base64";
  const auto n = fields.integer("dimensions", 1, 1 << 20);
  if (n && *n != served->n_dimensions)
    fields.complain("dimensions", "must be " + std::to_string(served->n_dimensions) +
                                      ": vectors of this model cannot be shortened");
  if (const auto* own = fields.object("souffleur")) {
    json_fields own_fields{*own, "souffleur."};
    call.request.timeout =
        std::chrono::milliseconds{own_fields.integer("timeout_ms", 1, most_timeout_ms).value_or(0)};
    if (own_fields.error())
      fields.complain(*own_fields.error());
  }
  if (fields.error())
    return *fields.error();
  return call;
}

json::object embedding_body(const embeddings& answer, bool as_base64, const std::string& model) {
  json::array data;
  json::array truncated;
  std::int64_t n_ids = 0;
  for (std::size_t i = 0; i < answer.size(); ++i) {
    const auto& [vector, n_text_ids, is_truncated] = answer[i];
    json::value embedding;
    if (as_base64)
      embedding = base64_of(vector);
    else
      embedding = numbers_of(vector);
    data.push_back(json::object{{"object", "embedding"}, {"index", i}, {"embedding", std::move(embedding)}});
    if (is_truncated)
      truncated.push_back(i);
    n_ids += n_text_ids;
  }
  return {{"object", "list"},
          {"data", std::move(data)},
          {"model", model},
          {"usage", {{"prompt_tokens", n_ids}, {"total_tokens", n_ids}}},
          {"souffleur", {{"truncated_inputs", std::move(truncated)}}}};
}

} // namespace souffleur
