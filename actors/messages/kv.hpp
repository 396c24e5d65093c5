// The conversation between scheduler and kv manager: all page traffic of a step in one message each way.
#pragma once

#include "engine/kv_manager.hpp"
#include "policies/retention.hpp"
#include "policies/token.hpp"

#include <memory>
#include <string>
#include <vector>

namespace souffleur {

/// Verified tokens of a sequence from position 0, whose full pages may now be shared.
struct kv_publication {
  sequence_id id = 0;
  int n_before = 0; ///< tokens before these, found or published already; whole pages
  std::vector<token_id> tokens;
};

/// A new sequence: look up its prefix, then make room for `n_tokens` positions.
struct kv_opening {
  sequence_id id = 0;
  std::string salt;
  std::vector<token_id> prompt;
  int n_tokens = 0;
  int n_awaited_tokens = 0;   ///< postponed, unless so many of the prompt are found
  std::uint64_t min_hits = 0; ///< that make a page worth storing in files; 0: none is
  retention_wish retention{}; ///< of what it finds and publishes
};

/// Drop positions after the sinks until n_dropped are gone, then make a running sequence's pages cover
/// `n_tokens` positions, those included.
struct kv_reservation {
  sequence_id id = 0;
  int n_tokens = 0;
  int n_sinks = 0;
  int n_dropped = 0;
};

/// How much of a waiting sequence's prefix is cached?
struct kv_question {
  std::string salt;
  std::vector<token_id> prompt;
};

/// Carried out in the order of the members. After the first refusal for want of pages every opening is
/// refused: what is free then is kept for who came first.
struct kv_demand {
  double now_s = 0;                         ///< of the sender's clock, never less than before
  std::vector<kv_publication> publications; ///< may name sequences that end in the same demand
  std::vector<sequence_id> endings;
  std::vector<kv_reservation> reservations;
  std::vector<kv_opening> openings;
  std::vector<kv_question> questions;
};

struct kv_grant {
  sequence_id id = 0;
  bool granted = false;
  bool postponed = false;  ///< openings: not for want of pages
  int n_cached_tokens = 0; ///< openings: tokens whose KV was found
  int n_worthy_pages = 0;  ///< openings: at the front of `pages`, found min_hits times or more
  std::vector<page_id> pages;
  page_id partial = -1;       ///< openings: if any, to be copied to the page of position n_cached_tokens
  int n_dropped = 0;          ///< what the pages leave out after the sinks
  std::vector<page_id> sinks; ///< as they were computed, if some is left out
};

struct kv_supply {
  std::vector<kv_grant> reservations; ///< in the demand's order
  std::vector<kv_grant> openings;     ///< in the demand's order; a refused one is not live
  std::vector<int> n_found_tokens;    ///< by question
  kv_occupancy occupancy;
  kv_counters counters;
};

/// Asks for a summary.
struct kv_inquiry {
  int n_prefixes = 0; ///< at most
};

using kv_summary_ptr = std::shared_ptr<const kv_summary>;
using kv_demand_ptr = std::shared_ptr<const kv_demand>;
using kv_supply_ptr = std::shared_ptr<const kv_supply>;

} // namespace souffleur
