#!/usr/bin/env python3
"""Makes tiny_models.jsonl: logits of small models with made-up weights, by MLX's implementations of Qwen3 and Gemma 3.

usage: make_tiny_models.py        needs: mlx-lm (0.32.2, with mlx-cpu), numpy

Nothing but logits is kept: tests/engine/tiny_model.hpp makes the same weights. Element i of a tensor is
scale * u(fnv1a(name), i), u from splitmix64 in [-1, 1); norms are 1 + half of that.
"""
import json
import pathlib

import mlx.core as mx
import mlx.utils
import numpy
from mlx_lm.models import gemma3_text, qwen3

N_TOKENS, N_VOCABULARY, N_CONTEXT = 40, 96, 64
SIZES = {"n_layers": 4, "n_hidden": 64, "n_feed_forward": 96, "n_heads": 4, "n_kv_heads": 2, "head_dim": 32}
NAMES = {  # MLX's part of a name → GGUF's
    "model.embed_tokens": "token_embd", "lm_head": "output", "model.norm": "output_norm",
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm",
}
NORM_NAMES = {
    "qwen3": {"post_attention_layernorm": "ffn_norm"},
    "gemma3": {"post_attention_layernorm": "post_attention_norm", "pre_feedforward_layernorm": "ffn_norm",
               "post_feedforward_layernorm": "post_ffw_norm"},
}


def uniform(name, n):
    seed = 14695981039346656037
    for byte in name.encode():
        seed = (seed ^ byte) * 1099511628211 % 2**64
    z = numpy.uint64(seed) + numpy.arange(1, n + 1, dtype=numpy.uint64) * numpy.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
    z ^= z >> numpy.uint64(31)
    return ((z >> numpy.uint64(40)).astype(numpy.float64) / 2**23 - 1).astype(numpy.float32)


def gguf_name(architecture, name):
    stem = name.removesuffix(".weight")
    if stem in NAMES:
        return NAMES[stem] + ".weight"
    _, _, layer, part = stem.split(".", 3)
    return f"blk.{layer}.{({**NAMES, **NORM_NAMES[architecture]})[part]}.weight"


def weights_of(architecture, model):
    for name, like in mlx.utils.tree_flatten(model.parameters()):
        own = uniform(gguf_name(architecture, name), like.size)
        if like.ndim == 1:  # Gemma's implementation adds 1 itself; the file has it in
            own = own / 2 + (0 if architecture == "gemma3" else 1)
        elif "embed_tokens" not in name:
            own = own * numpy.float32((3 / like.shape[1]) ** 0.5)
        yield name, mx.array(own.astype(numpy.float32).reshape(like.shape))


def row(architecture, model, extra):
    model.load_weights(list(weights_of(architecture, model)))
    ids = [(7 * i * i + 3 * i + 5) % N_VOCABULARY for i in range(N_TOKENS)]
    logits = numpy.array(model(mx.array([ids]))[0])
    return {"architecture": architecture, **SIZES, "n_vocabulary": N_VOCABULARY, "n_context": N_CONTEXT, **extra,
            "ids": ids, "logits": [[float(f"{value:.6g}") for value in position] for position in logits[::3]]}


def main():
    sizes = dict(hidden_size=SIZES["n_hidden"], num_hidden_layers=SIZES["n_layers"],
                 intermediate_size=SIZES["n_feed_forward"], num_attention_heads=SIZES["n_heads"],
                 num_key_value_heads=SIZES["n_kv_heads"], head_dim=SIZES["head_dim"], rms_norm_eps=1e-6,
                 vocab_size=N_VOCABULARY, max_position_embeddings=N_CONTEXT, rope_theta=1e6)
    rows = [row("qwen3", qwen3.Model(qwen3.ModelArgs("qwen3", **sizes, tie_word_embeddings=False)),
                {"is_tied": False})]
    for window in (8, 1000):
        gemma = gemma3_text.Model(gemma3_text.ModelArgs(
            "gemma3", **sizes, query_pre_attn_scalar=SIZES["head_dim"], sliding_window=window,
            sliding_window_pattern=3, rope_scaling={"rope_type": "linear", "factor": 4.0}))
        gemma.sanitize({})
        rows.append(row("gemma3", gemma, {"is_tied": True, "window": window, "period": 3, "position_scale": 4.0}))
    path = pathlib.Path(__file__).with_name("tiny_models.jsonl")
    path.write_text("".join(json.dumps(each, separators=(",", ":")) + "\n" for each in rows))
    print("wrote", path.name)


if __name__ == "__main__":
    main()
