#!/usr/bin/env python3
"""Does the simulator say what a real server does? Measures what steps take, loads a server, simulates the same load.

  python3 examples/cluster_simulator/validate.py --model smollm2.gguf
  python3 examples/cluster_simulator/validate.py --model smollm2.gguf --costs costs.json     keeps the costs for the simulator
  python3 examples/cluster_simulator/validate.py --workers 1 2 4     besides a server alone: a router and so many workers

What a step takes, and what more it takes with a longer context, comes from souffleur-bench; then from the traces of other loads
(one to eight clients), because client, server and workers share this machine's CPUs, and a step beside whoever asks is not a step
alone. How much slower a step is while other workers compute is measured by so many benchmarks at once. What is compared are a
closed loop of eight clients and an open loop (Poisson) at --utilisation of what those eight got. Texts and arrivals are the same
for both, by their seed. Nothing else should run on the machine meanwhile.
"""
import argparse
import collections
import contextlib
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import urllib.error

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "bench"), str(HERE.parent / "load")]
from cluster import Cluster  # noqa: E402
from load_program import run_load  # noqa: E402
from local_server import PROJECT, LocalServer  # noqa: E402

BENCH = pathlib.Path(os.environ.get("SOUFFLEUR_BENCH", PROJECT / "build/release/examples/souffleur-bench"))
SIMULATOR = pathlib.Path(os.environ.get("SOUFFLEUR_CLUSTER_SIMULATOR", PROJECT / "build/release/examples/souffleur-cluster-simulator"))
TOLERANCE = 0.15
FEWEST_STEPS = 10  # of so many rows, to believe them


def percentile(values, share):
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * share // 100) - 1)]


def bench(model, threads, *options, n_at_once=1):
    """What each of those at once measured."""
    words = [str(BENCH), "--model", str(model), "--threads", str(threads), "--repeats", "5", "--format", "json", *options]
    running = [subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) for _ in range(n_at_once)]
    outputs = [one.communicate()[0] for one in running]
    if any(one.returncode for one in running):
        raise SystemExit(f"failed: {' '.join(words)}")
    return [json.loads(output)["measurements"] for output in outputs]


def crowding(model, threads, n_workers):
    """Times longer that work takes while 1, 2, ... n_workers compute."""
    key = {"decode": "step_ms", "prefill": "ms"}
    means = []
    for n in range(1, n_workers + 1):
        runs = [[one[key[one["work"]]]["median"] for one in run if one["work"] in key]
                for run in bench(model, threads, "--batch", "1,4", "--prefill", "64", n_at_once=n)]
        means.append([statistics.mean(column) for column in zip(*runs)])
    return [statistics.mean(now / alone for now, alone in zip(of, means[0])) for of in means]


def measured_costs(model, threads):
    """T(M) of decode steps and of prefills, and what a token of context adds to a row of either."""
    decode, prefill, shallow, deep = {}, {}, 32, 544
    for depth, batches, tokens in ((shallow, "1,2,4,8,16", "0"), (deep, "8", "64"), (0, "0", "16,64,256")):
        for one in bench(model, threads, "--depth", str(depth), "--batch", batches, "--prefill", tokens)[0]:
            if one["work"] == "decode":
                decode[one["batch"], depth] = one["step_ms"]["median"] * 1000
            elif one["work"] == "prefill":
                prefill[one["tokens"], depth] = one["ms"]["median"] * 1000
    of_decode = max(0.0, (decode[8, deep] - decode[8, shallow]) / 8 / (deep - shallow))
    of_prefill = max(0.0, (prefill[64, deep] - prefill[64, 0]) / 64 / deep)
    for batch in sorted({batch for batch, depth in decode}, reverse=True):  # whoever disturbed it: fewer rows take no longer
        decode[batch, shallow] = min(us for (rows, depth), us in decode.items() if depth == shallow and rows >= batch)
    steps = [[batch, us - of_decode * batch * shallow] for (batch, depth), us in sorted(decode.items()) if depth == shallow]
    prompts = [[tokens, us - of_prefill * tokens ** 2 / 2] for (tokens, depth), us in sorted(prefill.items()) if depth == 0]
    return {"decode": steps, "prefill": [[1, steps[0][1]], *prompts], "attention_us": of_decode, "prefill_attention_us": of_prefill,
            "step_us": 0, "request_us": 0}


class Simulator:
    def __init__(self, folder, chosen, n_workers, costs):
        self.folder, self.chosen, self.n_workers, self.costs, self.bytes_per_token = folder, chosen, n_workers, costs, 4.3

    def __call__(self, **options):
        costs, out = self.folder / "costs.json", self.folder / "simulated.json"
        costs.write_text(json.dumps(self.costs))
        words = [str(SIMULATOR), "--quiet", "--together", "--workers", str(self.n_workers), "--policies", "cache_aware", "--workload", self.chosen.workload, "--shared", "4", "--think-s", str(self.chosen.think_s),
                 "--max-tokens", str(self.chosen.max_tokens), "--costs", str(costs), "--json", str(out), "--network-us", "0",
                 "--bytes-per-token", str(self.bytes_per_token)]
        for name, value in options.items():
            words += ["--" + name.replace("_", "-"), str(value)]
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
        return json.loads(out.read_text())["simulations"][0]


