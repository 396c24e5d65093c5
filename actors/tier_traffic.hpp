// What the scheduler does for the file tier: pages on their way from the files into the pool, and back.
#pragma once

#include "actors/messages/tier.hpp"
#include "policies/token.hpp"

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace souffleur {

/// A sequence that has just got its pages.
struct tier_opening {
  sequence_id id = 0;
  std::string_view salt;
  std::span<const token_id> prompt; ///< as the kv manager knows it
  std::span<const page_id> pages;   ///< they cover the prompt
  int n_found_pages = 0;            ///< at the front, with the prompt's KV
  int n_worthy_pages = 0;           ///< of them, at the front, those worth storing
  page_shipment_ptr ships_to{};     ///< where its pages go besides, from the first to the last; may be null
};

/// Loads: what the files have of a prompt after what memory has is read a few pages at a time, and put into
/// the sequence's own pages by the next steps; until all is there the sequence gets no rows.
/// Saves: pages that are worth storing are copied by steps, a few at a time, and written meanwhile. A
/// sequence that is complete before they are copied lingers: it keeps its pages until then.
///
/// A prompt that is computed for another process ships: its pages go there likewise, as they are computed.
///
/// Nothing here waits, and no more bytes are held than two fetches and two writings have. Without a tier
/// nothing happens.
class tier_traffic {
public:
  /// At most `step_bytes` are copied in a step that computes, and eight times as many in one that does not.
  tier_traffic(std::shared_ptr<page_tier> tier, std::size_t step_bytes);

  bool is_on() const { return tier_ != nullptr; }

  /// Of `prompt`, as the kv manager knows it, how much the files have behind what memory has. Whole pages.
  int n_stored_tokens(std::string_view salt, std::span<const token_id> prompt, int n_found_tokens) const;
  /// True if the files have pages of its prompt after those that were found: it loads from now on.
  bool open(const tier_opening& opening);
  bool loads(sequence_id id) const;
  /// Of what the sequence ships, the first `n_pages` of its prompt are computed, lie in `pages` and stay
  /// there.
  void computed(sequence_id id, std::span<const page_id> pages, int n_pages);
  /// Its answer is complete. True if it lingers: its pages stay as they are until take_released() names it.
  bool complete(sequence_id id);
  /// Its pages will change or are gone.
  void forget(sequence_id id);
  void forget_saves(sequence_id id);
  /// As forget() for all; those that linger are released.
  void forget_all();
  /// Pages are short. True if somebody lingered, and is released.
  bool release_lingering();
  bool has_released() const { return !released_.empty(); }
  std::vector<sequence_id> take_released() { return std::exchange(released_, {}); }

  /// Adds what the step is to load and to save. `empty_pages` are a sequence's, after those that have KV.
  void plan(step_plan& step, const std::function<std::span<const page_id>(sequence_id)>& empty_pages);
  struct loaded_pages {
    sequence_id id = 0;
    int n_pages = 0;
  };
  /// The planned step is done. Says whose pages have KV now.
  std::vector<loaded_pages> commit(std::vector<saved_page> saved);
  /// The planned step brought nothing. Loads are planned again, or, if it was the `last` attempt, given up.
  void step_failed(bool last);

  /// For the reader; nothing if a fetch is out.
  std::optional<page_fetch> next_fetch();
  void arrived(const fetched_pages& fetched);
  /// For the writer; nothing if a writing is out.
  std::optional<page_writing> next_writing();
  void written() { writing_is_out_ = false; }

  /// There are pages worth storing that the writer has not been sent.
  bool has_saves() const;
  /// Somebody lingers, or is released.
  bool has_work() const;
  /// Reader or writer will answer.
  bool is_out() const { return fetch_.has_value() || writing_is_out_; }

private:
  struct loading {
    sequence_id id = 0;
    std::deque<named_page> pages;       ///< still to be fetched
    std::deque<page_bytes_ptr> arrived; ///< still to be put in place
    int n_planned = 0;                  ///< of them, in the step under way
  };
  struct worthy_page {
    page_id page = 0;
    named_page name;
    page_shipment_ptr ships_to{}; ///< null: the tier stores it
  };
  struct saving {
    sequence_id id = 0;
    std::deque<worthy_page> pages{};  ///< still to be copied; those to be shipped come last
    std::deque<named_page> to_come{}; ///< to be shipped once they are computed
    int n_computed = 0;               ///< pages of the prompt before those to come
    page_shipment_ptr ships_to{};     ///< null once nothing more is to come
    bool lingers = false;

    bool is_done() const { return pages.empty() && to_come.empty(); }
  };
  struct outstanding_fetch {
    std::uint64_t ticket = 0;
    std::size_t n_pages = 0;
    std::optional<sequence_id> whose; ///< nothing once nobody needs it
  };

  std::deque<loading>::iterator find_loading(sequence_id id);
  std::deque<saving>::iterator find_saving(sequence_id id);
  std::deque<loading>::iterator drop(std::deque<loading>::iterator one);
  /// The pages that it still has are skipped.
  std::deque<saving>::iterator drop(std::deque<saving>::iterator one);
  void plan_saves(step_plan& step);
  std::vector<named_page> names_of(std::string_view salt, std::span<const token_id> prompt) const;
  std::size_t n_pages_in(std::size_t n_bytes) const;

  std::shared_ptr<page_tier> tier_;
  std::size_t step_bytes_;
  std::deque<loading> loadings_; ///< in order of opening
  std::deque<saving> savings_;   ///< in order of opening
  std::vector<sequence_id> released_;
  std::vector<saved_page> saved_; ///< to be written
  std::size_t n_planned_saves_ = 0;
  std::optional<outstanding_fetch> fetch_; ///< that is out
  std::uint64_t n_fetches_ = 0;
  bool writing_is_out_ = false;
};

} // namespace souffleur
