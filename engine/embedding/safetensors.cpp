#include "engine/embedding/safetensors.hpp"

#include "engine/mapped_file.hpp"

#include <boost/json/parse.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <optional>

namespace souffleur {

namespace json = boost::json;

static_assert(std::endian::native == std::endian::little, "safetensors files are read as little-endian");

namespace {

struct element_format {
  element_type type;
  std::string_view name;
  std::size_t n_bytes;
};

constexpr std::array formats{
    element_format{element_type::BOOL, "BOOL", 1}, element_format{element_type::U8, "U8", 1},
    element_format{element_type::I8, "I8", 1},     element_format{element_type::U16, "U16", 2},
    element_format{element_type::I16, "I16", 2},   element_format{element_type::F16, "F16", 2},
    element_format{element_type::BF16, "BF16", 2}, element_format{element_type::U32, "U32", 4},
    element_format{element_type::I32, "I32", 4},   element_format{element_type::F32, "F32", 4},
    element_format{element_type::U64, "U64", 8},   element_format{element_type::I64, "I64", 8},
    element_format{element_type::F64, "F64", 8},
};

const element_format& format_of(element_type type) { return formats[static_cast<std::size_t>(type)]; }

constexpr std::uint64_t length_bytes = 8;
constexpr std::uint64_t most_header_bytes = 100'000'000; // the format's own bound
constexpr std::size_t most_dimensions = 8;
constexpr std::uint64_t most_in_dimension = std::uint64_t{1} << 40; // beside one of 0
constexpr std::uint64_t most_bytes = std::uint64_t{1} << 62;        // of dimensions, before one of 0

std::optional<std::uint64_t> whole_number(const json::value& value) {
  if (const auto* number = value.if_int64(); number && *number >= 0)
    return static_cast<std::uint64_t>(*number);
  if (const auto* number = value.if_uint64())
    return *number;
  return std::nullopt;
}

/// A tensor of the header; its offsets are relative to `data`, all that follows the header.
result<safetensors_tensor> read_tensor(std::string_view name, const json::value& entry,
                                       std::span<const std::byte> data) {
  const auto wrong = [&](const std::string& why) {
    return failure{"tensor \"" + std::string{name} + "\": " + why};
  };
  const auto* fields = entry.if_object();
  if (!fields)
    return wrong("is no JSON object");
  safetensors_tensor tensor;
  tensor.name = name;

  const auto* type = fields->if_contains("dtype");
  if (!type || !type->is_string())
    return wrong("dtype is missing");
  const auto format = std::find_if(formats.begin(), formats.end(), [&](const element_format& known) {
    return std::string_view{type->get_string()} == known.name;
  });
  if (format == formats.end())
    return wrong("dtype " + std::string{type->get_string()} + " is not supported");
  tensor.type = format->type;

  const auto* shape = fields->if_contains("shape");
  if (!shape || !shape->is_array() || shape->get_array().size() > most_dimensions)
    return wrong("shape is no array of at most " + std::to_string(most_dimensions) + " sizes");
  std::uint64_t n_bytes = format->n_bytes;
  for (const auto& value : shape->get_array()) {
    const auto size = whole_number(value);
    if (!size || *size > most_in_dimension || (*size > 0 && n_bytes > most_bytes / *size))
      return wrong("shape has a size that the file cannot hold");
    n_bytes *= *size;
    tensor.shape.push_back(static_cast<std::int64_t>(*size));
  }

  const auto* offsets = fields->if_contains("data_offsets");
  if (!offsets || !offsets->is_array() || offsets->get_array().size() != 2)
    return wrong("data_offsets is no array of two numbers");
  const auto begin = whole_number(offsets->get_array()[0]);
  const auto end = whole_number(offsets->get_array()[1]);
  if (!begin || !end || *begin > *end)
    return wrong("data_offsets are no ascending whole numbers");
  if (*end > data.size())
    return wrong("data_offsets end at byte " + std::to_string(*end) + " of " + std::to_string(data.size()) +
                 " (truncated?)");
  if (*end - *begin != n_bytes)
    return wrong("its type and shape take " + std::to_string(n_bytes) + " bytes, its data_offsets " +
                 std::to_string(*end - *begin));
  tensor.data = data.subspan(static_cast<std::size_t>(*begin), static_cast<std::size_t>(n_bytes));
  return tensor;
}

struct parsed_file final : safetensors_file {
  std::shared_ptr<const mapped_file> mapping; ///< null: the caller keeps the bytes

