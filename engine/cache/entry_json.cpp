#include "engine/cache/entry_json.hpp"

#include "engine/cache/entry_codec.hpp"
#include "engine/tokenizer/utf8.hpp"
#include "policies/hex.hpp"

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

namespace souffleur {

namespace json = boost::json;

namespace {

json::value as_json(const std::string& bytes) {
  if (is_valid_utf8(bytes))
    return json::string{bytes};
  return json::object{{"hex", to_hex(bytes)}};
}

json::object as_json(const answer_piece& piece) {
  json::object made{{"id", piece.id}, {"text", as_json(piece.text)}};
  if (piece.bytes != piece.text)
    made["bytes"] = as_json(piece.bytes);
  return made;
}

/// Reads fields, and remembers the first that is missing or wrong.
class field_reader {
public:
  explicit field_reader(const json::object& object) : object_(object) {}

  std::string bytes(std::string_view name) {
    const auto* value = find(name);
    if (const auto* text = value != nullptr ? value->if_string() : nullptr)
      return std::string{*text};
    const auto* coded = value != nullptr ? value->if_object() : nullptr;
    const auto* digits = coded != nullptr ? coded->if_contains("hex") : nullptr;
    if (digits != nullptr && digits->is_string())
      if (auto decoded = bytes_from_hex(digits->get_string()))
        return *decoded;
    complain(name);
    return {};
  }

  key_digest digest(std::string_view name) {
    const auto* value = find(name);
    const auto found =
        value != nullptr && value->is_string() ? digest_from_hex(value->get_string()) : std::nullopt;
    if (!found)
      complain(name);
    return found.value_or(key_digest{});
  }

  std::int64_t integer(std::string_view name) {
    const auto* value = find(name);
    if (value != nullptr && value->is_int64())
      return value->get_int64();
    complain(name);
    return 0;
  }

  std::vector<float> floats(std::string_view name) {
    std::vector<float> made;
    for (const auto& value : array(name)) {
      json::error_code error;
      made.push_back(static_cast<float>(value.to_number<double>(error)));
      if (error)
        complain(name);
    }
    return made;
  }

  const json::array& array(std::string_view name) {
    static const json::array none;
    const auto* value = find(name);
    if (value != nullptr && value->is_array())
      return value->get_array();
    complain(name);
    return none;
  }

  bool has(std::string_view name) const { return find(name) != nullptr; }
  void complain(std::string_view name) {
    if (wrong_.empty())
      wrong_ = name;
  }
  const std::string& wrong() const { return wrong_; } ///< empty: none

private:
  const json::value* find(std::string_view name) const { return object_.if_contains(name); }

  const json::object& object_;
  std::string wrong_;
};

/// An id out of range makes `pieces` wrong in `from`.
answer_piece piece_of(const json::value& value, field_reader& from) {
  const auto* object = value.if_object();
  if (object == nullptr) {
    from.complain("pieces");
    return {};
  }
  field_reader fields{*object};
  answer_piece piece;
  const auto id = fields.integer("id");
  piece.id = static_cast<token_id>(id);
  piece.text = fields.bytes("text");
  piece.bytes = fields.has("bytes") ? fields.bytes("bytes") : piece.text;
  if (!fields.wrong().empty() || piece.id != id)
    from.complain("pieces");
  return piece;
}

} // namespace

std::string entry_as_json(const cache_entry& entry) {
  json::array embedding;
  for (const float x : entry.embedding)
    embedding.push_back(double{x});
  json::array pieces;
  for (const auto& piece : entry.answer->pieces)
    pieces.push_back(as_json(piece));
  return json::serialize(json::object{{"exact", to_hex(entry.exact)},
                                      {"partition", to_hex(entry.partition)},
                                      {"owner", to_hex(entry.owner)},
                                      {"question", as_json(entry.question)},
                                      {"embedding", std::move(embedding)},
                                      {"embedder", as_json(entry.embedder)},
                                      {"created_s", entry.created_s},
                                      {"expires_s", entry.expires_s},
                                      {"pieces", std::move(pieces)},
                                      {"tail", as_json(entry.answer->tail)},
                                      {"stop_string", as_json(entry.answer->stop_string)},
                                      {"tokens", entry.answer->n_tokens}});
}

result<cache_entry> entry_from_json(std::string_view line) {
  json::error_code error;
  const auto value = json::parse(line, error);
  const auto* object = error ? nullptr : value.if_object();
  if (object == nullptr)
    return failure{"is no JSON object"};
  field_reader fields{*object};
  cache_entry entry;
  entry.exact = fields.digest("exact");
  entry.partition = fields.digest("partition");
  entry.owner = fields.digest("owner");
  entry.question = fields.bytes("question");
  entry.embedding = fields.floats("embedding");
  entry.embedder = fields.bytes("embedder");
  entry.created_s = fields.integer("created_s");
  entry.expires_s = fields.integer("expires_s");
  cached_answer answer;
  for (const auto& piece : fields.array("pieces"))
    answer.pieces.push_back(piece_of(piece, fields));
  answer.tail = fields.bytes("tail");
  answer.stop_string = fields.bytes("stop_string");
  answer.n_tokens = static_cast<std::int32_t>(fields.integer("tokens"));
  entry.answer = std::make_shared<const cached_answer>(std::move(answer));
  if (!fields.wrong().empty())
    return failure{"\"" + fields.wrong() + "\" is missing or wrong"};
  if (!decode_entry(encode_entry(entry)))
    return failure{"\"embedding\" is not of length 1"};
  return entry;
}

} // namespace souffleur
