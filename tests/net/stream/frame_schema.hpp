// The protocol's schema, as an independent validator of JSON Schema understands it.
#pragma once

#include "net/stream/frame_forms.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <valijson/adapters/boost_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validator.hpp>

#include <memory>
#include <string>

namespace souffleur::testing {

class frame_schema {
public:
  static frame_schema of_server() { return frame_schema{stream_schema()}; }
  static frame_schema of_client() {
    auto all = stream_schema();
    all["oneOf"] = all.at("$defs").at("client").at("oneOf");
    return frame_schema{all};
  }

  bool allows(const boost::json::value& frame) {
    valijson::adapters::BoostJsonAdapter target{frame};
    return validator_.validate(*schema_, target, nullptr);
  }
  bool allows_text(const std::string& frame) { return allows(boost::json::parse(frame)); }

private:
  explicit frame_schema(boost::json::value text) : schema_(std::make_unique<valijson::Schema>()) {
    valijson::adapters::BoostJsonAdapter adapter{text};
    valijson::SchemaParser{valijson::SchemaParser::kDraft7}.populateSchema(adapter, *schema_);
  }

  std::unique_ptr<valijson::Schema> schema_;
  valijson::Validator validator_;
};

} // namespace souffleur::testing
