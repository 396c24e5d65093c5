#!/usr/bin/env python3
"""What speculation brings: the same requests to one server with and without it, one after the other.

Every variant answers every prompt, in an order that turns. Each is a tenant of its own, so that none drafts from what
another was answered, and has the prompt computed once before, so that what is compared is decoding. Prints by category: tokens
a second without and with, their ratio, the least and the largest ratio of a group of `--batch` prompts, the share of drafted
tokens that stood, and the tokens of a step. The answers must be the same, bit by bit: it counts those that are not, and then
fails.

With `--drafters` each of them drafts alone, and then all that the server has together (`auto`); one table more says by category
how much faster each is than without, and how `auto` does beside the best of them.

Categories: those of --prompts (JSON lines with "category" and "prompt" or "turns", of which the first counts), `code edit`
(one of this repository's tests, to be given back with its name changed), `quote` (the beginning of a text of --prompts, else of
this repository's documents, to be quoted) and `random` (words that mean nothing).
"""
import argparse
import json
import random
import re
import statistics
import sys
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor

from bar_chart import bar_chart
from local_server import PROJECT, LocalServer

N_COPY_PROMPTS = 20
N_RANDOM_PROMPTS = 10
COPIED_CHARACTERS = range(250, 700)


def dev_prompts(path):
    with open(path) as lines:
        for line in lines:
            entry = json.loads(line)
            yield entry["category"], entry.get("prompt") or entry["turns"][0]


