// A drafted token stands if it is the one that the target takes itself.
#pragma once

#include "policies/row_policy.hpp"

namespace souffleur {

/// Takes each row's token without looking at the draft, so a drafted run and an undrafted one with the same
/// seed emit the same tokens, not only tokens of the same law.
class exact_match : public row_policy {
protected:
  row_plan plan_row(const drafted_row& row) const final;
  row_verdict decide_row(const drafted_row& row, int depth, const coins& from) const final;

  /// The law of take().
  virtual distribution law_of(const distribution& target) const { return target; }
  virtual token_id take(const distribution& target, int depth, const coins& from) const = 0;
};

/// The most likely token, whatever the coin; lossless only where the target is a point mass.
class greedy_match final : public exact_match {
public:
  std::string_view name() const override { return "greedy"; }
  bool lossless() const override { return false; }

protected:
  distribution law_of(const distribution& target) const override { return point_mass(most_likely(target)); }
  token_id take(const distribution& target, int, const coins&) const override { return most_likely(target); }
};

/// A draw with one coin a position. Of drafts that were chosen without a coin, no lossless policy accepts
/// more.
class coupled_match final : public exact_match {
public:
  std::string_view name() const override { return "coupled"; }
  bool lossless() const override { return true; }

protected:
  token_id take(const distribution& target, int depth, const coins& from) const override {
    return draw(from, {depth, rng_purpose::sample}, target);
  }
};

/// A draw with one coin a position and token. A drafter that draws by race() with the same coins, seed and
/// positions is agreed with nearly as often as rejection sampling would accept its draws.
class gumbel_match final : public exact_match {
public:
  std::string_view name() const override { return "gumbel"; }
  bool lossless() const override { return true; }

protected:
  token_id take(const distribution& target, int depth, const coins& from) const override {
    return from.race(depth, target);
  }
};

} // namespace souffleur
