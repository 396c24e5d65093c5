#include "engine/cuda/device_model.hpp"

#include "engine/cuda/decoder.hpp"
#include "engine/kernels/thread_team.hpp"
#include "engine/step_rows.hpp"

#include <algorithm>
#include <bit>
#include <numeric>
#include <set>
#include <stdexcept>
#include <utility>

namespace souffleur::cuda {

namespace {

/// Goes up with every change of the pages' layout, and of the kernels' bits.
constexpr std::string_view page_version = "1";

/// Rows that the device computes at once: enough to fill it, and few enough for the parts of attention over
/// the whole context to have room.
constexpr int most_rows = 256;
constexpr int least_rows = 16;
constexpr std::size_t most_workspace_bytes = std::size_t{512} << 20;

int rows_at_once(const transformer_config& config, int n_places) {
  const auto n_parts = static_cast<std::size_t>((n_places + part_tokens - 1) / part_tokens);
  const auto row_bytes = static_cast<std::size_t>(config.n_heads) * n_parts *
                         static_cast<std::size_t>(config.head_dim + 2) * sizeof(float);
  return std::clamp(static_cast<int>(most_workspace_bytes / row_bytes), least_rows, most_rows);
}

/// Recorded steps are for shapes: sizes that only bound others are rounded up to few of them.
int shape_size(int n, int most) {
  return std::min(most, static_cast<int>(std::bit_ceil(static_cast<unsigned>(std::max(n, 1)))));
}

class device_model final : public language_model {
public:
  device_model(std::unique_ptr<backend> device, std::unique_ptr<decoder> steps, std::string fingerprint,
               const decoder_limits& limits, const model_options& options)
      : device_(std::move(device)), decoder_(std::move(steps)), fingerprint_(std::move(fingerprint)),
        page_format_(std::string{fingerprint_}.append("-").append(page_version)), limits_(limits),
        n_pages_(options.n_kv_pages), team_(options.n_threads), rows_(options.n_kv_pages) {}

  ~device_model() override { device_->enter(); }

  int vocabulary_size() const override { return decoder_->config().n_vocabulary; }
  int context_length() const override { return decoder_->config().n_context; }
  int n_pages() const override { return n_pages_; }
  std::size_t weights_bytes() const override { return decoder_->weight_bytes(); }
  const std::string& fingerprint() const override { return fingerprint_; }

  void forward(std::span<const sequence_rows> batch, std::span<float> logits) override {
    draws_.clear();
    compute(batch, [&](int n_sampled) {
      const auto n = n_values(n_sampled);
      decoder_->logits(0, logits.first(n));
      logits = logits.subspan(n);
    });
  }

  /// Of who wants no more, nothing but tokens leaves the device.
  void forward_each(std::span<const sequence_rows> batch, const output_reader& read) override {
    collect_wishes(batch);
    const auto logits = room_for(n_values(static_cast<int>(std::ranges::count(wants_logits_, true))));
    auto free = logits;
    choices_.clear();
    compute(batch, [&](int n_sampled) {
      const auto first = choices_.size();
      choices_.resize(first + static_cast<std::size_t>(n_sampled));
      const auto wants = std::span{wants_logits_}.subspan(first, static_cast<std::size_t>(n_sampled));
      if (std::ranges::find(wants, false) != wants.end())
        std::ranges::copy(decoder_->choices(), choices_.begin() + static_cast<std::ptrdiff_t>(first));
      for (int row = 0, n = 0; row < n_sampled; row += n) {
        n = run_of(wants, row);
        if (!wants[static_cast<std::size_t>(row)])
          continue;
        decoder_->logits(row, free.first(n_values(n)));
        free = free.subspan(n_values(n));
      }
    });
    tell(batch, logits, read);
  }

  void share_out(int n_parts, const std::function<void(int)>& task) override { team_.run(n_parts, task); }

  void rest() override {
    device_->enter();
    logits_ = {};
    n_logits_ = 0;
  }

  void keep(std::size_t sequence, int row) override {
    device_->enter();
    copy_pages(rows_.copies_to_keep(sequence, row));
  }

  void turn(std::span<const page_turn> turns) override {
    device_->enter();
    for (const auto& one : turns) {
      decoder_->copy_page(one.from, one.to);
      if (one.n_positions != 0)
        decoder_->turn_page(one.to, one.n_positions);
    }
  }

