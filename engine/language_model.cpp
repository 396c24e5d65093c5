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
  std::vector<row_outputs> outputs;
  std::span<const float> rest = logits;
  for (const auto& rows : batch) {
    outputs.push_back({rest.first(size_of(rows))});
    rest = rest.subspan(size_of(rows));
  }
  read(0, outputs);
}

void language_model::share_out(int n_parts, const std::function<void(int part)>& task) {
  for (int part = 0; part < n_parts; ++part)
    task(part);
}

} // namespace souffleur
