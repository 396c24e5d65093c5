#include "actors/memory_plan.hpp"

#include "engine/language_model.hpp"
#include "policies/token.hpp"

#include <algorithm>
#include <numeric>

namespace souffleur {

namespace {

std::size_t product(int n, std::size_t bytes) { return static_cast<std::size_t>(n) * bytes; }

std::string mib(std::size_t bytes) { return std::to_string((bytes + (1U << 20) - 1) >> 20) + " MiB"; }

/// All but kv and tables, which depend on the number of pages.
std::vector<memory_part> fixed_parts(const serving_config& config, const model_footprint& model,
                                     std::size_t program_bytes) {
  const int n_drafted = config.drafter == "off" ? 0 : config.max_draft;
  const int n_logit_rows = std::min({config.max_batch_tokens, config.max_running * (1 + n_drafted),
                                     std::max(logit_rows_at_once, 1 + n_drafted)});
  const int most_tokens =
      model.context_length + config.max_output_tokens; // a stream without end passes its context
  return {{"program", program_bytes},
          {"weights", model.weights_bytes},
          {"step", product(config.max_batch_tokens, model.row_bytes) +
                       product(n_logit_rows + 1, model.logit_row_bytes)},
          {"requests",
           product(config.max_running + config.max_waiting, product(most_tokens, request_bytes_per_token))},
          {"drafts", n_drafted == 0
                         ? 0
                         : product(config.max_running, product(most_tokens, draft_bytes_per_token)) +
                               config.draft_answers_bytes + product(n_scratch_pages, model.kv_page_bytes)},
          {"response_cache", config.cache_policy == "off" ? 0 : config.cache_max_bytes}};
}

std::string list_of(const std::vector<memory_part>& parts) {
  std::string text;
  for (const auto& part : parts)
    text += (text.empty() ? "" : ", ") + part.name + " " + mib(part.bytes);
  return text;
}

} // namespace

std::size_t memory_plan::total_bytes() const {
  return std::accumulate(parts.begin(), parts.end(), std::size_t{0},
                         [](std::size_t sum, const memory_part& part) { return sum + part.bytes; });
}

result<memory_plan> plan_memory(const serving_config& config, const model_footprint& model,
                                std::size_t program_bytes, std::size_t budget_bytes,
                                std::span<const memory_part> others) {
  memory_plan plan{config.n_kv_pages, fixed_parts(config, model, program_bytes)};
  plan.parts.insert(plan.parts.end(), others.begin(), others.end());
  if (budget_bytes > 0) {
    const auto fixed = plan.total_bytes();
    const auto n_room =
        budget_bytes > fixed ? (budget_bytes - fixed) / (model.kv_page_bytes + kv_table_bytes_per_page) : 0;
    const auto n_least = static_cast<std::size_t>(least_kv_tokens / page_tokens);
    if (n_room < n_least)
      return failure{"memory.budget_mib: " + mib(budget_bytes) + " leave no room for " +
                     std::to_string(least_kv_tokens) + " positions of KV (" +
                     mib(n_least * (model.kv_page_bytes + kv_table_bytes_per_page)) + ") beside " +
                     list_of(plan.parts)};
    plan.n_kv_pages =
        static_cast<int>(std::min<std::size_t>(n_room, static_cast<std::size_t>(config.n_kv_pages)));
  }
  plan.parts.insert(plan.parts.begin() + 2, {{"kv", product(plan.n_kv_pages, model.kv_page_bytes)},
                                             {"tables", product(plan.n_kv_pages, kv_table_bytes_per_page)}});
  return plan;
}

int n_draft_model_pages(const serving_config& config) { return std::max(2, config.n_kv_pages / 2); }

std::size_t waiting_text_bytes(const bert_config& model) {
  constexpr std::size_t bookkeeping_bytes = 256;
  return bookkeeping_bytes + product(embedding_block_rows, sizeof(token_id)) +
         product(model.n_hidden, sizeof(float));
}

memory_part embedder_part(const serving_config& config, const embedder_files& files) {
  return {"embedding_model",
          embedder_bytes(files) + product(config.max_embedding_texts, waiting_text_bytes(files.config))};
}

memory_part draft_model_part(const serving_config& config, const model_footprint& draft_model) {
  const int n_pages = n_draft_model_pages(config);
  return {"draft_model", draft_model.weights_bytes +
                             product(n_pages, draft_model.kv_page_bytes + kv_table_bytes_per_page) +
                             product(config.max_batch_tokens, draft_model.row_bytes) +
                             product(config.max_running + 1, draft_model.logit_row_bytes)};
}

} // namespace souffleur
