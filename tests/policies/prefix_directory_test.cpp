#include "policies/prefix_directory.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <vector>

using namespace souffleur;

namespace {

/// A worker's pages, newest first: a list, and nothing clever.
struct model_shelf {
  std::size_t max_pages = 0;
  std::vector<page_hash> pages;

  void touch(page_hash page) {
    std::erase(pages, page);
    pages.insert(pages.begin(), page);
  }
  void insert(const std::vector<page_hash>& prefix) {
    for (auto page = prefix.rbegin(); page != prefix.rend(); ++page)
      touch(*page);
    trim();
  }
  void trim() { pages.resize(std::min(pages.size(), max_pages)); }
  int n_matched(const std::vector<page_hash>& prefix) const {
    const auto missing = std::ranges::find_if(
        prefix, [&](page_hash page) { return std::ranges::find(pages, page) == pages.end(); });
    return static_cast<int>(missing - prefix.begin());
  }
};

/// Of a small tree: the names of pages are their paths, so prefixes share their beginnings.
std::vector<page_hash> any_prefix() {
  std::vector<page_hash> prefix;
  page_hash path = 1;
  for (int i = *rc::gen::inRange(0, 5); i > 0; --i)
    prefix.push_back(path = path * 3 + *rc::gen::inRange<page_hash>(0, 2));
  return prefix;
}

} // namespace

// Planted bugs that this property caught: first page touched first; trims the newest; trims one too few; a
// removal that is not reported leaves the holder; a removed worker's pages stay; `added`
// before `removed`.
RC_GTEST_PROP(PrefixDirectory, EstimatesAsAListOfPagesDoesAndKeepsItsBound, ()) {
  prefix_directory directory;
  std::map<worker_id, model_shelf> model;
  for (int i = *rc::gen::inRange(1, 60); i > 0; --i) {
    const auto worker = *rc::gen::inRange<worker_id>(1, 4);
    const auto known = model.find(worker);
    switch (*rc::gen::inRange(0, 6)) {
    case 0: {
      const auto max_pages = *rc::gen::inRange<std::size_t>(0, 10);
      directory.add_worker(worker, max_pages);
      model[worker].max_pages = max_pages;
      model[worker].trim();
      break;
    }
    case 1:
      directory.remove_worker(worker);
      model.erase(worker);
      break;
    case 2: {
      const auto added = any_prefix();
      auto removed = any_prefix();
      if (!removed.empty() && *rc::gen::arbitrary<bool>())
        removed = {removed.front()};
      directory.report(worker, added, removed);
      if (known != model.end()) {
        for (const auto page : removed)
          std::erase(known->second.pages, page);
        known->second.insert(added);
      }
      break;
    }
    default: {
      const auto prefix = any_prefix();
      directory.insert(worker, prefix);
      if (known != model.end())
        known->second.insert(prefix);
    }
    }
    const auto asked = any_prefix();
    std::map<worker_id, int> found;
    for (const auto& match : directory.find(asked))
      RC_ASSERT(found.emplace(match.worker, match.n_pages).second);
    std::map<worker_id, int> expected;
    for (const auto& [id, shelf] : model) {
      RC_ASSERT(directory.n_pages(id) == shelf.pages.size());
      RC_ASSERT(directory.n_pages(id) <= shelf.max_pages);
      if (const int n = shelf.n_matched(asked); n > 0)
        expected[id] = n;
      for (const auto page : asked)
        RC_ASSERT(directory.has(id, page) == (std::ranges::find(shelf.pages, page) != shelf.pages.end()));
    }
    RC_ASSERT(found == expected);
    std::set<page_hash> names;
    for (const auto& [id, shelf] : model)
      names.insert(shelf.pages.begin(), shelf.pages.end());
    RC_ASSERT(directory.n_names() == names.size());
  }
}

TEST(PrefixDirectory, ForgetsTheEndOfAPrefixBeforeItsBeginning) {
  prefix_directory directory;
  directory.add_worker(1, 3);
  directory.insert(1, std::vector<page_hash>{10, 11, 12});
  directory.insert(1, std::vector<page_hash>{20});
  const auto found = directory.find(std::vector<page_hash>{10, 11, 12});
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found.front().n_pages, 2);
}

// Planted: pages behind a gap are counted, too.
TEST(PrefixDirectory, WhatStandsBehindAGapDoesNotCount) {
  prefix_directory directory;
  for (const worker_id worker : {1, 2}) {
    directory.add_worker(worker, 10);
    directory.insert(worker, std::vector<page_hash>{10, 11, 12});
  }
  directory.report(2, {}, std::vector<page_hash>{11});
  for (const auto& one : directory.find(std::vector<page_hash>{10, 11, 12}))
    EXPECT_EQ(one.n_pages, one.worker == 1 ? 3 : 1) << one.worker;
}

TEST(PrefixDirectory, AnUnknownWorkerHasNothing) {
  prefix_directory directory;
  directory.insert(1, std::vector<page_hash>{10});
  directory.report(1, std::vector<page_hash>{10}, {});
  EXPECT_TRUE(directory.find(std::vector<page_hash>{10}).empty());
  EXPECT_EQ(directory.n_pages(1), 0U);
}
