#!/usr/bin/env python3
"""Compares Souffleur with llama.cpp's server, or with any server that speaks OpenAI's HTTP: same model file, same threads.

Each round takes one scenario after the other; in each, both servers start afresh, one after the other in turning order, and
answer the same load from souffleur-load, over server-sent events with a new connection for each request. A ratio is taken
within a round, and its minimum, median and maximum are reported, as are those of the figures. Nothing is measured
while another program keeps the machine busy: it says so, and the report says it, too.

  python3 examples/compare/compare.py                    all scenarios, 3 rounds: about an hour on two cores
  python3 examples/compare/compare.py --quick            one round, fewer clients and requests: less than 15 minutes
  python3 examples/compare/compare.py --only chat --clients 1,8
  python3 examples/compare/compare.py --peer-url http://HOST:PORT --peer-name vLLM     whatever runs there

llama-server is looked for at --peer. It is built from llama.cpp's source with
  cmake -B build -DCMAKE_BUILD_TYPE=Release -DGGML_NATIVE=ON && cmake --build build --target llama-server
"""
import argparse
import dataclasses
import datetime
import json
import os
import pathlib
import platform
import re
import shlex
import statistics
import subprocess
import sys
import time

PROJECT = pathlib.Path(__file__).resolve().parents[2]
BUSY = 0.2  # CPUs, from which on the others are said to disturb
sys.path += [str(PROJECT / "examples/bench"), str(PROJECT / "examples/load")]

from argument_types import positive, positives  # noqa: E402
from bar_chart import bar_chart  # noqa: E402
from load_program import run_load, ttfts_ms  # noqa: E402
from local_server import LocalServer  # noqa: E402
from peer_server import LlamaServer, RemoteServer, peak_mib, version_of  # noqa: E402

CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")


def fail(why):
    sys.exit(f"compare.py: {why}")


