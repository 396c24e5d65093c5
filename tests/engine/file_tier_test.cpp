// The file tier against a map: random puts, gets, restarts, torn ends, flipped bits. A page comes back as it
// was put or not at all, and whatever does not come back has a reason that was counted.
#include "engine/kv/file_tier.hpp"

#include "tests/engine/scratch_folder.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <map>
#include <set>
#include <sys/resource.h>
#include <sys/stat.h>
#include <vector>

namespace souffleur {
namespace {

using testing::scratch_folder;
using bytes = std::vector<std::byte>;

constexpr auto page_size = std::size_t{40};
constexpr auto header_size = std::uint64_t{128};
constexpr auto record_size = header_size + page_size;
constexpr auto n_test_pages = 12;

bytes content(unsigned number) {
  auto made = bytes(page_size);
  for (auto i = std::size_t{0}; i < page_size; ++i) {
    made[i] = static_cast<std::byte>(number * 31 + i * 7);
  }
  return made;
}

/// Two texts of which one goes on where the other does, for a while.
std::vector<page_key> keys_of(int text, int n) {
  auto keys = std::vector<page_key>(static_cast<std::size_t>(n));
  for (auto i = 0; i < n; ++i) {
    keys[static_cast<std::size_t>(i)].fill(i < 2 ? i : i + 100 * text);
  }
  return keys;
}

file_tier_options options_in(const std::filesystem::path& folder, std::uint64_t max_bytes) {
  return {.folder = folder, .max_bytes = max_bytes, .format = "test/f16", .page_bytes = page_size};
}

std::shared_ptr<file_tier> opened(const std::filesystem::path& folder, std::uint64_t max_bytes = 1 << 20) {
  auto tier = file_tier::open(options_in(folder, max_bytes));
  return tier ? *tier : nullptr;
}

std::vector<named_page> test_pages(const file_tier& tier) {
  return tier.names_of("a", keys_of(0, n_test_pages));
}

bool holds(file_tier& tier, const named_page& page, const bytes& expected) {
  const auto found = tier.get(page);
  return found && std::equal(expected.begin(), expected.end(), found.get());
}

/// In order of age.
std::vector<std::filesystem::path> segments_in(const std::filesystem::path& folder) {
  auto files = std::vector<std::filesystem::path>{};
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.path().filename().string().starts_with("segment-")) {
      files.push_back(entry.path());
    }
  }
  std::ranges::sort(files);
  return files;
}

std::uint64_t n_bytes_in(const std::filesystem::path& folder) {
  auto n = std::uint64_t{0};
  for (const auto& file : segments_in(folder)) {
    n += std::filesystem::file_size(file);
  }
  return n;
}

