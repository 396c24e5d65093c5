#!/usr/bin/env python3
"""What the response cache saves, what it costs, and how often it is wrong.

Traffic: questions of which somebody has said whether one answer does for both (--pairs, JSON lines with "a", "b" and
"duplicate"). New questions, exact repeats, questions that mean the same as an earlier one, and traps: labelled as different
though the words are alike. The same requests go through one server after the other:

  requests   model calls saved, by what; answers served to a question that is labelled as another (false), latency.
  misses     questions that nobody asked before, with and without the cache in turns: what a lookup in vain costs.
  drafts     pairs of near-duplicates (--near, JSON lines with "a" and "b", or prompts of which a number or a name is changed):
             the second is generated without drafts, with drafts, and with the first's stored answer as a draft; the text must
             be the same.
"""
import argparse
import collections
import gzip
import json
import pathlib
import random
import re
import statistics
import time

from local_server import PROJECT, LocalServer
from quantile import quantile

STOP = ["\n", "."]


def lines_of(path):
    opened = gzip.open(path, "rt") if str(path).endswith(".gz") else open(path)
    with opened as lines:
        return [json.loads(line) for line in lines]


def clusters_of(pairs):
    """Each question to a name of all that mean the same: the labels and what follows from them."""
    above = {}

    def top(text):
        while above.setdefault(text, text) != text:
            above[text] = above[above[text]]
            text = above[text]
        return text

    for pair in pairs:
        a, b = top(pair["a"]), top(pair["b"])
        if int(pair["duplicate"]):
            above[a] = b
    return {text: top(text) for text in list(above)}


def n_common_words(pair):
    a, b = (set(pair[key].lower().split()) for key in "ab")
    return len(a & b) / max(1, len(a | b))


def traffic_of(pairs, n, seed):
    """(kind, question): about 40 % ask again, half of them in other words; one in ten is a trap."""
    numbers = random.Random(seed)
    same = [pair for pair in pairs if int(pair["duplicate"])]
    traps = sorted((pair for pair in pairs if not int(pair["duplicate"])), key=n_common_words, reverse=True)[:n]
    numbers.shuffle(same)
    numbers.shuffle(traps)
    asked, to_come = [], []
    while len(asked) < n:
        kind = numbers.choices(["repeat", "reworded", "trap", "new"], [20, 20, 10, 50])[0]
        if kind == "repeat" and asked:
            asked.append((kind, numbers.choice(asked)[1]))
        elif kind in ("reworded", "trap") and to_come and numbers.random() < 0.9:
            asked.append(to_come.pop(numbers.randrange(len(to_come))))
        else:
            source, then = (traps, "trap") if numbers.random() < 0.33 and traps else (same, "reworded")
            pair = source.pop()
            asked.append(("new", pair["a"]))
            to_come.append((then, pair["b"]))
    return asked


def ask(server, question, key, most, stop=STOP, **own):
    """Text, seconds to the first token and to the end, and what the server says of the answer."""
    start = time.perf_counter()
    text, first_s, ours = "", None, {}
    for chunk in server.stream("/v1/chat/completions", key, messages=[{"role": "user", "content": question}],
                               max_tokens=most, temperature=0, souffleur=own, **({"stop": stop} if stop else {})):
        for choice in chunk["choices"]:
            text += choice["delta"].get("content") or ""
            if first_s is None and choice["delta"].get("content"):
                first_s = time.perf_counter() - start
        ours = chunk.get("souffleur") or ours
    took_s = time.perf_counter() - start
    return text, took_s if first_s is None else first_s, took_s, ours


def run_traffic(server, traffic, clusters, most):
    """By request: where the answer came from, whether it was another question's, and seconds."""
    made_for, results = {}, []
    for i, (kind, question) in enumerate(traffic):
        text, first_s, took_s, ours = ask(server, question, "traffic", most)
        source = ours["cache"].get("source", "model")
        if source == "model":
            made_for.setdefault(text, clusters[question])
        false = source == "semantic" and made_for.get(text) != clusters[question]
        results.append((kind, source, false, first_s, took_s))
        print(f"\r{i + 1} of {len(traffic)} requests ", end="", flush=True)
    print("\r" + " " * 40 + "\r", end="")
    return results


def print_traffic(name, results, base_s):
    n = len(results)
    sources = collections.Counter(source for _, source, *_ in results)
    reworded = [source for kind, source, *_ in results if kind == "reworded"]
    took = [took_s for *_, took_s in results]
    print(f"{name:<10}{1 - sources['model'] / n:9.1%}{sources['exact']:8d}{sources['semantic']:10d}"
          f"{sum(false for _, _, false, *_ in results):7d}{sum(s != 'model' for s in reworded):7d} of {len(reworded):<5d}"
          f"{quantile(took, .5) * 1e3:9.1f}{quantile(took, .99) * 1e3:9.1f}{sum(took) / base_s:9.2f}")


def compare_traffic(given, server_options):
    pairs = lines_of(given.pairs)
    clusters = clusters_of(pairs)
    traffic = traffic_of(pairs, given.requests, given.seed)
    kinds = collections.Counter(kind for kind, _ in traffic)
    print(f"{len(traffic)} requests: " + ", ".join(f"{n} {kind}" for kind, n in kinds.most_common()) + "\n")
    print("policy        saved   exact  semantic  false  reworded, saved   p50 ms   p99 ms  time / off")
    base_s = None
    for policy in given.policies.split(","):
        with LocalServer(given.model, "--cache.policy", policy, "--cache.store", "memory", *server_options) as server:
            ask(server, "Hello?", "warm up", 4)
            results = run_traffic(server, traffic, clusters, given.tokens)
        base_s = base_s or sum(took_s for *_, took_s in results)
        print_traffic(policy, results, base_s)