def figures_of(load):
    requests = [request for request in load["requests"] if request["role"] == "measured"]
    failed = [request for request in requests if request["outcome"] != "completed"]
    if failed:
        raise SystemExit(f"{len(failed)} requests failed: {failed[0].get('error')}")
    summary = load["summary"]
    return {"output_tokens_per_s": summary["output_tokens_per_s"],
            "ttft_p50_ms": statistics.median(request["outputs_ms"][0] for request in requests),
            "ttft_p95_ms": percentile([request["outputs_ms"][0] for request in requests], 95),
            "tpot_p50_ms": summary["tpot_ms"]["p50"],
            "prompt_tokens": summary["prompt_tokens"] / len(requests),
            "hit_rate": summary["cached_tokens"] / summary["prompt_tokens"]}


ROUTED = 1 << 62  # from there on a worker counts what its router sends


def traces(server, is_worker, most=1000):
    """Of the requests that a server has ended last, as far as it remembers."""
    with server.post("/v1/completions", {"prompt": "the last one", "max_tokens": 1}) as answer:
        name, _, last = json.loads(answer.read())["id"].removeprefix("cmpl-").rpartition("-")
    for number in range(ROUTED, ROUTED + most) if is_worker else range(max(0, int(last) - most), int(last)):
        with contextlib.suppress(urllib.error.HTTPError):  # it does not remember
            yield json.loads(server.get(f"/souffleur/trace/{name}-{number}"))["traceEvents"]


def steps_of(server, is_worker):
    """(rows that decode, rows of prompts, microseconds) of each step of which every row is known."""
    steps = {}
    for events in traces(server, is_worker):
        for event in events:
            if event["name"] in ("prefill step", "decode step"):
                of = event["args"]
                step = steps.setdefault(of["step"], {"all": of["rows_of_all"], "us": event["dur"], "decode": 0, "prefill": 0})
                step[event["name"].split()[0]] += of["rows"]
    return [(one["decode"], one["prefill"], one["us"]) for one in steps.values() if one["decode"] + one["prefill"] == one["all"]]


def between(points, x):
    """Linear between points, and beyond the last as between the last two."""
    (a, fa), (b, fb) = next((pair for pair in zip(points, points[1:]) if x <= pair[1][0]), tuple(points[-2:]))
    return fa + (fb - fa) * (x - a) / (b - a)


def costs_beside_clients(costs, steps, context):
    """The same costs, where steps took something else. `context`: tokens before a row that decodes, about."""
    attention = costs["attention_us"] * context
    by_rows = collections.defaultdict(list)
    for n_decode, n_prefill, us in steps:
        if n_prefill == 0:
            by_rows[n_decode].append(us - attention * n_decode)
    decode = [[rows, statistics.median(us)] for rows, us in sorted(by_rows.items()) if len(us) >= FEWEST_STEPS]
    decode = [[rows, max(us for fewer, us in decode if fewer <= rows)] for rows, us in decode]
    one = decode[0][1]
    times = [(us - attention * n_decode - (between(decode, n_decode) - one if n_decode else 0)) / between(costs["prefill"], n_prefill)
             for n_decode, n_prefill, us in steps if n_prefill >= 8 and n_decode <= decode[-1][0]]
    slower = statistics.median(times)
    beyond = [[rows, between(decode, rows)] for rows in (16, 32) if rows > decode[-1][0]]
    return costs | {"decode": decode + beyond, "prefill": [[1, one], *([rows, slower * us] for rows, us in costs["prefill"][1:])],
                    "prefill_attention_us": slower * costs["prefill_attention_us"]}, slower


def calibrate(simulate, real, load):
    """How many bytes a token has, and what a request takes beside its steps: from one client alone."""
    base = 20 + 4 * 2
    for _ in range(3):
        made = simulate(**load)["prompt_tokens"]
        simulate.bytes_per_token *= (made - base) / max(1.0, real["prompt_tokens"] - base)
    simulate.costs["request_us"] = max(0.0, (real["ttft_p50_ms"] - simulate(**load)["ttft_p50_ms"]) * 1000)


@contextlib.contextmanager
def service(chosen, n_workers, threads):
    """Where to ask: a server, or a router before some; and those that compute."""
    options = ("--speculation.policy", "off")
    if n_workers == 1:
        with LocalServer(chosen.model, "--threads", str(threads), *options) as server:
            yield server.base_url, [server]
    else:
        with Cluster(chosen.model, "cache_aware", n_workers, threads, options) as cluster:
            yield cluster.router.base_url, cluster.workers


