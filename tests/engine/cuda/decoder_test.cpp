// A small model through the device's operations, on the host, against the CPU engine.
#include "engine/cuda/decoder.hpp"

#include "engine/model/architectures.hpp"
#include "engine/model/load_model.hpp"
#include "tests/engine/tiny_model.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

namespace souffleur::cuda {
namespace {

using namespace testing;

constexpr int pages_of_line = 12;
constexpr int n_lines = 3;

class CudaDecoder : public ::testing::Test {
protected:
  CudaDecoder() {
    tiny_sizes sizes;
    sizes.n_layers = 3;
    sizes.n_context = 256;
    bytes_ = tiny_llama("llama", sizes).bytes();
    file_ = *gguf_file::parse(bytes_);
    engine_ = *load_model(file_, {1, 64, kv_type::f16});
    device_ = make_host_backend();
    decoder_ = std::move(*decoder::load(
        *read_config(*file_), [&](std::string_view name) { return file_->find_tensor(name); },
        {16, n_lines, pages_of_line * page_tokens, n_lines * pages_of_line, true}, *device_));
    pages_.resize(pages_of_line);
    std::iota(pages_.begin(), pages_.end(), 0);
  }

  static std::vector<token_id> text(int n) {
    std::vector<token_id> tokens;
    for (int i = 0; i < n; ++i)
      tokens.push_back((7 * i + i * i) % 96);
    return tokens;
  }

  /// Rows of `line` from `first` on.
  static void add_rows(row_batch& batch, int line, int first, std::span<const token_id> tokens) {
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      batch.sampled.push_back(batch.n_rows());
      batch.tokens.push_back(tokens[i]);
      batch.places.push_back(first + static_cast<int>(i));
      batch.lines.push_back(line);
    }
  }
  static row_batch no_rows() {
    row_batch batch;
    batch.table_width = pages_of_line;
    batch.n_places = pages_of_line * page_tokens;
    for (int page = 0; page < n_lines * pages_of_line; ++page)
      batch.page_table.push_back(page * 5 % (n_lines * pages_of_line));
    return batch;
  }
  std::vector<float> step(const row_batch& batch) {
    decoder_->set_batch(batch);
    decoder_->queue_step();
    return decoder_->logits();
  }
  /// In chunks of at most 16 rows; the logits of all.
  std::vector<float> chain(int line, std::span<const token_id> tokens) {
    std::vector<float> logits;
    for (std::size_t first = 0; first < tokens.size(); first += 16) {
      auto batch = no_rows();
      add_rows(batch, line, static_cast<int>(first),
               tokens.subspan(first, std::min<std::size_t>(16, tokens.size() - first)));
      const auto some = step(batch);
      logits.insert(logits.end(), some.begin(), some.end());
    }
    return logits;
  }
  std::vector<float> last_row(const std::vector<float>& logits) const {
    return {logits.end() - 96, logits.end()};
  }

  std::vector<std::byte> bytes_;
  std::shared_ptr<const gguf_file> file_;
  std::shared_ptr<language_model> engine_;
  std::unique_ptr<backend> device_;
  std::unique_ptr<decoder> decoder_;
  std::vector<page_id> pages_;
};

TEST_F(CudaDecoder, GivesTheLogitsOfTheCpuEngine) {
  const auto tokens = text(150);
  std::vector<float> expected(tokens.size() * 96);
  const sequence_rows rows{pages_, 0, tokens, static_cast<int>(tokens.size())};
  engine_->forward({&rows, 1}, expected);
  const auto got = chain(1, tokens);
  ASSERT_EQ(got.size(), expected.size());
  for (std::size_t i = 0; i < got.size(); ++i)
    ASSERT_NEAR(got[i], expected[i], 2e-3) << "row " << i / 96;
}

TEST_F(CudaDecoder, ARowOfATreeHasTheLogitsOfItsChain) {
  const auto before = text(20);
  const std::vector<token_id> path{3, 50, 9}; // and a side branch: 3, then 70
  chain(0, before);
  chain(1, before);
  auto batch = no_rows();
  add_rows(batch, 0, 20, path);
  const token_id side = 70;
  add_rows(batch, 1, 21, {&side, 1});
  batch.copies = {0, 1}; // the branch's own page has its root, too
  const auto logits = step(batch);

  auto main = before;
  main.insert(main.end(), path.begin(), path.end());
  EXPECT_EQ(last_row(chain(2, main)), std::vector<float>(logits.begin() + 2 * 96, logits.begin() + 3 * 96));
  auto branch = before;
  branch.insert(branch.end(), {3, 70});
  EXPECT_EQ(last_row(chain(2, branch)), last_row(logits));
}

TEST_F(CudaDecoder, ARecordedStepGoesOnFromItsOwnChoices) {
  const auto before = text(20);
  chain(0, before);
  const auto first = decoder_->choices().back();
  auto batch = no_rows();
  add_rows(batch, 0, 20, {&first, 1});
  decoder_->set_batch(batch);
  const auto next = device_->record([&] {
    decoder_->queue_step();
    decoder_->queue_advance();
  });
  for (int i = 0; i < 5; ++i)
    next();
  auto text = before;
  text.push_back(first);
  for (const auto token : decoder_->history(0, 20, 25)) {
    const auto logits = last_row(chain(2, text));
    EXPECT_EQ(token, std::ranges::max_element(logits) - logits.begin());
    text.push_back(token);
  }
}

TEST_F(CudaDecoder, RefusesWhatItHasNoKernelsFor) {
  tiny_sizes sizes;
  sizes.head_dim = 16;
  const auto bytes = tiny_llama("llama", sizes).bytes();
  const auto file = *gguf_file::parse(bytes);
  const auto refused = decoder::load(
      *read_config(*file), [&](std::string_view name) { return file->find_tensor(name); }, {16, 1, 64, 4},
      *device_);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().find("heads of 16 values"), std::string::npos);
}

TEST_F(CudaDecoder, NamesTheTensorThatIsMissing) {
  const auto refused = decoder::load(
      *read_config(*file_),
      [&](std::string_view name) {
        return name == "blk.1.ffn_up.weight" ? nullptr : file_->find_tensor(name);
      },
      {16, 1, 64, 4}, *device_);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().find("blk.1.ffn_up.weight"), std::string::npos);
}

} // namespace
} // namespace souffleur::cuda
