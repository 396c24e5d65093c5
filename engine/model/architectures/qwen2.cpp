// Qwen2 and Qwen2.5: biases on queries, keys and values, which are read where a file has them. Source: Yang
// et al. 2024.
#include "engine/model/architectures.hpp"

namespace souffleur {

transformer_config read_qwen2(metadata_reader& in) { return common_config(in); }

} // namespace souffleur
