#include "engine/language_model.hpp"

#include <vector>

namespace souffleur {

void language_model::forward_each(std::span<const sequence_rows> batch, const output_reader& read) {
  const auto size_of = [&](const sequence_rows& rows) {
    return static_cast<std::size_t>(rows.n_logit_rows) * static_cast<std::size_t>(vocabulary_size());
  };
  std::size_t n = 0;
  for (const auto& rows : batch)
    n += size_of(rows);
  std::vector<float> logits(n);
  forward(batch, logits);
  std::span<const float> rest = logits;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    read(i, {rest.first(size_of(batch[i]))});
    rest = rest.subspan(size_of(batch[i]));
  }
}

} // namespace souffleur
