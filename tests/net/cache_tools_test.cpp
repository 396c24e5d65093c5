// The tools on a file of their own: what they say, what they change, and what they refuse.
#include "net/cache_tools.hpp"

#include "engine/cache/calibration_file.hpp"
#include "engine/cache/entry_json.hpp"
#include "engine/cache/sqlite_store.hpp"
#include "policies/cache_key.hpp"
#include "tests/engine/scratch_folder.hpp"

#include <boost/json/parse.hpp>
#include <gtest/gtest.h>

#include <cmath>
#include <ctime>
#include <fstream>
#include <iterator>
#include <sstream>
#include <sys/stat.h>

namespace souffleur {
namespace {

using testing::scratch_folder;

struct outcome {
  int code = 0;
  std::string out;
  std::string err;
};

outcome run(std::vector<std::string> words, const std::string& input = "") {
  words.insert(words.begin(), "cache");
  std::vector<const char*> argv;
  for (const auto& word : words)
    argv.push_back(word.c_str());
  std::istringstream in{input};
  std::ostringstream out;
  std::ostringstream err;
  const int code = run_cache_tools(static_cast<int>(argv.size()), argv.data(), in, out, err);
  return {code, out.str(), err.str()};
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

std::string content_of(const std::string& path) {
  std::ifstream file{path, std::ios::binary};
  return {std::istreambuf_iterator<char>{file}, {}};
}

unix_seconds now_s() { return static_cast<unix_seconds>(std::time(nullptr)); }

cache_entry entry_of(const std::string& tenant, int number, unix_seconds ttl_s = 1000) {
  key_encoder key;
  key.add(tenant);
  key.add(std::int64_t{number});
  cache_entry entry;
  entry.exact = key.digest();
  entry.owner = cache_owner(tenant);
  entry.question = "question " + std::to_string(number) + " of " + tenant;
  entry.embedding = {0.6F, 0.8F};
  entry.created_s = now_s();
  entry.expires_s = entry.created_s + ttl_s;
  entry.answer = std::make_shared<const cached_answer>(
      cached_answer{{{1, "\xe2\x80", ""}, {2, "\x94 yes", "\u2014 yes"}}, "", ""});
  return entry;
}

/// Ten answers of Ann, five of Bob, one without a tenant; one of Ann's has expired.
class CacheTools : public ::testing::Test {
protected:
  CacheTools() : path_((folder_.path() / "answers.db").string()) {
    const auto store = opened(path_);
    for (int i = 0; i < 10; ++i)
      put(*store, entry_of("Bearer ann", i));
    for (int i = 0; i < 5; ++i)
      put(*store, entry_of("Bearer bob", i));
    put(*store, entry_of("", 0));
    put(*store, entry_of("Bearer ann", 99, -5));
  }

  static std::unique_ptr<answer_store> opened(const std::string& path) {
    auto store = sqlite_store::open({path});
    EXPECT_TRUE(store.ok());
    return std::move(*store);
  }
  static void put(answer_store& store, const cache_entry& entry) { EXPECT_TRUE(store.put(entry).ok()); }
  std::string file(const std::string& name) const { return (folder_.path() / name).string(); }
  outcome on_file(std::vector<std::string> words, const std::string& input = "") const {
    words.insert(words.end(), {"--cache.store", path_});
    return run(words, input);
  }
  std::size_t n_entries() const { return static_cast<std::size_t>(opened(path_)->counters().n_entries); }

  scratch_folder folder_;
  std::string path_;
};

TEST_F(CacheTools, StatsCountByTenant) {
  const auto said = on_file({"stats"});
  EXPECT_EQ(said.code, 0) << said.err;
  EXPECT_TRUE(has(said.out, path_));
  EXPECT_TRUE(has(said.out, "1 expired, 0 damaged")) << said.out;
  const auto row_of = [&](const std::string& name) {
    std::istringstream rows{said.out.substr(std::min(said.out.find("\n" + name), said.out.size()))};
    std::string found;
    std::size_t n = 0;
    rows >> found >> n;
    return n;
  };
  EXPECT_EQ(row_of(to_hex(cache_owner("Bearer ann")).substr(0, 16)), 10U) << said.out;
  EXPECT_EQ(row_of(to_hex(cache_owner("Bearer bob")).substr(0, 16)), 5U);
  EXPECT_EQ(row_of("all"), 16U);
}

TEST_F(CacheTools, ListShowsBeginnings) {
  const auto first = on_file({"list", "--limit", "2"});
  EXPECT_EQ(first.code, 0) << first.err;
  EXPECT_TRUE(has(first.out, "question 1 of Bearer ann\n  -> \u2014 yes\n")) << first.out;
  EXPECT_FALSE(has(first.out, "question 2"));
  std::istringstream lines{on_file({"list", "--limit", "0", "--json"}).out};
  int n_lines = 0;
  for (std::string line; std::getline(lines, line); ++n_lines)
    EXPECT_EQ(boost::json::parse(line).at("answer"), "\u2014 yes");
  EXPECT_EQ(n_lines, 16);
}

TEST_F(CacheTools, ListShowsNothingThatATerminalObeys) {
  auto entry = entry_of("Bearer eve", 1);
  entry.question = "a\x1b[2Jb\rc\xc2\x9b"
                   "d\x7f \xff" +
                   std::string(300, 'x');
  put(*opened(path_), entry);
  const auto said = on_file({"list", "--limit", "0"}).out;
  EXPECT_TRUE(has(said, "a [2Jb c d  \uFFFDxxx")) << said;
  EXPECT_TRUE(has(said, "xxx...\n"));
  for (const char byte : {'\x1b', '\r', '\x7f'})
    EXPECT_EQ(said.find(byte), std::string::npos);
}

TEST_F(CacheTools, ForgetsOneTenantAndNobodyElse) {
  const auto said = on_file({"forget", "--tenant", "Bearer bob"});
  EXPECT_EQ(said.code, 0) << said.err;
  EXPECT_EQ(said.out, "5 answers forgotten\n");
  EXPECT_EQ(n_entries(), 12U);
  EXPECT_EQ(on_file({"forget", "--tenant", "Bearer bob"}).out, "0 answers forgotten\n");
  EXPECT_EQ(on_file({"forget", "--tenant", "Bearer Ann"}).out, "0 answers forgotten\n");
  EXPECT_EQ(on_file({"forget", "--tenant", ""}).out, "1 answer forgotten\n");
  EXPECT_EQ(on_file({"forget", "--tenant", "-"}, "Bearer ann\n").out, "11 answers forgotten\n");
  EXPECT_EQ(n_entries(), 0U);
}

TEST_F(CacheTools, ForgetsOneKey) {
  const auto key = to_hex(entry_of("Bearer bob", 3).exact);
  EXPECT_EQ(on_file({"forget", "--key", key.substr(0, 16)}).out, "1 answer forgotten\n");
  EXPECT_EQ(n_entries(), 16U);
  const auto again = on_file({"forget", "--key", key});
  EXPECT_EQ(again.code, 1);
  EXPECT_TRUE(has(again.err, "no key begins with " + key)) << again.err;
}

TEST_F(CacheTools, ForgetsEverything) {
  EXPECT_EQ(on_file({"forget", "--all"}).out, "17 answers forgotten\n");
  EXPECT_EQ(n_entries(), 0U);
}

TEST_F(CacheTools, ForgetsOnlyWhatItIsTold) {
  for (const auto& words : std::vector<std::vector<std::string>>{{"forget"},
                                                                 {"forget", "--all", "--tenant", "a"},
                                                                 {"forget", "--key", "abc"},
                                                                 {"forget", "--key", "not a hex number"}}) {
    const auto said = on_file(words);
    EXPECT_EQ(said.code, 2);
    EXPECT_NE(said.err + said.out, "");
  }
  EXPECT_EQ(n_entries(), 17U);
}

TEST_F(CacheTools, WhatWasExportedIsImportedAsItWas) {
  const auto lines = file("answers.jsonl");
  const auto exported = on_file({"export", lines});
  EXPECT_EQ(exported.code, 0) << exported.err;
  EXPECT_EQ(exported.err, "16 answers exported\n");
  struct stat status {};
  ASSERT_EQ(stat(lines.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
  EXPECT_FALSE(std::filesystem::exists(lines + ".part"));
  EXPECT_TRUE(on_file({"export", "-"}).out == content_of(lines));

  const auto copy = file("copy.db");
  const auto imported = run({"import", lines, "--cache.store", copy});
  EXPECT_EQ(imported.code, 0) << imported.err;
  EXPECT_EQ(imported.err, "16 answers imported, 0 had expired\n");
  EXPECT_TRUE(run({"export", "-", "--cache.store", copy}).out == content_of(lines));
  EXPECT_EQ(run({"import", lines, "--cache.store", copy}).code, 0);
  EXPECT_EQ(opened(copy)->counters().n_entries, 16U) << "a second time nothing is new";
}

TEST_F(CacheTools, ImportsNothingOfAFileWithABadLine) {
  const auto lines = file("answers.jsonl");
  ASSERT_EQ(on_file({"export", lines}).code, 0);
  const auto good = content_of(lines);
  const auto second = good.find('\n') + 1;
  for (const auto& [text, complaint] : std::vector<std::pair<std::string, std::string>>{
           {good.substr(0, second) + "\n{}\n" + good.substr(second), "line 3: \"exact\" is missing or wrong"},
           {good + "{\"exact\"", "line 17: is no JSON object"},
           {good.substr(0, second) + good.substr(second + 1), "line 2: is no JSON object"}}) {
    std::ofstream{lines} << text;
    const auto copy = file("copy.db");
    const auto said = run({"import", lines, "--cache.store", copy});
    EXPECT_EQ(said.code, 1);
    EXPECT_TRUE(has(said.err, lines + ": " + complaint + "; nothing is imported")) << said.err;
    EXPECT_EQ(opened(copy)->counters().n_entries, 0U);
  }
}

TEST_F(CacheTools, ImportLeavesOutWhatHasExpired) {
  const auto lines = file("answers.jsonl");
  std::ofstream{lines} << entry_as_json(entry_of("a", 1)) << "\n\n" << entry_as_json(entry_of("a", 2, -1));
  const auto said = run({"import", lines, "--cache.store", file("copy.db")});
  EXPECT_EQ(said.err, "1 answer imported, 1 had expired\n");
}

TEST_F(CacheTools, NameAFileThatIsMissingOrNoStore) {
  const auto missing = file("missing.db");
  for (const auto& words : std::vector<std::vector<std::string>>{
           {"stats"}, {"list"}, {"forget", "--all"}, {"export", file("x")}}) {
    auto with_store = words;
    with_store.insert(with_store.end(), {"--cache.store", missing});
    const auto said = run(with_store);
    EXPECT_EQ(said.code, 1);
    EXPECT_TRUE(has(said.err, missing + ": there is no such file")) << said.err;
  }
  EXPECT_FALSE(std::filesystem::exists(missing));
  std::ofstream{missing} << std::string(1000, 'x');
  EXPECT_TRUE(has(run({"stats", "--cache.store", missing}).err, missing + ": is no SQLite database"));
  EXPECT_TRUE(has(on_file({"import", file("none")}).err, file("none") + ": cannot be read"));
  EXPECT_TRUE(has(run({"stats", "--cache.store", "memory"}).err, "memory keeps nothing"));
  EXPECT_TRUE(has(run({"import", path_, "--cache.store", "redis://localhost"}).err, "to a file only"));
  EXPECT_TRUE(has(on_file({"export", "/nowhere/x"}).err, "/nowhere/x.part: cannot be made"));
}

TEST_F(CacheTools, SayWhatTheyAre) {
  const auto help = run({"--help"});
  EXPECT_EQ(help.code, 0);
  for (const auto* name : {"stats", "list", "forget", "export", "import", "calibrate", "--cache.store"})
    EXPECT_TRUE(has(help.out, name)) << name;
  EXPECT_EQ(run({}).code, 2);
  EXPECT_EQ(run({"nonsense"}).code, 2);
  EXPECT_EQ(run({"list", "--limit", "-1"}).code, 2);
}

/// Pairs on a circle: 60 of each kind, those that are the same close together.
class CacheCalibration : public CacheTools {
protected:
  CacheCalibration() {
    std::ofstream lines{file("pairs.jsonl")};
    std::ofstream rows{file("vectors"), std::ios::binary};
    for (int i = 0; i < 400; ++i) {
      const bool is_same = i % 2 == 0;
      lines << R"({"a": "how do I cook dish )" << static_cast<char>('a' + i % 26) << i
            << R"(?", "b": "cooking )" << static_cast<char>('a' + i % 26) << i << R"(, how?", "duplicate": )"
            << is_same << "}\n";
      const float angle = is_same ? 0.1F : 1.0F;
      const float vectors[] = {1, 0, std::cos(angle), std::sin(angle)};
      rows.write(reinterpret_cast<const char*>(vectors), sizeof vectors);
    }
  }
};

TEST_F(CacheCalibration, SaysWhatIsCertifiedAndDrawsIt) {
  const auto said = run({"calibrate", file("pairs.jsonl"), "--vectors", file("vectors"), "--max-error",
                         "0.02,0.05", "--svg", file("curve.svg"), "--repeats", "3", "--show", "1"});
  EXPECT_EQ(said.code, 0) << said.err;
  EXPECT_TRUE(has(said.out, "| threshold | hits | wrong per request | precision | recall |")) << said.out;
  EXPECT_TRUE(has(said.out, "certified on all 400 requests: 2 % from 0.")) << said.out;
  EXPECT_TRUE(has(said.out, "ways to halve the pairs")) << said.out;
  const auto svg = content_of(file("curve.svg"));
  EXPECT_TRUE(svg.starts_with("<svg") && svg.ends_with("</svg>\n"));
  EXPECT_TRUE(has(svg, "2 % from 0."));
  EXPECT_FALSE(has(svg, "nan"));
}

TEST_F(CacheCalibration, NamesWhatItCannotUse) {
  const auto complaint = [&](std::vector<std::string> words) {
    words.insert(words.begin(), "calibrate");
    const auto said = run(words);
    EXPECT_NE(said.code, 0);
    return said.err;
  };
  const auto pairs = file("pairs.jsonl");
  EXPECT_TRUE(has(complaint({file("none")}), file("none") + ": cannot be read"));
  std::ofstream{file("bad")} << content_of(pairs) << "{\"a\": 1}\n";
  EXPECT_TRUE(has(complaint({file("bad")}), file("bad") + ": line 401"));
  std::ofstream{file("empty")};
  EXPECT_TRUE(has(complaint({file("empty")}), file("empty") + ": has no pairs"));
  EXPECT_TRUE(has(complaint({pairs, "--vectors", pairs}), pairs + ": "));
  EXPECT_TRUE(
      has(complaint({pairs, "--model.folder", file("none")}), "embedding.model: \"minilm\" is neither"));
  EXPECT_TRUE(has(complaint({pairs, "--vectors", file("vectors"), "--max-error", "0.05,0.01"}), "max-error"));
  EXPECT_TRUE(
      has(complaint({pairs, "--vectors", file("vectors"), "--svg", "/nowhere/x"}), "/nowhere/x: cannot"));
  EXPECT_TRUE(has(complaint({pairs, "--vectors", file("vectors"), "--out", file("x")}), "excludes"));
}

} // namespace
} // namespace souffleur