void flip(const std::filesystem::path& path, std::uint64_t at, int bit) {
  auto file = std::fstream(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(static_cast<std::streamoff>(at));
  const auto byte = static_cast<char>(file.get() ^ (1 << bit));
  file.seekp(static_cast<std::streamoff>(at));
  file.put(byte);
}

struct command {
  enum { put, get, restart, tear, flip_bit, n_kinds } kind = put;
  unsigned a = 0;
  unsigned b = 0;
};

[[maybe_unused]] std::ostream& operator<<(std::ostream& out, const command& c) {
  return out << "{" << c.kind << ", " << c.a << ", " << c.b << "}";
}

rc::Gen<command> any_command() {
  const auto number = rc::gen::resize(rc::kNominalSize, rc::gen::arbitrary<unsigned>());
  const auto kind = rc::gen::weightedElement<decltype(command::kind)>({{8, command::put},
                                                                       {6, command::get},
                                                                       {2, command::restart},
                                                                       {1, command::tear},
                                                                       {1, command::flip_bit}});
  return rc::gen::build<command>(rc::gen::set(&command::kind, kind), rc::gen::set(&command::a, number),
                                 rc::gen::set(&command::b, number));
}

/// The tier and the map that it should be like.
class history {
public:
  explicit history(unsigned max_records) {
    restart(max_records);
    pages_ = test_pages(*tier_);
  }

  void run(const command& c) {
    switch (c.kind) {
    case command::put:
      put(c.a % n_test_pages);
      break;
    case command::get:
      get(c.a % n_test_pages);
      break;
    case command::restart:
      restart(c.a);
      break;
    case command::tear:
      tear(c.a);
      break;
    default:
      damage(c.a, c.b);
    }
    RC_ASSERT(n_bytes_in(folder_.path()) <= max_bytes_);
    if (!damaged_) {
      RC_ASSERT(n_bytes_in(folder_.path()) == tier_->counters().n_bytes);
      RC_ASSERT(tier_->counters().n_damaged_pages == 0U);
    }
  }

  void finish() {
    restart(last_max_records_);
    for (auto i = 0U; i < n_test_pages; ++i) {
      get(i);
    }
    const auto now = tier_->counters();
    RC_ASSERT(now.n_pages == expected_.size());
    RC_ASSERT(now.n_hit_pages == expected_.size());
  }

private:
  void close() {
    n_displaced_ += tier_->counters().n_displaced_pages;
    tier_ = nullptr;
  }

  void restart(unsigned max_records) {
    if (tier_) {
      close();
    }
    last_max_records_ = max_records;
    max_bytes_ = header_size + (1 + max_records % 40) * record_size;
    tier_ = opened(folder_.path(), max_bytes_);
    RC_ASSERT(tier_ != nullptr);
  }

  void put(unsigned i) {
    const auto made = content(++n_puts_);
    const auto was_stored = tier_->n_stored(std::span(&pages_[i], 1)) == 1;
    RC_ASSERT(tier_->put(pages_[i], made) == !was_stored);
    if (!was_stored) {
      expected_[i] = made;
      RC_ASSERT(damaged_ || holds(*tier_, pages_[i], made));
    }
  }

  void get(unsigned i) {
    const auto found = tier_->get(pages_[i]);
    const auto expected = expected_.find(i);
    if (found) {
      RC_ASSERT(expected != expected_.end());
      RC_ASSERT(std::equal(expected->second.begin(), expected->second.end(), found.get()));
    } else if (expected != expected_.end()) {
      expected_.erase(expected);
      ++n_missing_;
      RC_ASSERT(damaged_ || n_missing_ <= n_displaced_ + tier_->counters().n_displaced_pages);
    }
  }

  /// A process that is killed while it writes, and another that goes on.
  void tear(unsigned n) {
    if (const auto files = segments_in(folder_.path()); !files.empty()) {
      const auto size = std::filesystem::file_size(files.back());
      const auto n_cut = n % record_size;
      if (size < header_size + record_size || n_cut == 0) {
        return;
      }
      close();
      std::filesystem::resize_file(files.back(), size - n_cut);
      restart(last_max_records_);
      ++n_displaced_; // the last page, at most
      RC_ASSERT(damaged_ || tier_->counters().n_damaged_pages == 0U);
    }
  }

  void damage(unsigned which, unsigned where) {
    if (const auto files = segments_in(folder_.path()); !files.empty()) {
      const auto& file = files[which % files.size()];
      const auto at = where % std::filesystem::file_size(file);
      if (flipped_.emplace(file, at).second) { // a second time it would be mended
        flip(file, at, static_cast<int>(where % 8));
      }
      damaged_ = true;
    }
  }

  scratch_folder folder_;
  unsigned last_max_records_ = 0;
  std::uint64_t max_bytes_ = 0;
  std::shared_ptr<file_tier> tier_;
  std::vector<named_page> pages_;
  std::map<unsigned, bytes> expected_;
  unsigned n_puts_ = 0;
  std::uint64_t n_missing_ = 0;
  std::uint64_t n_displaced_ = 0;
  bool damaged_ = false;
  std::set<std::pair<std::filesystem::path, std::uint64_t>> flipped_; ///< bytes
};

RC_GTEST_PROP(FileTier, GivesBackWhatWasPutOrNothing, ()) {
  auto tried = history(*rc::gen::inRange(0U, 40U));
  for (const auto& c : *rc::gen::scale(3.0, rc::gen::container<std::vector<command>>(any_command()))) {
    tried.run(c);
  }
  tried.finish();
}

TEST(FileTier, LosesOnlyTheRecordInWhichABitIsWrongAndCountsIt) {
  const auto folder = scratch_folder();
  auto pages = std::vector<named_page>{};
  {
    const auto tier = opened(folder.path());
    pages = test_pages(*tier);
    for (auto i = 0U; i < 3; ++i) {
      ASSERT_TRUE(tier->put(pages[i], content(i)));
    }
  }
  const auto file = segments_in(folder.path()).front();
  ASSERT_EQ(std::filesystem::file_size(file), header_size + 3 * record_size);
  for (auto at = header_size; at < header_size + 3 * record_size; ++at) {
    flip(file, at, static_cast<int>(at % 8));
    {
      const auto tier = opened(folder.path());
      for (auto i = 0U; i < 3; ++i) {
        ASSERT_EQ(holds(*tier, pages[i], content(i)), (at - header_size) / record_size != i) << at;
      }
      ASSERT_EQ(tier->counters().n_damaged_pages, 1U);
      ASSERT_EQ(tier->counters().n_pages, 2U);
    }
    flip(file, at, static_cast<int>(at % 8));
  }
  ASSERT_EQ(opened(folder.path())->counters().n_pages, 3U);
}

TEST(FileTier, DropsAFileWhoseHeaderIsWrong) {
  for (auto at = std::uint64_t{0}; at < header_size; ++at) {
    const auto folder = scratch_folder();
    if (const auto tier = opened(folder.path())) {
      tier->put(test_pages(*tier)[0], content(1));
    }
    flip(segments_in(folder.path()).front(), at, static_cast<int>(at % 8));
    const auto tier = opened(folder.path());
    ASSERT_EQ(tier->counters().n_damaged_pages, 1U);
    ASSERT_EQ(tier->counters().n_pages, 0U);
    ASSERT_TRUE(segments_in(folder.path()).empty());
    ASSERT_TRUE(tier->put(test_pages(*tier)[0], content(2)));
  }
}

TEST(FileTier, LosesOnlyThePageThatWasBeingWrittenWhereverTheWriterWasKilled) {
  for (auto n_written = std::uint64_t{0}; n_written < record_size; ++n_written) {
    const auto folder = scratch_folder();
    auto pages = std::vector<named_page>{};
    {
      const auto tier = opened(folder.path());
      pages = test_pages(*tier);
      for (auto i = 0U; i < 3; ++i) {
        tier->put(pages[i], content(i));
      }
    }
    std::filesystem::resize_file(segments_in(folder.path()).back(),
                                 header_size + 2 * record_size + n_written);
    const auto tier = opened(folder.path());
    ASSERT_TRUE(holds(*tier, pages[0], content(0)) && holds(*tier, pages[1], content(1)));
    ASSERT_EQ(tier->get(pages[2]), nullptr);
    ASSERT_EQ(tier->counters().n_damaged_pages, 0U) << "a page that was never written is no damage";
    ASSERT_TRUE(tier->put(pages[2], content(9)));
    ASSERT_TRUE(holds(*tier, pages[2], content(9)));
  }
}

/// Whether the first page is still there after fifty others, if it is used like that after each of them.
template <class Use>
bool stays(Use use) {
  const auto folder = scratch_folder();
  const auto tier = opened(folder.path(), 8 * (header_size + record_size));
  const auto pages = tier->names_of("a", keys_of(0, 51));
  for (auto i = 0U; i < 51; ++i) {
    tier->put(pages[i], content(i));
    use(*tier, pages[0]);
  }
  EXPECT_GT(tier->counters().n_displaced_pages, 40U);
  return holds(*tier, pages[0], content(0));
}

TEST(FileTier, KeepsWhatIsUsedWhenRoomIsMade) {
  EXPECT_FALSE(stays([](file_tier&, const named_page&) {}));
  EXPECT_TRUE(stays([](file_tier& tier, const named_page& page) { tier.get(page); }));
  EXPECT_TRUE(stays([](file_tier& tier, const named_page& page) { tier.claim(page); })) << "found in memory";
}

TEST(FileTier, StoresADamagedPageAnew) {
  const auto folder = scratch_folder();
  {
    const auto tier = opened(folder.path());
    const auto page = test_pages(*tier)[0];
    tier->put(page, content(1));
    flip(segments_in(folder.path()).front(), header_size + record_size - 1, 0);
    EXPECT_EQ(tier->get(page), nullptr);
    EXPECT_EQ(tier->counters().n_damaged_pages, 1U);
    EXPECT_TRUE(tier->put(page, content(2)));
  }
  const auto tier = opened(folder.path());
  EXPECT_TRUE(holds(*tier, test_pages(*tier)[0], content(2)));
}

TEST(FileTier, NamesAPageByEverythingBeforeItAndItsSaltAndFormat) {
  const auto folder = scratch_folder();
  const auto tier = opened(folder.path());
  const auto a = tier->names_of("a", keys_of(0, 5));
  EXPECT_EQ(a, tier->names_of("a", keys_of(0, 5)));
  const auto b = tier->names_of("a", keys_of(1, 5));
  EXPECT_EQ(a[1], b[1]);
  EXPECT_NE(a[2].name, b[2].name);
  auto tail = keys_of(0, 5);
  tail.front().fill(7);
  EXPECT_NE(tier->names_of("a", tail)[4].name, a[4].name);
  EXPECT_NE(tier->names_of("b", keys_of(0, 1))[0].name, a[0].name);
  EXPECT_NE(root_name("f16", "x"), root_name("f16x", ""));
}

TEST(FileTier, FindsOnlyTheFrontThatIsWhole) {
  const auto folder = scratch_folder();
  const auto tier = opened(folder.path());
  const auto pages = test_pages(*tier);
  for (const auto i : {0U, 1U, 3U}) {
    tier->put(pages[i], content(i));
  }
  EXPECT_EQ(tier->n_stored(pages), 2);
  EXPECT_EQ(tier->n_stored(std::span(pages).subspan(3)), 1);
}

TEST(FileTier, GivesAClaimToOneAndAgainWhenThatIsLetGo) {
  const auto folder = scratch_folder();
  const auto tier = opened(folder.path());
  const auto page = test_pages(*tier)[0];
  auto first = tier->claim(page);
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(tier->claim(page), nullptr);
  first = nullptr;
  auto second = tier->claim(page);
  ASSERT_NE(second, nullptr);
  ASSERT_TRUE(tier->put(second->page(), content(0)));
  second = nullptr;
  EXPECT_EQ(tier->claim(page), nullptr) << "stored";
}

TEST(FileTier, BoundsWhatIsClaimed) {
  const auto book = std::make_shared<claim_book>(2);
  const auto pages = name_pages(root_name("f", ""), keys_of(0, 3));
  auto first = book->claim(pages[0]);
  const auto second = book->claim(pages[1]);
  EXPECT_EQ(book->claim(pages[2]), nullptr);
  first = nullptr;
  EXPECT_NE(book->claim(pages[2]), nullptr);
}

TEST(FileTier, IsOneProcesssAlone) {
  const auto folder = scratch_folder();
  const auto tier = opened(folder.path());
  const auto second = file_tier::open(options_in(folder.path(), 1 << 20));
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().find("in use by another process"), std::string::npos);
  tier->put(test_pages(*tier)[0], content(0));
  struct stat status {};
  ASSERT_EQ(stat(segments_in(folder.path()).front().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
  ASSERT_EQ(stat(segments_in(folder.path()).front().parent_path().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0700U);
}

TEST(FileTier, LeavesOtherFormatsAlone) {
  const auto folder = scratch_folder();
  const auto tier = opened(folder.path());
  const auto page = test_pages(*tier)[0];
  tier->put(page, content(0));
  auto other_options = options_in(folder.path(), 1 << 20);
  other_options.format = "another";
  const auto other = file_tier::open(other_options);
  ASSERT_TRUE(other);
  EXPECT_EQ((*other)->counters().n_pages, 0U);
  EXPECT_EQ((*other)->get(page), nullptr);
  EXPECT_TRUE(holds(*tier, page, content(0)));
}

TEST(FileTier, SaysWhyItCannotBeOpened) {
  const auto folder = scratch_folder();
  std::ofstream(folder.path() / "file") << "x";
  const auto not_a_folder = file_tier::open(options_in(folder.path() / "file", 1 << 20));
  ASSERT_FALSE(not_a_folder);
  EXPECT_NE(not_a_folder.error().find("file"), std::string::npos);
  const auto too_small = file_tier::open(options_in(folder.path(), record_size));
  ASSERT_FALSE(too_small);
  EXPECT_NE(too_small.error().find(std::to_string(header_size + record_size)), std::string::npos);
}

TEST(FileTier, DropsThePageThatAFullDiskDidNotTake) {
  const auto folder = scratch_folder();
  const auto tier = opened(folder.path());
  const auto pages = test_pages(*tier);
  ASSERT_TRUE(tier->put(pages[0], content(0)));
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  auto small = before;
  small.rlim_cur = header_size + record_size + record_size / 2;
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  EXPECT_FALSE(tier->put(pages[1], content(1)));
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(tier->counters().n_refused_pages, 1U);
  EXPECT_EQ(n_bytes_in(folder.path()), tier->counters().n_bytes);
  EXPECT_TRUE(tier->put(pages[1], content(2)));
  EXPECT_TRUE(holds(*tier, pages[0], content(0)) && holds(*tier, pages[1], content(2)));
}

} // namespace
} // namespace souffleur