  void release_pages(const safetensors_tensor& tensor) const override {
    if (mapping)
      mapping->release_pages(tensor.data);
  }

  /// Empty if all is well.
  std::string parse(std::span<const std::byte> bytes) {
    if (bytes.size() < length_bytes)
      return "header length: the file has only " + std::to_string(bytes.size()) + " bytes";
    std::uint64_t n_header = 0;
    std::memcpy(&n_header, bytes.data(), length_bytes);
    if (n_header > std::min<std::uint64_t>(most_header_bytes, bytes.size() - length_bytes))
      return "header length: " + std::to_string(n_header) + " is more than the file can hold (truncated?)";
    const std::string_view text{reinterpret_cast<const char*>(bytes.data()) + length_bytes,
                                static_cast<std::size_t>(n_header)};
    return read_header(text, bytes.subspan(length_bytes + text.size()));
  }

private:
  std::string read_header(std::string_view text, std::span<const std::byte> data) {
    boost::system::error_code error;
    const auto header = json::parse(text, error);
    if (error)
      return "header: is no JSON: " + error.message();
    const auto* entries = header.if_object();
    if (!entries)
      return "header: is no JSON object";
    for (const auto& [name, entry] : *entries) {
      if (std::string_view{name} == "__metadata__")
        continue;
      auto tensor = read_tensor(name, entry, data);
      if (!tensor)
        return tensor.error();
      tensors_.push_back(std::move(*tensor));
    }
    return check_places(data);
  }

  /// A name that stands twice in the header, too, leaves a gap.
  std::string check_places(std::span<const std::byte> data) {
    std::sort(tensors_.begin(), tensors_.end(), [](const auto& a, const auto& b) {
      return std::pair{a.data.data(), a.data.size()} < std::pair{b.data.data(), b.data.size()};
    });
    const auto* end = data.data();
    for (const auto& tensor : tensors_) {
      if (tensor.data.data() != end)
        return "tensor \"" + tensor.name + "\": data_offsets leave a gap or overlap with the one before";
      end += tensor.data.size();
    }
    if (end != data.data() + data.size())
      return "header: " + std::to_string(data.data() + data.size() - end) +
             " bytes at the end of the file are no tensor's";
    return "";
  }
};

result<std::shared_ptr<const safetensors_file>> parsed(std::shared_ptr<parsed_file> file,
                                                       std::span<const std::byte> bytes) {
  if (auto why = file->parse(bytes); !why.empty())
    return failure{why};
  return std::shared_ptr<const safetensors_file>{std::move(file)};
}

} // namespace

std::string_view to_string(element_type type) { return format_of(type).name; }
std::size_t bytes_of(element_type type) { return format_of(type).n_bytes; }

result<std::shared_ptr<const safetensors_file>> safetensors_file::parse(std::span<const std::byte> bytes) {
  return parsed(std::make_shared<parsed_file>(), bytes);
}

result<std::shared_ptr<const safetensors_file>> safetensors_file::open(const std::filesystem::path& path) {
  const auto mapping = mapped_file::open(path);
  if (!mapping)
    return failure{mapping.error()};
  auto file = std::make_shared<parsed_file>();
  file->mapping = *mapping;
  auto opened = parsed(std::move(file), (*mapping)->bytes());
  return opened ? opened : failure{path.string() + ": " + opened.error()};
}

const safetensors_tensor* safetensors_file::find_tensor(std::string_view name) const {
  const auto found = std::find_if(tensors_.begin(), tensors_.end(),
                                  [&](const safetensors_tensor& tensor) { return tensor.name == name; });
  return found == tensors_.end() ? nullptr : &*found;
}

} // namespace souffleur
