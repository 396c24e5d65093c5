// The page's files inside the program.
#include "net/page.hpp"

#include "net/http_routes.hpp"
#include "tests/net/fake_service.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>

namespace souffleur {
namespace {

std::string bytes_of(const std::filesystem::path& path) {
  std::ifstream file{path, std::ios::binary};
  return {std::istreambuf_iterator<char>{file}, {}};
}

const std::filesystem::path page_folder = std::filesystem::path{SOUFFLEUR_SOURCE} / "net/page";

TEST(Page, hasEveryFileOfItsFolderByteForByte) {
  int n_files = 0;
  for (const auto& entry : std::filesystem::directory_iterator{page_folder}) {
    const auto name = entry.path().filename().string();
    const auto file = find_page_file("/page/" + name);
    ASSERT_TRUE(file) << name;
    EXPECT_EQ(std::string{file->content}, bytes_of(entry.path())) << name;
    EXPECT_NE(file->content_type, "application/octet-stream") << name;
    ++n_files;
  }
  EXPECT_GE(n_files, 8);
}

TEST(Page, isAtTheRoot) {
  const auto file = find_page_file("/");
  ASSERT_TRUE(file);
  EXPECT_EQ(file->content_type, "text/html; charset=utf-8");
  EXPECT_EQ(std::string{file->content}, bytes_of(page_folder / "index.html"));
}

TEST(Page, bringsItsPlottingLibraryAndLetsBrowsersKeepIt) {
  const auto file = find_page_file("/page/chart.js");
  ASSERT_TRUE(file);
  EXPECT_GT(file->content.size(), 100'000U);
  EXPECT_NE(file->content.find("Chart.js"), std::string_view::npos);
  EXPECT_EQ(file->cache_control, "public, max-age=86400");
}

TEST(Page, hasNothingElse) {
  for (const auto* path :
       {"", "/page/", "/page/none.js", "/page/../page.css", "/page//page.css", "/index.html"})
    EXPECT_FALSE(find_page_file(path)) << path;
}

/// Offline, and behind a proxy that serves it elsewhere: what it names is relative, and its own.
TEST(Page, namesNoOtherHostAndNoAbsolutePath) {
  const std::regex elsewhere{R"((src|href)=["'](https?:|//|/))"};
  const std::regex imported{R"(import[^"']*["'](?!\./))"};
  for (const auto& entry : std::filesystem::directory_iterator{page_folder}) {
    const auto text = bytes_of(entry.path());
    EXPECT_FALSE(std::regex_search(text, elsewhere)) << entry.path();
    if (entry.path().extension() == ".js") {
      EXPECT_FALSE(std::regex_search(text, imported)) << entry.path();
      EXPECT_EQ(text.find("innerHTML"), std::string::npos) << entry.path();
    }
  }
}

/// What an answer says can never become a part of the page's program.
TEST(Page, isServedUnderAPolicyThatForbidsWhatIsNotItsOwn) {
  testing::fake_service service;
  for (const auto* path : {"/", "/page/page.js", "/page/chart.js"}) {
    const auto reply = std::get<http_reply>(route({"GET", path, ""}, service));
    EXPECT_EQ(reply.status, 200) << path;
    std::string policy;
    for (const auto& [name, value] : reply.headers)
      if (name == "Content-Security-Policy")
        policy = value;
    EXPECT_NE(policy.find("default-src 'none'"), std::string::npos) << path;
    EXPECT_EQ(policy.find("unsafe"), std::string::npos) << path;
    EXPECT_EQ(policy.find("http"), std::string::npos) << path;
    EXPECT_TRUE(is_open_to_all({"GET", path, ""})) << path;
  }
}

} // namespace
} // namespace souffleur