def spread(all_of_them, n):
    return all_of_them[:: max(1, len(all_of_them) // n)][:n]


def code_edits():
    tests = []
    for path in sorted((PROJECT / "tests").glob("*/*_test.cpp")):
        whole = re.findall(r"^TEST\(.*?^}\n", path.read_text(), re.S | re.M)
        tests += [code for code in whole if len(code) in COPIED_CHARACTERS][:1]
    for code in spread(tests, N_COPY_PROMPTS):
        yield "code edit", f"Rename the test below to `Renamed`, and give the whole code again.\n\n```cpp\n{code}```"


def quotes(prompts):
    texts = [text.split("\n", 1)[-1] for category, text in prompts if category in ("summarization", "rag")]
    texts = texts or (PROJECT / "actors/README.md").read_text().split("\n\n")
    beginnings = (text[:COPIED_CHARACTERS.stop].rpartition(".")[0].strip() + "." for text in texts)
    for text in spread([text for text in beginnings if len(text) in COPIED_CHARACTERS], N_COPY_PROMPTS):
        yield "quote", f"Repeat the text below word for word.\n\n{text}"


def random_prompts():
    numbers = random.Random(1)
    letters = "abcdefghijklmnopqrstuvwxyz"
    for _ in range(N_RANDOM_PROMPTS):
        words = ("".join(numbers.choices(letters, k=numbers.randint(2, 9))) for _ in range(120))
        yield "random", "Go on with this: " + " ".join(words)


class Answer:
    def __init__(self, server, prompt, tenant, speculation, given, max_tokens):
        body = {"messages": [{"role": "user", "content": prompt}], "max_tokens": max_tokens,
                "temperature": given.temperature, "seed": 1, "ignore_eos": given.ignore_eos,
                "souffleur": {"speculation": speculation}}
        with server.post("/v1/chat/completions", body, tenant) as answer:
            found = json.loads(answer.read())
        self.text = found["choices"][0]["message"]["content"]
        self.n_tokens = found["usage"]["completion_tokens"]
        ours = found["souffleur"]["speculation"]
        self.n_steps, self.n_drafted, self.n_accepted = ours["steps"], ours["drafted_tokens"], ours["accepted_tokens"]


class Tally:
    """Of one variant in one category."""

    def __init__(self):
        self.seconds, self.rates, self.answers = 0.0, [], []

    def add(self, seconds, answers):
        self.seconds += seconds
        self.answers += answers
        self.rates.append(sum(a.n_tokens for a in answers) / seconds)

    def total(self, name):
        return sum(getattr(a, name) for a in self.answers)

    def rate(self):
        return self.total("n_tokens") / self.seconds


def measure(server, prompts, variants, given):
    """By category and variant."""
    tallies = defaultdict(lambda: {name: Tally() for name in variants})
    groups = defaultdict(list)
    for category, prompt in prompts:
        groups[category].append(prompt)
    batches = [(category, group[i:i + given.batch]) for category, group in groups.items()
               for i in range(0, len(group), given.batch)]
    with ThreadPoolExecutor(given.batch) as pool:
        def ask(batch, name, max_tokens):
            return list(pool.map(lambda prompt: Answer(server, prompt, name, variants[name], given, max_tokens), batch))

        for n, (category, batch) in enumerate(batches):
            print(f"\r{n} of {len(batches)} groups: {category:20s}", end="", file=sys.stderr)
            names = list(variants)
            for name in names[n % len(names):] + names[:n % len(names)]:
                ask(batch, name, 1)
                start = time.perf_counter()
                answers = ask(batch, name, given.tokens)
                tallies[category][name].add(time.perf_counter() - start, answers)
    print(file=sys.stderr)
    return tallies


def row(category, off, on):
    ratios = [b / a for a, b in zip(off.rates, on.rates)]
    drafted = on.total("n_drafted")
    return {"category": category, "prompts": len(on.answers), "tokens": on.total("n_tokens"),
            "off_tokens_per_s": off.rate(), "on_tokens_per_s": on.rate(), "ratio": on.rate() / off.rate(),
            "median_ratio": statistics.median(ratios), "least_ratio": min(ratios), "largest_ratio": max(ratios),
            "accepted_percent": 100 * on.total("n_accepted") / drafted if drafted else None,
            "tokens_per_step": on.total("n_tokens") / max(1, on.total("n_steps") + len(on.answers)),
            "different_answers": sum(a.text != b.text for a, b in zip(off.answers, on.answers))}


def merged(tallies, name):
    whole = Tally()
    for of_category in tallies.values():
        whole.seconds += of_category[name].seconds
        whole.rates += of_category[name].rates
        whole.answers += of_category[name].answers
    return whole


def show(name, rows):
    print(f"\n{name}\n{'category':18s} prompts  tokens   off tok/s  on tok/s   ratio (least-largest)   stood   a step")
    for r in rows:
        stood = f"{r['accepted_percent']:4.0f} %" if r["accepted_percent"] is not None else "   -  "
        print(f"{r['category']:18s} {r['prompts']:7d} {r['tokens']:7d}  {r['off_tokens_per_s']:9.1f} {r['on_tokens_per_s']:9.1f}"
              f"   {r['ratio']:.2f} ({r['least_ratio']:.2f}-{r['largest_ratio']:.2f})       {stood}   {r['tokens_per_step']:.2f}")


MIXTURE = "auto"
LEAST_OF_BEST = 0.97


def beside_best(results):
    """By category: what each drafter brings, and the mixture beside the best of those that draft alone."""
    compared = []
    for of_category in zip(*results.values()):
        ratios = {name: row["ratio"] for name, row in zip(results, of_category)}
        alone = {name: ratio for name, ratio in ratios.items() if name != MIXTURE}
        best = max(alone, key=alone.get)
        compared.append({"category": of_category[0]["category"], "ratios": ratios, "best": best,
                         "of_best": ratios[MIXTURE] / alone[best]})
    return compared


def show_beside_best(compared):
    names = list(compared[0]["ratios"])
    print(f"\n{'times without':18s}" + "".join(f"{name:>14s}" for name in names) + f"   {MIXTURE} / best")
    for one in compared:
        ratios = "".join(f"{one['ratios'][name]:14.2f}" for name in names)
        below = "  below" if one["of_best"] < LEAST_OF_BEST else ""
        print(f"{one['category']:18s}{ratios}   {one['of_best']:.2f} of {one['best']}{below}")
    n_below = sum(one["of_best"] < LEAST_OF_BEST for one in compared)
    print(f"categories in which {MIXTURE} brings less than {LEAST_OF_BEST:.0%} of the best drafter: {n_below} of {len(compared)}")


def chosen_variants(given):
    variants = {"off": False}
    if given.drafters:
        variants |= {name: {"drafter": name} for name in [*given.drafters.split(","), MIXTURE]}
    for variant in given.variant or ([] if given.drafters else ["on=true"]):
        name, _, value = variant.partition("=")
        variants[name] = json.loads(value)
    return variants


def add_prompt_options(parser):
    parser.add_argument("--prompts", help="JSON lines")
    parser.add_argument("--only", default="", help="a category, or several with commas between")
    parser.add_argument("--most", type=int, help="prompts of a category")
    parser.add_argument("--tokens", type=int, default=200, help="of an answer, at most")


def chosen_prompts(parser, given):
    """(category, prompt) of all that the options leave."""
    prompts = list(dev_prompts(given.prompts)) if given.prompts else []
    prompts += [*code_edits(), *quotes(prompts), *random_prompts()]
    if given.only:
        prompts = [one for one in prompts if one[0] in given.only.split(",")]
    counts = defaultdict(int)
    kept = []
    for category, prompt in prompts:
        counts[category] += 1
        if given.most is None or counts[category] <= given.most:
            kept.append((category, prompt))
    if not kept:
        parser.error(f"--only {given.only}: no such category; there are {', '.join(sorted(counts)) or 'none'}")
    return kept


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2")
    add_prompt_options(parser)
    parser.add_argument("--temperature", type=float, default=0)
    parser.add_argument("--batch", type=int, default=1, help="requests at once")
    parser.add_argument("--ignore-eos", action="store_true", help="all answers have --tokens tokens")
    parser.add_argument("--variant", action="append", default=[], metavar="NAME=JSON",
                        help="a value of souffleur.speculation to compare; default: on=true")
    parser.add_argument("--drafters", default="", metavar="NAME,NAME",
                        help="to compare, each alone and all together: prompt_lookup, suffix, recycling, draft_model")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--svg", metavar="FILE", help="bars of the ratios by category")
    given, server_options = parser.parse_known_args()
    kept = chosen_prompts(parser, given)
    variants = chosen_variants(given)
    results = {}
    with LocalServer(given.model, *server_options) as server:
        tallies = measure(server, kept, variants, given)
    for name in list(variants)[1:]:
        rows = [row(category, by_variant["off"], by_variant[name]) for category, by_variant in tallies.items()]
        rows.append(row("all", merged(tallies, "off"), merged(tallies, name)))
        show(name, rows)
        results[name] = rows
    n_different = sum(rows[-1]["different_answers"] for rows in results.values())
    compared = beside_best(results) if given.drafters else []
    if compared:
        show_beside_best(compared)
    print(f"\nanswers that differ from those without speculation: {n_different}")
    if given.json:
        with open(given.json, "w") as file:
            json.dump(results | ({"beside the best drafter": compared} if compared else {}), file, indent=1)
    if given.svg:
        ratios = {rows[0]["category"]: {name: row["ratio"] for name, row in zip(results, rows)}
                  for rows in zip(*results.values())}
        with open(given.svg, "w") as file:
            file.write(bar_chart(f"{given.model}, batch {given.batch}, temperature {given.temperature:g}: tokens a second, times without speculation", ratios, 1))
    sys.exit(1 if n_different else 0)


if __name__ == "__main__":
    main()