  const std::string& page_format() const override { return page_format_; }
  std::size_t page_bytes() const override { return decoder_->page_bytes(); }
  void save_page(page_id page, std::span<std::byte> bytes) const override {
    device_->enter();
    decoder_->save_page(page, bytes);
    check_device();
  }
  void load_page(page_id page, std::span<const std::byte> bytes) override {
    device_->enter();
    decoder_->load_page(page, bytes);
  }

private:
  std::size_t n_values(int n_rows) const {
    return static_cast<std::size_t>(n_rows) * static_cast<std::size_t>(vocabulary_size());
  }

  /// Of each row that gets logits: who reads them, and how its token is drawn if somebody's is.
  void collect_wishes(std::span<const sequence_rows> batch) {
    wants_logits_.clear();
    draws_.clear();
    for (const auto& rows : batch) {
      const auto n = static_cast<std::size_t>(rows.n_logit_rows);
      wants_logits_.resize(wants_logits_.size() + n, !rows.wants_choices);
      draws_.insert(draws_.end(), rows.draws.begin(), rows.draws.end());
      draws_.resize(wants_logits_.size());
    }
    if (std::ranges::all_of(draws_, [](const token_draw& draw) { return draw.temperature == 0; }))
      draws_.clear();
  }

  /// How many rows from `row` on want the same.
  static int run_of(std::span<const char> wants, int row) {
    const auto from = wants.begin() + row;
    return static_cast<int>(std::ranges::find(from, wants.end(), !*from) - from);
  }

  /// `read_sampled(n)` after each part of the step that sampled n rows: those that follow the last one's.
  /// They are drawn as draws_ says.
  template <class Read>
  void compute(std::span<const sequence_rows> batch, const Read& read_sampled) {
    device_->enter();
    rows_.collect(batch);
    mark_sampled(batch);
    copy_pages(rows_.side_beginnings());
    std::size_t n_before = 0; // sampled rows
    for (int first = 0; first < rows_.n_rows(); first += limits_.n_rows) {
      part(first, std::min(first + limits_.n_rows, rows_.n_rows()));
      const auto n_sampled = part_.sampled.size();
      if (!draws_.empty()) {
        const auto draws = std::span{draws_}.subspan(n_before, n_sampled);
        part_.draws.assign(draws.begin(), draws.end());
      }
      n_before += n_sampled;
      decoder_->set_batch(part_);
      decoder_->queue_known_step();
      if (n_sampled > 0)
        read_sampled(static_cast<int>(n_sampled));
    }
    check_device();
  }

  void tell(std::span<const sequence_rows> batch, std::span<const float> logits, const output_reader& read) {
    std::span<const token_id> choices = choices_;
    outputs_.clear();
    for (const auto& rows : batch) {
      const auto n = static_cast<std::size_t>(rows.n_logit_rows);
      if (rows.wants_choices) {
        outputs_.push_back({{}, choices.first(n)});
      } else {
        outputs_.push_back({logits.first(n_values(rows.n_logit_rows))});
        logits = logits.subspan(n_values(rows.n_logit_rows));
      }
      choices = choices.subspan(n);
    }
    read(0, outputs_);
  }

  void copy_pages(std::span<const page_turn> copies) {
    for (const auto& one : copies)
      decoder_->copy_page(one.from, one.to);
  }

  /// What the device could not do ends the step as a dead verifier's does: nothing of it is used.
  void check_device() const {
    if (const auto error = device_->take_error(); !error.empty())
      throw std::runtime_error{device_->name() + ": " + error};
  }

  void mark_sampled(std::span<const sequence_rows> batch) {
    is_sampled_.clear();
    for (const auto& sequence : batch) {
      is_sampled_.resize(is_sampled_.size() + sequence.tokens.size() -
                         static_cast<std::size_t>(sequence.n_logit_rows));
      is_sampled_.resize(is_sampled_.size() + static_cast<std::size_t>(sequence.n_logit_rows), true);
    }
  }

