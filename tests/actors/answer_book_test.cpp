// The response cache's book against a list that is searched from the front. Planted bugs that the histories
// caught: an entry found at its time to live; find() that leaves the order alone; a replaced answer still
// counted in bytes.
#include "actors/answer_book.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>

namespace souffleur {
namespace {

using time_point = answer_book::time;
constexpr std::chrono::seconds ttl{10};

stored_answer_ptr answer_of(int number, std::size_t n_letters) {
  auto answer = std::make_shared<stored_answer>();
  answer->tail = std::string(n_letters, 'a');
  answer->end.usage.n_output_tokens = number;
  return answer;
}

/// Most recently used first.
class naive_book {
public:
  explicit naive_book(std::size_t max_bytes) : max_bytes_(max_bytes) {}

  stored_answer_ptr find(const std::string& key, time_point now) {
    const auto at = position(key);
    if (at == entries_.end())
      return nullptr;
    const auto found = *at;
    entries_.erase(at);
    if (now >= found.stored + ttl)
      return nullptr;
    entries_.insert(entries_.begin(), found);
    return found.answer;
  }

  void insert(const std::string& key, stored_answer_ptr answer, time_point now) {
    if (const auto at = position(key); at != entries_.end())
      entries_.erase(at);
    if (cost(key, *answer) > max_bytes_)
      return;
    entries_.insert(entries_.begin(), {key, std::move(answer), now});
    while (size_bytes() > max_bytes_)
      entries_.pop_back();
  }

  std::size_t size_bytes() const {
    std::size_t bytes = 0;
    for (const auto& held : entries_)
      bytes += cost(held.key, *held.answer);
    return bytes;
  }
  std::size_t size() const { return entries_.size(); }

private:
  struct entry {
    std::string key;
    stored_answer_ptr answer;
    time_point stored;
  };
  static std::size_t cost(const std::string& key, const stored_answer& answer) {
    return answer.size_bytes() + 2 * key.size();
  }
  std::vector<entry>::iterator position(const std::string& key) {
    return std::find_if(entries_.begin(), entries_.end(), [&](const entry& held) { return held.key == key; });
  }

  std::size_t max_bytes_;
  std::vector<entry> entries_;
};

RC_GTEST_PROP(AnswerBook, KeepsWhatAListWouldKeep, ()) {
  const auto max_bytes = *rc::gen::inRange<std::size_t>(0, 4000);
  const auto commands = *rc::gen::container<std::vector<std::tuple<int, int, int>>>(
      rc::gen::tuple(rc::gen::inRange(0, 3), rc::gen::inRange(0, 8), rc::gen::inRange(0, 1500)));
  answer_book book{max_bytes, ttl};
  naive_book model{max_bytes};
  time_point now{};
  int number = 0;
  for (const auto& [kind, name, size] : commands) {
    const auto key = std::string(static_cast<std::size_t>(name), 'k');
    if (kind == 0) {
      const auto answer = answer_of(++number, static_cast<std::size_t>(size));
      book.insert(key, answer, now);
      model.insert(key, answer, now);
    } else if (kind == 1) {
      RC_ASSERT(book.find(key, now) == model.find(key, now));
    } else {
      now += std::chrono::seconds{size % 6};
    }
    RC_ASSERT(book.size() == model.size());
    RC_ASSERT(book.size_bytes() == model.size_bytes());
    RC_ASSERT(book.size_bytes() <= max_bytes);
  }
}

TEST(AnswerBook, ForgetsAtTheTimeToLive) {
  answer_book book{1 << 20, ttl};
  const auto answer = answer_of(1, 5);
  book.insert("key", answer, time_point{});
  EXPECT_EQ(book.find("key", time_point{} + ttl - std::chrono::nanoseconds{1}), answer);
  EXPECT_EQ(book.find("key", time_point{} + ttl), nullptr);
  EXPECT_EQ(book.size_bytes(), 0U);
}

} // namespace
} // namespace souffleur