def validate(chosen, n_workers, folder):
    """What was measured and simulated, by load, and the costs."""
    common = {"workload": chosen.workload, "max_tokens": chosen.max_tokens, "ignore_eos": True, "shared": 4, "think_s": chosen.think_s}
    alone = {"clients": 1, "requests": 16, "seed": 101}
    eight = {"clients": 8, "requests": chosen.requests, "seed": 102}
    threads = max(1, chosen.threads // n_workers)
    costs = measured_costs(chosen.model, threads)
    costs["crowding"] = crowding(chosen.model, threads, n_workers)
    with service(chosen, n_workers, threads) as (url, computing):
        run_load(url, **common, **(alone | {"seed": 100}))  # warms up
        steps = []
        for n_clients in (1, 2, 3, 4, 6, 8):
            run_load(url, **common, clients=min(8, n_clients * n_workers), requests=20 * n_clients, seed=200 + n_clients)
            steps += [(n_decode, n_prefill, us / costs["crowding"][-1])
                      for server in computing for n_decode, n_prefill, us in steps_of(server, n_workers > 1)]
        real = {name: figures_of(run_load(url, **common, **load)) for name, load in (("alone", alone), ("8 clients", eight))}
        n_turns = 4 if chosen.workload == "multi_turn" else 1  # of a dialogue
        rate = round(chosen.utilisation * real["8 clients"]["output_tokens_per_s"] / chosen.max_tokens / n_turns, 2)
        open_loop = {"rate": rate, "requests": chosen.requests, "seed": 103}
        name = f"{rate} dialogues/s"
        real[name] = figures_of(run_load(url, **common, **open_loop))
    costs, slower = costs_beside_clients(costs, steps, real["alone"]["prompt_tokens"] + chosen.max_tokens / 2)
    print(f"from {len(steps)} steps: a prompt takes {slower:.2f} times what the benchmark says", flush=True)
    simulate = Simulator(folder, chosen, n_workers, costs)
    calibrate(simulate, real["alone"], alone)
    made = {"alone": simulate(**alone), "8 clients": simulate(**eight), name: simulate(**open_loop)}
    return {"measured": real, "simulated": made, "costs": simulate.costs, "bytes_per_token": simulate.bytes_per_token}


def report(found):
    """Prints a table; whether the simulator was right."""
    within = True
    print(f"bytes a token {found['bytes_per_token']:.2f}, costs {json.dumps(found['costs'])}\n")
    print("| load | figure | measured | simulated | simulated / measured |\n|---|---|---|---|---|")
    for load, figures in found["measured"].items():
        for figure, value in figures.items():
            made = found["simulated"][load][figure]
            ratio = made / value if value else float("nan")
            print(f"| {load} | {figure} | {value:.2f} | {made:.2f} | {ratio:.3f} |")
            if load != "alone" and figure in ("output_tokens_per_s", "ttft_p95_ms"):
                within &= abs(ratio - 1) <= TOLERANCE
    print(f"\nThroughput and TTFT p95 are {'' if within else 'NOT '}within {TOLERANCE:.0%}.\n", flush=True)
    return within


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=pathlib.Path, default=pathlib.Path.home() / ".cache/souffleur/models/smollm2.gguf")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of all workers together")
    parser.add_argument("--workers", type=int, nargs="+", default=[1])
    parser.add_argument("--workload", default="multi_turn", help="with pauses: clients that do not pause keep step with each other, or do not")
    parser.add_argument("--think-s", type=float, default=0.2, help="mean pause before a next turn")
    parser.add_argument("--max-tokens", type=int, default=24)
    parser.add_argument("--requests", type=int, default=600, help="of each load: so many that p95 is not about how it begins, when nothing is cached")
    parser.add_argument("--utilisation", type=float, default=0.6)
    parser.add_argument("--costs", type=pathlib.Path, help="file for the measured costs of one worker")
    parser.add_argument("--json", type=pathlib.Path, help="file for all figures")
    chosen = parser.parse_args()
    found, within = {}, True
    with tempfile.TemporaryDirectory() as folder:
        for n_workers in chosen.workers:
            print(f"## {n_workers} workers" if n_workers > 1 else "## a server alone", flush=True)
            found[n_workers] = validate(chosen, n_workers, pathlib.Path(folder))
            within &= report(found[n_workers])
    if chosen.costs:
        chosen.costs.write_text(json.dumps(found[chosen.workers[0]]["costs"]) + "\n")
    if chosen.json:
        chosen.json.write_text(json.dumps(found, indent=1) + "\n")
    return 0 if within else 1


if __name__ == "__main__":
    sys.exit(main())
