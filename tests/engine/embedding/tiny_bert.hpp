// A BERT encoder with made-up weights, and what it must compute.
#pragma once

#include "engine/embedding/bert_config.hpp"
#include "policies/token.hpp"
#include "tests/engine/embedding/tiny_safetensors.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <random>
#include <span>
#include <string>
#include <vector>

namespace souffleur::testing {

using matrix = std::vector<std::vector<double>>;

class tiny_bert {
public:
  tiny_bert() {
    const int n = config.n_hidden;
    add("embeddings.word_embeddings.weight", config.n_vocabulary, n, 1);
    add("embeddings.position_embeddings.weight", config.n_positions, n, 1);
    add("embeddings.token_type_embeddings.weight", 2, n, 1);
    add_norm("embeddings.LayerNorm");
    for (int i = 0; i < config.n_layers; ++i) {
      const auto layer = "encoder.layer." + std::to_string(i) + ".";
      for (const auto* part :
           {"attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"})
        add_linear(layer + part, n, n);
      add_norm(layer + "attention.output.LayerNorm");
      add_linear(layer + "intermediate.dense", config.n_inner, n);
      add_linear(layer + "output.dense", n, config.n_inner);
      add_norm(layer + "output.LayerNorm");
    }
  }

  std::vector<std::byte> file(const std::string& without = "") const {
    tiny_safetensors made;
    for (const auto& [name, tensor] : tensors_)
      if (name != without)
        made.floats(name, tensor.shape, tensor.values);
    return made.bytes();
  }

  /// In double precision, operation by operation.
  std::vector<double> embedding(std::span<const token_id> text) const {
    const auto& words = values("embeddings.word_embeddings.weight");
    const auto& positions = values("embeddings.position_embeddings.weight");
    const auto& segments = values("embeddings.token_type_embeddings.weight");
    const auto n = static_cast<std::size_t>(config.n_hidden);
    matrix x(text.size(), std::vector<double>(n));
    for (std::size_t t = 0; t < text.size(); ++t)
      for (std::size_t i = 0; i < n; ++i)
        x[t][i] =
            double{words[static_cast<std::size_t>(text[t]) * n + i]} + positions[t * n + i] + segments[i];
    x = normed("embeddings.LayerNorm", std::move(x));
    for (int i = 0; i < config.n_layers; ++i)
      x = after_layer("encoder.layer." + std::to_string(i) + ".", x);
    std::vector<double> mean(n);
    double squares = 0;
    for (std::size_t i = 0; i < n; ++i) {
      for (const auto& row : x)
        mean[i] += row[i];
      squares += mean[i] * mean[i];
    }
    for (auto& value : mean)
      value /= std::sqrt(squares);
    return mean;
  }

  bert_config config{2, 32, 2, 64, 40, 20, 1e-12F};

private:
  struct tensor {
    std::vector<std::int64_t> shape;
    std::vector<float> values;
  };

  void add(const std::string& name, int n_out, int n_in, double spread, double around = 0) {
    std::normal_distribution<double> draw{around, spread};
    auto& made = tensors_[name];
    made.shape = n_in == 0 ? std::vector<std::int64_t>{n_out} : std::vector<std::int64_t>{n_out, n_in};
    made.values.resize(static_cast<std::size_t>(n_out) * static_cast<std::size_t>(std::max(n_in, 1)));
    for (auto& value : made.values)
      value = static_cast<float>(draw(random_));
  }
  void add_linear(const std::string& name, int n_out, int n_in) {
    add(name + ".weight", n_out, n_in, 1.5 / std::sqrt(n_in));
    add(name + ".bias", n_out, 0, 0.3);
  }
  void add_norm(const std::string& name) {
    add(name + ".weight", config.n_hidden, 0, 0.2, 1);
    add(name + ".bias", config.n_hidden, 0, 0.2);
  }

  const std::vector<float>& values(const std::string& name) const { return tensors_.at(name).values; }

  matrix linear(const std::string& name, const matrix& x) const {
    const auto& weight = values(name + ".weight");
    const auto& bias = values(name + ".bias");
    matrix y;
    for (const auto& row : x) {
      auto& out = y.emplace_back();
      for (std::size_t o = 0; o < bias.size(); ++o) {
        double sum = bias[o];
        for (std::size_t i = 0; i < row.size(); ++i)
          sum += row[i] * weight[o * row.size() + i];
        out.push_back(sum);
      }
    }
    return y;
  }
  matrix normed(const std::string& name, matrix x) const {
    for (auto& row : x) {
      double mean = 0;
      double variance = 0;
      for (const auto value : row)
        mean += value / static_cast<double>(row.size());
      for (const auto value : row)
        variance += (value - mean) * (value - mean) / static_cast<double>(row.size());
      for (std::size_t i = 0; i < row.size(); ++i)
        row[i] = (row[i] - mean) / std::sqrt(variance + config.epsilon) * values(name + ".weight")[i] +
                 values(name + ".bias")[i];
    }
    return x;
  }
  static matrix sum(matrix a, const matrix& b) {
    for (std::size_t t = 0; t < a.size(); ++t)
      for (std::size_t i = 0; i < a[t].size(); ++i)
        a[t][i] += b[t][i];
    return a;
  }
  matrix attended(const std::string& layer, const matrix& x) const {
    const auto q = linear(layer + "attention.self.query", x);
    const auto k = linear(layer + "attention.self.key", x);
    const auto v = linear(layer + "attention.self.value", x);
    const auto size = static_cast<std::size_t>(config.head_dim());
    matrix out(x.size(), std::vector<double>(x[0].size()));
    for (std::size_t head = 0; head < static_cast<std::size_t>(config.n_heads); ++head)
      for (std::size_t t = 0; t < x.size(); ++t) {
        std::vector<double> weights;
        double total = 0;
        for (const auto& key : k) {
          double score = 0;
          for (std::size_t i = head * size; i < (head + 1) * size; ++i)
            score += q[t][i] * key[i];
          total += weights.emplace_back(std::exp(score / std::sqrt(static_cast<double>(size))));
        }
        for (std::size_t i = head * size; i < (head + 1) * size; ++i)
          for (std::size_t s = 0; s < v.size(); ++s)
            out[t][i] += weights[s] / total * v[s][i];
      }
    return out;
  }
  matrix after_layer(const std::string& layer, const matrix& x) const {
    const auto y = normed(layer + "attention.output.LayerNorm",
                          sum(x, linear(layer + "attention.output.dense", attended(layer, x))));
    auto inner = linear(layer + "intermediate.dense", y);
    for (auto& row : inner)
      for (auto& value : row)
        value *= 0.5 * (1 + std::erf(value / std::sqrt(2.0)));
    return normed(layer + "output.LayerNorm", sum(y, linear(layer + "output.dense", inner)));
  }

  std::map<std::string, tensor> tensors_;
  std::mt19937 random_{4711};
};

} // namespace souffleur::testing
