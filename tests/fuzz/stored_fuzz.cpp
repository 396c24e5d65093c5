// What is read back from disks and stores that others can write to.
#include "engine/cache/calibration_file.hpp"
#include "engine/cache/entry_codec.hpp"
#include "engine/cache/entry_json.hpp"
#include "engine/kv/file_tier.hpp"
#include "engine/kv/page_file.hpp"
#include "tests/engine/scratch_folder.hpp"
#include "tests/fuzz/target.hpp"

#include <xxhash.h>

#include <cstring>
#include <sstream>

namespace souffleur::fuzz {
namespace {

std::string sealed(std::string_view content) {
  const std::uint64_t checksum = XXH3_64bits(content.data(), content.size());
  std::string bytes{content};
  bytes.append(reinterpret_cast<const char*>(&checksum), sizeof checksum);
  return bytes;
}

/// As it is, and with the checksum that it should have.
void take_entry(std::string_view input) {
  (void)decode_names(input);
  (void)decode_entry(input);
  const auto bytes = sealed(input);
  if (const auto entry = decode_entry(bytes))
    require(encode_entry(*entry) == bytes, "an entry has one encoding");
}

cache_entry an_entry() {
  cache_entry entry;
  entry.question = "why is the sky blue?";
  entry.embedding = {0.6F, 0.8F};
  entry.embedder = "minilm";
  entry.created_s = 1'700'000'000;
  entry.expires_s = 1'700'003'600;
  entry.answer = std::make_shared<const cached_answer>(
      cached_answer{{{1, "Be", "Be"}, {2, "\xc3", ""}, {3, "\xa9", "é"}}, "tail", "stop", 4});
  return entry;
}

std::vector<std::string> entry_seeds() {
  const auto bytes = encode_entry(an_entry());
  cache_entry least;
  least.answer = std::make_shared<const cached_answer>();
  const auto least_bytes = encode_entry(least);
  constexpr std::size_t checksum_bytes = 8;
  return {bytes, bytes.substr(0, bytes.size() - checksum_bytes),
          least_bytes.substr(0, least_bytes.size() - checksum_bytes)};
}

void take_entry_json(std::string_view input) {
  const auto entry = entry_from_json(input);
  if (!entry)
    return;
  const auto line = entry_as_json(*entry);
  const auto again = entry_from_json(line);
  require(again.ok() && entry_as_json(*again) == line, "a line that was written is read as it was");
}

std::vector<std::string> entry_json_seeds() { return {entry_as_json(an_entry())}; }

void take_calibration(std::string_view input) {
  std::istringstream in{std::string{input}};
  (void)calibration_file::read(in);
}

std::vector<std::string> calibration_seeds() {
  calibration_file file;
  file.embedder = "minilm";
  file.n_requests = 100;
  std::ostringstream out;
  file.write(out);
  return {out.str()};
}

constexpr std::size_t page_bytes = 64;
constexpr std::size_t header_bytes = 128;
constexpr std::size_t record_bytes = header_bytes + page_bytes;

/// With the file's own header if the first byte is odd, and with records whose headers' checksums are right
/// if the next one is.
std::string segment_of(std::string_view input, const std::string& header) {
  const bool has_header = take_choice(input, 2) == 1;
  const bool is_sealed = take_choice(input, 2) == 1;
  std::string file = (has_header ? header : "") + std::string{input};
  if (is_sealed)
    for (auto at = header_bytes; at + header_bytes <= file.size(); at += record_bytes) {
      const std::uint64_t checksum = XXH3_64bits(file.data() + at, header_bytes - sizeof checksum);
      std::memcpy(file.data() + at + header_bytes - sizeof checksum, &checksum, sizeof checksum);
    }
  return file;
}

file_tier_options tier_in(const testing::scratch_folder& folder) {
  return {folder.path(), 1 << 20, "fuzz", page_bytes};
}

std::filesystem::path segment_in(const testing::scratch_folder& folder) {
  return folder.path() / "fuzz" / "segment-0000000001";
}

std::string file_text(const std::filesystem::path& path) {
  std::ifstream in{path, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

std::string written_segment() {
  const testing::scratch_folder folder{testing::memory_or_disk()};
  const auto tier = *file_tier::open(tier_in(folder));
  const std::array<page_key, 3> keys{page_key{1, 2, 3}, page_key{4}, page_key{5}};
  const std::vector<std::byte> bytes(page_bytes, std::byte{7});
  for (const auto& page : tier->names_of("salt", keys))
    tier->put(page, bytes);
  return file_text(segment_in(folder));
}

void take_segment(std::string_view input) {
  static const auto header = written_segment().substr(0, header_bytes);
  static const testing::scratch_folder folder{testing::memory_or_disk()};
  std::filesystem::create_directories(segment_in(folder).parent_path());
  std::ofstream{segment_in(folder), std::ios::binary | std::ios::trunc} << segment_of(input, header);
  const page_layout layout{page_bytes, name_of_text("fuzz")};
  std::vector<named_page> pages;
  if (const auto file = page_file::open(segment_in(folder).string(), layout))
    for (int record = 0; record < (*file)->n_records(); ++record)
      if (const auto page = (*file)->page_at(record))
        pages.push_back(*page);
  const auto tier = file_tier::open(tier_in(folder));
  require(tier.ok(), "a damaged segment does not keep a server from starting");
  for (const auto& page : pages)
    (void)(*tier)->get(page);
  const std::array<page_key, 1> keys{page_key{9}};
  const std::vector<std::byte> bytes(page_bytes, std::byte{1});
  const auto fresh = (*tier)->names_of("other", keys).front();
  require((*tier)->put(fresh, bytes), "a page can be added behind what was damaged");
  const auto read = (*tier)->get(fresh);
  require(read && std::equal(bytes.begin(), bytes.end(), read.get()), "and is read back as it was");
}

std::vector<std::string> segment_seeds() {
  const auto file = written_segment();
  const std::string as_it_is(2, '\0');
  const std::string with_header(2, '\1');
  return {as_it_is + file, with_header + file.substr(header_bytes),
          with_header + file.substr(header_bytes, 300)};
}

const registered entries{{"cache-entry", take_entry, entry_seeds}};
const registered lines{{"cache-entry-json", take_entry_json, entry_json_seeds}};
const registered calibrations{{"calibration-file", take_calibration, calibration_seeds}};
const registered segments{{"kv-segment", take_segment, segment_seeds}};

} // namespace
} // namespace souffleur::fuzz
