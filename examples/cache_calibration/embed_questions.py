#!/usr/bin/env python3
"""Embeds the questions of labelled pairs with all-MiniLM-L6-v2, for souffleur-cache-calibration.

usage: embed_questions.py MODEL_FOLDER PAIRS.jsonl VECTORS.f32

Writes one row of little-endian float32 for each question, in order of appearance, each once. A BERT of 30 lines in
numpy, float32; needs `numpy` and `tokenizers` (tests/requirements.txt brings both). 23,000 questions take minutes.
"""
import json
import math
import pathlib
import struct
import sys

import numpy as np
from tokenizers import Tokenizer

N_LAYERS, N_HEADS, N_MOST_TOKENS = 6, 12, 256


def read_safetensors(path):
    data = path.read_bytes()
    (n_header,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + n_header])
    weights = {}
    for name, entry in header.items():
        if name != "__metadata__" and entry["dtype"] == "F32":
            begin, end = (8 + n_header + offset for offset in entry["data_offsets"])
            weights[name] = np.frombuffer(data[begin:end], np.float32).reshape(entry["shape"])
    return weights


def erf(x):
    """Within 1.2e-7 (Press et al., Numerical Recipes, erfcc)."""
    t = 1 / (1 + 0.5 * np.abs(x))
    series = (-1.26551223, 1.00002368, 0.37409196, 0.09678418, -0.18628806, 0.27886807, -1.13520398, 1.48851587,
              -0.82215223, 0.17087277)
    return np.sign(x) * (1 - t * np.exp(-x * x + np.polyval(series[::-1], t)))


class Encoder:
    def __init__(self, folder):
        self.weights = read_safetensors(folder / "model.safetensors")
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(N_MOST_TOKENS)

    def linear(self, x, name):
        return x @ self.weights[name + ".weight"].T + self.weights[name + ".bias"]

    def norm(self, x, name):
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-12)
        return x * self.weights[name + ".weight"] + self.weights[name + ".bias"]

    def layer(self, x, name):  # (batch, tokens, width)
        batch, tokens, width = x.shape
        query, key, value = (
            self.linear(x, f"{name}.attention.self.{part}")
            .reshape(batch, tokens, N_HEADS, width // N_HEADS)
            .transpose(0, 2, 1, 3)
            for part in ("query", "key", "value")
        )
        scores = query @ key.transpose(0, 1, 3, 2) / math.sqrt(width // N_HEADS)
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        seen = (scores / scores.sum(-1, keepdims=True) @ value).transpose(0, 2, 1, 3).reshape(x.shape)
        x = self.norm(x + self.linear(seen, name + ".attention.output.dense"), name + ".attention.output.LayerNorm")
        inner = self.linear(x, name + ".intermediate.dense")
        inner = (0.5 * inner * (1 + erf(inner / math.sqrt(2)))).astype(np.float32)
        return self.norm(x + self.linear(inner, name + ".output.dense"), name + ".output.LayerNorm")

    def encode(self, ids):
        """Of texts of the same length: (batch, tokens) to rows of length 1."""
        table = {part: self.weights[f"embeddings.{part}_embeddings.weight"] for part in ("word", "position", "token_type")}
        x = table["word"][ids] + table["position"][: ids.shape[1]] + table["token_type"][0]
        x = self.norm(x, "embeddings.LayerNorm")
        for i in range(N_LAYERS):
            x = self.layer(x, f"encoder.layer.{i}")
        mean = x.mean(1)
        return mean / np.linalg.norm(mean, axis=-1, keepdims=True)

    def embed(self, texts, n_at_once=64):
        ids = [self.tokenizer.encode(text).ids for text in texts]
        by_length = {}
        for i, tokens in enumerate(ids):
            by_length.setdefault(len(tokens), []).append(i)
        rows = np.zeros((len(texts), self.weights["embeddings.word_embeddings.weight"].shape[1]), np.float32)
        for group in by_length.values():
            for first in range(0, len(group), n_at_once):
                some = group[first : first + n_at_once]
                rows[some] = self.encode(np.array([ids[i] for i in some]))
        return rows


def main():
    folder, pairs, vectors = map(pathlib.Path, sys.argv[1:])
    with pairs.open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    questions = list(dict.fromkeys(text for row in rows for text in (row["a"], row["b"])))
    Encoder(folder).embed(questions).astype("<f4").tofile(vectors)


if __name__ == "__main__":
    main()
