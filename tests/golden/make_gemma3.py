#!/usr/bin/env python3
"""Makes logits_gemma3.jsonl, greedy_gemma3.jsonl and ppl_gemma3.jsonl from the published GGUF, without this engine.

usage: make_gemma3.py GEMMA3.gguf        needs: numpy, gguf, sentencepiece, protobuf

The weights are dequantised by `gguf`, the forward pass is plain numpy in float32 (angles of RoPE in float64), the token
ids come from `sentencepiece` over the file's pieces, scores and types. A BOS stands before every text.
"""
import json
import pathlib
import sys

import gguf
import numpy
import sentencepiece
from sentencepiece import sentencepiece_model_pb2

FOLDER = pathlib.Path(__file__).parent
BOS, EOS = 2, 1
WINDOW, PERIOD, EPSILON = 512, 6, numpy.float32(1e-6)
N_HEADS, HEAD_DIM = 4, 256
GLOBAL_BASE, LOCAL_BASE = 1e6, 1e4

CODE = '''def quicksort(items):
    if len(items) <= 1:
        return items
    pivot = items[len(items) // 2]
    left = [x for x in items if x < pivot]
'''
PROMPTS = [
    ("word", "The"),
    ("fact", "The capital of France is"),
    ("code", CODE),
    ("german", "Der schnellste Weg, eine fremde Sprache zu lernen, ist"),
    ("list", "Planets of the solar system:\n\n1. Mercury\n2. Venus\n3. Earth\n4."),
]
LONG_TOKENS = 700


def rms_norm(x, weight):
    return x / numpy.sqrt(numpy.mean(x * x, axis=-1, keepdims=True) + EPSILON) * weight


def gelu(x):
    return numpy.float32(0.5) * x * (1 + numpy.tanh(numpy.float32(numpy.sqrt(2 / numpy.pi)) *
                                                    (x + numpy.float32(0.044715) * x * x * x)))


def rope(x, positions, base):
    """x: (tokens, heads, HEAD_DIM); element i is paired with i + HEAD_DIM / 2."""
    half = HEAD_DIM // 2
    angles = positions[:, None] * base ** (-numpy.arange(half) * 2.0 / HEAD_DIM)
    cosine, sine = (f(angles)[:, None, :].astype(numpy.float32) for f in (numpy.cos, numpy.sin))
    a, b = x[..., :half], x[..., half:]
    return numpy.concatenate([a * cosine - b * sine, a * sine + b * cosine], axis=-1)


class Gemma:
    def __init__(self, path):
        self.reader = gguf.GGUFReader(path)
        self.weights = {tensor.name: gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(numpy.float32)
                        for tensor in self.reader.tensors}
        self.n_layers = self.reader.fields["gemma3.block_count"].contents()

    def attention(self, layer, x, positions, cache):
        w = {name: self.weights[f"blk.{layer}.attn_{name}.weight"]
             for name in ("q", "k", "v", "output", "q_norm", "k_norm")}
        is_global = (layer + 1) % PERIOD == 0
        base = GLOBAL_BASE if is_global else LOCAL_BASE
        q = rope(rms_norm((x @ w["q"].T).reshape(len(x), N_HEADS, HEAD_DIM), w["q_norm"]), positions, base)
        k = rope(rms_norm((x @ w["k"].T).reshape(len(x), 1, HEAD_DIM), w["k_norm"]), positions, base)[:, 0]
        v = x @ w["v"].T
        if layer in cache:
            k, v = (numpy.concatenate([old, new]) for old, new in zip(cache[layer], (k, v)))
        cache[layer] = k, v
        distance = positions[:, None] - numpy.arange(len(k))[None, :]
        visible = (distance >= 0) & (is_global | (distance < WINDOW))
        scores = numpy.einsum("qhd,kd->hqk", q, k) / numpy.float32(numpy.sqrt(HEAD_DIM))
        scores = numpy.where(visible, scores, numpy.float32(-numpy.inf))
        scores = numpy.exp(scores - scores.max(axis=-1, keepdims=True))
        scores /= scores.sum(axis=-1, keepdims=True)
        return numpy.einsum("hqk,kd->qhd", scores, v).reshape(len(x), -1) @ w["output"].T

    def feed_forward(self, layer, x):
        gate, up, down = (self.weights[f"blk.{layer}.ffn_{name}.weight"] for name in ("gate", "up", "down"))
        return (gelu(x @ gate.T) * (x @ up.T)) @ down.T

    def logits(self, ids, cache=None, last=None):
        """Logits of the last `last` of `ids`, which stand behind what is in the cache."""
        cache = {} if cache is None else cache
        past = len(cache[0][0]) if cache else 0
        positions = past + numpy.arange(len(ids))
        embedding = self.weights["token_embd.weight"]
        x = embedding[ids] * numpy.float32(numpy.sqrt(embedding.shape[1]))
        for layer in range(self.n_layers):
            norm = lambda name, y: rms_norm(y, self.weights[f"blk.{layer}.{name}.weight"])
            x = x + norm("post_attention_norm", self.attention(layer, norm("attn_norm", x), positions, cache))
            x = x + norm("post_ffw_norm", self.feed_forward(layer, norm("ffn_norm", x)))
        return rms_norm(x[-(last or len(ids)):], self.weights["output_norm.weight"]) @ embedding.T

    def sentence_pieces(self):
        fields = {name: self.reader.fields[f"tokenizer.ggml.{name}"].contents()
                  for name in ("tokens", "scores", "token_type")}
        model = sentencepiece_model_pb2.ModelProto()
        for spelling, score, kind in zip(fields["tokens"], fields["scores"], fields["token_type"]):
            if kind == 4:
                spelling = spelling.replace(" ", "\u2581")
            model.pieces.add(piece=spelling, score=score, type=2 if spelling == "<unk>" else kind)
        model.trainer_spec.model_type = 2
        model.trainer_spec.byte_fallback = True
        model.trainer_spec.unk_id, model.trainer_spec.bos_id, model.trainer_spec.eos_id = 3, BOS, EOS
        model.trainer_spec.pad_id, model.trainer_spec.vocab_size = 0, len(model.pieces)
        model.normalizer_spec.name = "identity"
        model.normalizer_spec.add_dummy_prefix = False
        model.normalizer_spec.remove_extra_whitespaces = False
        return sentencepiece.SentencePieceProcessor(model_proto=model.SerializeToString())


