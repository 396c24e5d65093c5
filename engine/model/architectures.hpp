// The architectures by the names that `general.architecture` has for them. A new one is a file in
// architectures/ and a line in the table of architectures.cpp.
#pragma once

#include "engine/gguf.hpp"
#include "engine/model/metadata_reader.hpp"
#include "engine/model/transformer_config.hpp"
#include "engine/result.hpp"

namespace souffleur {

/// How the file's model is built. The error names the key or tensor that is missing or not supported.
result<transformer_config> read_config(const gguf_file& file);

/// Sizes, norms and one rope for every layer: what the architectures have in common.
transformer_config common_config(metadata_reader& in);

transformer_config read_llama(metadata_reader& in);
transformer_config read_qwen2(metadata_reader& in);
transformer_config read_qwen3(metadata_reader& in);
transformer_config read_gemma3(metadata_reader& in);

} // namespace souffleur
