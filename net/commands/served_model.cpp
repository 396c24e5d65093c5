#include "net/commands/served_model.hpp"

#include "engine/cache/calibration_file.hpp"
#include "engine/cache/open_store.hpp"
#include "engine/drafting/shared_vocabulary.hpp"
#include "engine/embedding/text_embedder.hpp"
#include "engine/gguf.hpp"
#include "engine/model/footprint.hpp"
#include "engine/model/load_model.hpp"
#include "engine/model/model_folder.hpp"
#include "engine/model/open_model.hpp"
#include "engine/process_memory.hpp"
#include "net/commands/progress_bar.hpp"

#include <spdlog/spdlog.h>

#include <filesystem>
#include <optional>
#include <span>

namespace souffleur {

namespace {

result<std::shared_ptr<const chat_template>> load_chat_template(const gguf_file& file,
                                                                const std::string& choice) {
  if (choice == "chatml")
    return chat_template::chatml();
  auto found = chat_template_of(file);
  if (!found)
    return failure{found.error() +
                   "\n--model.chat_template chatml serves the model with the ChatML format instead."};
  if (*found)
    return found;
  spdlog::warn("the model has no chat template (it may be no chat model); chats use ChatML");
  return chat_template::chatml();
}

struct model_file {
  std::string path;
  std::shared_ptr<const gguf_file> file;
  std::shared_ptr<const tokenizer> vocabulary;
  model_footprint footprint;
};

/// `option` is the one that named it.
result<model_file> open_model(const std::string& name, const std::string& option, kv_type kv,
                              const compute_device& device, const server_settings& settings) {
  model_file opened;
  opened.path = find_model_file(name, settings.model_folder);
  if (opened.path.empty())
    return failure{option + ": \"" + name + "\" is neither a file nor a model in " + settings.model_folder +
                   "; ./serve --model NAME fetches smollm2, gemma3, qwen-0.5b or qwen-1.5b."};
  const auto file = gguf_file::open(opened.path);
  if (!file)
    return failure{file.error()};
  opened.file = *file;
  const auto vocabulary = tokenizer::from_gguf(**file);
  if (!vocabulary)
    return failure{opened.path + ": " + vocabulary.error()};
  opened.vocabulary = *vocabulary;
  const auto footprint = footprint_of(**file, kv);
  if (!footprint)
    return failure{opened.path + ": " + footprint.error()};
  opened.footprint = device.is_cpu() ? *footprint : beside_a_device(*footprint);
  return opened;
}

struct embedding_model {
  std::string name;
  embedder_files files;
};

/// Nothing if there is to be none.
result<std::optional<embedding_model>> open_embedding_model(const server_settings& settings) {
  const auto& wanted = settings.embedding_model;
  if (wanted == "off")
    return std::optional<embedding_model>{};
  const bool is_auto = wanted == "auto";
  const auto folder = find_embedding_folder(is_auto ? "minilm" : wanted, settings.model_folder);
  if (folder.empty() && is_auto)
    return std::optional<embedding_model>{};
  if (folder.empty())
    return failure{"embedding.model: \"" + wanted +
                   "\" is neither a folder with a model.safetensors nor one in " + settings.model_folder +
                   "; ./serve --embedding.model minilm fetches minilm."};
  auto files = open_embedder(folder);
  if (!files)
    return failure{"embedding.model: " + files.error()};
  return std::optional{embedding_model{std::filesystem::path{folder}.filename().string(), std::move(*files)}};
}

/// Changes the number of KV pages in `settings` to what the budget leaves room for.
result<std::vector<memory_part>> fit_memory(const model_footprint& footprint, std::size_t program_bytes,
                                            std::span<const memory_part> others, server_settings& settings) {
  auto plan = plan_memory(settings.serving, footprint, program_bytes, settings.memory_budget_bytes, others);
  if (!plan)
    return failure{plan.error()};
  if (plan->n_kv_pages < settings.serving.n_kv_pages)
    spdlog::info("memory.budget_mib leaves room for {} of kv.tokens = {}", plan->n_kv_pages * page_tokens,
                 settings.kv_tokens);
  settings.serving.n_kv_pages = plan->n_kv_pages;
  return std::move(plan->parts);
}

result<std::shared_ptr<language_model>> load_weights(const model_file& from, const model_options& options) {
  auto model = load_model(from.file, options, progress_bar{"loading the model"});
  return model ? model : failure{from.path + ": " + model.error()};
}

/// How many ids of the draft model mean the same to the target.
result<int> common_vocabulary(const model_file& target, const model_file& draft) {
  const auto n_shared = shared_vocabulary(*target.vocabulary, *draft.vocabulary);
  return n_shared ? n_shared
                  : failure{"speculation.draft_model: " + draft.path + " cannot draft for " + target.path +
                            ": " + n_shared.error()};
}

/// `embedder`: with which the server compares; null: it has none.
result<cache_calibration> read_calibration(const std::string& path, const text_embedder* embedder) {
  const auto read = calibration_file::read(path);
  if (!read)
    return failure{read.error()};
  if (embedder == nullptr || read->embedder != embedder->fingerprint())
    return failure{path + " was made with another embedding model than this server's"};
  return read->calibration;
}

/// Null: answers are cached in memory only, or not at all.
result<std::shared_ptr<answer_store>> open_answers(const server_settings& settings,
                                                   const loaded_model& loaded) {
  if (settings.serving.cache_policy == "off")
    return std::shared_ptr<answer_store>{};
  auto options = settings.store;
  if (loaded.embedder) {
    options.embedder = loaded.embedder->fingerprint();
    options.n_dimensions = static_cast<std::size_t>(loaded.embedder->n_dimensions());
  }
  return open_store(options);
}

/// The models that generate, in what the memory budget leaves. The error; empty: there is none.
std::string load_generators(const model_file& target, const std::optional<embedding_model>& embedding,
                            model_options options, std::size_t program_bytes, server_settings& settings,
                            loaded_model& loaded) {
  std::optional<model_file> draft;
  std::vector<memory_part> others;
  if (settings.draft_model != "off" && settings.drafter_address != "none")
    return "speculation.drafter_address: the draft model is either there or here (speculation.draft_model)";
  if (settings.draft_model != "off") {
    auto opened = open_model(settings.draft_model, "speculation.draft_model", options.kv, {}, settings);
    if (!opened)
      return opened.error();
    const auto n_shared = common_vocabulary(target, *opened);
    if (!n_shared)
      return n_shared.error();
    const auto ends = opened->vocabulary->end_tokens();
    loaded.draft_model = {nullptr, *n_shared, {ends.begin(), ends.end()}};
    others.push_back(draft_model_part(settings.serving, opened->footprint));
    draft = std::move(*opened);
  }
  if (embedding)
    others.push_back(embedder_part(settings.serving, embedding->files));
  if (settings.cluster.role == "worker" && settings.cluster.serves == "decode")
    others.push_back({"arriving_pages", settings.serving.max_arriving_bytes});
  const int n_draft_pages = n_draft_model_pages(settings.serving);
  auto memory = fit_memory(target.footprint, program_bytes, others, settings);
  if (!memory)
    return target.path + ": " + memory.error();
  loaded.memory = std::move(*memory);
  options.n_kv_pages = settings.serving.n_kv_pages;
  const auto model = load_weights(target, options);
  if (!model)
    return model.error();
  loaded.model = *model;
  if (draft) {
    options.n_kv_pages = n_draft_pages;
    options.device = {};
    const auto drafting = load_weights(*draft, options);
    if (!drafting)
      return drafting.error();
    loaded.draft_model.model = *drafting;
  }
  return "";
}

result<isa> kernels_of(const server_settings& settings) {
  const auto level = isa_named(settings.kernels);
  if (!level)
    return failure{"model.kernels: this CPU does not have the instructions for " + settings.kernels};
  return *level;
}

} // namespace

result<loaded_model> load_served_model(server_settings& settings) {
  give_back_unused_memory();
  const auto program_bytes = resident_bytes();
  const auto level = kernels_of(settings);
  if (!level)
    return failure{level.error()};
  const auto kv = kv_type_named(settings.kv_type).value_or(kv_type::f16);
  const auto target = open_model(settings.model, "model.path", kv, settings.device, settings);
  if (!target)
    return failure{target.error()};
  loaded_model loaded;
  loaded.vocabulary = target->vocabulary;
  const auto chat = load_chat_template(*target->file, settings.chat_template);
  if (!chat)
    return failure{target->path + ": " + chat.error()};
  loaded.chat = *chat;
  const auto embedding = open_embedding_model(settings);
  if (!embedding)
    return failure{embedding.error()};
  if (settings.cluster.role == "router") {
    auto outline = outline_of(*target->file, kv);
    if (!outline)
      return failure{target->path + ": " + outline.error()};
    loaded.outline = std::move(*outline);
  } else {
    const model_options options{settings.n_threads, 0, kv, *level, settings.device};
    if (auto why = load_generators(*target, *embedding, options, program_bytes, settings, loaded);
        !why.empty())
      return failure{why};
  }
  if (*embedding) {
    auto embedder = load_embedder((*embedding)->files, {settings.n_embedding_threads, *level});
    if (!embedder)
      return failure{"embedding.model: " + embedder.error()};
    loaded.embedder = std::move(*embedder);
    settings.serving.embedder_name = (*embedding)->name;
  }
  if (settings.cache_calibration != "none") {
    const auto calibration = read_calibration(settings.cache_calibration, loaded.embedder.get());
    if (!calibration)
      return failure{"cache.calibration: " + calibration.error()};
    loaded.calibration = *calibration;
  }
  auto answers = open_answers(settings, loaded);
  if (!answers)
    return failure{"cache.store: " + answers.error()};
  loaded.store = std::move(*answers);
  return loaded;
}

result<drafter_parts> load_drafter(server_settings& settings) {
  if (settings.draft_model == "off")
    return failure{"speculation.draft_model: a drafter needs one"};
  give_back_unused_memory();
  const auto program_bytes = resident_bytes();
  const auto level = kernels_of(settings);
  if (!level)
    return failure{level.error()};
  const auto kv = kv_type_named(settings.kv_type).value_or(kv_type::f16);
  const auto draft = open_model(settings.draft_model, "speculation.draft_model", kv, {}, settings);
  if (!draft)
    return failure{draft.error()};
  const auto memory = fit_memory(draft->footprint, program_bytes, {}, settings);
  if (!memory)
    return failure{draft->path + ": " + memory.error()};
  auto model = load_weights(*draft, {settings.n_threads, settings.serving.n_kv_pages, kv, *level, {}});
  if (!model)
    return failure{model.error()};
  return drafter_parts{std::filesystem::path{draft->path}.stem().string(), std::move(*model),
                       draft->vocabulary, settings.serving.eviction_policy, settings.draft_ahead != "off"};
}

} // namespace souffleur
