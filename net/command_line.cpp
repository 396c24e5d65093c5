#include "net/command_line.hpp"

#include "actors/messages/generation.hpp"
#include "engine/model/model_folder.hpp"
#include "policies/token.hpp"

#include <CLI/CLI.hpp>

#include <filesystem>
#include <sstream>
#include <thread>

namespace souffleur {

namespace {

/// CLI11 knows no comment after a [section].
std::string without_section_comment(const std::string& line) {
  const auto open = line.find_first_not_of(" \t");
  if (open == std::string::npos || line[open] != '[')
    return line;
  const auto close = line.find(']', open);
  const auto after = close == std::string::npos ? close : line.find_first_not_of(" \t", close + 1);
  return after != std::string::npos && line[after] == '#' ? line.substr(0, close + 1) : line;
}

/// CLI11 takes [section] for a subcommand; here `key` in [section] is the option `section.key`.
class sectioned_config : public CLI::ConfigINI {
public:
  sectioned_config() { commentChar = '#'; }
  std::vector<CLI::ConfigItem> from_config(std::istream& input) const override {
    std::stringstream cleaned;
    for (std::string line; std::getline(input, line);)
      cleaned << without_section_comment(line) << '\n';
    std::vector<CLI::ConfigItem> flat;
    for (auto& item : ConfigINI::from_config(cleaned)) {
      if (item.name == "++" || item.name == "--")
        continue;
      item.name = item.fullname();
      item.parents.clear();
      flat.push_back(std::move(item));
    }
    return flat;
  }
};

/// Collects values that CLI11 cannot set directly, because their units have a type.
struct plain_values {
  std::string device = "cpu";
  std::int64_t request_timeout_s = 600;
  std::int64_t step_timeout_s = 120;
  std::int64_t restart_window_s = 60;
  std::int64_t draft_budget_us = 2000;
  std::size_t draft_answers_mib = 32;
  int draft_model_budget_ms = 500;
  std::int64_t cache_ttl_s = 3600;
  int cache_max_mib = 64;
  int cache_lookup_budget_ms = 100;
  int cache_store_mib = 256;
  int memory_budget_mib = 0;
  int tier_max_mib = 4096;
  int max_body_mib = 8;
  std::size_t max_header_kib = 16;
  int idle_timeout_s = 75;
  int header_timeout_s = 10;
  int write_timeout_s = 30;
  int resume_s = 30;
  int keep_s = 600;
  std::size_t keep_kib = 1024;
  int batch_ms = 0;
  int heartbeat_ms = 500;
  int dead_after_ms = 5000;
  int worker_wait_s = 30;
  int prefill_timeout_ms = 10'000;
  int arriving_mib = 512;
};

constexpr int many = 1 << 20;

/// Empty if it is.
std::string is_host_and_port(const std::string& text) {
  const auto colon = text.rfind(':');
  const auto port = colon == std::string::npos ? std::string{} : text.substr(colon + 1);
  const bool is_number =
      !port.empty() && port.size() <= 5 && port.find_first_not_of("0123456789") == std::string::npos;
  return colon != 0 && is_number && std::stoi(port) <= 65535 ? "" : text + " is not HOST:PORT";
}

void add_model_options(CLI::App& app, server_settings& s, plain_values& v) {
  app.add_option("--model.path,--model", s.model, "GGUF file, or the name of a fetched model")
      ->capture_default_str()
      ->group("model");
  app.add_option("--model.folder", s.model_folder, "where named models are")
      ->capture_default_str()
      ->group("model");
  app.add_option("--model.name,--name", s.serving.model_name, "name that clients see (default: the file's)")
      ->group("model");
  app.add_option("--model.chat_template", s.chat_template,
                 "\"model\": the template in the file; \"chatml\": the ChatML format")
      ->check(CLI::IsMember({"model", "chatml"}))
      ->capture_default_str()
      ->group("model");
  app.add_option("--model.threads,--threads", s.n_threads, "threads of the forward pass; 0: one per CPU")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str()
      ->group("model");
  app.add_option("--model.kernels", s.kernels, "instructions to use: auto, avx512, avx2 or portable")
      ->check(CLI::IsMember({"auto", "avx512", "avx2", "portable"}))
      ->capture_default_str()
      ->group("model");
  app.add_option("--model.device,--device", v.device, "where the model computes: cpu, cuda or cuda:N")
      ->check([](const std::string& name) {
        return compute_device_named(name) ? std::string{} : "\"" + name + "\" is none of cpu, cuda, cuda:N";
      })
      ->capture_default_str()
      ->group("model");
}

void add_stream_options(CLI::App& app, server_settings& s, plain_values& v) {
  app.add_option("--server.resume_s", v.resume_s,
                 "how long a resumable stream waits for a client whose connection dropped; 0: not at all")
      ->check(CLI::Range(0, 86'400))
      ->capture_default_str()
      ->group("server");
  app.add_option("--server.keep_s", v.keep_s, "how long a stream that has ended can go on with append")
      ->check(CLI::Range(0, 86'400))
      ->capture_default_str()
      ->group("server");
  app.add_option("--server.keep_kib", v.keep_kib, "of such conversations, of one connection")
      ->check(CLI::Range(1, many))
      ->capture_default_str()
      ->group("server");
  app.add_option("--server.batch_ms", v.batch_ms,
                 "least time between two deltas of a stream; tokens in between are joined")
      ->check(CLI::Range(0, 10'000))
      ->capture_default_str()
      ->group("server");
  app.add_option("--server.max_frames_per_s", s.server.max_frames_per_s,
                 "of a WebSocket connection; more wait in the client")
      ->check(CLI::Range(1, many))
      ->capture_default_str()
      ->group("server");
  app.add_option("--server.compress", s.server.compress,
                 "WebSocket frames, for clients that offer it (RFC 7692)")
      ->capture_default_str()
      ->group("server");
  app.add_option("--server.echo", s.server.echo)->group("");   // for tests: a WebSocket at /echo
  app.add_option("--server.kills", s.server.kills)->group(""); // for tests: POST /souffleur/kill/ACTOR
}

void add_server_options(CLI::App& app, server_settings& s, plain_values& v) {
  app.add_option("--server.address,--address", s.server.address,
                 "IP address to listen on, or unix:PATH of a socket to make")
      ->capture_default_str()
      ->group("server");
  app.add_option("--server.drain_s", s.drain_s,
                 "how long SIGTERM waits for running generations; new ones get 503 then")
      ->check(CLI::Range(0, 86'400))
      ->capture_default_str()
      ->group("server");
  app.add_option("--server.api_keys", s.api_keys,
                 "file with lines TENANT KEY; who has none of the keys gets 401; none: everybody may ask")
      ->capture_default_str()
      ->group("server");
  auto& limits = s.server.access.limits;
  app.add_option("--server.requests_per_minute", limits.requests_per_minute,
                 "of each tenant; more get 429; 0: no limit")
      ->check(CLI::Range(0.0, 1e12))
      ->capture_default_str()
      ->group("server");
  app.add_option("--server.tokens_per_minute", limits.tokens_per_minute,
                 "of prompts and answers of each tenant; 0: no limit")
      ->check(CLI::Range(0.0, 1e12))
      ->capture_default_str()
      ->group("server");
  app.add_option("--server.tokens_per_day", limits.tokens_per_day, "likewise, in 24 hours; 0: no limit")
      ->check(CLI::Range(0.0, 1e12))
      ->capture_default_str()
      ->group("server");
  app.add_option("--server.tls_certificate", s.tls_certificate,
                 "PEM file of the certificate's chain: https and wss only; none: neither")
      ->capture_default_str()
      ->group("server");
  app.add_option("--server.tls_key", s.tls_key, "PEM file of its private key")
      ->capture_default_str()
      ->group("server");
  app.add_option("--server.port,--port", s.server.port, "TCP port; 0: any free one")
      ->capture_default_str()
      ->group("server");
  app.add_option("--server.max_body_mib", v.max_body_mib, "largest request body and WebSocket frame")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str()
      ->group("server");
  app.add_option("--server.max_connections", s.server.max_connections, "more get 503")
      ->check(CLI::Range(1, many))
      ->capture_default_str()
      ->group("server");
  app.add_option("--server.max_connections_per_address", s.server.max_connections_per_address,
                 "of them, from one IP address (IPv6: one /64); more get 503; 0: no limit")
      ->check(CLI::Range(0, many))
      ->capture_default_str()
      ->group("server");
  app.add_option("--server.max_streams", s.server.streams.max_streams,
                 "live streams of one WebSocket connection")
      ->check(CLI::Range(1, many))
      ->capture_default_str()
      ->group("server");
  app.add_option("--server.max_header_kib", v.max_header_kib, "of a request; more get 431")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str()
      ->group("server");
  app.add_option("--server.header_timeout_s", v.header_timeout_s,
                 "a request whose header takes longer is cut off")
      ->check(CLI::Range(1, 86400))
      ->capture_default_str()
      ->group("server");
  app.add_option("--server.idle_timeout_s", v.idle_timeout_s, "a silent connection is closed")
      ->check(CLI::Range(1, 86400))
      ->capture_default_str()
      ->group("server");
  app.add_option("--server.write_timeout_s", v.write_timeout_s, "a client that takes nothing is cut off")
      ->check(CLI::Range(1, 86400))
      ->capture_default_str()
      ->group("server");
  add_stream_options(app, s, v);
  app.add_option("--log.level", s.log_level, "trace, debug, info, warn, error or off")
      ->check(CLI::IsMember({"trace", "debug", "info", "warn", "error", "off"}))
      ->capture_default_str()
      ->group("server");
  app.add_option("--log.format", s.log_format, "text, or json: an object a line")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str()
      ->group("server");
}

void add_scheduler_options(CLI::App& app, server_settings& s, plain_values& v) {
  auto& c = s.serving;
  app.add_option("--scheduler.policy", c.scheduling_policy,
                 "who enters the batch first: fcfs, priority, lpm, deficit_lpm, deadline")
      ->capture_default_str()
      ->group("scheduler");
  app.add_option("--scheduler.max_batch_tokens", c.max_batch_tokens, "rows of one step")
      ->check(CLI::Range(1, 65536))
      ->capture_default_str()
      ->group("scheduler");
  app.add_option("--scheduler.prefill_chunk", c.prefill_chunk, "rows of one prompt in one step")
      ->check(CLI::Range(1, 65536))
      ->capture_default_str()
      ->group("scheduler");
  app.add_option("--scheduler.join_prefill_tokens", c.join_prefill_tokens,
                 "a request waits while so many tokens of its prefix are being computed for another")
      ->check(CLI::Range(1, many))
      ->capture_default_str()
      ->group("scheduler");
  app.add_option("--scheduler.max_running", c.max_running, "generations in the batch")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str()
      ->group("scheduler");
  app.add_option("--scheduler.max_waiting", c.max_waiting, "generations in the queue; more get 429")
      ->check(CLI::Range(0, many))
      ->capture_default_str()
      ->group("scheduler");
  app.add_option("--scheduler.max_waiting_per_tenant", c.max_waiting_per_tenant,
                 "of those with one Authorization header, or with none; more get 429")
      ->check(CLI::Range(0, many))
      ->capture_default_str()
      ->group("scheduler");
  app.add_option("--scheduler.max_output_tokens", c.max_output_tokens, "of one answer")
      ->check(CLI::Range(1, many))
      ->capture_default_str()
      ->group("scheduler");
  app.add_option("--scheduler.request_timeout_s", v.request_timeout_s, "from arrival to the last token")
      ->check(CLI::Range(1, 86400))
      ->capture_default_str()
      ->group("scheduler");
  app.add_option("--scheduler.step_timeout_s", v.step_timeout_s,
                 "a forward pass that takes longer is thought to be stuck: /live says so")
      ->check(CLI::Range(1, 86400))
      ->capture_default_str()
      ->group("scheduler");
  app.add_option("--supervisor.max_restarts", c.max_restarts,
                 "of one actor within window_s; more, and the server gives up or goes on without it")
      ->check(CLI::Range(0, many))
      ->capture_default_str()
      ->group("scheduler");
  app.add_option("--supervisor.window_s", v.restart_window_s, "after which a restart no longer counts")
      ->check(CLI::Range(1, 86400))
      ->capture_default_str()
      ->group("scheduler");
}

void add_kv_options(CLI::App& app, server_settings& s, plain_values& v) {
  app.add_option("--memory.budget_mib", v.memory_budget_mib,
                 "of the whole server: the KV pool becomes smaller until all fits; 0: no limit")
      ->check(CLI::Range(0, 1 << 24))
      ->capture_default_str()
      ->group("kv");
  app.add_option("--kv.tokens", s.kv_tokens, "positions in the KV pool, over all sequences")
      ->check(CLI::Range(64, 1 << 26))
      ->capture_default_str()
      ->group("kv");
  app.add_option("--kv.type", s.kv_type, "what keys and values are rounded to: f32, f16 or int8")
      ->check(CLI::IsMember({"f32", "f16", "int8"}))
      ->capture_default_str()
      ->group("kv");
  app.add_option("--kv.eviction", s.serving.eviction_policy, "lhd, gdsf, lru, lfu, fifo or slru")
      ->capture_default_str()
      ->group("kv");
  app.add_option("--kv.pinned_share", s.serving.max_pinned_share,
                 "of the pool, at most, that requests pin in the prefix cache (souffleur.cache_priority)")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str()
      ->group("kv");
  app.add_option("--kv.prefix_cache", s.serving.prefix_cache, "share the KV of equal prefixes")
      ->capture_default_str()
      ->group("kv");
  app.add_option("--kv.tier_folder", s.serving.tier_folder,
                 "pages found again are kept in files here, also over a restart; off: they are not")
      ->capture_default_str()
      ->group("kv");
  app.add_option("--kv.tier_max_mib", v.tier_max_mib, "size of these files")
      ->check(CLI::Range(1, 1 << 30))
      ->capture_default_str()
      ->group("kv");
  app.add_option("--kv.tier_min_hits", s.serving.tier_min_hits,
                 "how often a page has to be found in memory to be kept in files")
      ->check(CLI::Range(1, many))
      ->capture_default_str()
      ->group("kv");
  app.add_option(
         "--window.policy", s.serving.window_policy,
         "full, or sinks: a generation that outgrows the context goes on with its first and last positions")
      ->capture_default_str()
      ->group("kv");
}

void add_speculation_options(CLI::App& app, server_settings& s, plain_values& v) {
  auto& c = s.serving;
  app.add_option("--speculation.policy", c.draft_policy, "adaptive, fixed or off")
      ->capture_default_str()
      ->group("speculation");
  app.add_option("--speculation.drafter", c.drafter,
                 "auto, prompt_lookup, suffix, recycling, draft_model or off")
      ->capture_default_str()
      ->group("speculation");
  app.add_option("--speculation.acceptance", c.acceptance_policy,
                 "coupled, greedy, gumbel, token, block, traversal or typical")
      ->capture_default_str()
      ->group("speculation");
  app.add_option("--speculation.max_draft", c.max_draft, "drafted tokens of one generation in one step")
      ->check(CLI::Range(0, 64))
      ->capture_default_str()
      ->group("speculation");
  app.add_option("--speculation.branches", c.n_draft_branches,
                 "drafted tokens that may follow one token; 1: no trees")
      ->check(CLI::Range(1, most_draft_branches))
      ->capture_default_str()
      ->group("speculation");
  app.add_option("--speculation.answers_mib", v.draft_answers_mib,
                 "of finished answers that their tenant's next ones are drafted from")
      ->check(CLI::Range(0, 1 << 20))
      ->capture_default_str()
      ->group("speculation");
  app.add_option("--speculation.draft_model", s.draft_model,
                 "a smaller model of the same vocabulary that drafts, too: a name, a file, or off")
      ->capture_default_str()
      ->group("speculation");
  app.add_option(
         "--speculation.drafter_address", s.drafter_address,
         "HOST:PORT of a process with --role drafter, which has the draft model instead of this one; none")
      ->check([](const std::string& text) { return text == "none" ? "" : is_host_and_port(text); })
      ->capture_default_str()
      ->group("speculation");
  app.add_option(
         "--speculation.draft_ahead", s.draft_ahead,
         "whether a draft model goes on while its drafts are verified: on, off, or auto: where it has "
         "cores of its own, beside a GPU or in another process")
      ->check(CLI::IsMember({"auto", "on", "off"}))
      ->capture_default_str()
      ->group("speculation");
  app.add_option("--speculation.draft_model_budget_ms", v.draft_model_budget_ms,
                 "a draft model that takes longer is not waited for")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str()
      ->group("speculation");
  app.add_option("--speculation.budget_us", v.draft_budget_us, "a drafter that takes longer is skipped")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str()
      ->group("speculation");
}

void add_embedding_options(CLI::App& app, server_settings& s) {
  app.add_option("--embedding.model", s.embedding_model,
                 "of /v1/embeddings: a name, a folder, auto (minilm if it was fetched, else off) or off")
      ->capture_default_str()
      ->group("embedding");
  app.add_option("--embedding.threads", s.n_embedding_threads, "of its own, beside those of the forward pass")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str()
      ->group("embedding");
}

void add_cache_options(CLI::App& app, server_settings& s, plain_values& v) {
  app.add_option("--cache.policy", s.serving.cache_policy,
                 "which stored answers are served: off, exact, fixed, guarded or bounded")
      ->capture_default_str()
      ->group("cache");
  app.add_option("--cache.max_mib", v.cache_max_mib, "size of the response cache")
      ->check(CLI::Range(1, many))
      ->capture_default_str()
      ->group("cache");
  app.add_option("--cache.store", s.store.where,
                 "where answers outlive the server: auto (a file in ~/.cache), memory (nowhere), a file, "
                 "redis://HOST or unix:///SOCKET")
      ->capture_default_str()
      ->group("cache");
  app.add_option("--cache.store_mib", v.cache_store_mib, "size of that file")
      ->check(CLI::Range(1, many))
      ->capture_default_str()
      ->group("cache");
  app.add_option("--cache.store_timeout_ms", s.store.timeout_ms, "of a lookup in a Redis server")
      ->check(CLI::Range(1, 10'000))
      ->capture_default_str()
      ->group("cache");
  app.add_option("--cache.store_prefix", s.store.prefix, "of the names of the keys in a Redis server")
      ->capture_default_str()
      ->group("cache");
  app.add_option(
         "--cache.calibration", s.cache_calibration,
         "file from `souffleur cache calibrate`, from which bounded knows what is similar enough; none: it "
         "learns that here, slowly")
      ->capture_default_str()
      ->group("cache");
  app.add_option("--cache.eviction", s.serving.cache_eviction, "which answer goes first: gdsf, lru or lfu")
      ->capture_default_str()
      ->group("cache");
  app.add_option("--cache.max_temperature", s.serving.cache_max_temperature,
                 "above it only who asks with the same seed gets a stored answer")
      ->check(CLI::Range(0.0, 2.0))
      ->capture_default_str()
      ->group("cache");
  app.add_option("--cache.threshold", s.serving.cache_threshold,
                 "similarity of two questions from which fixed and guarded serve")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str()
      ->group("cache");
  app.add_option("--cache.max_error", s.serving.cache_max_error,
                 "share of requests that bounded may answer wrongly")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str()
      ->group("cache");
  app.add_option("--cache.replay_tokens_per_s", s.serving.cache_replay_tokens_per_s,
                 "pace at which a stored answer is streamed; 0: all at once")
      ->check(CLI::Range(0.0, 1e6))
      ->capture_default_str()
      ->group("cache");
  app.add_option("--cache.lookup_budget_ms", v.cache_lookup_budget_ms,
                 "after which a request goes on as if nothing were stored")
      ->check(CLI::Range(1, many))
      ->capture_default_str()
      ->group("cache");
  app.add_option("--cache.ttl_s", v.cache_ttl_s, "age at which an answer is forgotten")
      ->check(CLI::Range(1, 1 << 30))
      ->capture_default_str()
      ->group("cache");
}

void add_cluster_options(CLI::App& app, server_settings& s, plain_values& v) {
  auto& c = s.cluster;
  app.add_option("--cluster.role,--role", c.role,
                 "all: this process does everything; router: workers generate for it; worker: it generates "
                 "for a router; drafter: it only drafts, for a server")
      ->check(CLI::IsMember({"all", "router", "worker", "drafter"}))
      ->capture_default_str()
      ->group("cluster");
  app.add_option(
         "--cluster.serves", c.serves,
         "what a worker does. both: prompts and answers; decode: it leaves long prompts to the workers "
         "that serve prefill; prefill: it computes those, and sends their KV pages")
      ->check(CLI::IsMember({"both", "prefill", "decode"}))
      ->capture_default_str()
      ->group("cluster");
  app.add_option(
         "--cluster.policy", c.policy,
         "which worker gets a request: cache_aware, least_loaded, round_robin, consistent_hash or sticky")
      ->capture_default_str()
      ->group("cluster");
  app.add_option("--cluster.load_factor", c.load_factor,
                 "of consistent_hash: a worker is given no more streams than so many times the mean")
      ->check(CLI::Range(1.0, 100.0))
      ->capture_default_str()
      ->group("cluster");
  app.add_option("--cluster.address", c.address,
                 "IP address on which a router waits for workers, a drafter for its server")
      ->capture_default_str()
      ->group("cluster");
  app.add_option("--cluster.port", c.port, "likewise, TCP port; 0: any free one")
      ->capture_default_str()
      ->group("cluster");
  app.add_option("--cluster.router", c.router, "HOST:PORT of the router that a worker works for")
      ->check(is_host_and_port)
      ->capture_default_str()
      ->group("cluster");
  app.add_option("--cluster.secret_file", s.cluster_secret_file,
                 "file with the secret that all nodes have; none: $SOUFFLEUR_CLUSTER_SECRET, if it is set")
      ->capture_default_str()
      ->group("cluster");
  app.add_option("--cluster.tls_certificate", c.certificate,
                 "PEM file: nodes speak TLS, and only with those whose certificate tls_authority signed; "
                 "none: no TLS")
      ->capture_default_str()
      ->group("cluster");
  app.add_option("--cluster.tls_key", c.key, "PEM file of the certificate's private key")
      ->capture_default_str()
      ->group("cluster");
  app.add_option("--cluster.tls_authority", c.authority, "PEM file of who signed all nodes' certificates")
      ->capture_default_str()
      ->group("cluster");
  app.add_option("--cluster.heartbeat_ms", v.heartbeat_ms, "between two signs of life")
      ->check(CLI::Range(10, 60'000))
      ->capture_default_str()
      ->group("cluster");
  app.add_option("--cluster.dead_after_ms", v.dead_after_ms, "of silence; then a node is taken for dead")
      ->check(CLI::Range(100, 600'000))
      ->capture_default_str()
      ->group("cluster");
  app.add_option("--cluster.worker_wait_s", v.worker_wait_s,
                 "how long a stream waits for a worker if there is none; then it gets 503")
      ->check(CLI::Range(0, 86'400))
      ->capture_default_str()
      ->group("cluster");
  app.add_option("--cluster.max_held_tokens", c.max_held_tokens,
                 "that a worker keeps while its router takes none; with more it hands a stream over")
      ->check(CLI::Range(1, 1 << 30))
      ->capture_default_str()
      ->group("cluster");
  app.add_option(
         "--cluster.prefill_min_tokens", c.prefill_min_tokens,
         "of a prompt, not cached where it decodes, from which a worker that serves prefill computes it")
      ->check(CLI::Range(1, 1 << 30))
      ->capture_default_str()
      ->group("cluster");
  app.add_option("--cluster.prefill_timeout_ms", v.prefill_timeout_ms,
                 "without a page of it; then a prompt is computed where it decodes")
      ->check(CLI::Range(10, 3'600'000))
      ->capture_default_str()
      ->group("cluster");
  app.add_option("--cluster.arriving_mib", v.arriving_mib,
                 "of pages that wait at a worker for the prompt that they are of")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str()
      ->group("cluster");
}

/// The file's, without the extension; names such as qwen-0.5b have a dot, too.
std::string name_of_model(const std::string& model) {
  const std::filesystem::path path{model};
  return (path.extension() == ".gguf" ? path.stem() : path.filename()).string();
}

void take(const plain_values& v, server_settings& s) {
  s.device = compute_device_named(v.device).value_or(compute_device{});
  s.serving.drafts_ahead = s.draft_ahead == "on" || (s.draft_ahead == "auto" && !s.device.is_cpu());
  s.serving.request_timeout = std::chrono::seconds{v.request_timeout_s};
  s.serving.step_timeout = std::chrono::seconds{v.step_timeout_s};
  s.serving.restart_window = std::chrono::seconds{v.restart_window_s};
  s.serving.draft_budget = std::chrono::microseconds{v.draft_budget_us};
  s.serving.draft_model_budget = std::chrono::milliseconds{v.draft_model_budget_ms};
  s.serving.draft_answers_bytes = v.draft_answers_mib << 20;
  s.serving.cache_ttl = std::chrono::seconds{v.cache_ttl_s};
  s.store.max_bytes = static_cast<std::uint64_t>(v.cache_store_mib) << 20;
  s.serving.cache_lookup_budget = std::chrono::milliseconds{v.cache_lookup_budget_ms};
  s.serving.tier_max_bytes = static_cast<std::size_t>(v.tier_max_mib) << 20;
  s.serving.cache_max_bytes = static_cast<std::size_t>(v.cache_max_mib) << 20;
  s.memory_budget_bytes = static_cast<std::size_t>(v.memory_budget_mib) << 20;
  s.server.max_body_bytes = static_cast<std::size_t>(v.max_body_mib) << 20;
  s.server.max_header_bytes = v.max_header_kib << 10;
  s.server.header_timeout = std::chrono::seconds{v.header_timeout_s};
  s.server.idle_timeout = std::chrono::seconds{v.idle_timeout_s};
  s.server.write_timeout = std::chrono::seconds{v.write_timeout_s};
  s.server.streams.resume = std::chrono::seconds{v.resume_s};
  s.server.streams.keep = std::chrono::seconds{v.keep_s};
  s.server.streams.max_kept_bytes = v.keep_kib << 10;
  s.server.streams.batch = std::chrono::milliseconds{v.batch_ms};
  s.cluster.heartbeat = std::chrono::milliseconds{v.heartbeat_ms};
  s.cluster.dead_after = std::chrono::milliseconds{v.dead_after_ms};
  s.cluster.worker_wait = std::chrono::seconds{v.worker_wait_s};
  s.cluster.prefill_timeout = std::chrono::milliseconds{v.prefill_timeout_ms};
  s.serving.max_arriving_bytes = static_cast<std::size_t>(v.arriving_mib) << 20;
  s.serving.n_kv_pages = (s.kv_tokens + page_tokens - 1) / page_tokens;
  if (s.n_threads == 0)
    s.n_threads = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  if (s.serving.model_name.empty())
    s.serving.model_name = name_of_model(s.model);
}

void set_up(CLI::App& app, server_settings& settings, plain_values& plain) {
  settings.model_folder = default_model_folder();
  settings.serving.model_name.clear();
  app.config_formatter(std::make_shared<sectioned_config>());
  app.set_config("--config", "", "configuration file: [section] and key = value lines");
  app.allow_config_extras(CLI::config_extras_mode::error);
  app.get_formatter()->column_width(36);
  add_model_options(app, settings, plain);
  add_server_options(app, settings, plain);
  add_scheduler_options(app, settings, plain);
  add_kv_options(app, settings, plain);
  add_speculation_options(app, settings, plain);
  add_cache_options(app, settings, plain);
  add_embedding_options(app, settings);
  add_cluster_options(app, settings, plain);
}

} // namespace

std::variant<server_settings, command_line_exit> parse_command_line(int argc, const char* const* argv) {
  server_settings settings;
  plain_values plain;
  CLI::App app{"Souffleur serves a GGUF model over OpenAI-style HTTP and WebSocket.", "souffleur"};
  app.footer("souffleur help: the other commands");
  set_up(app, settings, plain);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::ostringstream out;
    const int code = app.exit(error, out, out);
    return command_line_exit{code == 0 ? 0 : 2, out.str()};
  }
  take(plain, settings);
  return settings;
}

std::vector<described_option> described_options() {
  server_settings settings;
  plain_values plain;
  CLI::App app;
  set_up(app, settings, plain);
  std::vector<described_option> all;
  for (const auto* option : app.get_options())
    all.push_back({option->get_name(false, true), option->get_group(), option->get_description(),
                   option->get_default_str(), option->get_items_expected_max() == 0});
  return all;
}

} // namespace souffleur
