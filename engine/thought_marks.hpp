// Whether a model thinks before it answers, as its vocabulary tells.
#pragma once

#include "engine/tokenizer.hpp"
#include "policies/thought.hpp"

#include <memory>

namespace souffleur {

/// The marks of a vocabulary that has both as single tokens, as Qwen3, DeepSeek-R1, SmolLM3, Magistral and
/// Seed-OSS do; null: there are none. A thought is closed by its mark and an empty line.
std::shared_ptr<const thought_marks> find_thought_marks(const tokenizer& vocabulary);

} // namespace souffleur
