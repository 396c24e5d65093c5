// Trees of rows on the CPU, for each kind of keys and values, architecture and instruction set.
#include "engine/model/load_model.hpp"
#include "tests/engine/tiny_model.hpp"
#include "tests/engine/tree_check.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>
#include <tuple>

namespace souffleur {
namespace {

using namespace testing;

tiny_gguf file_of(int architecture) {
  tiny_sizes sizes;
  sizes.n_layers = 3;
  sizes.n_context = 512;
  switch (architecture) {
  case 0:
    return tiny_llama("llama", sizes);
  case 1:
    return tiny_qwen3(sizes);
  default:
    return tiny_gemma3(20, sizes);
  }
}

/// Kept from case to case: to load one takes longer than a case.
language_model& model_of(int architecture, kv_type kv, isa level) {
  static std::map<std::tuple<int, kv_type, isa>, std::shared_ptr<language_model>> models;
  auto& model = models[{architecture, kv, level}];
  if (!model) {
    const auto bytes = file_of(architecture).bytes();
    const auto parsed = gguf_file::parse(bytes);
    const auto loaded = load_model(*parsed, {2, tree_check_pages, kv, level});
    model = *loaded;
  }
  return *model;
}

RC_GTEST_PROP(TreeRows, ARowGivesTheBitsOfItsChainAndAPathThatIsKeptHasThem, ()) {
  const auto kv = *rc::gen::element(kv_type::f32, kv_type::f16, kv_type::int8);
  check_any_tree(model_of(*rc::gen::inRange(0, 3), kv, *rc::gen::elementOf(available_isas())));
}

} // namespace
} // namespace souffleur
