#!/usr/bin/env python3
"""Compares the tokenizer with Hugging Face's `tokenizers` on the vocabularies of the fetched models.

The reference is built from each GGUF's vocabulary and merges with the pre-tokenizer that the model's author
published: SmolLM2 splits off every digit, then byte-level GPT-2; Qwen2 takes NFC, then its own pattern. For a folder
with a vocab.txt (minilm) it is BERT's uncased WordPiece.
Texts: every turn of the prompt set and seeded random strings, with and without special tokens. Any difference is
printed and makes the exit status 1.

usage: compare_tokenizer.py TOOL MODELS_FOLDER [--random N] [--seed N]
Needs the packages pinned in tests/requirements.txt.
"""
import argparse
import json
import random
import subprocess
import sys
from pathlib import Path

import gguf
from tokenizers import AddedToken, BertWordPieceTokenizer, Regex, Tokenizer, models, normalizers, pre_tokenizers

PROMPTS = Path(__file__).parent.parent / "data" / "spec_bench_dev.jsonl"
CONTROL, USER_DEFINED = 3, 4
QWEN2_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def smollm_pipeline(tokenizer):
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )


def qwen2_pipeline(tokenizer):
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(QWEN2_PATTERN), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


PIPELINES = {"smollm": smollm_pipeline, "qwen2": qwen2_pipeline}


def pre_tokenizer_of(path):
    field = gguf.GGUFReader(path).fields.get("tokenizer.ggml.pre")
    return field.contents() if field else None


class Reference:
    """`tokenizers` on one GGUF's vocabulary."""

    flags = (False, True)

    def __init__(self, path):
        fields = gguf.GGUFReader(path).fields
        self.pre = fields["tokenizer.ggml.pre"].contents()
        tokens = fields["tokenizer.ggml.tokens"].contents()
        types = fields["tokenizer.ggml.token_type"].contents()
        merges = [tuple(pair.split(" ")) for pair in fields["tokenizer.ggml.merges"].contents()]
        self.specials = [token for token, kind in zip(tokens, types) if kind in (CONTROL, USER_DEFINED)]
        vocabulary = {token: index for index, token in enumerate(tokens)}
        self.by_flag = {
            parse_special: self._built(
                vocabulary,
                merges,
                [t for t, kind in zip(tokens, types) if kind == USER_DEFINED or (parse_special and kind == CONTROL)],
            )
            for parse_special in (False, True)
        }

    def _built(self, vocabulary, merges, added):
        tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
        PIPELINES[self.pre](tokenizer)
        tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in added])
        return tokenizer

    def encode(self, texts, parse_special):
        encoded = self.by_flag[parse_special].encode_batch(texts, add_special_tokens=False)
        return [row.ids for row in encoded]


class WordPieceReference:
    """`tokenizers` on BERT's vocabulary; special tokens are always parsed, and [CLS] and [SEP] added."""

    flags = (True,)
    pre = "bert uncased"
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]

    def __init__(self, path):
        self.tokenizer = BertWordPieceTokenizer(str(path), lowercase=True)
        self.tokenizer.add_special_tokens(self.specials)

    def encode(self, texts, _):
        return [row.ids for row in self.tokenizer.encode_batch(texts)]


def prompt_texts():
    with open(PROMPTS, encoding="utf-8") as lines:
        return [turn for line in lines for turn in json.loads(line)["turns"]]