  /// part_ becomes the rows [first, end) of the step, with the lines that they write to.
  void part(int first, int end) {
    const auto range = [&](const std::vector<std::int32_t>& values) {
      return std::vector<std::int32_t>(values.begin() + first, values.begin() + end);
    };
    part_ = {};
    part_.tokens = range(rows_.tokens);
    part_.places = range(rows_.places);
    if (rows_.positions != rows_.places)
      part_.positions = range(rows_.positions);
    const int longest = *std::ranges::max_element(part_.places) + 1;
    part_.n_places = std::min(limits_.n_places,
                              shape_size((longest + part_tokens - 1) / part_tokens, INT32_MAX) * part_tokens);
    part_.table_width = shape_size(pages_for(longest), pages_for(limits_.n_places));
    number_of_line_.assign(rows_.owners.size(), -1);
    for (int row = first; row < end; ++row) {
      part_.lines.push_back(line_in_part(rows_.lines[static_cast<std::size_t>(row)]));
      if (is_sampled_[static_cast<std::size_t>(row)])
        part_.sampled.push_back(row - first);
    }
    for (std::size_t i = 0; i < rows_.copies.size(); i += 2)
      if (rows_.copies[i] >= first && rows_.copies[i] < end)
        part_.copies.insert(part_.copies.end(), {rows_.copies[i] - first, line_in_part(rows_.copies[i + 1])});
  }

  int line_in_part(int line) {
    auto& number = number_of_line_[static_cast<std::size_t>(line)];
    if (number >= 0)
      return number;
    const auto width = static_cast<std::size_t>(part_.table_width);
    number = static_cast<int>(part_.page_table.size() / width);
    const auto pages = std::span{rows_.page_table}.subspan(static_cast<std::size_t>(line) * rows_.table_width,
                                                           std::min(rows_.table_width, width));
    part_.page_table.insert(part_.page_table.end(), pages.begin(), pages.end());
    part_.page_table.resize(static_cast<std::size_t>(number + 1) * width, 0);
    return number;
  }

  /// Of the host, and where the device writes to soonest.
  std::span<float> room_for(std::size_t n) {
    if (n > n_logits_) {
      logits_ = device_->allocate_on_host(n * sizeof(float));
      if (!logits_)
        throw std::bad_alloc{};
      n_logits_ = n;
    }
    return {reinterpret_cast<float*>(logits_.get()), n};
  }

  std::unique_ptr<backend> device_;
  std::unique_ptr<decoder> decoder_;
  std::string fingerprint_;
  std::string page_format_;
  decoder_limits limits_;
  int n_pages_;
  thread_team team_; ///< of the host, for share_out()
  step_rows rows_;
  std::vector<bool> is_sampled_; ///< (n_rows,)
  row_batch part_;
  std::vector<int> number_of_line_; ///< in part_; -1: not there
  // Of the rows that get logits.
  std::vector<char> wants_logits_;
  std::vector<token_draw> draws_; ///< empty: all want the most likely
  std::vector<token_id> choices_;
  std::vector<row_outputs> outputs_;
  std::shared_ptr<std::byte> logits_;
  std::size_t n_logits_ = 0;
};

} // namespace

result<std::shared_ptr<language_model>>
make_device_model(const gguf_file& file, const transformer_config& config, std::string fingerprint,
                  const model_options& options, std::unique_ptr<backend> device) {
  decoder_limits limits;
  limits.n_places = std::min(config.n_context, options.n_kv_pages * page_tokens);
  limits.n_rows = rows_at_once(config, limits.n_places);
  limits.n_lines = limits.n_rows + n_scratch_pages;
  limits.n_pages = options.n_kv_pages + n_scratch_pages;
  std::set<const gguf_tensor*> taken;
  const auto find = [&](std::string_view name) {
    const auto* tensor = file.find_tensor(name);
    taken.insert(tensor);
    return tensor;
  };
  auto loaded = decoder::load(config, find, limits, *device);
  if (!loaded)
    return failure{device->name() + ": " + loaded.error()};
  for (const auto& tensor : file.tensors())
    if (!taken.contains(&tensor))
      return failure{"tensor \"" + tensor.name + "\": is not supported in this architecture"};
  if (const auto error = device->take_error(); !error.empty())
    return failure{device->name() + ": " + error};
  return std::shared_ptr<language_model>{std::make_shared<device_model>(
      std::move(device), std::move(*loaded), std::move(fingerprint), limits, options)};
}

} // namespace souffleur::cuda
