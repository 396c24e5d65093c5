// A draft policy for each request, where several have rows in one step.
#pragma once

#include "policies/draft_policy.hpp"

#include <memory>
#include <string>
#include <vector>

namespace souffleur {

/// The server's policy, but for requests that name another. Where the server's is "off", nobody drafts.
///
/// "fixed" decides first, for those that it is in force for, since it asks nobody's rows; then "adaptive",
/// which sees the rows that are taken. What is observed of any request teaches both.
class mixed_draft_policy final : public draft_policy {
public:
  /// REQUIRES: `of_server` is a known name, and so is whatever a request names.
  explicit mixed_draft_policy(std::string_view of_server, const known_costs& measured = {});

  std::string_view name() const override { return of_server_; }
  int n_wished(const draft_situation& now) const override;
  std::vector<draft_choice> choose(std::span<const draft_candidate> candidates,
                                   const step_shape& step) override;
  void observe(const draft_tree& draft, std::span<const token_id> emitted, draft_record& of_request) override;
  void step_took(const step_time& step) override;
  std::vector<int> n_asked_of_model(std::span<const draft_candidate> candidates,
                                    const step_shape& step) override;
  void observe_model(int n_asked, const draft_tree& draft, std::span<const token_id> emitted,
                     draft_record& of_request) override;
  void model_took(const step_time& pass) override;
  void model_measured(std::span<const step_time> passes) override;

private:
  std::string_view in_force(std::string_view of_request) const;
  /// `decide(kind, candidates of that kind, their places among all)`.
  template <class Decide>
  void for_each_kind(std::span<const draft_candidate> candidates, Decide decide);

  std::string of_server_;
  std::vector<std::unique_ptr<draft_policy>> kinds_; ///< in the order in which they decide
};

} // namespace souffleur
