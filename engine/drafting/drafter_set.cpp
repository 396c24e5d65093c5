#include "engine/drafting/drafter_set.hpp"

namespace souffleur {

std::optional<drafter_set> drafters_named(std::string_view name) {
  if (name == "prompt_lookup")
    return drafter_set{.prompt_lookup = true};
  // Measured beside each other, prompt lookup finds nothing that suffixes miss, and to note what is recycled
  // costs as much as it brings.
  if (name == "auto")
    return drafter_set{.suffix = true, .answers = true, .model = true};
  if (name == "suffix")
    return drafter_set{.suffix = true, .answers = true};
  if (name == "recycling")
    return drafter_set{.recycling = true};
  if (name == "draft_model")
    return drafter_set{.model = true};
  if (name == "off")
    return drafter_set{};
  return std::nullopt;
}

} // namespace souffleur
