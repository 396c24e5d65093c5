#!/usr/bin/env python3
"""Does anything that a server may do change what it says?

The same chats, first one at a time without drafts and prefix cache, then many at once, then with everything on, and while the
verifier dies. Every answer is compared with the first one to the same chat; it fails if a text differs. Needs nothing but Python.

  examples/bench/same_texts.py --model smollm2
  examples/bench/same_texts.py -- --device cuda                   what follows -- are options of the servers
"""
import argparse
import concurrent.futures
import json
import threading
import time

from local_server import PROJECT, LocalServer

PLAIN = ["--speculation.drafter", "off", "--kv.prefix_cache", "false"]


class Comparison:
    """Of the answers to some prompts with those of the first run at the same temperature."""

    def __init__(self, prompts, max_tokens):
        self.prompts = prompts
        self.max_tokens = max_tokens
        self.first_texts = {}
        self.n_different = 0

    def run(self, server, name, n_at_once, temperature):
        def ask(number):
            body = {"messages": [{"role": "user", "content": self.prompts[number]}], "max_tokens": self.max_tokens,
                    "temperature": temperature, "seed": number}
            answer = json.load(server.post("/v1/chat/completions", body))
            return answer["choices"][0]["message"]["content"], answer["usage"]["completion_tokens"]

        began = time.perf_counter()
        with concurrent.futures.ThreadPoolExecutor(n_at_once) as pool:
            answers = list(pool.map(ask, range(len(self.prompts))))
        seconds = time.perf_counter() - began
        texts = [text for text, _ in answers]
        first = self.first_texts.setdefault(temperature, texts)
        differ = sum(text != other for text, other in zip(texts, first))
        self.n_different += differ
        n_tokens = sum(n for _, n in answers)
        print(f"{name:40} temperature {temperature:3}, {n_at_once:3} at once: {n_tokens} tokens in {seconds:6.2f} s, "
              f"{differ} of {len(texts)} texts differ", flush=True)


class Deaths:
    """The verifier dies every `pause_s` until the end of `with`."""

    def __init__(self, server, pause_s):
        self.n = 0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._kill, args=(server, pause_s), daemon=True)

    def _kill(self, server, pause_s):
        while not self._is_over.wait(pause_s):
            server.post("/souffleur/kill/verifier", {}).read()
            self.n += 1

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._is_over.set()
        self._thread.join()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2", help="GGUF file, or name of a fetched model")
    parser.add_argument("--prompts", default=PROJECT / "tests/data/spec_bench_dev.jsonl", help="JSON lines with \"turns\"")
    parser.add_argument("--chats", type=int, default=48)
    parser.add_argument("--max-tokens", type=int, default=100)
    parser.add_argument("--temperatures", type=float, nargs="+", default=[0, 0.8])
    parser.add_argument("--pause-s", type=float, default=0.1, help="between two deaths of the verifier")
    parser.add_argument("options", nargs="*", help="of the servers")
    args = parser.parse_args()
    with open(args.prompts, encoding="utf-8") as file:
        prompts = [json.loads(line)["turns"][0] for line in file][:args.chats]
    compare = Comparison(prompts, args.max_tokens)
    options = ["--scheduler.max_running", str(max(args.chats, 32)), *args.options]
    with LocalServer(args.model, *options, *PLAIN) as server:
        for temperature in args.temperatures:
            compare.run(server, "no drafts, no prefix cache", 1, temperature)
            compare.run(server, "no drafts, no prefix cache", len(prompts), temperature)
    with LocalServer(args.model, *options, "--server.kills", "true", "--supervisor.max_restarts", "100000") as server:
        for temperature in args.temperatures:
            compare.run(server, "drafts, trees, prefix cache", 16, temperature)
        for temperature in args.temperatures:
            with Deaths(server, args.pause_s) as deaths:
                compare.run(server, "and the verifier dies again and again", 16, temperature)
            print(f"{'':40} it died {deaths.n} times")
    raise SystemExit(1 if compare.n_different else 0)


if __name__ == "__main__":
    main()
