// Answers to and from lines of JSON: to look at, to keep, and to bring to another store.
#pragma once

#include "engine/cache/answer_store.hpp"

#include <cstddef>
#include <functional>
#include <iosfwd>

namespace souffleur {

/// Told now and then how many are done, and of how many as far as that is known (else 0).
using transfer_progress = std::function<void(std::size_t n_done, std::size_t n_all)>;

/// All that has not expired, a line each (`entry_as_json`), oldest first. Returns how many that were.
result<std::size_t> export_answers(answer_store& store, std::ostream& lines, unix_seconds now_s,
                                   const transfer_progress& progress);

struct imported_answers {
  std::size_t n_stored = 0;
  std::size_t n_expired = 0; ///< left out
};
/// `lines` is read twice: nothing is stored unless all of it is right. The error names the first line that is
/// not, from 1; empty lines say nothing. REQUIRES: a stream that can go back.
result<imported_answers> import_answers(answer_store& store, std::istream& lines, unix_seconds now_s,
                                        const transfer_progress& progress);

} // namespace souffleur
