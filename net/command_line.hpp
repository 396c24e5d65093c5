// Every option of the server: one name for the command line and the configuration file.
#pragma once

#include "actors/cluster/cluster_config.hpp"
#include "actors/serving_config.hpp"
#include "engine/cache/open_store.hpp"
#include "engine/model/compute_device.hpp"
#include "net/server.hpp"

#include <string>
#include <variant>
#include <vector>

namespace souffleur {

struct server_settings {
  std::string model = "smollm2";        ///< a GGUF file, or the name of one in `model_folder`
  std::string model_folder;             ///< $XDG_CACHE_HOME/souffleur/models
  std::string chat_template = "model";  ///< or "chatml"
  std::string draft_model = "off";      ///< as `model`; or "off"
  std::string drafter_address = "none"; ///< of the process that has the draft model, HOST:PORT; or "none"
  std::string draft_ahead = "auto"; ///< "on", "off"; or "auto": where the draft model does not share cores
  std::string embedding_model = "auto"; ///< a folder, or the name of one in `model_folder`; "off"; or "auto"
  int n_embedding_threads = 1;          ///< of its own
  int n_threads = 0;                    ///< 0: one per CPU that this process may use
  std::string api_keys = "none";        ///< a file; or "none"
  std::string tls_certificate = "none"; ///< a file; or "none"
  std::string tls_key = "none";         ///< likewise
  std::string kernels = "auto";         ///< or the name of an instruction set
  compute_device device;                ///< of the model; a draft model computes on the CPU
  std::string kv_type = "f16";          ///< what keys and values are rounded to: f32, f16 or int8
  int kv_tokens = 32768;                ///< positions in the KV pool, over all sequences
  std::size_t memory_budget_bytes = 0;  ///< of everything; 0: none
  std::string log_level = "info";
  std::string log_format = "text";        ///< or "json"
  int drain_s = 30;                       ///< that SIGTERM waits for what runs
  std::string cache_calibration = "none"; ///< a file; or "none"
  store_options store; ///< of the response cache; without what depends on the embedding model
  std::string cluster_secret_file = "none"; ///< or "none": $SOUFFLEUR_CLUSTER_SECRET, if that is set
  cluster_config cluster;                   ///< without the secret
  serving_config serving;
  server_options server;
};

/// What the process should do instead of serving: print `text` and leave with `code` (--help, or a wrong
/// option).
struct command_line_exit {
  int code = 0;
  std::string text;
};

/// Options are named `section.key`, as in the configuration file; the command line wins over the file. An
/// unknown option or key, and a value out of range, is an error that names it.
std::variant<server_settings, command_line_exit> parse_command_line(int argc, const char* const* argv);

/// An option of the server, for whoever writes about it.
struct described_option {
  std::string names; ///< with commas between them
  std::string group;
  std::string says;
  std::string default_value; ///< may be empty
  bool is_flag = false;
};
std::vector<described_option> described_options();

} // namespace souffleur
