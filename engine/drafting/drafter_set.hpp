// Which drafters draft from texts.
#pragma once

#include <optional>
#include <string_view>

namespace souffleur {

/// Who drafts.
struct drafter_set {
  bool prompt_lookup = false;
  bool suffix = false; ///< the sequence's own
  bool answers = false;
  bool recycling = false;
  bool model = false; ///< the draft model, where there is one

  bool operator==(const drafter_set&) const = default;
};

/// "auto", "prompt_lookup", "suffix" (its own and its tenant's answers), "recycling", "draft_model", "off". A
/// predicted text is drafted from under every name but "off". Nothing if the name is unknown.
std::optional<drafter_set> drafters_named(std::string_view name);
inline constexpr std::string_view drafter_names = "auto, prompt_lookup, suffix, recycling, draft_model, off";

} // namespace souffleur
