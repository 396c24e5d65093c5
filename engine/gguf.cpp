#include "engine/gguf.hpp"

#include "engine/mapped_file.hpp"

#include <bit>
#include <cstring>
#include <limits>

namespace souffleur {

static_assert(std::endian::native == std::endian::little, "GGUF files are read as little-endian");

block_shape block_shape_of(tensor_type type) {
  switch (type) {
  case tensor_type::f32:
    return {1, 4};
  case tensor_type::f16:
  case tensor_type::bf16:
    return {1, 2};
  case tensor_type::q4_0:
    return {32, 18};
  case tensor_type::q4_1:
    return {32, 20};
  case tensor_type::q5_0:
    return {32, 22};
  case tensor_type::q5_1:
    return {32, 24};
  case tensor_type::q8_0:
    return {32, 34};
  case tensor_type::q2_k:
    return {256, 84};
  case tensor_type::q3_k:
    return {256, 110};
  case tensor_type::q4_k:
    return {256, 144};
  case tensor_type::q5_k:
    return {256, 176};
  case tensor_type::q6_k:
    return {256, 210};
  }
  return {0, 0};
}

std::string_view to_string(tensor_type type) {
  switch (type) {
  case tensor_type::f32:
    return "F32";
  case tensor_type::f16:
    return "F16";
  case tensor_type::bf16:
    return "BF16";
  case tensor_type::q4_0:
    return "Q4_0";
  case tensor_type::q4_1:
    return "Q4_1";
  case tensor_type::q5_0:
    return "Q5_0";
  case tensor_type::q5_1:
    return "Q5_1";
  case tensor_type::q8_0:
    return "Q8_0";
  case tensor_type::q2_k:
    return "Q2_K";
  case tensor_type::q3_k:
    return "Q3_K";
  case tensor_type::q4_k:
    return "Q4_K";
  case tensor_type::q5_k:
    return "Q5_K";
  case tensor_type::q6_k:
    return "Q6_K";
  }
  return "unknown";
}

std::int64_t gguf_tensor::n_values() const {
  std::int64_t n = 1;
  for (const auto size : shape)
    n *= size;
  return n;
}

namespace {

enum class value_type : std::uint32_t {
  u8,
  i8,
  u16,
  i16,
  u32,
  i32,
  f32,
  boolean,
  string,
  array,
  u64,
  i64,
  f64
};

constexpr std::uint64_t max_dimensions = 4;

/// Reads forward over bytes; the first failure sticks and every later read gives zero.
class cursor {
public:
  explicit cursor(std::span<const std::byte> bytes) : bytes_(bytes) {}