def measure_misses(given, server_options):
    """Each question goes to a server with the cache and to one without, in turns."""
    questions = list(dict.fromkeys(pair["a"] for pair in lines_of(given.pairs)))
    random.Random(given.seed).shuffle(questions)
    took = {"off": [], "guarded": []}
    options = ("--cache.store", "memory", *server_options)
    with LocalServer(given.model, "--cache.policy", "off", *options) as off, \
            LocalServer(given.model, "--cache.policy", "guarded", *options) as guarded:
        servers = {"off": off, "guarded": guarded}
        for server in servers.values():
            ask(server, "Hello?", "warm up", 4)
        for question in questions[:given.stored]:  # so that there is something to compare with
            ask(guarded, f"{given.context}{question}", "misses", given.tokens)
        for i, question in enumerate(questions[given.stored:given.stored + given.misses]):
            once = {}
            for policy in list(servers)[::1 if i % 2 else -1]:
                _, first_s, _, ours = ask(servers[policy], f"{given.context}{question}", "misses", given.tokens)
                once[policy] = first_s
            if ours["cache"].get("response") != "hit":
                for policy, first_s in once.items():
                    took[policy].append(first_s)
        n_embedded = guarded.metric("souffleur:embedded_texts_total") or guarded.metric("souffleur_embedded_texts_total")
    medians = {policy: statistics.median(values) for policy, values in took.items()}
    ratios = [with_it / without for without, with_it in zip(took["off"], took["guarded"])]
    print(f"\nmisses: TTFT {medians['off'] * 1e3:.1f} ms without, {medians['guarded'] * 1e3:.1f} ms with a lookup in vain "
          f"among {given.stored} answers, medians of {len(ratios)} questions; ratio {medians['guarded'] / medians['off']:.3f}, "
          f"median of the ratios {statistics.median(ratios):.3f}; {n_embedded:.0f} texts embedded")


def altered(prompt):
    """With another number, else with another name; None if there is neither."""
    if found := re.search(r"\b\d+\b", prompt):
        return prompt[:found.start()] + str(int(found.group()) + 1) + prompt[found.end():]
    if found := re.search(r"(?<=[a-z,] )[A-Z][a-z]{3,}", prompt):
        return prompt[:found.start()] + "Hamburg" + prompt[found.end():]
    return None


def near_duplicates(path):
    for line in lines_of(path):
        if "a" not in line:
            prompt = line.get("prompt") or line["turns"][0]
            if len(prompt.split()) <= 120 and altered(prompt):  # the embedder reads no more
                yield {"a": prompt, "b": altered(prompt)}
        elif line.get("label", "trap") == "trap":
            yield line


def measure_drafts(given, server_options):
    pairs = list(near_duplicates(given.near))
    random.Random(given.seed).shuffle(pairs)
    ways = {"no drafts": {"speculation": False, "cache": False}, "drafts": {"cache": False}, "cached answer": {}}
    ms, n_differ, n_done = collections.Counter(), 0, 0
    with LocalServer(given.model, "--cache.policy", "guarded", "--cache.store", "memory", *server_options) as server:
        for i, pair in enumerate(pairs):
            if n_done == given.drafts:
                break
            ask(server, pair["a"], f"cached answer {i}", given.draft_tokens, None)
            texts, took, similarity = {}, {}, 0
            for way in list(ways)[i % 3:] + list(ways)[:i % 3]:
                key = f"{way} {i}"
                ask(server, pair["b"], key, 1, None, cache=False)  # so that what is compared is decoding
                texts[way], _, _, ours = ask(server, pair["b"], key, given.draft_tokens, None, **ways[way])
                took[way] = ours["timings"]["decode_ms"]
                if way == "cached answer":
                    similarity = ours["cache"].get("similarity", 0) if ours["cache"]["response"] == "miss" else 0
            if similarity == 0:  # the first answer did not come to its own end, or it was served
                continue
            n_done += 1
            n_differ += len(set(texts.values())) > 1
            ms.update(took)
            print(f"\r{n_done} of {given.drafts} near-duplicates ", end="", flush=True)
    print(f"\rdrafts: {n_done} near-duplicates, decoding: " + ", ".join(
        f"{way} {ms['no drafts'] / max(1, ms[way]):.2f}" for way in ways) + f" times as fast; {n_differ} texts differ")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--pairs", required=True, help="JSON lines, perhaps .gz")
    parser.add_argument("--near", default=PROJECT / "tests/data/guard_pairs.jsonl", type=pathlib.Path)
    parser.add_argument("--policies", default="off,exact,fixed,guarded")
    parser.add_argument("--requests", type=int, default=300)
    parser.add_argument("--tokens", type=int, default=64, help="of an answer, at most; it is its first sentence")
    parser.add_argument("--misses", type=int, default=60)
    parser.add_argument("--stored", type=int, default=200, help="questions that `misses` are compared with")
    parser.add_argument("--context", default="", help="text before each question of `misses`")
    parser.add_argument("--drafts", type=int, default=20, help="near-duplicates")
    parser.add_argument("--draft-tokens", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    given, server_options = parser.parse_known_args()
    if given.requests:
        compare_traffic(given, server_options)
    if given.misses:
        measure_misses(given, server_options)
    if given.drafts:
        measure_drafts(given, server_options)


if __name__ == "__main__":
    main()
