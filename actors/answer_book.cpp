#include "actors/answer_book.hpp"

namespace souffleur {

stored_answer_ptr answer_book::find(const std::string& key, time now) {
  const auto found = index_.find(key);
  if (found == index_.end())
    return nullptr;
  if (now - found->second->stored >= ttl_) {
    erase(found->second);
    return nullptr;
  }
  order_.splice(order_.begin(), order_, found->second);
  return found->second->answer;
}

void answer_book::insert(const std::string& key, stored_answer_ptr answer, time now) {
  if (const auto found = index_.find(key); found != index_.end())
    erase(found->second);
  const std::size_t n_bytes = answer->size_bytes() + 2 * key.size();
  if (n_bytes > max_bytes_)
    return;
  while (n_bytes_ + n_bytes > max_bytes_)
    erase(std::prev(order_.end()));
  order_.push_front({key, std::move(answer), now, n_bytes});
  index_[key] = order_.begin();
  n_bytes_ += n_bytes;
}

void answer_book::erase(order::iterator i) {
  n_bytes_ -= i->n_bytes;
  index_.erase(i->key);
  order_.erase(i);
}

} // namespace souffleur
