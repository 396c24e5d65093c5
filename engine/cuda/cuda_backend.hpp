// The kernels of a CUDA device, where CMake found an nvcc; else there is none.
#pragma once

#include "engine/cuda/backend.hpp"

namespace souffleur::cuda {

struct cuda_options {
  int device = 0;
  bool overlaps_launches = true; ///< kernels start while the one before still runs
};

/// The error says what is missing.
result<std::unique_ptr<backend>> make_cuda_backend(const cuda_options& options);

} // namespace souffleur::cuda
