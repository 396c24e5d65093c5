#!/usr/bin/env python3
"""What each part of Souffleur brings: the same requests with response cache, prefix cache and speculation on and off.

Every cell of the matrix {response cache: off, exact, semantic} x {prefix cache: off, on} x {speculation: off, each drafter, all
together} starts a server of its own with an empty memory, and answers the same dialogues at each number of clients. Speed is
told beside that of the cell in which all is off, in the same round. Whatever is on must not change what is said: every answer is
compared with the one of that cell, bit by bit, but those that were served by meaning, which are other answers by design and
are counted. It fails if another one differs.

  python3 examples/ablation/ablate.py --quick            60 cells in less than 20 minutes on two cores
  python3 examples/ablation/ablate.py --workload code_edit --caches off --clients 1,8,16
  python3 examples/ablation/ablate.py --model qwen-1.5b --draft-model qwen-0.5b
"""
import argparse
import dataclasses
import itertools
import json
import os
import pathlib
import statistics
import sys

PROJECT = pathlib.Path(__file__).resolve().parents[2]
sys.path += [str(PROJECT / "examples/bench"), str(PROJECT / "examples/load")]

from argument_types import positive, positives  # noqa: E402
from bar_chart import bar_chart  # noqa: E402
from load_program import run_load, texts_of, ttfts_ms  # noqa: E402
from local_server import LocalServer  # noqa: E402

MODELS = pathlib.Path(os.environ.get("SOUFFLEUR_MODELS", pathlib.Path.home() / ".cache/souffleur/models"))
CACHES = {"off": "off", "exact": "exact", "semantic": "guarded"}  # --cache.policy
DRAFTERS = ("prompt_lookup", "suffix", "recycling", "draft_model", "auto")


def fail(why):
    sys.exit(f"ablate.py: {why}")


@dataclasses.dataclass(frozen=True)
class Cell:
    cache: str
    radix: str
    speculation: str

    def options(self, chosen):
        words = ["--cache.policy", CACHES[self.cache], "--cache.store", "memory", "--embedding.model",
                 "minilm" if self.cache == "semantic" else "off", "--kv.prefix_cache", "true" if self.radix == "on" else "false",
                 "--threads", str(chosen.threads)]
        if self.speculation == "off":
            return words + ["--speculation.drafter", "off"]
        words += ["--speculation.drafter", self.speculation]
        if chosen.draft_model and self.speculation in ("draft_model", "auto"):
            words += ["--speculation.draft_model", chosen.draft_model]
        return words

    def name(self):
        return f"cache {self.cache}, radix {self.radix}"


@dataclasses.dataclass
class Outcome:
    """Of a cell with so many clients, in one round."""
    tokens_per_s: float
    ttft_ms: float
    texts: dict
    by_meaning: set  # requests whose answer was served by meaning, and what followed them
    speedup: float = 1.0
    differing: int = 0


def outcome_of(load):
    served = {(request["dialogue"], request["turn"]) for request in load["requests"] if request["source"] == "semantic"}
    first = {}
    for dialogue, turn in served:
        first[dialogue] = min(turn, first.get(dialogue, turn))
    texts = texts_of(load)
    # Later turns of a dialogue repeat the answer, so they are other requests.
    by_meaning = {key for key in texts if key[0] in first and key[1] >= first[key[0]]}
    return Outcome(load["summary"]["output_tokens_per_s"], statistics.median(ttfts_ms(load)), texts, by_meaning)


def run_cell(cell, chosen, seed):
    """{clients: Outcome}"""
    found = {}
    with LocalServer(chosen.model, *cell.options(chosen)) as server:
        for n_clients in chosen.clients:
            load = run_load(server.base_url, clients=n_clients, requests=chosen.requests, warm_up=2, seed=1000 * seed + n_clients,
                            workload=chosen.workload, max_tokens=chosen.max_tokens, think_s=0, prompts=chosen.prompts)
            if load["summary"]["failed"]:
                fail(f"{cell}: requests failed: {load['summary']['errors']}")
            found[n_clients] = outcome_of(load)
    return found


def compare(found, baseline):
    for n_clients, outcome in found.items():
        reference = baseline[n_clients]
        outcome.speedup = outcome.tokens_per_s / reference.tokens_per_s
        outcome.differing = sum(reference.texts.get(key) != digest for key, digest in outcome.texts.items()
                                if key not in outcome.by_meaning)


def run_rounds(cells, chosen):
    """{cell: {clients: [Outcome of each round]}}"""
    table = {cell: {n: [] for n in chosen.clients} for cell in cells}
    for number in range(chosen.rounds):
        baseline = None
        for i, cell in enumerate(cells):
            print(f"round {number + 1} of {chosen.rounds}, cell {i + 1} of {len(cells)}: {cell.name()}, speculation "
                  f"{cell.speculation}", file=sys.stderr, flush=True)
            found = run_cell(cell, chosen, chosen.seed + number)
            baseline = baseline or found
            compare(found, baseline)
            for n_clients, outcome in found.items():
                table[cell][n_clients].append(outcome)
    return table


def spread(values, decimals):
    texts = [f"{value:.{decimals}f}" for value in (min(values), statistics.median(values), max(values))]
    return texts[0] if len(values) == 1 else " / ".join(texts)


