// A router's directory, told a few changes at a time, and the tree that they are of.
#include "engine/kv/prefix_journal.hpp"

#include "engine/kv/page_key.hpp"
#include "engine/kv_manager.hpp"
#include "policies/prefix_directory.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace souffleur {
namespace {

constexpr worker_id worker = 1;

/// Of a small tree: one token a page says which it is.
std::vector<token_id> any_prompt() {
  std::vector<token_id> prompt;
  for (int i = *rc::gen::inRange(0, 6); i > 0; --i)
    prompt.insert(prompt.end(), page_tokens, *rc::gen::inRange<token_id>(0, 2));
  prompt.push_back(7);
  return prompt;
}

class told_router {
public:
  explicit told_router(std::shared_ptr<prefix_journal> journal) : journal_(std::move(journal)) { join(); }

  void join() {
    directory_ = {};
    directory_.add_worker(worker, 1000);
    journal_->start_over();
  }
  bool listen(std::size_t n_most) {
    const auto changes = journal_->take(n_most);
    RC_ASSERT(changes.added.size() + changes.removed.size() <= n_most);
    for (const auto page : changes.removed)
      RC_ASSERT(directory_.has(worker, page));
    for (const auto page : changes.added)
      RC_ASSERT(!directory_.has(worker, page));
    directory_.report(worker, changes.added, changes.removed);
    return !changes.added.empty() || !changes.removed.empty();
  }
  std::size_t n_pages() const { return directory_.n_pages(worker); }
  int n_found_tokens(const std::string& salt, const std::vector<token_id>& prompt) const {
    const auto found = directory_.find(page_hashes(salt, prompt));
    return found.empty() ? 0 : found.front().n_pages * page_tokens;
  }

private:
  std::shared_ptr<prefix_journal> journal_;
  prefix_directory directory_;
};

} // namespace

RC_GTEST_PROP(PrefixJournal, WhoIsToldAllChangesHasWhatTheTreeHasWhateverHappenedBetween, ()) {
  const auto journal = std::make_shared<prefix_journal>();
  const int n_pages = *rc::gen::inRange(4, 24);
  const auto new_tree = [&] {
    return std::make_unique<kv_manager>(n_pages, make_eviction_policy("lru"), 0, journal);
  };
  auto kv = new_tree();
  told_router router{journal};
  std::set<sequence_id> live;
  std::vector<std::pair<std::string, std::vector<token_id>>> asked;
  std::vector<std::unique_ptr<kv_manager>> stuck; // replaced, and not gone yet
  sequence_id n_ids = 0;
  for (int i = *rc::gen::inRange(1, 60); i > 0; --i) {
    switch (*rc::gen::weightedElement<int>({{8, 0}, {6, 1}, {2, 2}, {1, 3}, {1, 4}, {4, 5}, {1, 6}})) {
    case 0: {
      const std::string salt = *rc::gen::arbitrary<bool>() ? "a" : "b";
      const auto prompt = any_prompt();
      asked.emplace_back(salt, prompt);
      kv->begin(++n_ids, salt, prompt);
      if (kv->reserve(n_ids, static_cast<int>(prompt.size()))) {
        kv->publish(n_ids, prompt);
        live.insert(n_ids);
      } else {
        kv->end(n_ids);
      }
      break;
    }
    case 1:
      if (!live.empty()) {
        kv->end(*live.begin());
        live.erase(live.begin());
      }
      break;
    case 2:
      if (!live.empty()) // what it drops may be taken from under the tree
        kv->slide(*live.begin(), 0, page_tokens * *rc::gen::inRange(0, 4));
      break;
    case 3:
      kv->clear_cache();
      break;
    case 4:
      stuck.push_back(std::move(kv));
      kv = new_tree();
      live.clear();
      break;
    case 5:
      router.listen(*rc::gen::inRange<std::size_t>(0, 5));
      break;
    default:
      router.join();
    }
    if (!stuck.empty() && *rc::gen::inRange(0, 4) == 0)
      stuck.back()->clear_cache();
  }
  const auto n_most = *rc::gen::inRange<std::size_t>(1, 7);
  while (router.listen(n_most)) {
  }
  RC_ASSERT(kv->check_integrity() == "");
  const auto occupancy = kv->occupancy();
  RC_ASSERT(router.n_pages() == static_cast<std::size_t>(occupancy.n_cached + occupancy.n_pinned));
  for (const auto& [salt, prompt] : asked)
    RC_ASSERT(router.n_found_tokens(salt, prompt) == kv->peek(salt, prompt));
}

TEST(PrefixJournal, SaysNothingOfWhatIsGoneBeforeAnybodyHeardOfIt) {
  prefix_journal journal;
  const auto tree = journal.begin();
  journal.added(tree, 1);
  journal.added(tree, 2);
  journal.removed(tree, 2);
  EXPECT_EQ(journal.take(9), (prefix_journal::changes{{1}, {}}));
  journal.removed(tree, 1);
  journal.added(tree, 1);
  EXPECT_EQ(journal.take(9), prefix_journal::changes{});
}

TEST(PrefixJournal, TellsOfRemovalsFirstAndOfAdditionsInTheirOrder) {
  prefix_journal journal;
  const auto tree = journal.begin();
  for (page_hash page = 1; page <= 3; ++page)
    journal.added(tree, page);
  EXPECT_EQ(journal.take(2), (prefix_journal::changes{{1, 2}, {}}));
  journal.removed(tree, 1);
  EXPECT_EQ(journal.take(1), (prefix_journal::changes{{}, {1}}));
  EXPECT_EQ(journal.take(1), (prefix_journal::changes{{3}, {}}));
}

TEST(PrefixJournal, AnEarlierTreeWritesInVain) {
  prefix_journal journal;
  const auto earlier = journal.begin();
  journal.added(earlier, 1);
  journal.take(9);
  const auto later = journal.begin();
  journal.added(earlier, 2);
  journal.added(later, 3);
  EXPECT_EQ(journal.take(9), (prefix_journal::changes{{3}, {1}}));
}

} // namespace souffleur
