#include "net/commands/checkup.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace souffleur {
namespace {

server_settings plain_settings() {
  server_settings settings;
  settings.model_folder = "/nonexistent";
  settings.serving.cache_policy = "off";
  settings.server.port = 0;
  return settings;
}

machine_facts machine_with(std::vector<std::string> sets, int n_cpus = 2) {
  machine_facts facts;
  facts.instruction_sets = std::move(sets);
  facts.n_cpus = n_cpus;
  facts.free_bytes = std::size_t{8} << 30;
  facts.max_descriptors = 4096;
  return facts;
}

TEST(Checkup, WhatIsNotWellSaysWhatToDoAndWhatIsFineDoesNot) {
  const auto settings = plain_settings();
  for (const auto& one : {check_cpu(machine_with({"portable", "avx2"}), settings),
                          check_cpu(machine_with({"portable"}), settings), check_model(settings),
                          check_embedder(settings), check_store(settings), check_address(settings),
                          check_descriptors(machine_with({"portable"}), settings)})
    EXPECT_EQ(one.state == health::fine, one.to_do.empty()) << one.what << ": " << one.seen;
}

TEST(Checkup, TheCpuIsPoorWithoutVectorsWithSlowKernelsAndWithTooManyThreads) {
  auto settings = plain_settings();
  EXPECT_EQ(check_cpu(machine_with({"portable", "avx2", "avx512"}), settings).state, health::fine);
  EXPECT_EQ(check_cpu(machine_with({"portable"}), settings).state, health::poor);
  settings.kernels = "avx2";
  EXPECT_EQ(check_cpu(machine_with({"portable", "avx2", "avx512"}), settings).state, health::poor);
  settings.kernels = "auto";
  settings.n_threads = 3;
  EXPECT_EQ(check_cpu(machine_with({"portable", "avx2"}, 2), settings).state, health::poor);
}

TEST(Checkup, ADeviceThatIsNotThereIsBad) {
  auto settings = plain_settings();
  EXPECT_EQ(check_device(settings).state, health::fine);
  settings.device = {77};
  const auto found = check_device(settings);
  EXPECT_EQ(found.state, health::bad);
  EXPECT_NE(found.seen.find("CUDA device 77"), std::string::npos) << found.seen;
}

TEST(Checkup, ABusyMachineIsNamed) {
  auto machine = machine_with({"avx2"}, 4);
  machine.load = 0.5;
  EXPECT_EQ(check_load(machine).state, health::fine);
  machine.load = 3;
  EXPECT_EQ(check_load(machine).state, health::poor);
}

TEST(Checkup, AModelThatIsMissingOrBrokenIsBad) {
  auto settings = plain_settings();
  EXPECT_EQ(check_model(settings).state, health::bad);
  const auto path = std::filesystem::temp_directory_path() / "souffleur_checkup.gguf";
  std::ofstream{path} << "GGUF and then nothing";
  settings.model = path;
  EXPECT_EQ(check_model(settings).state, health::bad);
  std::filesystem::remove(path);
}

TEST(Checkup, APolicyThatLooksForMeaningWantsAnEmbedder) {
  auto settings = plain_settings();
  settings.embedding_model = "auto";
  EXPECT_EQ(check_embedder(settings).state, health::fine);
  settings.serving.cache_policy = "guarded";
  EXPECT_EQ(check_embedder(settings).state, health::poor);
  settings.embedding_model = "another";
  EXPECT_EQ(check_embedder(settings).state, health::bad);
}

TEST(Checkup, AStoreThatDoesNotAnswerIsPoorAndOneThatCannotBeIsBad) {
  auto settings = plain_settings();
  settings.serving.cache_policy = "exact";
  settings.store.where = "redis://127.0.0.1:1";
  EXPECT_EQ(check_store(settings).state, health::poor);
  settings.store.where = "redis://";
  EXPECT_EQ(check_store(settings).state, health::bad);
  settings.store.where = "memory";
  EXPECT_EQ(check_store(settings).state, health::fine);
}

TEST(Checkup, AnAddressThatEverybodyReachesWantsKeys) {
  auto settings = plain_settings();
  EXPECT_EQ(check_address(settings).state, health::fine);
  settings.server.address = "0.0.0.0";
  EXPECT_EQ(check_address(settings).state, health::poor);
  settings.api_keys = "keys";
  EXPECT_EQ(check_address(settings).state, health::fine);
  settings.server.address = "203.0.113.1"; // of nobody
  EXPECT_EQ(check_address(settings).state, health::bad);
  settings.server.address = "here";
  EXPECT_EQ(check_address(settings).state, health::bad);
}

TEST(Checkup, DescriptorsAreEnoughForAllConnections) {
  auto settings = plain_settings();
  auto machine = machine_with({"avx2"});
  EXPECT_EQ(check_descriptors(machine, settings).state, health::fine);
  machine.max_descriptors = 1024;
  EXPECT_EQ(check_descriptors(machine, settings).state, health::poor);
}

TEST(Checkup, FilesThatCannotBeReadAreNamedByTheirOptions) {
  auto settings = plain_settings();
  EXPECT_TRUE(check_files(settings).empty());
  settings.api_keys = settings.tls_certificate = settings.tls_key = settings.cache_calibration =
      "/nonexistent";
  settings.serving.tier_folder = "/dev/null/pages";
  std::vector<std::string> named;
  for (const auto& one : check_files(settings)) {
    EXPECT_EQ(one.state, health::bad);
    named.push_back(one.what);
  }
  EXPECT_EQ(named, (std::vector<std::string>{"server.api_keys", "server.tls_certificate", "server.tls_key",
                                             "cache.calibration", "kv.tier_folder"}));
}

} // namespace
} // namespace souffleur
