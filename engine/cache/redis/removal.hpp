// What removes entries with all that finds them, and tells others of it.
#pragma once

#include "engine/cache/redis/access.hpp"
#include "engine/cache/redis/transaction.hpp"

#include <cstddef>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace souffleur {

class redis_removal {
public:
  explicit redis_removal(redis_access& redis) : redis_(redis) {}

  void add_entry(std::string_view exact_hex) { entries_.emplace_back(exact_hex); }
  /// That the entry is listed at `owner_key`.
  void add_listed(std::string_view owner_key, std::string_view member) {
    listed_.emplace_back(owner_key, member);
  }
  void add_vector(const owned_entry& entry) { vectors_.push_back(entry); }
  void add_vector_set(const std::string& name) { vector_sets_.insert(name); }

  /// All of it or, if it fails, perhaps only some entries of a server that is full. Returns how many there
  /// were.
  result<std::size_t> run(deadline until);

private:
  result<std::size_t> run_as_one(deadline until) const;
  void unlink_entries(redis_pipeline& to, std::string_view command) const;

  redis_access& redis_;
  std::vector<std::string> entries_;
  std::vector<std::pair<std::string, std::string>> listed_;
  std::vector<owned_entry> vectors_;
  std::set<std::string> vector_sets_;
};

} // namespace souffleur