  template <class T>
  T number(const std::string& field) {
    T value{};
    if (take(sizeof(T), field))
      std::memcpy(&value, bytes_.data() + at_ - sizeof(T), sizeof(T));
    return value;
  }
  std::string string(const std::string& field) {
    const auto size = number<std::uint64_t>(field + " (length)");
    if (!take(size, field))
      return "";
    return {reinterpret_cast<const char*>(bytes_.data()) + at_ - size, static_cast<std::size_t>(size)};
  }
  void fail(std::string why) {
    if (error_.empty())
      error_ = std::move(why);
  }
  bool failed() const { return !error_.empty(); }
  const std::string& error() const { return error_; }
  std::size_t at() const { return at_; }
  std::size_t left() const { return bytes_.size() - at_; }

private:
  bool take(std::uint64_t n, const std::string& field) {
    if (failed())
      return false;
    if (n > left()) {
      fail(field + ": the file ends at byte " + std::to_string(bytes_.size()) + ", " + std::to_string(n) +
           " more were expected at byte " + std::to_string(at_));
      return false;
    }
    at_ += static_cast<std::size_t>(n);
    return true;
  }
  std::span<const std::byte> bytes_;
  std::size_t at_ = 0;
  std::string error_;
};

/// Smallest encoding of an element, so that a lying count is caught before anything is allocated.
std::size_t min_bytes_of(value_type type) {
  switch (type) {
  case value_type::u8:
  case value_type::i8:
  case value_type::boolean:
    return 1;
  case value_type::u16:
  case value_type::i16:
    return 2;
  case value_type::u32:
  case value_type::i32:
  case value_type::f32:
    return 4;
  default:
    return 8;
  }
}

gguf_value scalar(cursor& in, value_type type, const std::string& field) {
  switch (type) {
  case value_type::u8:
    return std::uint64_t{in.number<std::uint8_t>(field)};
  case value_type::u16:
    return std::uint64_t{in.number<std::uint16_t>(field)};
  case value_type::u32:
    return std::uint64_t{in.number<std::uint32_t>(field)};
  case value_type::u64:
    return in.number<std::uint64_t>(field);
  case value_type::i8:
    return std::int64_t{in.number<std::int8_t>(field)};
  case value_type::i16:
    return std::int64_t{in.number<std::int16_t>(field)};
  case value_type::i32:
    return std::int64_t{in.number<std::int32_t>(field)};
  case value_type::i64:
    return in.number<std::int64_t>(field);
  case value_type::f32:
    return double{in.number<float>(field)};
  case value_type::f64:
    return in.number<double>(field);
  case value_type::boolean:
    return in.number<std::uint8_t>(field) != 0;
  case value_type::string:
    return in.string(field);
  case value_type::array:
    break;
  }
  in.fail(field + ": unknown value type " + std::to_string(static_cast<std::uint32_t>(type)));
  return std::uint64_t{0};
}

template <class T>
gguf_value elements(cursor& in, value_type type, std::uint64_t n, const std::string& field) {
  std::vector<T> values;
  values.reserve(static_cast<std::size_t>(n));
  for (std::uint64_t i = 0; i < n && !in.failed(); ++i)
    values.push_back(std::get<T>(scalar(in, type, field)));
  return values;
}

gguf_value array(cursor& in, const std::string& field) {
  const auto type = static_cast<value_type>(in.number<std::uint32_t>(field + " (element type)"));
  const auto n = in.number<std::uint64_t>(field + " (element count)");
  if (type == value_type::array || static_cast<std::uint32_t>(type) > 12) {
    in.fail(field + ": arrays of type " + std::to_string(static_cast<std::uint32_t>(type)) +
            " are not supported");
    return std::uint64_t{0};
  }
  if (n > in.left() / min_bytes_of(type)) {
    in.fail(field + ": claims " + std::to_string(n) + " elements, more than the file can hold");
    return std::uint64_t{0};
  }
  switch (type) {
  case value_type::string:
    return elements<std::string>(in, type, n, field);
  case value_type::boolean:
    return elements<bool>(in, type, n, field);
  case value_type::f32:
  case value_type::f64:
    return elements<double>(in, type, n, field);
  case value_type::i8:
  case value_type::i16:
  case value_type::i32:
  case value_type::i64:
    return elements<std::int64_t>(in, type, n, field);
  default:
    return elements<std::uint64_t>(in, type, n, field);
  }
}

struct parsed_file : gguf_file {
  std::span<const std::byte> bytes;
  std::shared_ptr<const mapped_file> mapping; ///< null: the caller keeps `bytes`

  void release_pages() const override {
    if (mapping)
      mapping->release_pages(bytes);
  }

  /// Empty if all is well.
  std::string parse() {
    cursor in{bytes};
    std::uint64_t n_tensors = 0;
    std::uint64_t n_keys = 0;
    read_header(in, n_tensors, n_keys);
    for (std::uint64_t i = 0; i < n_keys && !in.failed(); ++i)
      read_key(in, i);
    std::vector<std::uint64_t> offsets;
    for (std::uint64_t i = 0; i < n_tensors && !in.failed(); ++i)
      read_tensor(in, i, offsets);
    if (!in.failed())
      place_tensors(in, offsets);
    return in.error();
  }

private:
  static void read_header(cursor& in, std::uint64_t& n_tensors, std::uint64_t& n_keys) {
    const auto magic = in.number<std::uint32_t>("magic");
    if (!in.failed() && magic == 0x47475546)
      return in.fail("magic: this is a big-endian GGUF file, which is not supported");
    if (!in.failed() && magic != 0x46554747)
      return in.fail("magic: this is no GGUF file");
    const auto version = in.number<std::uint32_t>("version");
    if (!in.failed() && version != 2 && version != 3)
      return in.fail("version: " + (version >= (1U << 24)
                                        ? std::string{"the file is big-endian, which is not supported"}
                                        : std::to_string(version) + " is not supported (2 and 3 are)"));
    n_tensors = in.number<std::uint64_t>("tensor_count");
    n_keys = in.number<std::uint64_t>("metadata_kv_count");
    constexpr std::uint64_t min_tensor_bytes = 24;
    constexpr std::uint64_t min_key_bytes = 13;
    if (!in.failed() && n_tensors > in.left() / min_tensor_bytes)
      in.fail("tensor_count: claims " + std::to_string(n_tensors) + ", more than the file can hold");
    if (!in.failed() && n_keys > in.left() / min_key_bytes)
      in.fail("metadata_kv_count: claims " + std::to_string(n_keys) + ", more than the file can hold");
  }