# Blocks of scripts, marks, symbols and invisible characters that were assigned long ago, so that the Unicode
# versions of the two programs agree on them.
BLOCKS = [
    (0x00, 0x1F), (0x20, 0x7E), (0x20, 0x7E), (0x80, 0xFF), (0x100, 0x24F), (0x300, 0x36F), (0x370, 0x3FF),
    (0x400, 0x4FF), (0x590, 0x5F4), (0x620, 0x6FF), (0x900, 0x97F), (0xE00, 0xE5B), (0x1100, 0x11FF),
    (0x1E00, 0x1EFF), (0x1F00, 0x1FFF), (0x2000, 0x206F), (0x2070, 0x209C), (0x2100, 0x218B), (0x2200, 0x22FF),
    (0x2460, 0x24FF), (0x3000, 0x30FF), (0x4E00, 0x9FA5), (0xAC00, 0xD7A3), (0xF900, 0xFAD9), (0xFB00, 0xFB4F),
    (0xFE00, 0xFE0F), (0xFF00, 0xFFEF), (0x1D400, 0x1D7FF), (0x1F300, 0x1F64F), (0x20000, 0x2A6D6),
]  # fmt: skip
FRAGMENTS = [
    " ", "  ", "\n", "\r\n", "\t", "   \n", "\u00a0", "\u0085", "\u180e", "\u200b", "\u3000", "'s", "'S", "'\u017f",
    "'LL", "'re", "'vE", "1", "12345", "3.14", "\u00bd", "\u0664", "the", " hello", "Hello", "don't", "!!!", "->",
    "e\u0301", "\u1100\u1161\u11a8", "\u212b", "\u0344", "\U0001f469\u200d\U0001f4bb", "<|", "|>", "\x04", "\x00",
]  # fmt: skip


def random_character(source):
    low, high = source.choice(BLOCKS)
    return chr(source.randint(low, high))


def random_text(source, specials):
    kind = source.random()
    n_parts = source.randint(1, 40)
    if kind < 0.25:
        return "".join(random_character(source) for _ in range(n_parts))
    if kind < 0.5:
        return "".join(chr(source.randint(0x20, 0x7E)) for _ in range(n_parts))
    makers = [lambda: source.choice(FRAGMENTS)] * 5 + [lambda: random_character(source)] * 3
    if kind < 0.75:
        makers += [lambda: source.choice(specials), lambda: source.choice(specials)[: source.randint(1, 8)]]
    return "".join(source.choice(makers)() for _ in range(n_parts))


def ours(tool, model, texts, parse_special):
    done = subprocess.run(
        [tool, str(model), str(int(parse_special))],
        input="".join(json.dumps(text) + "\n" for text in texts),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        sys.exit(f"{tool} failed on {model}: {done.stderr.strip()}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def compare(tool, model, n_random, seed):
    """Number of texts that differ."""
    reference = (WordPieceReference if model.name == "vocab.txt" else Reference)(model)
    source = random.Random(seed)
    prompts = prompt_texts()
    texts = prompts + [random_text(source, reference.specials) for _ in range(n_random)]
    n_different = 0
    for parse_special in reference.flags:
        expected = reference.encode(texts, parse_special)
        actual = ours(tool, model, texts, parse_special)
        if len(actual) != len(texts):
            sys.exit(f"{tool}: {len(actual)} answers to {len(texts)} texts")
        different = [i for i in range(len(texts)) if expected[i] != actual[i]]
        n_different += len(different)
        for i in different[:10]:
            print(f"  differs: {texts[i]!a}\n    tokenizers: {expected[i]}\n    souffleur:  {actual[i]}")
        print(
            f"{model.parent.name}/{model.name} ({reference.pre}), special tokens {'parsed' if parse_special else 'as text'}: "
            f"{len(prompts)} prompts, {n_random} random strings, {sum(map(len, expected))} tokens, "
            f"{len(different)} differ"
        )
    return n_different


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tool", help="path of souffleur_tokenize_tool")
    parser.add_argument("models", type=Path, help="folder of the fetched GGUF files")
    parser.add_argument("--random", type=int, default=2000, help="random strings a model (default 2000)")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    found = {path.resolve() for path in chosen.models.glob("*.gguf")}
    comparable = [path for path in sorted(found) if pre_tokenizer_of(path) in PIPELINES]
    for path in sorted(found.difference(comparable)):
        print(f"{path.name}: skipped, there is no reference for its pre-tokenizer {pre_tokenizer_of(path)}")
    comparable += sorted({path.resolve() for path in chosen.models.glob("*/vocab.txt")})
    if not comparable:
        sys.exit(f"nothing to compare in {chosen.models}")
    n_different = sum(compare(chosen.tool, model, chosen.random, chosen.seed) for model in comparable)
    sys.exit(1 if n_different else 0)


if __name__ == "__main__":
    main()
