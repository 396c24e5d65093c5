// What a server may take in memory, part by part, and how much KV a budget leaves room for.
#pragma once

#include "actors/serving_config.hpp"
#include "engine/embedding/text_embedder.hpp"
#include "engine/model/footprint.hpp"
#include "engine/result.hpp"

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace souffleur {

struct memory_part {
  std::string name;
  std::size_t bytes = 0;
};

/// Upper bounds. The first two are there from the start; the others grow up to theirs under load.
struct memory_plan {
  int n_kv_pages = 0;
  /// program, weights, kv, tables, step, requests, drafts, response_cache, others
  std::vector<memory_part> parts;

  std::size_t total_bytes() const;
};

/// Of the page tables and the prefix tree, by page. The worst case is a tree of one page a node.
constexpr std::size_t kv_table_bytes_per_page = 768;
/// Of what a sequence is drafted from, by token of it.
constexpr std::size_t draft_bytes_per_token = 128;
/// Of a request's tokens, with the copies that travel in messages, by token.
constexpr std::size_t request_bytes_per_token = 16;
constexpr int least_kv_tokens = 256;

/// Takes kv pages away from `config.n_kv_pages` until the parts fit in `budget_bytes`; 0 is no budget.
/// `program_bytes` is what the process has before it loads a model. Fails, naming the parts, if there is
/// no room for least_kv_tokens. Not counted: what the kernel holds for sockets, and bodies on their way in.
/// `others` is there beside them.
result<memory_plan> plan_memory(const serving_config& config, const model_footprint& model,
                                std::size_t program_bytes, std::size_t budget_bytes,
                                std::span<const memory_part> others = {});

/// Of a draft model's KV pool: half of what the target has, since only part of what it knows is drafted for.
int n_draft_model_pages(const serving_config& config);
memory_part draft_model_part(const serving_config& config, const model_footprint& draft_model);

/// Of a text that waits to be embedded: its ids and its vector.
std::size_t waiting_text_bytes(const bert_config& model);
memory_part embedder_part(const serving_config& config, const embedder_files& files);

} // namespace souffleur
