#include "engine/operators/model_operators.hpp"

#include "engine/operators/operator_functions.hpp"
#include "engine/operators/operator_profile.hpp"

#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/custom_class.h>
#include <torch/library.h>

#include <cstdlib>
#include <cstring>
#include <string>

namespace souffleur {

namespace {

#define PACKED_LINEAR "__torch__.torch.classes.souffleur.PackedLinear"

void define_operators(torch::Library& library) {
  library.def("embedding(Tensor tokens, " PACKED_LINEAR " weight, Tensor(a!) out) -> ()");
  library.def("linear(Tensor x, Tensor norm, float epsilon, " PACKED_LINEAR " weight, bool accumulate, "
              "Tensor(a!) out) -> ()");
  library.def("gated_linear(Tensor x, Tensor norm, float epsilon, " PACKED_LINEAR " weight, int f, "
              "Tensor(a!) out) -> ()");
  library.def("rms_norm(Tensor x, Tensor weight, float epsilon, Tensor(a!) out) -> ()");
  library.def("rotate_and_store(Tensor(a!) heads, Tensor q_norm, Tensor k_norm, float epsilon, "
              "Tensor cosines, Tensor sines, Tensor sequences, Tensor positions, Tensor page_table, "
              "Tensor copies, "
              "Tensor(b!) key_pages, Tensor(c!) value_pages, Tensor(d!) key_scales, "
              "Tensor(e!) value_scales) -> ()");
  library.def("turn_page(int from, int to, Tensor cosines, Tensor sines, Tensor(a!) key_pages, "
              "Tensor(b!) value_pages, Tensor(c!) key_scales, Tensor(d!) value_scales) -> ()");
  library.def("paged_attention(Tensor q, Tensor key_pages, Tensor value_pages, Tensor key_scales, "
              "Tensor value_scales, Tensor sequences, Tensor positions, Tensor page_table, Tensor owners, "
              "int window, "
              "float scale, Tensor(a!) out) -> ()");
}

void implement_in_aten(torch::Library& library) {
#define SOUFFLEUR_IMPLEMENT(name) library.impl(#name, reference_operators::name);
  SOUFFLEUR_OPERATORS(SOUFFLEUR_IMPLEMENT)
#undef SOUFFLEUR_IMPLEMENT
}

} // namespace

TORCH_LIBRARY(souffleur, library) {
  library.class_<packed_linear>("PackedLinear")
      .def("n_in", [](const packed_linear_ptr& self) { return std::int64_t{self->n_in()}; })
      .def("n_out", [](const packed_linear_ptr& self) { return std::int64_t{self->n_out()}; });
  define_operators(library);
}

TORCH_LIBRARY_IMPL(souffleur, CPU, library) {
#define SOUFFLEUR_IMPLEMENT(name) library.impl(#name, cpu_operators::name);
  SOUFFLEUR_OPERATORS(SOUFFLEUR_IMPLEMENT)
#undef SOUFFLEUR_IMPLEMENT
}

TORCH_LIBRARY_IMPL(souffleur, CompositeExplicitAutograd, library) { implement_in_aten(library); }

TORCH_LIBRARY(souffleur_reference, library) { define_operators(library); }
TORCH_LIBRARY_IMPL(souffleur_reference, CompositeExplicitAutograd, library) { implement_in_aten(library); }

namespace {

template <class F>
c10::TypedOperatorHandle<F> find(const std::string& library, const char* name, F*) {
  return c10::Dispatcher::singleton().findSchemaOrThrow((library + "::" + name).c_str(), "").typed<F>();
}

} // namespace

struct model_operators::handles {
  std::string library;
#define SOUFFLEUR_HANDLE(name)                                                                               \
  c10::TypedOperatorHandle<decltype(cpu_operators::name)> name = find(library, #name, cpu_operators::name);
  SOUFFLEUR_OPERATORS(SOUFFLEUR_HANDLE)
#undef SOUFFLEUR_HANDLE
};

operator_set default_operator_set() {
  const char* forced = std::getenv("SOUFFLEUR_ISA");
  return forced && std::strcmp(forced, "reference") == 0 ? operator_set::reference : operator_set::kernels;
}

model_operators::model_operators(operator_set which) {
  static const handles kernels{"souffleur"};
  static const handles reference{"souffleur_reference"};
  handles_ = which == operator_set::kernels ? &kernels : &reference;
}

void model_operators::embedding(const at::Tensor& tokens, const packed_linear_ptr& weight,
                                at::Tensor& out) const {
  const operator_timer timer{"embedding"};
  handles_->embedding.call(tokens, weight, out);
}

void model_operators::linear(const at::Tensor& x, const input_norm& norm, const packed_linear_ptr& weight,
                             bool accumulate, at::Tensor& out) const {
  const operator_timer timer{"linear", weight->n_out(), weight->n_in()};
  handles_->linear.call(x, norm.weight, norm.epsilon, weight, accumulate, out);
}

void model_operators::gated_linear(const at::Tensor& x, const input_norm& norm,
                                   const packed_linear_ptr& weight, activation f, at::Tensor& out) const {
  const operator_timer timer{"gated_linear", weight->n_out(), weight->n_in()};
  handles_->gated_linear.call(x, norm.weight, norm.epsilon, weight, static_cast<std::int64_t>(f), out);
}

void model_operators::rms_norm(const at::Tensor& x, const input_norm& norm, at::Tensor& out) const {
  const operator_timer timer{"rms_norm"};
  handles_->rms_norm.call(x, norm.weight, norm.epsilon, out);
}

void model_operators::rotate_and_store(at::Tensor& heads, const input_norm& q_norm, const input_norm& k_norm,
                                       const at::Tensor& cosines, const at::Tensor& sines,
                                       const batch_layout& batch, kv_tensors& kv) const {
  const operator_timer timer{"rotate_and_store"};
  handles_->rotate_and_store.call(heads, q_norm.weight, k_norm.weight, q_norm.epsilon, cosines, sines,
                                  batch.sequences, batch.positions, batch.page_table, batch.copies, kv.keys,
                                  kv.values, kv.key_scales, kv.value_scales);
}

void model_operators::turn_page(page_id from, page_id to, const at::Tensor& cosines, const at::Tensor& sines,
                                kv_tensors& kv) const {
  const operator_timer timer{"turn_page"};
  handles_->turn_page.call(from, to, cosines, sines, kv.keys, kv.values, kv.key_scales, kv.value_scales);
}

void model_operators::paged_attention(const at::Tensor& q, const kv_tensors& kv, const batch_layout& batch,
                                      std::int64_t window, double scale, at::Tensor& out) const {
  const operator_timer timer{"paged_attention"};
  handles_->paged_attention.call(q, kv.keys, kv.values, kv.key_scales, kv.value_scales, batch.sequences,
                                 batch.positions, batch.page_table, batch.owners, window, scale, out);
}

} // namespace souffleur
