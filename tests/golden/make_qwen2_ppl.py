#!/usr/bin/env python3
"""Makes a ppl_qwen2_*.jsonl from a published Qwen2 GGUF, without this engine.

usage: make_qwen2_ppl.py QWEN2.gguf OUT.jsonl        needs: numpy, gguf

The text and its token ids are those of ppl_qwen2_0.5b.jsonl, which all Qwen2.5 models read alike; of that model the
script gives the perplexity that stands there. The weights are dequantised by `gguf`, a layer at a time, the forward pass
is plain numpy in float32 (angles of RoPE in float64).
"""
import json
import pathlib
import sys

import gguf
import numpy

FOLDER = pathlib.Path(__file__).parent
ROWS_AT_ONCE = 128


class Qwen2:
    def __init__(self, path):
        reader = gguf.GGUFReader(path)
        self.tensors = {tensor.name: tensor for tensor in reader.tensors}
        self.number = lambda key: reader.fields[f"qwen2.{key}"].contents()

    def weight(self, name):
        tensor = self.tensors[name]
        return gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(numpy.float32)

    def rms_norm(self, x, weight):
        epsilon = numpy.float32(self.number("attention.layer_norm_rms_epsilon"))
        return x / numpy.sqrt(numpy.mean(x * x, axis=-1, keepdims=True) + epsilon) * self.weight(weight)

    def rope(self, x):
        """x: (tokens, heads, head_dim); element i is paired with i + head_dim / 2."""
        half = x.shape[-1] // 2
        angles = numpy.arange(len(x))[:, None] * self.number("rope.freq_base") ** (-numpy.arange(half) / half)
        cosine, sine = (f(angles)[:, None, :].astype(numpy.float32) for f in (numpy.cos, numpy.sin))
        a, b = x[..., :half], x[..., half:]
        return numpy.concatenate([a * cosine - b * sine, a * sine + b * cosine], axis=-1)

    def attention(self, blk, x):
        n_heads, n_kv_heads = self.number("attention.head_count"), self.number("attention.head_count_kv")
        q, k, v = (x @ self.weight(f"{blk}.attn_{name}.weight").T + self.weight(f"{blk}.attn_{name}.bias")
                   for name in "qkv")
        q = self.rope(q.reshape(len(x), n_heads, -1))
        k = self.rope(k.reshape(len(x), n_kv_heads, -1))
        v = v.reshape(len(x), n_kv_heads, -1)
        out = numpy.empty_like(q)
        hidden = numpy.triu(numpy.ones((len(x), len(x)), bool), 1)
        for head in range(n_heads):
            kv = head * n_kv_heads // n_heads
            scores = q[:, head] @ k[:, kv].T / numpy.float32(numpy.sqrt(q.shape[-1]))
            scores[hidden] = -numpy.inf
            scores = numpy.exp(scores - scores.max(axis=-1, keepdims=True))
            out[:, head] = scores / scores.sum(axis=-1, keepdims=True) @ v[:, kv]
        return out.reshape(len(x), -1) @ self.weight(f"{blk}.attn_output.weight").T

    def feed_forward(self, blk, x):
        gate = x @ self.weight(f"{blk}.ffn_gate.weight").T
        up = x @ self.weight(f"{blk}.ffn_up.weight").T
        return (gate / (1 + numpy.exp(-gate)) * up) @ self.weight(f"{blk}.ffn_down.weight").T

    def nll(self, ids):
        """Minus the log-probability of each of ids[1:]."""
        x = self.weight("token_embd.weight")[ids[:-1]]
        for layer in range(self.number("block_count")):
            blk = f"blk.{layer}"
            x = x + self.attention(blk, self.rms_norm(x, f"{blk}.attn_norm.weight"))
            x = x + self.feed_forward(blk, self.rms_norm(x, f"{blk}.ffn_norm.weight"))
            print("layer", layer, flush=True)
        x = self.rms_norm(x, "output_norm.weight")
        output = self.weight("output.weight" if "output.weight" in self.tensors else "token_embd.weight").T
        nll = []
        for at in range(0, len(x), ROWS_AT_ONCE):
            logits = (x[at:at + ROWS_AT_ONCE] @ output).astype(numpy.float64)
            largest = logits.max(axis=-1)
            sums = largest + numpy.log(numpy.exp(logits - largest[:, None]).sum(axis=-1))
            nll.extend(sums - logits[numpy.arange(len(logits)), ids[at + 1:at + 1 + len(logits)]])
        return nll


def main():
    source, out = sys.argv[1:]
    text = json.loads((FOLDER / "ppl_qwen2_0.5b.jsonl").read_text().splitlines()[0])
    ids = text["ids"]
    nll = Qwen2(source).nll(ids)
    mean = sum(nll) / len(nll)
    row = {"text": text["text"], "ids": ids, "n_ids": len(ids), "n_scored": len(nll), "mean_nll": round(mean, 6),
           "perplexity": round(float(numpy.exp(mean)), 5), "nll": [round(float(one), 4) for one in nll]}
    pathlib.Path(out).write_text(json.dumps(row, separators=(",", ":")) + "\n")
    print("perplexity", row["perplexity"])


if __name__ == "__main__":
    main()
