// A language_model whose weights, pages and steps are a device's.
#pragma once

#include "engine/cuda/backend.hpp"
#include "engine/gguf.hpp"
#include "engine/language_model.hpp"
#include "engine/model/model_options.hpp"
#include "engine/model/transformer_config.hpp"

#include <memory>
#include <string>

namespace souffleur::cuda {

/// Of `options` it reads the pages and the threads. Keys and values are halves. `fingerprint` says what is
/// computed, and on what kind of device. The error names the tensor or setting that there are no kernels for,
/// or says that the device's memory is too small.
result<std::shared_ptr<language_model>>
make_device_model(const gguf_file& file, const transformer_config& config, std::string fingerprint,
                  const model_options& options, std::unique_ptr<backend> device);

} // namespace souffleur::cuda
