#include "policies/prefix_directory.hpp"

#include <algorithm>

namespace souffleur {

void prefix_directory::add_worker(worker_id worker, std::size_t max_pages) {
  auto& of = shelves_[worker];
  of.max_pages = max_pages;
  trim(worker, of);
}

void prefix_directory::remove_worker(worker_id worker) {
  const auto found = shelves_.find(worker);
  if (found == shelves_.end())
    return;
  for (const auto page : found->second.newest_first)
    forget(worker, page);
  shelves_.erase(found);
}

void prefix_directory::insert(worker_id worker, std::span<const page_hash> prefix) {
  const auto found = shelves_.find(worker);
  if (found == shelves_.end())
    return;
  // The first page last: a prefix is of no use without its beginning.
  for (auto page = prefix.rbegin(); page != prefix.rend(); ++page)
    touch(worker, found->second, *page);
  trim(worker, found->second);
}

void prefix_directory::report(worker_id worker, std::span<const page_hash> added,
                              std::span<const page_hash> removed) {
  const auto found = shelves_.find(worker);
  if (found == shelves_.end())
    return;
  for (const auto page : removed)
    drop(worker, found->second, page);
  insert(worker, added);
}

std::vector<prefix_directory::match> prefix_directory::find(std::span<const page_hash> prefix) const {
  std::vector<match> matches;
  std::unordered_map<worker_id, std::size_t> at; // of `matches`
  for (int n_before = 0; const auto page : prefix) {
    const auto found = holders_.find(page);
    if (found == holders_.end())
      break;
    bool any = false;
    for (const auto& one : found->second) {
      if (n_before == 0 && at.emplace(one.worker, matches.size()).second)
        matches.push_back({one.worker, 0});
      const auto known = at.find(one.worker);
      if (known == at.end() || matches[known->second].n_pages != n_before)
        continue;
      ++matches[known->second].n_pages;
      any = true;
    }
    if (!any)
      break;
    ++n_before;
  }
  return matches;
}

std::size_t prefix_directory::n_pages(worker_id worker) const {
  const auto found = shelves_.find(worker);
  return found == shelves_.end() ? 0 : found->second.newest_first.size();
}

bool prefix_directory::has(worker_id worker, page_hash page) const {
  const auto found = holders_.find(page);
  return found != holders_.end() && std::ranges::binary_search(found->second, worker, {}, &holder::worker);
}

void prefix_directory::touch(worker_id worker, shelf& of, page_hash page) {
  auto& all = holders_[page];
  const auto at = std::ranges::lower_bound(all, worker, {}, &holder::worker);
  if (at != all.end() && at->worker == worker) {
    of.newest_first.splice(of.newest_first.begin(), of.newest_first, at->place);
    return;
  }
  of.newest_first.push_front(page);
  all.insert(at, {worker, of.newest_first.begin()});
}

void prefix_directory::drop(worker_id worker, shelf& of, page_hash page) {
  const auto found = holders_.find(page);
  if (found == holders_.end())
    return;
  const auto at = std::ranges::lower_bound(found->second, worker, {}, &holder::worker);
  if (at == found->second.end() || at->worker != worker)
    return;
  of.newest_first.erase(at->place);
  forget(worker, page);
}

void prefix_directory::trim(worker_id worker, shelf& of) {
  while (of.newest_first.size() > of.max_pages) {
    forget(worker, of.newest_first.back());
    of.newest_first.pop_back();
  }
}

void prefix_directory::forget(worker_id worker, page_hash page) {
  const auto found = holders_.find(page);
  std::erase_if(found->second, [&](const holder& one) { return one.worker == worker; });
  if (found->second.empty())
    holders_.erase(found);
}

} // namespace souffleur
