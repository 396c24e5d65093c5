// Options, the configuration file, and the file that documents them.
#include "net/command_line.hpp"

#include "policies/token.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>
#include <thread>
#include <unistd.h>

namespace souffleur {
namespace {

using parsed = std::variant<server_settings, command_line_exit>;

parsed parse(std::vector<std::string> words) {
  words.insert(words.begin(), "souffleur");
  std::vector<const char*> argv;
  for (const auto& word : words)
    argv.push_back(word.c_str());
  return parse_command_line(static_cast<int>(argv.size()), argv.data());
}

server_settings settings_of(const std::vector<std::string>& words) {
  auto outcome = parse(words);
  if (const auto* left = std::get_if<command_line_exit>(&outcome)) {
    ADD_FAILURE() << left->text;
    return {};
  }
  return std::get<server_settings>(outcome);
}

/// Empty if the words are accepted.
std::string complaint_of(const std::vector<std::string>& words) {
  const auto outcome = parse(words);
  const auto* left = std::get_if<command_line_exit>(&outcome);
  if (left == nullptr)
    return "";
  EXPECT_NE(left->code, 0);
  return left->text;
}

class written_file {
public:
  explicit written_file(const std::string& text) {
    static std::atomic<int> n{0};
    path_ = (std::filesystem::temp_directory_path() /
             ("souffleur_conf_" + std::to_string(getpid()) + "_" + std::to_string(n++)))
                .string();
    std::ofstream{path_} << text;
  }
  ~written_file() { std::filesystem::remove(path_); }
  written_file(const written_file&) = delete;
  written_file& operator=(const written_file&) = delete;
  const std::string& path() const { return path_; }

private:
  std::string path_;
};

std::string option(const std::string& name) { return std::string{"--"}.append(name); }

/// The file that says what the option says.
std::string section_of(const std::string& name, const std::string& value) {
  const auto dot = name.find('.');
  std::string text{"["};
  return text.append(name, 0, dot).append("]\n").append(name, dot + 1).append(" = ").append(value);
}

/// All settings in one text, to compare two.
std::string shown(const server_settings& s) {
  std::ostringstream out;
  const auto& c = s.serving;
  const auto& o = s.server;
  out << s.model << '|' << s.draft_model << '|' << s.drafter_address << '|' << s.draft_ahead << '|'
      << s.serving.drafts_ahead << '|' << s.serving.draft_model_budget.count() << '|' << s.model_folder << '|'
      << s.chat_template << '|' << s.n_threads << '|' << s.kernels << '|' << to_string(s.device) << '|'
      << s.kv_type << '|' << s.kv_tokens << '|' << s.log_level << '|' << s.log_format << '|' << c.model_name
      << '|' << c.n_kv_pages << '|' << c.scheduling_policy << '|' << c.max_batch_tokens << '|'
      << c.prefill_chunk << '|' << c.join_prefill_tokens << '|' << c.max_running << '|' << c.max_waiting
      << '|' << c.max_waiting_per_tenant << '|' << c.max_output_tokens << '|' << c.request_timeout.count()
      << '|' << c.step_timeout.count() << '|' << s.memory_budget_bytes << '|' << c.eviction_policy << '|'
      << c.max_pinned_share << '|' << c.prefix_cache << '|' << c.tier_folder << '|' << c.tier_max_bytes << '|'
      << c.tier_min_hits << '|' << c.acceptance_policy << '|' << c.draft_policy << '|' << c.drafter << '|'
      << c.max_draft << '|' << c.draft_budget.count() << '|' << c.draft_answers_bytes << '|'
      << c.n_draft_branches << '|' << s.api_keys << '|' << s.drain_s << '|' << s.cache_calibration << '|'
      << s.store.where << '|' << s.store.max_bytes << '|' << s.store.timeout_ms << '|' << s.store.prefix
      << '|' << c.cache_eviction << '|' << c.cache_max_temperature << '|' << c.cache_threshold << '|'
      << c.cache_max_error << '|' << c.cache_replay_tokens_per_s << '|' << c.cache_lookup_budget.count()
      << '|' << c.cache_policy << '|' << c.cache_max_bytes << '|' << c.cache_ttl.count() << '|'
      << c.window_policy << '|' << c.max_restarts << '|' << c.restart_window.count() << '|' << o.address
      << '|' << o.port << '|' << o.max_body_bytes << '|' << o.max_connections << '|' << o.max_header_bytes
      << '|' << o.max_connections_per_address << '|' << o.header_timeout.count() << '|'
      << o.streams.max_streams << '|' << o.max_held_tokens << '|' << o.streams.resume.count() << '|'
      << o.streams.keep.count() << '|' << o.streams.max_kept_bytes << '|' << o.streams.batch.count() << '|'
      << o.max_frames_per_s << '|' << o.compress << '|' << o.echo << '|' << o.kills << '|'
      << o.idle_timeout.count() << '|' << o.write_timeout.count() << '|' << s.embedding_model << '|'
      << s.n_embedding_threads << '|' << s.tls_certificate << '|' << s.tls_key << '|'
      << o.access.limits.requests_per_minute << '|' << o.access.limits.tokens_per_minute << '|'
      << o.access.limits.tokens_per_day;
  const auto& k = s.cluster;
  out << '|' << k.role << '|' << k.policy << '|' << k.load_factor << '|' << k.address << '|' << k.port << '|'
      << k.router << '|' << s.cluster_secret_file << '|' << k.secret << '|' << k.certificate << '|' << k.key
      << '|' << k.authority << '|' << k.heartbeat.count() << '|' << k.dead_after.count() << '|'
      << k.worker_wait.count() << '|' << k.max_held_tokens << '|' << k.serves << '|' << k.prefill_min_tokens
      << '|' << k.prefill_timeout.count() << '|' << c.max_arriving_bytes;
  return out.str();
}

const std::string documented = SOUFFLEUR_SOURCE "/conf/souffleur.conf";

TEST(command_line, theBuiltInDefaultsAreThoseOfTheStructures) {
  const auto s = settings_of({});
  server_settings plain;
  plain.model_folder = s.model_folder;
  plain.n_threads = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  plain.serving.model_name = plain.model;
  EXPECT_EQ(shown(s), shown(plain));
}

TEST(command_line, theDocumentedFileGivesTheDefaults) {
  EXPECT_EQ(shown(settings_of({"--config", documented})), shown(settings_of({})));
}

/// Each option `section.key` of --help; shorter names of the same option do not count.
std::set<std::string> options_in_help() {
  const auto outcome = parse({"--help"});
  const auto& left = std::get<command_line_exit>(outcome);
  EXPECT_EQ(left.code, 0);
  std::set<std::string> names;
  const std::regex option{"--([a-z_]+\\.[a-z_]+)"};
  for (std::sregex_iterator at{left.text.begin(), left.text.end(), option}, end; at != end; ++at)
    names.insert((*at)[1]);
  return names;
}

std::set<std::string> keys_in_documented_file() {
  std::set<std::string> names;
  std::ifstream file{documented};
  std::string line;
  std::string section;
  std::smatch found;
  while (std::getline(file, line))
    if (std::regex_search(line, found, std::regex{"^\\[([a-z_]+)\\]"}))
      section = found[1];
    else if (std::regex_search(line, found, std::regex{"^([a-z_]+) *="}))
      names.insert(section + "." + std::string{found[1]});
  return names;
}

TEST(command_line, theDocumentedFileHasEveryOption) {
  auto options = options_in_help();
  // Their defaults depend on the machine and on the model.
  options.erase("model.folder");
  options.erase("model.name");
  EXPECT_EQ(keys_in_documented_file(), options);
}

TEST(command_line, eachKeyOfTheFileSetsWhatItsOptionSets) {
  const std::vector<std::array<std::string, 2>> values{{"model.path", "other"},
                                                       {"model.folder", "/models"},
                                                       {"model.name", "alias"},
                                                       {"model.chat_template", "chatml"},
                                                       {"model.threads", "3"},
                                                       {"model.kernels", "portable"},
                                                       {"model.device", "cuda:1"},
                                                       {"kv.type", "int8"},
                                                       {"server.address", "0.0.0.0"},
                                                       {"server.api_keys", "keys.txt"},
                                                       {"server.requests_per_minute", "34"},
                                                       {"server.tokens_per_minute", "35"},
                                                       {"server.tokens_per_day", "36"},
                                                       {"server.tls_certificate", "chain.pem"},
                                                       {"server.tls_key", "key.pem"},
                                                       {"server.drain_s", "7"},
                                                       {"log.format", "json"},
                                                       {"server.port", "81"},
                                                       {"server.max_body_mib", "9"},
                                                       {"server.max_connections", "10"},
                                                       {"server.max_header_kib", "37"},
                                                       {"server.max_connections_per_address", "38"},
                                                       {"server.header_timeout_s", "39"},
                                                       {"server.max_streams", "11"},
                                                       {"server.resume_s", "8"},
                                                       {"server.keep_s", "21"},
                                                       {"server.keep_kib", "22"},
                                                       {"server.batch_ms", "23"},
                                                       {"server.max_frames_per_s", "24"},
                                                       {"server.compress", "false"},
                                                       {"server.idle_timeout_s", "12"},
                                                       {"server.write_timeout_s", "13"},
                                                       {"scheduler.policy", "priority"},
                                                       {"scheduler.max_batch_tokens", "14"},
                                                       {"scheduler.prefill_chunk", "15"},
                                                       {"scheduler.join_prefill_tokens", "26"},
                                                       {"scheduler.max_running", "16"},
                                                       {"scheduler.max_waiting", "17"},
                                                       {"scheduler.max_waiting_per_tenant", "16"},
                                                       {"scheduler.max_output_tokens", "18"},
                                                       {"scheduler.request_timeout_s", "19"},
                                                       {"scheduler.step_timeout_s", "20"},
                                                       {"kv.tokens", "4096"},
                                                       {"kv.eviction", "lfu"},
                                                       {"kv.pinned_share", "0.5"},
                                                       {"kv.prefix_cache", "false"},
                                                       {"kv.tier_folder", "/pages"},
                                                       {"kv.tier_max_mib", "27"},
                                                       {"kv.tier_min_hits", "28"},
                                                       {"memory.budget_mib", "29"},
                                                       {"window.policy", "sink"},
                                                       {"speculation.policy", "fixed"},
                                                       {"speculation.drafter", "off"},
                                                       {"speculation.acceptance", "greedy"},
                                                       {"speculation.max_draft", "5"},
                                                       {"speculation.branches", "4"},
                                                       {"speculation.draft_model", "small"},
                                                       {"speculation.drafter_address", "far.example:88"},
                                                       {"speculation.draft_ahead", "on"},
                                                       {"speculation.draft_model_budget_ms", "33"},
                                                       {"speculation.budget_us", "22"},
                                                       {"speculation.answers_mib", "23"},
                                                       {"embedding.model", "off"},
                                                       {"embedding.threads", "2"},
                                                       {"cache.policy", "exact"},
                                                       {"cache.max_mib", "23"},
                                                       {"cache.eviction", "lru"},
                                                       {"cache.calibration", "file.json"},
                                                       {"cache.store", "memory"},
                                                       {"cache.store_mib", "32"},
                                                       {"cache.store_timeout_ms", "33"},
                                                       {"cache.store_prefix", "mine:"},
                                                       {"cache.max_temperature", "0.5"},
                                                       {"cache.threshold", "0.8"},
                                                       {"cache.max_error", "0.05"},
                                                       {"cache.replay_tokens_per_s", "30"},
                                                       {"cache.lookup_budget_ms", "31"},
                                                       {"cache.ttl_s", "24"},
                                                       {"supervisor.max_restarts", "25"},
                                                       {"supervisor.window_s", "34"},
                                                       {"cluster.role", "router"},
                                                       {"cluster.policy", "sticky"},
                                                       {"cluster.load_factor", "1.5"},
                                                       {"cluster.address", "0.0.0.0"},
                                                       {"cluster.port", "82"},
                                                       {"cluster.router", "far.example:83"},
                                                       {"cluster.secret_file", "secret.txt"},
                                                       {"cluster.tls_certificate", "node.pem"},
                                                       {"cluster.tls_key", "node.key"},
                                                       {"cluster.tls_authority", "authority.pem"},
                                                       {"cluster.heartbeat_ms", "84"},
                                                       {"cluster.dead_after_ms", "850"},
                                                       {"cluster.worker_wait_s", "86"},
                                                       {"cluster.max_held_tokens", "87"},
                                                       {"cluster.serves", "prefill"},
                                                       {"cluster.prefill_min_tokens", "88"},
                                                       {"cluster.prefill_timeout_ms", "89"},
                                                       {"cluster.arriving_mib", "90"},
                                                       {"log.level", "debug"}};
  const auto defaults = shown(settings_of({}));
  std::set<std::string> tried;
  for (const auto& [name, value] : values) {
    tried.insert(name);
    const auto by_option = shown(settings_of({option(name), value}));
    EXPECT_NE(by_option, defaults) << name;
    const written_file file{section_of(name, value) + "  # a comment\n"};
    EXPECT_EQ(shown(settings_of({"--config", file.path()})), by_option) << name;
  }
  EXPECT_EQ(tried, options_in_help());
}

TEST(command_line, theCommandLineWinsOverTheFile) {
  const written_file file{"[server]\nport = 1000\nmax_streams = 5\n"};
  for (const auto& words : {std::vector<std::string>{"--config", file.path(), "--server.port", "2000"},
                            std::vector<std::string>{"--port", "2000", "--config", file.path()}}) {
    const auto s = settings_of(words);
    EXPECT_EQ(s.server.port, 2000);
    EXPECT_EQ(s.server.streams.max_streams, 5);
  }
}

TEST(command_line, commentsAndBlankLinesSayNothing) {
  const written_file file{
      "# first\n\n[server]   # the sockets\n# port = 1\nport=1000# tight\n\n   # indented\n"
      "[kv]\n  tokens =   128   \n"};
  const auto s = settings_of({"--config", file.path()});
  EXPECT_EQ(s.server.port, 1000);
  EXPECT_EQ(s.kv_tokens, 128);
}

TEST(command_line, anUnknownNameIsNamed) {
  EXPECT_NE(complaint_of({"--server.prot", "1"}).find("server.prot"), std::string::npos);
  EXPECT_NE(complaint_of({"--nonsense"}).find("nonsense"), std::string::npos);
  EXPECT_NE(complaint_of({"stray"}).find("stray"), std::string::npos);
  for (const auto& [text, name] :
       std::vector<std::array<std::string, 2>>{{"[server]\nprot = 1\n", "server.prot"},
                                               {"[nowhere]\nport = 1\n", "nowhere.port"},
                                               {"prot = 1\n", "prot"}}) {
    const written_file file{text};
    EXPECT_NE(complaint_of({"--config", file.path()}).find(name), std::string::npos) << text;
  }
}

TEST(command_line, aMissingFileIsNamed) {
  EXPECT_NE(complaint_of({"--config", "/nowhere/x.conf"}).find("/nowhere/x.conf"), std::string::npos);
}

TEST(command_line, aValueOutOfRangeNamesItsOption) {
  const std::vector<std::array<std::string, 2>> wrong{{"server.port", "65536"},
                                                      {"server.port", "-1"},
                                                      {"server.port", "http"},
                                                      {"server.max_body_mib", "0"},
                                                      {"server.max_connections", "0"},
                                                      {"server.max_streams", "0"},
                                                      {"server.max_frames_per_s", "0"},
                                                      {"server.resume_s", "-1"},
                                                      {"server.batch_ms", "10001"},
                                                      {"server.idle_timeout_s", "0"},
                                                      {"server.write_timeout_s", "0"},
                                                      {"model.threads", "-1"},
                                                      {"model.threads", "many"},
                                                      {"model.device", "gpu"},
                                                      {"model.device", "cuda:x"},
                                                      {"model.chat_template", "other"},
                                                      {"scheduler.max_batch_tokens", "0"},
                                                      {"scheduler.prefill_chunk", "0"},
                                                      {"scheduler.max_running", "0"},
                                                      {"scheduler.max_waiting", "-1"},
                                                      {"scheduler.max_waiting_per_tenant", "-1"},
                                                      {"scheduler.max_output_tokens", "0"},
                                                      {"kv.tokens", "63"},
                                                      {"kv.tokens", "99999999999"},
                                                      {"kv.pinned_share", "1.5"},
                                                      {"kv.pinned_share", "-0.1"},
                                                      {"kv.prefix_cache", "perhaps"},
                                                      {"kv.tier_max_mib", "0"},
                                                      {"kv.tier_min_hits", "0"},
                                                      {"speculation.max_draft", "65"},
                                                      {"speculation.branches", "9"},
                                                      {"speculation.budget_us", "0"},
                                                      {"cache.max_mib", "0"},
                                                      {"cache.threshold", "1.1"},
                                                      {"cache.store_mib", "0"},
                                                      {"cache.store_timeout_ms", "0"},
                                                      {"cache.max_error", "-0.1"},
                                                      {"cache.max_temperature", "3"},
                                                      {"cache.replay_tokens_per_s", "-1"},
                                                      {"cache.lookup_budget_ms", "0"},
                                                      {"cache.ttl_s", "0"},
                                                      {"supervisor.max_restarts", "-1"},
                                                      {"supervisor.window_s", "0"},
                                                      {"cluster.role", "boss"},
                                                      {"cluster.router", "nowhere"},
                                                      {"cluster.router", "host:70000"},
                                                      {"speculation.drafter_address", "nowhere"},
                                                      {"cluster.load_factor", "0.5"},
                                                      {"cluster.heartbeat_ms", "0"},
                                                      {"cluster.max_held_tokens", "0"},
                                                      {"cluster.serves", "dinner"},
                                                      {"cluster.prefill_min_tokens", "0"},
                                                      {"cluster.prefill_timeout_ms", "0"},
                                                      {"cluster.arriving_mib", "0"},
                                                      {"log.level", "loud"}};
  for (const auto& [name, value] : wrong) {
    EXPECT_NE(complaint_of({option(name), value}).find(name), std::string::npos) << name << " " << value;
    const written_file file{section_of(name, value)};
    EXPECT_NE(complaint_of({"--config", file.path()}).find(name), std::string::npos) << name << " " << value;
  }
}

TEST(command_line, theServedNameIsTheFilesUnlessGiven) {
  const auto name_of = [](const std::vector<std::string>& words) {
    return settings_of(words).serving.model_name;
  };
  EXPECT_EQ(name_of({"--model", "smollm2"}), "smollm2");
  EXPECT_EQ(name_of({"--model", "qwen-0.5b"}), "qwen-0.5b");
  EXPECT_EQ(name_of({"--model", "/somewhere/Model-1.5B.Q4_1.gguf"}), "Model-1.5B.Q4_1");
  EXPECT_EQ(name_of({"--model", "qwen-0.5b", "--name", "alias"}), "alias");
}

TEST(command_line, pagesCoverTheTokensAskedFor) {
  for (const int tokens : {64, 65, 79, 80, 32768}) {
    const auto s = settings_of({"--kv.tokens", std::to_string(tokens)});
    EXPECT_GE(s.serving.n_kv_pages * page_tokens, tokens);
    EXPECT_LT(s.serving.n_kv_pages * page_tokens, tokens + page_tokens);
  }
}

} // namespace
} // namespace souffleur
