// In place of the kernels, where they are not built.
#include "engine/cuda/cuda_backend.hpp"

namespace souffleur::cuda {

result<std::unique_ptr<backend>> make_cuda_backend(const cuda_options& options) {
  return failure{"CUDA device " + std::to_string(options.device) +
                 ": this program was built without CUDA (it takes an nvcc 12 or newer and "
                 "-DSOUFFLEUR_CUDA=ON)"};
}

} // namespace souffleur::cuda