@dataclasses.dataclass
class Scenario:
    name: str
    about: str
    load: dict  # options of souffleur-load
    clients: tuple = ()
    souffleur: tuple = ()  # options of the server
    requests_a_client: int = 4  # at least 8 in all
    later_turns: bool = False  # TTFT of these alone

    def requests(self, n_clients, quick):
        n = max(8, self.requests_a_client * n_clients)
        return max(8, n // 2) if quick else n


def all_scenarios(chosen):
    few = tuple(n for n in (1, 8) if n <= max(chosen.clients)) or (1,)
    return [
        Scenario("chat", "questions of one turn, answers of 64 tokens", {"max_tokens": 64, "ignore_eos": True}, chosen.clients),
        Scenario("shared prefix", "four system prompts of 600 words, answers of 16 tokens",
                 {"workload": "shared_prefix", "prompt_words": 600, "max_tokens": 16, "ignore_eos": True}, few),
        Scenario("multi-turn", "conversations of four turns; TTFT of the turns after the first",
                 {"workload": "multi_turn", "turns": 4, "think_s": 0, "max_tokens": 48}, few, requests_a_client=8,
                 later_turns=True),
        Scenario("code edit", "a file to be repeated with one name changed, up to 384 tokens",
                 {"workload": "code_edit", "max_tokens": 384}, few, requests_a_client=2),
        Scenario("repeated questions", "few questions in many wordings; nothing stored", {"workload": "repeated", "max_tokens": 48},
                 few, requests_a_client=6),
        Scenario("repeated questions, cached", "the same; Souffleur with --cache.policy guarded",
                 {"workload": "repeated", "max_tokens": 48}, few, requests_a_client=6,
                 souffleur=("--cache.policy", "guarded", "--cache.store", "memory", "--embedding.model", "minilm")),
        Scenario("cancel storm", "four of five clients leave after two outputs; tokens of all, TTFT of all",
                 {"max_tokens": 64, "ignore_eos": True, "cancel_share": 0.8, "cancel_after": 2},
                 (min(16, max(chosen.clients)),), requests_a_client=6),
    ]


FIGURES = {"tokens/s": 1, "TTFT p50 ms": -1, "TTFT p99 ms": -1, "TPOT p50 ms": -1, "E2E p50 ms": -1}


def ranked(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-int(share * 100) * len(ordered) // 100) - 1))]


def figures_of(load, scenario):
    summary = load["summary"]
    ttfts = ttfts_ms(load, scenario.later_turns)
    found = {"tokens/s": summary["output_tokens_per_s"], "failed": summary["failed"]}
    if ttfts:
        found |= {"TTFT p50 ms": statistics.median(ttfts), "TTFT p99 ms": ranked(ttfts, 0.99)}
    for name, key in (("TPOT p50 ms", "tpot_ms"), ("E2E p50 ms", "e2el_ms")):
        if summary[key]:
            found[name] = summary[key]["p50"]
    return found


class Ours:
    name = "Souffleur"

    def __init__(self, chosen):
        self.chosen = chosen

    def started(self, scenario):
        words = ["--threads", str(self.chosen.threads), "--kv.tokens", str(self.chosen.kv_tokens), "--cache.policy", "off",
                 "--embedding.model", "off", *scenario.souffleur, *shlex.split(self.chosen.souffleur_options)]
        return OurServer(self.chosen.model, *without_overridden(words))

    def version(self):
        said = subprocess.run(["git", "-C", str(PROJECT), "describe", "--always", "--dirty"], capture_output=True, text=True,
                              check=False)
        return "commit " + (said.stdout.strip() or "unknown")


def without_overridden(words):
    """Of pairs of option and value, the last of each option."""
    return [word for pair in dict(zip(words[::2], words[1::2])).items() for word in pair]


class OurServer(LocalServer):
    def __init__(self, model, *options):
        self.command = ["souffleur", "--model", str(model), *options]
        super().__init__(model, *options)

    def peak_mib(self):
        return peak_mib(self.process.pid)


class Peer:
    def __init__(self, chosen):
        self.chosen = chosen
        self.name = chosen.peer_name or ("the peer" if chosen.peer_url else "llama.cpp")

    def started(self, _scenario):
        if self.chosen.peer_url:
            return RemoteServer(self.chosen.peer_url)
        return LlamaServer(self.chosen.peer, self.chosen.model, self.chosen.threads, max(self.chosen.clients),
                           self.chosen.kv_tokens, shlex.split(self.chosen.peer_options))

    def version(self):
        return self.chosen.peer_url or version_of(self.chosen.peer)


@dataclasses.dataclass
class Row:
    scenario: str
    about: str
    clients: int
    figures: dict = dataclasses.field(default_factory=dict)  # {server: [{figure: value} of each round]}

    def values(self, server, figure):
        return [one[figure] for one in self.figures[server] if one.get(figure) is not None]

    def ratios(self, figure, ours, theirs):
        """Ours over theirs, by round."""
        return [a[figure] / b[figure] for a, b in zip(self.figures[ours], self.figures[theirs])
                if a.get(figure) and b.get(figure)]


@dataclasses.dataclass
class Measured:
    rows: dict = dataclasses.field(default_factory=dict)
    memory: dict = dataclasses.field(default_factory=dict)  # {(scenario, server): [MiB]}
    commands: dict = dataclasses.field(default_factory=dict)  # {(scenario, server): [command]} of the first round


def run_scenario(scenario, side, seed, chosen, measured):
    commands = measured.commands.setdefault((scenario.name, side.name), [])
    first = not commands
    with side.started(scenario) as server:
        if first:
            commands.append(shlex.join(map(str, server.command)))
        for n_clients in scenario.clients:
            print(f"  {side.name}, {scenario.name}, {n_clients} clients", file=sys.stderr, flush=True)
            load = run_load(server.base_url, commands if first else None, clients=n_clients,
                            requests=scenario.requests(n_clients, chosen.quick), warm_up=min(4, n_clients), seed=seed,
                            new_connections=True, **scenario.load)
            row = measured.rows.setdefault((scenario.name, n_clients), Row(scenario.name, scenario.about, n_clients))
            row.figures.setdefault(side.name, []).append(figures_of(load, scenario))
        measured.memory.setdefault((scenario.name, side.name), []).append(server.peak_mib())


def run_rounds(scenarios, sides, chosen):
    measured = Measured()
    try:
        for number in range(chosen.rounds):
            for scenario in scenarios:
                print(f"round {number + 1} of {chosen.rounds}: {scenario.name}", file=sys.stderr, flush=True)
                for side in sides if number % 2 == 0 else sides[::-1]:
                    run_scenario(scenario, side, chosen.seed + number, chosen, measured)
    except KeyboardInterrupt:
        print("interrupted; the figures so far:", file=sys.stderr, flush=True)
    measured.rows = {key: row for key, row in measured.rows.items() if len(row.figures) == len(sides)}
    return measured


def spread(values, decimals):
    if not values:
        return "-"
    texts = [f"{value:.{decimals}f}" for value in (min(values), statistics.median(values), max(values))]
    return texts[0] if len(values) == 1 else " / ".join(texts)


def cpu_name():
    found = re.search(r"^model name\s*:\s*(.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found.group(1) if found else platform.machine()


def busy_cpus(over_s=2.0):
    """How many CPUs other programs keep busy, on the mean, while this one sleeps. The load average would still know of
    whatever ended a minute ago."""
    def busy_ticks():
        user, nice, system, _idle, _iowait, irq, softirq = map(int, pathlib.Path("/proc/stat").read_text().split()[1:8])
        return user + nice + system + irq + softirq
    before = busy_ticks()
    time.sleep(over_s)
    return (busy_ticks() - before) / os.sysconf("SC_CLK_TCK") / over_s


def report_of(measured, sides, chosen, busy_before):
    ours, theirs = (side.name for side in sides)
    lines = [f"# {ours} beside {theirs}", "",
             f"{datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d %H:%M} UTC, {cpu_name()}, {os.cpu_count()} CPUs; "
             f"model {chosen.model.name}, {chosen.threads} threads, {chosen.rounds} rounds; CPUs kept busy by others before: "
             f"{busy_before:.1f}{' (these figures mean little)' if busy_before > BUSY else ''}.", "",
             *(f"* {side.name}: {side.version()}" for side in sides), "",
             f"`{shlex.join(['python3', 'examples/compare/compare.py', *sys.argv[1:]])}`", "",
             "Minimum / median / maximum over the rounds; a ratio is ours over theirs within a round, so that more is better for "
             "tokens/s, and less for times."]
    for name in dict.fromkeys(row.scenario for row in measured.rows.values()):
        rows = [row for row in measured.rows.values() if row.scenario == name]
        lines += ["", f"## {name}", "", f"{rows[0].about}.", "",
                  f"| clients | figure | {ours} | {theirs} | ratio |", "|---|---|---|---|---|"]
        for row in rows:
            for figure in FIGURES:
                if row.values(ours, figure) and row.values(theirs, figure):
                    lines.append(f"| {row.clients} | {figure} | {spread(row.values(ours, figure), 1)} | "
                                 f"{spread(row.values(theirs, figure), 1)} | {spread(row.ratios(figure, ours, theirs), 2)} |")
            failed = {side: sum(row.values(side, "failed")) for side in (ours, theirs)}
            if any(failed.values()):
                lines.append(f"| {row.clients} | failed requests | {failed[ours]} | {failed[theirs]} | |")
    lines += ["", "## Memory", "", "Most that was resident, MiB.", "", f"| scenario | {ours} | {theirs} |", "|---|---|---|"]
    for name in dict.fromkeys(scenario for scenario, _ in measured.memory):
        cells = (spread([mib for mib in measured.memory.get((name, side), []) if mib], 0) for side in (ours, theirs))
        lines.append(f"| {name} | {' | '.join(cells)} |")
    lines += ["", "## Commands of the first round", ""]
    for (name, side), commands in measured.commands.items():
        lines += [f"{name}, {side}:", "```", *commands, "```", ""]
    return "\n".join(lines)


def picture_of(measured, sides):
    """How many times as much, or as quick, ours is: the medians of the ratios."""
    ours, theirs = (side.name for side in sides)
    groups = {}
    for row in measured.rows.values():
        bars = {}
        for figure, sign in (("tokens/s", 1), ("TTFT p50 ms", -1)):
            ratios = row.ratios(figure, ours, theirs)
            if ratios:
                bars["times the tokens/s" if sign > 0 else "times as soon"] = statistics.median(ratios) ** sign
        groups[f"{row.scenario}, {row.clients}"] = bars
    return bar_chart(f"{ours} over {theirs}, by scenario and clients; the line is equality", groups, 1)


def document_of(measured):
    return {"rows": [dataclasses.asdict(row) for row in measured.rows.values()],
            "memory_mib": [{"scenario": name, "server": side, "mib": mib} for (name, side), mib in measured.memory.items()],
            "commands": [{"scenario": name, "server": side, "commands": all_of_them}
                         for (name, side), all_of_them in measured.commands.items()]}


def chosen_scenarios(chosen):
    try:
        found = [one for one in all_scenarios(chosen) if re.search(chosen.only, one.name, re.IGNORECASE)]
    except re.error as error:
        fail(f"--only: \"{chosen.only}\" is no regular expression: {error}")
    if not found:
        fail(f"--only: no scenario is like \"{chosen.only}\"; there are " + ", ".join(one.name for one in all_scenarios(chosen)))
    return found


def check_files(chosen):
    if not chosen.model.exists():
        fail(f"--model: there is no {chosen.model}; python3 conf/get_model.py smollm2 fetches that one")
    if not chosen.peer_url and not os.access(chosen.peer, os.X_OK):
        fail(f"--peer: there is no program {chosen.peer}; --help says how it is built")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=pathlib.Path, default=CACHE / "souffleur/models/smollm2.gguf")
    parser.add_argument("--peer", type=pathlib.Path, default=CACHE / "souffleur-peers/llama.cpp/build/bin/llama-server",
                        help="llama.cpp's server (default: %(default)s)")
    parser.add_argument("--peer-options", default="", help="more of its options, as one word")
    parser.add_argument("--peer-url", help="of a server that runs already, instead")
    parser.add_argument("--peer-name", help="in the report")
    parser.add_argument("--souffleur-options", default="", help="as one word")
    parser.add_argument("--threads", type=positive, default=2, help="of both (default: 2)")
    parser.add_argument("--kv-tokens", type=positive, default=32768, help="positions in KV memory, of both (default: 32768)")
    parser.add_argument("--clients", type=positives, default=None, help="of the chat scenario (default: 1,4,8,16,32)")
    parser.add_argument("--rounds", type=positive, default=None, help="default: 3")
    parser.add_argument("--quick", action="store_true", help="one round, 1, 8 and 32 clients, half of the requests")
    parser.add_argument("--only", default="", metavar="PATTERN", help="scenarios whose name matches")
    parser.add_argument("--seed", type=int, default=1, help="of the prompts; each round adds 1")
    parser.add_argument("--markdown", type=pathlib.Path, metavar="FILE", help="the report goes there, too")
    parser.add_argument("--svg", type=pathlib.Path, metavar="FILE", help="a picture of the ratios")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="every figure")
    chosen = parser.parse_args()
    chosen.clients = chosen.clients or ((1, 8, 32) if chosen.quick else (1, 4, 8, 16, 32))
    chosen.rounds = chosen.rounds or (1 if chosen.quick else 3)
    return chosen


def main():
    chosen = arguments()
    scenarios = chosen_scenarios(chosen)
    check_files(chosen)
    busy_before = busy_cpus()
    if busy_before > BUSY:
        print(f"warning: other programs keep {busy_before:.1f} CPUs busy; the ratios will mean little", file=sys.stderr)
    sides = (Ours(chosen), Peer(chosen))
    measured = run_rounds(scenarios, sides, chosen)
    if not measured.rows:
        fail("interrupted before the first figure of both")
    report = report_of(measured, sides, chosen, busy_before)
    print(report)
    for path, text in ((chosen.markdown, report), (chosen.svg, picture_of(measured, sides)),
                       (chosen.json, json.dumps(document_of(measured), indent=1) + "\n")):
        if path:
            path.write_text(text)


if __name__ == "__main__":
    main()
