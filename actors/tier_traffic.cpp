#include "actors/tier_traffic.hpp"

#include <algorithm>

namespace souffleur {

namespace {

constexpr std::size_t max_lingering = 16; ///< their pages are not anybody else's
constexpr std::size_t idle_factor = 8;    ///< more bytes in a step that keeps nobody waiting, and in a fetch

} // namespace

tier_traffic::tier_traffic(std::shared_ptr<page_tier> tier, std::size_t step_bytes)
    : tier_(std::move(tier)), step_bytes_(step_bytes) {}

std::size_t tier_traffic::n_pages_in(std::size_t n_bytes) const {
  return std::max<std::size_t>(1, n_bytes / tier_->page_bytes());
}

/// Of the pages that a prompt may be found to have: one token must be computed to have logits.
std::vector<named_page> tier_traffic::names_of(std::string_view salt,
                                               std::span<const token_id> prompt) const {
  return tier_->names_of(salt, to_page_keys(prompt.first(prompt.size() - 1)));
}

int tier_traffic::n_stored_tokens(std::string_view salt, std::span<const token_id> prompt,
                                  int n_found_tokens) const {
  if (!tier_ || prompt.empty())
    return 0;
  const auto names = names_of(salt, prompt);
  return tier_->n_stored(std::span{names}.subspan(static_cast<std::size_t>(n_found_tokens / page_tokens))) *
         page_tokens;
}

bool tier_traffic::open(const tier_opening& opening) {
  if (!tier_ || opening.prompt.empty())
    return false;
  const auto names = names_of(opening.salt, opening.prompt);
  saving saves{opening.id};
  for (std::size_t i = 0; i < static_cast<std::size_t>(opening.n_worthy_pages); ++i)
    if (tier_->claim(names[i])) // let go at once: what it is copied into may be long in coming
      saves.pages.push_back({opening.pages[i], names[i]});
  if (opening.ships_to) {
    saves.ships_to = opening.ships_to;
    saves.n_computed = opening.ships_to->first_page();
    const auto first = std::min(names.size(), static_cast<std::size_t>(saves.n_computed));
    saves.to_come.assign(names.begin() + static_cast<std::ptrdiff_t>(first), names.end());
  }
  if (!saves.is_done()) {
    savings_.push_back(std::move(saves));
    computed(opening.id, opening.pages, opening.n_found_pages);
  }

  const auto rest = std::span{names}.subspan(static_cast<std::size_t>(opening.n_found_pages));
  const auto stored = rest.first(static_cast<std::size_t>(tier_->n_stored(rest)));
  if (stored.empty())
    return false;
  loadings_.push_back({opening.id, {stored.begin(), stored.end()}, {}, 0});
  return true;
}

std::deque<tier_traffic::loading>::iterator tier_traffic::find_loading(sequence_id id) {
  return std::ranges::find(loadings_, id, &loading::id);
}

std::deque<tier_traffic::saving>::iterator tier_traffic::find_saving(sequence_id id) {
  return std::ranges::find(savings_, id, &saving::id);
}

std::deque<tier_traffic::loading>::iterator tier_traffic::drop(std::deque<loading>::iterator one) {
  if (fetch_ && fetch_->whose == one->id)
    fetch_->whose.reset();
  return loadings_.erase(one);
}

std::deque<tier_traffic::saving>::iterator tier_traffic::drop(std::deque<saving>::iterator one) {
  if (const auto n = std::ranges::count(one->pages, nullptr, &worthy_page::ships_to); n > 0)
    tier_->note_skipped(static_cast<std::size_t>(n));
  if (one->lingers)
    released_.push_back(one->id);
  return savings_.erase(one);
}

bool tier_traffic::loads(sequence_id id) const { return std::ranges::count(loadings_, id, &loading::id) > 0; }

void tier_traffic::computed(sequence_id id, std::span<const page_id> pages, int n_pages) {
  const auto one = find_saving(id);
  if (one == savings_.end())
    return;
  const int n_there = std::min(n_pages, static_cast<int>(pages.size()));
  for (; one->n_computed < n_there && !one->to_come.empty(); ++one->n_computed) {
    one->pages.push_back(
        {pages[static_cast<std::size_t>(one->n_computed)], one->to_come.front(), one->ships_to});
    one->to_come.pop_front();
  }
}

bool tier_traffic::complete(sequence_id id) {
  if (const auto one = find_loading(id); one != loadings_.end())
    drop(one);
  const auto one = find_saving(id);
  if (one == savings_.end())
    return false;
  one->to_come.clear();
  one->ships_to = nullptr;
  if (one->is_done()) {
    drop(one);
    return false;
  }
  if (std::ranges::count(savings_, true, &saving::lingers) >= static_cast<int>(max_lingering)) {
    drop(one);
    return false;
  }
  one->lingers = true;
  return true;
}

void tier_traffic::forget(sequence_id id) {
  if (const auto one = find_loading(id); one != loadings_.end())
    drop(one);
  forget_saves(id);
}

void tier_traffic::forget_saves(sequence_id id) {
  if (const auto one = find_saving(id); one != savings_.end())
    drop(one);
}

void tier_traffic::forget_all() {
  for (auto one = loadings_.begin(); one != loadings_.end();)
    one = drop(one);
  for (auto one = savings_.begin(); one != savings_.end();)
    one = drop(one);
}

bool tier_traffic::release_lingering() {
  const auto n_before = released_.size();
  for (auto one = savings_.begin(); one != savings_.end();)
    one = one->lingers ? drop(one) : std::next(one);
  return released_.size() > n_before;
}

void tier_traffic::plan(step_plan& step,
                        const std::function<std::span<const page_id>(sequence_id)>& empty_pages) {
  for (auto& one : loadings_) {
    const auto to = empty_pages(one.id);
    one.n_planned = static_cast<int>(std::min(one.arrived.size(), to.size()));
    for (std::size_t i = 0; i < static_cast<std::size_t>(one.n_planned); ++i)
      step.loads.push_back({to[i], one.arrived[i]});
  }
  if (!savings_.empty() && !writing_is_out_ && saved_.empty())
    plan_saves(step);
}

void tier_traffic::plan_saves(step_plan& step) {
  // For what is shipped somebody waits, as for what is computed.
  const bool ships = std::ranges::any_of(
      savings_, [](const saving& one) { return !one.pages.empty() && one.pages.back().ships_to; });
  const auto n_most = n_pages_in(step.sequences.empty() || ships ? idle_factor * step_bytes_ : step_bytes_);
  for (auto one = savings_.begin(); one != savings_.end() && step.saves.size() < n_most;) {
    auto& pages = one->pages;
    for (; !pages.empty() && step.saves.size() < n_most; pages.pop_front()) {
      auto& next = pages.front();
      if (auto claim = next.ships_to ? next.ships_to->claim(next.name) : tier_->claim(next.name))
        step.saves.push_back({next.page, std::move(claim), std::move(next.ships_to)});
    }
    one = one->is_done() ? drop(one) : std::next(one);
  }
  n_planned_saves_ = step.saves.size();
}

std::vector<tier_traffic::loaded_pages> tier_traffic::commit(std::vector<saved_page> saved) {
  n_planned_saves_ = 0;
  std::ranges::move(saved, std::back_inserter(saved_));
  std::vector<loaded_pages> loaded;
  for (auto one = loadings_.begin(); one != loadings_.end();) {
    if (one->n_planned > 0)
      loaded.push_back({one->id, one->n_planned});
    one->arrived.erase(one->arrived.begin(), one->arrived.begin() + std::exchange(one->n_planned, 0));
    one = one->arrived.empty() && one->pages.empty() ? drop(one) : std::next(one);
  }
  return loaded;
}

void tier_traffic::step_failed(bool last) {
  if (n_planned_saves_ > 0)
    tier_->note_skipped(std::exchange(n_planned_saves_, 0));
  for (auto one = loadings_.begin(); one != loadings_.end();)
    one = std::exchange(one->n_planned, 0) > 0 && last ? drop(one) : std::next(one);
}

std::optional<page_fetch> tier_traffic::next_fetch() {
  if (fetch_ || loadings_.empty())
    return std::nullopt;
  const auto n_most = n_pages_in(idle_factor * step_bytes_);
  std::size_t n_held = 0;
  for (const auto& one : loadings_)
    n_held += one.arrived.size();
  const auto next = std::ranges::find_if(loadings_, [](const loading& one) { return !one.pages.empty(); });
  if (n_held > n_most || next == loadings_.end())
    return std::nullopt;
  const auto n = static_cast<std::ptrdiff_t>(std::min(n_most, next->pages.size()));
  fetch_ = {++n_fetches_, static_cast<std::size_t>(n), next->id};
  return page_fetch{n_fetches_, {next->pages.begin(), next->pages.begin() + n}};
}

void tier_traffic::arrived(const fetched_pages& fetched) {
  if (!fetch_ || fetch_->ticket != fetched.ticket)
    return;
  const auto awaited = *std::exchange(fetch_, std::nullopt);
  const auto one = awaited.whose ? find_loading(*awaited.whose) : loadings_.end();
  if (one == loadings_.end())
    return;
  one->arrived.insert(one->arrived.end(), fetched.pages.begin(), fetched.pages.end());
  const bool all = fetched.pages.size() == awaited.n_pages;
  const auto n_done = all ? awaited.n_pages : one->pages.size(); // what follows a gap is of no use
  one->pages.erase(one->pages.begin(), one->pages.begin() + static_cast<std::ptrdiff_t>(n_done));
  if (one->arrived.empty() && one->pages.empty())
    drop(one);
}

std::optional<page_writing> tier_traffic::next_writing() {
  if (writing_is_out_ || saved_.empty())
    return std::nullopt;
  writing_is_out_ = true;
  return page_writing{std::exchange(saved_, {})};
}

bool tier_traffic::has_saves() const {
  return !saved_.empty() || n_planned_saves_ > 0 ||
         std::ranges::any_of(savings_, [](const saving& one) { return !one.pages.empty(); });
}

bool tier_traffic::has_work() const {
  return !released_.empty() || std::ranges::count(savings_, true, &saving::lingers) > 0;
}

} // namespace souffleur