  void read_key(cursor& in, std::uint64_t index) {
    const auto key = in.string("metadata key " + std::to_string(index));
    const auto type = static_cast<value_type>(in.number<std::uint32_t>(key + " (type)"));
    auto value = type == value_type::array ? array(in, key) : scalar(in, type, key);
    if (!in.failed() && !metadata_.emplace(key, std::move(value)).second)
      in.fail(key + ": stands twice in the metadata");
  }

  void read_tensor(cursor& in, std::uint64_t index, std::vector<std::uint64_t>& offsets) {
    gguf_tensor tensor;
    tensor.name = in.string("tensor " + std::to_string(index) + " (name)");
    const auto field = "tensor \"" + tensor.name + "\"";
    const auto n_dimensions = in.number<std::uint32_t>(field + " (dimensions)");
    if (n_dimensions > max_dimensions)
      return in.fail(field + ": has " + std::to_string(n_dimensions) + " dimensions; at most 4 are allowed");
    std::uint64_t n_values = 1;
    for (std::uint32_t d = 0; d < n_dimensions; ++d) {
      const auto size = in.number<std::uint64_t>(field + " (shape)");
      if (!in.failed() &&
          (size == 0 || size > (std::uint64_t{1} << 40) || n_values > (std::uint64_t{1} << 40) / size))
        return in.fail(field + ": shape[" + std::to_string(d) + "] = " + std::to_string(size) +
                       " is not plausible");
      n_values *= size;
      tensor.shape.push_back(static_cast<std::int64_t>(size));
    }
    tensor.type = static_cast<tensor_type>(in.number<std::uint32_t>(field + " (type)"));
    offsets.push_back(in.number<std::uint64_t>(field + " (offset)"));
    if (in.failed())
      return;
    const auto block = block_shape_of(tensor.type);
    if (block.n_values == 0)
      return in.fail(field + ": type " + std::to_string(static_cast<std::uint32_t>(tensor.type)) +
                     " is not supported");
    if (tensor.shape.empty() || tensor.shape[0] % block.n_values != 0)
      return in.fail(field + ": its rows are no whole number of " + std::string{to_string(tensor.type)} +
                     " blocks");
    if (!tensor_index_.emplace(tensor.name, tensors_.size()).second)
      return in.fail(field + ": stands twice in the file");
    tensors_.push_back(std::move(tensor));
  }

