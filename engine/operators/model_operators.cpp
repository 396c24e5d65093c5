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
  library.def("quantized_linear(Tensor x, " PACKED_LINEAR " weight, bool accumulate, Tensor(a!) out) -> ()");
  library.def("rms_norm(Tensor x, Tensor weight, float epsilon, Tensor(a!) out) -> ()");
  library.def(
      "rope(Tensor positions, Tensor cosines, Tensor sines, bool interleaved, Tensor(a!) heads) -> ()");
  library.def("write_kv(Tensor keys, Tensor values, Tensor sequences, Tensor positions, Tensor page_table, "
              "Tensor(a!) key_pages, Tensor(b!) value_pages) -> ()");
  library.def(
      "paged_attention(Tensor q, Tensor key_pages, Tensor value_pages, Tensor sequences, Tensor positions, "
      "Tensor page_table, int window, float scale, Tensor(a!) out) -> ()");
  library.def("gated_activation(Tensor gate_up, int f, Tensor(a!) out) -> ()");
}

void implement_in_aten(torch::Library& library) {
  library.impl("embedding", reference_operators::embedding);
  library.impl("quantized_linear", reference_operators::quantized_linear);
  library.impl("rms_norm", reference_operators::rms_norm);
  library.impl("rope", reference_operators::rope);
  library.impl("write_kv", reference_operators::write_kv);
  library.impl("paged_attention", reference_operators::paged_attention);
  library.impl("gated_activation", reference_operators::gated_activation);
}

} // namespace

TORCH_LIBRARY(souffleur, library) {
  library.class_<packed_linear>("PackedLinear")
      .def("n_in", [](const packed_linear_ptr& self) { return std::int64_t{self->n_in()}; })
      .def("n_out", [](const packed_linear_ptr& self) { return std::int64_t{self->n_out()}; });
  define_operators(library);
}

TORCH_LIBRARY_IMPL(souffleur, CPU, library) {
  library.impl("embedding", cpu_operators::embedding);
  library.impl("quantized_linear", cpu_operators::quantized_linear);
  library.impl("rms_norm", cpu_operators::rms_norm);
  library.impl("rope", cpu_operators::rope);
  library.impl("write_kv", cpu_operators::write_kv);
  library.impl("paged_attention", cpu_operators::paged_attention);
  library.impl("gated_activation", cpu_operators::gated_activation);
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
  explicit handles(const std::string& library)
      : embedding(find(library, "embedding", cpu_operators::embedding)),
        quantized_linear(find(library, "quantized_linear", cpu_operators::quantized_linear)),
        rms_norm(find(library, "rms_norm", cpu_operators::rms_norm)),
        rope(find(library, "rope", cpu_operators::rope)),
        write_kv(find(library, "write_kv", cpu_operators::write_kv)),
        paged_attention(find(library, "paged_attention", cpu_operators::paged_attention)),
        gated_activation(find(library, "gated_activation", cpu_operators::gated_activation)) {}

  c10::TypedOperatorHandle<decltype(cpu_operators::embedding)> embedding;
  c10::TypedOperatorHandle<decltype(cpu_operators::quantized_linear)> quantized_linear;
  c10::TypedOperatorHandle<decltype(cpu_operators::rms_norm)> rms_norm;
  c10::TypedOperatorHandle<decltype(cpu_operators::rope)> rope;
  c10::TypedOperatorHandle<decltype(cpu_operators::write_kv)> write_kv;
  c10::TypedOperatorHandle<decltype(cpu_operators::paged_attention)> paged_attention;
  c10::TypedOperatorHandle<decltype(cpu_operators::gated_activation)> gated_activation;
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

void model_operators::quantized_linear(const at::Tensor& x, const packed_linear_ptr& weight, bool accumulate,
                                       at::Tensor& out) const {
  const operator_timer timer{"quantized_linear", weight->n_out(), weight->n_in()};
  handles_->quantized_linear.call(x, weight, accumulate, out);
}

void model_operators::rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon,
                               at::Tensor& out) const {
  const operator_timer timer{"rms_norm"};
  handles_->rms_norm.call(x, weight, epsilon, out);
}

void model_operators::rope(const at::Tensor& positions, const at::Tensor& cosines, const at::Tensor& sines,
                           bool interleaved, at::Tensor& heads) const {
  const operator_timer timer{"rope"};
  handles_->rope.call(positions, cosines, sines, interleaved, heads);
}

void model_operators::write_kv(const at::Tensor& keys, const at::Tensor& values, const batch_layout& batch,
                               kv_tensors& kv) const {
  const operator_timer timer{"write_kv"};
  handles_->write_kv.call(keys, values, batch.sequences, batch.positions, batch.page_table, kv.keys,
                          kv.values);
}

void model_operators::paged_attention(const at::Tensor& q, const kv_tensors& kv, const batch_layout& batch,
                                      std::int64_t window, double scale, at::Tensor& out) const {
  const operator_timer timer{"paged_attention"};
  handles_->paged_attention.call(q, kv.keys, kv.values, batch.sequences, batch.positions, batch.page_table,
                                 window, scale, out);
}

void model_operators::gated_activation(const at::Tensor& gate_up, activation f, at::Tensor& out) const {
  const operator_timer timer{"gated_activation"};
  handles_->gated_activation.call(gate_up, static_cast<std::int64_t>(f), out);
}

} // namespace souffleur
