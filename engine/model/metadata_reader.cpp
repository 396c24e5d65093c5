#include "engine/model/metadata_reader.hpp"

#include <cmath>

namespace souffleur {

metadata_reader::metadata_reader(const gguf_file& file, std::string_view architecture)
    : file_(file), prefix_(std::string{architecture} + ".") {}

int metadata_reader::count(std::string_view key, int most) {
  const auto value = file_.integer(full(key));
  if (!value)
    note(value.error());
  else if (*value <= 0 || *value > most)
    complain(key, std::to_string(*value) + " is out of range");
  else
    return static_cast<int>(*value);
  return 1;
}

int metadata_reader::count_or(std::string_view key, int fallback) { return has(key) ? count(key) : fallback; }

double metadata_reader::positive_or(std::string_view key, double fallback) {
  if (!has(key))
    return fallback;
  const double value = file_.number_or(full(key), 0);
  if (std::isfinite(value) && value > 0)
    return value;
  complain(key, "is no number above 0");
  return fallback;
}

std::string metadata_reader::text_or(std::string_view key, std::string_view fallback) {
  if (!has(key))
    return std::string{fallback};
  if (const auto* text = file_.find_string(full(key)))
    return *text;
  complain(key, "is no string");
  return std::string{fallback};
}

bool metadata_reader::has(std::string_view key) const { return file_.metadata().contains(full(key)); }

void metadata_reader::refuse(std::string_view key) {
  if (has(key) && file_.number_or(full(key), 1) != 0)
    complain(key, "is not supported");
}

void metadata_reader::complain(std::string_view key, const std::string& why) { note(full(key) + ": " + why); }

void metadata_reader::note(const std::string& complaint) {
  if (complaint_.empty())
    complaint_ = complaint;
}

} // namespace souffleur