  void place_tensors(cursor& in, const std::vector<std::uint64_t>& offsets) {
    const auto alignment = integer_or("general.alignment", 32);
    if (alignment <= 0 || alignment > (1 << 20) || (alignment & (alignment - 1)) != 0)
      return in.fail("general.alignment: " + std::to_string(alignment) + " is no power of two");
    const auto step = static_cast<std::uint64_t>(alignment);
    const std::uint64_t start = (in.at() + step - 1) / step * step;
    for (std::size_t i = 0; i < tensors_.size(); ++i) {
      auto& tensor = tensors_[i];
      const auto block = block_shape_of(tensor.type);
      const auto n_bytes = static_cast<std::uint64_t>(tensor.n_values() / block.n_values) *
                           static_cast<std::uint64_t>(block.n_bytes);
      if (offsets[i] % step != 0)
        return in.fail("tensor \"" + tensor.name + "\" (offset): is not aligned to " +
                       std::to_string(alignment));
      if (start > bytes.size() || offsets[i] > bytes.size() - start ||
          n_bytes > bytes.size() - start - offsets[i])
        return in.fail("tensor \"" + tensor.name + "\": its " + std::to_string(n_bytes) +
                       " bytes lie beyond the end of the file (truncated?)");
      tensor.data =
          bytes.subspan(static_cast<std::size_t>(start + offsets[i]), static_cast<std::size_t>(n_bytes));
    }
  }
};

result<std::shared_ptr<const gguf_file>> parsed(std::shared_ptr<parsed_file> file) {
  if (auto why = file->parse(); !why.empty())
    return failure{why};
  return std::shared_ptr<const gguf_file>{std::move(file)};
}

} // namespace

result<std::shared_ptr<const gguf_file>> gguf_file::parse(std::span<const std::byte> bytes) {
  auto file = std::make_shared<parsed_file>();
  file->bytes = bytes;
  return parsed(std::move(file));
}

result<std::shared_ptr<const gguf_file>> gguf_file::open(const std::filesystem::path& path) {
  auto mapping = mapped_file::open(path);
  if (!mapping)
    return failure{mapping.error()};
  if ((*mapping)->bytes().empty())
    return failure{path.string() + ": magic: the file is empty"};
  auto file = std::make_shared<parsed_file>();
  file->mapping = *mapping;
  file->bytes = file->mapping->bytes();
  auto opened = parsed(std::move(file));
  if (!opened)
    return failure{path.string() + ": " + opened.error()};
  return opened;
}

const gguf_tensor* gguf_file::find_tensor(std::string_view name) const {
  const auto found = tensor_index_.find(name);
  return found == tensor_index_.end() ? nullptr : &tensors_[found->second];
}

const std::string* gguf_file::find_string(std::string_view key) const {
  const auto found = metadata_.find(key);
  return found == metadata_.end() ? nullptr : std::get_if<std::string>(&found->second);
}

const std::vector<std::string>* gguf_file::find_strings(std::string_view key) const {
  const auto found = metadata_.find(key);
  return found == metadata_.end() ? nullptr : std::get_if<std::vector<std::string>>(&found->second);
}

result<std::int64_t> gguf_file::integer(std::string_view key) const {
  const auto found = metadata_.find(key);
  if (found == metadata_.end())
    return failure{std::string{key} + ": is missing"};
  if (const auto* value = std::get_if<std::int64_t>(&found->second))
    return *value;
  if (const auto* value = std::get_if<std::uint64_t>(&found->second))
    if (*value <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
      return static_cast<std::int64_t>(*value);
  return failure{std::string{key} + ": is no integer"};
}

std::int64_t gguf_file::integer_or(std::string_view key, std::int64_t fallback) const {
  const auto value = integer(key);
  return value ? *value : fallback;
}

double gguf_file::number_or(std::string_view key, double fallback) const {
  const auto found = metadata_.find(key);
  if (found == metadata_.end())
    return fallback;
  if (const auto* value = std::get_if<double>(&found->second))
    return *value;
  const auto whole = integer(key);
  return whole ? static_cast<double>(*whole) : fallback;
}

bool gguf_file::boolean_or(std::string_view key, bool fallback) const {
  const auto found = metadata_.find(key);
  const auto* value = found == metadata_.end() ? nullptr : std::get_if<bool>(&found->second);
  return value ? *value : fallback;
}

std::vector<std::int64_t> gguf_file::integers_or_empty(std::string_view key) const {
  const auto found = metadata_.find(key);
  if (found == metadata_.end())
    return {};
  if (const auto* values = std::get_if<std::vector<std::int64_t>>(&found->second))
    return *values;
  if (const auto* values = std::get_if<std::vector<std::uint64_t>>(&found->second))
    return {values->begin(), values->end()};
  return {};
}

std::vector<double> gguf_file::numbers_or_empty(std::string_view key) const {
  const auto found = metadata_.find(key);
  const auto* values = found == metadata_.end() ? nullptr : std::get_if<std::vector<double>>(&found->second);
  return values ? *values : std::vector<double>{};
}

} // namespace souffleur
