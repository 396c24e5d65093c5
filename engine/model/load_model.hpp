// From a GGUF file to a language_model.
#pragma once

#include "engine/gguf.hpp"
#include "engine/language_model.hpp"
#include "engine/model/model_options.hpp"
#include "engine/result.hpp"

#include <functional>
#include <memory>
#include <string>

namespace souffleur {

/// What is known of a model without its weights in memory.
struct model_outline {
  std::string fingerprint; ///< as language_model has it
  int context_length = 0;
  int vocabulary_size = 0;
};

/// Reads the whole file once. The error is load_model's, as far as it concerns the metadata.
result<model_outline> outline_of(const gguf_file& file, kv_type kv);

/// Brings the weights of a file whose architecture is known (architectures.hpp) into the layout of the device
/// that computes. The error names the missing or unsupported key, tensor or device.
result<std::shared_ptr<language_model>> load_model(const std::shared_ptr<const gguf_file>& file,
                                                   const model_options& options,
                                                   const std::function<void(double fraction)>& progress = {});

} // namespace souffleur
