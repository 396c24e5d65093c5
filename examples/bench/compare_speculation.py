#!/usr/bin/env python3
"""Souffleur's drafting beside that of llama.cpp's server: the same prompts, model file and threads, in one run.

One server of ours and one of theirs for each of --setting run side by side; a prompt goes to one after the other, in an
order that turns, and only one of them works at a time. Every server has computed the prompt once before, so that what is
compared is decoding, at temperature 0. Prints tokens a second by category: ours and theirs, without drafts and with them
(theirs: whichever setting is best in that category), and the two ratios.

llama-server is looked for in --peer. It is built from llama.cpp's source with
  cmake -B build -DCMAKE_BUILD_TYPE=Release -DGGML_NATIVE=ON
  cmake --build build --target llama-server
"""
import argparse
import json
import pathlib
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import defaultdict
from contextlib import ExitStack

from compare_llama_cpp import CACHE
from local_server import LocalServer, free_port
from speculate import add_prompt_options, chosen_prompts

SETTINGS = ["--spec-type ngram-simple --spec-ngram-simple-size-n 3 --spec-ngram-simple-size-m 8",
            "--spec-type ngram-map-k --spec-ngram-map-k-size-n 3 --spec-ngram-map-k-size-m 8",
            "--spec-type ngram-cache --spec-draft-n-max 8",
            "--spec-type ngram-mod"]
START_TIMEOUT_S = 120


class LlamaServer:
    def __init__(self, peer, model_file, threads, setting):
        port = free_port()
        command = [str(peer / "llama-server"), "-m", str(model_file), "--port", str(port), "-t", str(threads), "-c", "8192",
                   "-np", "1", *setting.split()]
        self.base_url = f"http://127.0.0.1:{port}"
        try:
            self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        except OSError as error:
            raise SystemExit(f"compare_speculation.py: cannot run {command[0]}: {error.strerror}") from error
        self._await_readiness(command)

    def _await_readiness(self, command):
        end = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < end and self.process.poll() is None:
            try:
                urllib.request.urlopen(self.base_url + "/health", timeout=5).close()
                return
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.1)
        self.process.kill()
        raise SystemExit(f"compare_speculation.py: it did not start: {' '.join(command)}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()


def ask(base_url, prompt, max_tokens, extra):
    """Seconds and tokens of the answer."""
    body = {"messages": [{"role": "user", "content": prompt}], "max_tokens": max_tokens, "temperature": 0, "seed": 1} | extra
    request = urllib.request.Request(base_url + "/v1/chat/completions", json.dumps(body).encode(),
                                     {"content-type": "application/json"})
    start = time.perf_counter()
    with urllib.request.urlopen(request, timeout=3600) as answer:
        usage = json.loads(answer.read())["usage"]
    return time.perf_counter() - start, usage["completion_tokens"]


def measure(ways, prompts, max_tokens):
    """Seconds and tokens by category and way."""
    sums = defaultdict(lambda: {name: [0.0, 0] for name in ways})
    for n, (category, prompt) in enumerate(prompts):
        print(f"\r{n} of {len(prompts)} prompts: {category:20s}", end="", file=sys.stderr)
        names = list(ways)
        for name in names[n % len(names):] + names[:n % len(names)]:
            ask(ways[name][0], prompt, 1, ways[name][1])
            seconds, tokens = ask(ways[name][0], prompt, max_tokens, ways[name][1])
            for sum_of in (sums[category][name], sums["all"][name]):
                sum_of[0] += seconds
                sum_of[1] += tokens
    print(file=sys.stderr)
    return sums


def row(category, by_way):
    rates = {name: tokens / seconds for name, (seconds, tokens) in by_way.items()}
    best = max((name for name in rates if name.startswith("--")), key=rates.get)
    return {"category": category, "rates": rates, "their_best": best,
            "ratio_with_drafts": rates["ours"] / max(rates[best], rates["theirs, off"]),
            "ratio_without": rates["ours, off"] / rates["theirs, off"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--models", type=pathlib.Path, default=CACHE / "souffleur/models")
    parser.add_argument("--peer", type=pathlib.Path, default=CACHE / "souffleur-peers/llama.cpp/build/bin")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--setting", action="append", help=f"options of llama-server; default: {'; '.join(SETTINGS)}")
    parser.add_argument("--json", metavar="FILE")
    add_prompt_options(parser)
    given = parser.parse_args()
    prompts = chosen_prompts(parser, given)
    with ExitStack() as stack:
        ours = stack.enter_context(LocalServer(given.model, "--threads", str(given.threads))).base_url
        ways = {"ours, off": (ours, {"souffleur": {"speculation": False}}), "ours": (ours, {})}
        for name in ["theirs, off", *(given.setting or SETTINGS)]:
            setting = name if name.startswith("--") else ""
            server = stack.enter_context(LlamaServer(given.peer, given.models / f"{given.model}.gguf", given.threads, setting))
            ways[name] = (server.base_url, {})
        rows = [row(category, by_way) for category, by_way in measure(ways, prompts, given.tokens).items()]
    rows.sort(key=lambda r: r["category"] == "all")
    print("                     ours             llama.cpp        ratio\n"
          "category             off    drafts    off    drafts    off    drafts   its best setting")
    for r in rows:
        rates = r["rates"]
        print(f"{r['category']:18s} {rates['ours, off']:6.1f}  {rates['ours']:6.1f}   {rates['theirs, off']:6.1f}"
              f"  {rates[r['their_best']]:6.1f}   {r['ratio_without']:5.2f}  {r['ratio_with_drafts']:5.2f}     {r['their_best']}")
    if given.json:
        pathlib.Path(given.json).write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