def log_sum_exp(logits):
    largest = logits.max()
    return float(largest + numpy.log(numpy.exp((logits - largest).astype(numpy.float64)).sum()))


def rounded(values, digits=4):
    return [round(float(value), digits) for value in values]


def write(name, rows):
    with (FOLDER / name).open("w") as out:
        for row in rows:
            out.write(json.dumps(row, separators=(",", ":")) + "\n")
    print("wrote", name, flush=True)


def logits_row(model, kind, text, ids):
    logits = model.logits(ids, last=1)[0]
    top = numpy.argsort(-logits, kind="stable")[:20]
    probe = numpy.linspace(0, len(logits) - 1, 32).astype(int)
    pairs = lambda which: [[int(i), round(float(logits[i]), 5)] for i in which]
    return {"kind": kind, "text": text, "ids": ids, "n_ids": len(ids), "top20": pairs(top),
            "logsumexp": round(log_sum_exp(logits), 5), "probe": pairs(probe),
            "mean": round(float(logits.mean()), 5), "std": round(float(logits.std()), 6)}


def greedy_row(model, kind, text, prompt_ids, words, n_steps=32):
    cache, step, ids, margins = {}, prompt_ids, [], []
    while len(ids) < n_steps and (not ids or ids[-1] != EOS):
        logits = model.logits(step, cache, last=1)[0]
        second, best = numpy.argpartition(logits, -2)[-2:]
        if logits[second] > logits[best]:
            second, best = best, second
        ids.append(int(best))
        margins.append(logits[best] - logits[second])
        step = [ids[-1]]
    return {"kind": kind, "prompt": text, "prompt_ids": prompt_ids, "ids": ids, "margin": rounded(margins),
            "text": words.decode(ids), "finish": "eos" if ids[-1] == EOS else "length"}


def perplexity_row(model, text, ids):
    logits = model.logits(ids[:-1])
    nll = [log_sum_exp(row) - float(row[token]) for row, token in zip(logits, ids[1:])]
    mean = sum(nll) / len(nll)
    return {"text": text, "ids": ids, "n_ids": len(ids), "n_scored": len(nll), "mean_nll": round(mean, 6),
            "perplexity": round(float(numpy.exp(mean)), 5), "nll": rounded(nll),
            "mean_nll_by_256": rounded([sum(nll[i:i + 256]) / 256 for i in range(0, len(nll), 256)], 5)}


def main():
    model = Gemma(sys.argv[1])
    words = model.sentence_pieces()
    article = json.loads((FOLDER / "ppl_smollm2.jsonl").read_text().splitlines()[0])["text"]
    article_ids = [BOS] + words.encode(article)
    long_ids = article_ids[:LONG_TOKENS]
    prompts = [(kind, text, [BOS] + words.encode(text)) for kind, text in PROMPTS]
    prompts.append(("long", words.decode(long_ids[1:]), long_ids))
    write("logits_gemma3.jsonl", [logits_row(model, *prompt) for prompt in prompts])
    write("greedy_gemma3.jsonl", [greedy_row(model, *prompt, words) for prompt in prompts])
    scored_ids = article_ids[:1025]
    write("ppl_gemma3.jsonl", [perplexity_row(model, words.decode(scored_ids[1:]), scored_ids)])


if __name__ == "__main__":
    main()
