// What the user of a model chooses.
#pragma once

#include "engine/kernels/isa.hpp"
#include "engine/kernels/kv_layer.hpp"
#include "engine/model/compute_device.hpp"

namespace souffleur {

struct model_options {
  int n_threads = 2;
  int n_kv_pages = 2048; ///< pages of `page_tokens` positions; they cost resident memory only once used
  kv_type kv = kv_type::f16;
  isa level = best_isa(); ///< of the CPU's kernels
  compute_device device{};
};

} // namespace souffleur