def table_text(table):
    lines = ["| response cache | prefix cache | speculation | clients | tokens/s | beside all off | TTFT p50 ms | answers | by "
             "meaning | others that differ |", "|---|---|---|---|---|---|---|---|---|---|"]
    for cell, by_clients in table.items():
        for n_clients, outcomes in by_clients.items():
            lines.append(f"| {cell.cache} | {cell.radix} | {cell.speculation} | {n_clients} | "
                         f"{spread([one.tokens_per_s for one in outcomes], 0)} | {spread([one.speedup for one in outcomes], 2)} | "
                         f"{spread([one.ttft_ms for one in outcomes], 1)} | {sum(len(one.texts) for one in outcomes)} | "
                         f"{sum(len(one.by_meaning) for one in outcomes)} | {sum(one.differing for one in outcomes)} |")
    return "\n".join(lines)


def picture_of(table, chosen):
    groups = {}
    for n_clients in chosen.clients:
        for cell, by_clients in table.items():
            label = (f"{n_clients} client{'s' if n_clients > 1 else ''}\n"
                     f"response cache: {cell.cache}\nprefix cache: {cell.radix}")
            groups.setdefault(label, {})[cell.speculation] = statistics.median(one.speedup for one in by_clients[n_clients])
    return bar_chart("How many times as fast as with everything off (tokens per second; the dashed line is as fast).\n"
                     f"Workload: {chosen.workload}; {chosen.requests} requests for each bar, {chosen.rounds} round"
                     f"{'s' if chosen.rounds > 1 else ''}.", groups, 1, "speculation:")


def document_of(table):
    return [{"cache": cell.cache, "radix": cell.radix, "speculation": cell.speculation, "clients": n_clients,
             "tokens_per_s": [one.tokens_per_s for one in outcomes], "speedup": [one.speedup for one in outcomes],
             "ttft_ms": [one.ttft_ms for one in outcomes], "answers": sum(len(one.texts) for one in outcomes),
             "by_meaning": sum(len(one.by_meaning) for one in outcomes), "differing": sum(one.differing for one in outcomes)}
            for cell, by_clients in table.items() for n_clients, outcomes in by_clients.items()]


def one_of(known):
    def read(text):
        for part in text.split(","):
            if part not in known:
                raise argparse.ArgumentTypeError(f"{part} is none of {', '.join(known)}")
        return text.split(",")
    return read


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2", help="GGUF file, or name of a fetched model")
    parser.add_argument("--draft-model", help="adds the drafter draft_model, and is part of all together")
    parser.add_argument("--workload", default="mixed", help="of souffleur-load (default: mixed)")
    parser.add_argument("--prompts", help="of the workload chat")
    parser.add_argument("--caches", type=one_of(CACHES), default=list(CACHES))
    parser.add_argument("--radix", type=one_of(("off", "on")), default=["off", "on"])
    parser.add_argument("--speculation", type=one_of(("off", *DRAFTERS)), default=None)
    parser.add_argument("--clients", type=positives, default=(1, 8))
    parser.add_argument("--requests", type=positive, default=None, help="of a cell and number of clients (default: 48)")
    parser.add_argument("--max-tokens", type=positive, default=None, help="default: 64")
    parser.add_argument("--rounds", type=positive, default=None, help="default: 3")
    parser.add_argument("--threads", type=positive, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="one round of fewer and shorter answers")
    parser.add_argument("--markdown", type=pathlib.Path, metavar="FILE")
    parser.add_argument("--svg", type=pathlib.Path, metavar="FILE")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE")
    chosen = parser.parse_args()
    chosen.requests = chosen.requests or (32 if chosen.quick else 48)
    chosen.max_tokens = chosen.max_tokens or (48 if chosen.quick else 64)
    chosen.rounds = chosen.rounds or (1 if chosen.quick else 3)
    chosen.speculation = chosen.speculation or ["off", *(one for one in DRAFTERS if one != "draft_model" or chosen.draft_model)]
    return chosen


def cells_of(chosen):
    """The first is the one in which all is off."""
    if "semantic" in chosen.caches and not (MODELS / "minilm").exists():
        fail(f"the semantic cache needs {MODELS / 'minilm'}: python3 conf/get_model.py minilm, or --caches off,exact")
    if "draft_model" in chosen.speculation and not chosen.draft_model:
        fail("--speculation draft_model needs --draft-model")
    baseline = Cell("off", "off", "off")
    cells = [Cell(*one) for one in itertools.product(chosen.caches, chosen.radix, chosen.speculation)]
    return [baseline, *(cell for cell in cells if cell != baseline)]


def main():
    chosen = arguments()
    cells = cells_of(chosen)
    table = run_rounds(cells, chosen)
    text = table_text(table)
    print(text)
    for path, content in ((chosen.markdown, text + "\n"), (chosen.svg, picture_of(table, chosen)),
                          (chosen.json, json.dumps(document_of(table), indent=1) + "\n")):
        if path:
            path.write_text(content)
    differing = sum(one.differing for by_clients in table.values() for outcomes in by_clients.values() for one in outcomes)
    if differing:
        fail(f"{differing} answers differ from those of the cell in which all is off")


if __name__ == "__main__":
    main()
