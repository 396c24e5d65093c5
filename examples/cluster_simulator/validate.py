#!/usr/bin/env python3
"""Does the simulator say what a real server does? Measures what steps take, loads a server, simulates the same load.

  python3 examples/cluster_simulator/validate.py --model smollm2.gguf
  python3 examples/cluster_simulator/validate.py --model smollm2.gguf --costs costs.json     keeps the costs for the simulator
  python3 examples/cluster_simulator/validate.py --workers 1 2 4     besides a server alone: a router and so many workers

What a step takes, and what more it takes with a longer context, comes from souffleur-bench; then from the traces of other loads
(one to eight clients), because client, server and workers share this machine's CPUs, and a step beside whoever asks is not a step
alone; not all steps of so many rows take as long, and their spread is taken from there, too. The same traces say how many workers
computed at each moment, and so how much slower a step is while others compute. What is compared are a closed loop of eight clients and an open loop (Poisson) at --utilisation of what those eight got, over --rounds,
between which the other loads are measured again: a machine with neighbours is faster now and slower then. Each load finds servers
that have just begun; texts and arrivals are the same for both, by their seed. Nothing else should run on the machine meanwhile.
Takes 5 to 12 minutes for each of --workers.
"""
import argparse
import bisect
import collections
import contextlib
import itertools
import json
import math
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import typing
import urllib.error

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "bench"), str(HERE.parent / "load")]
from cluster import Cluster  # noqa: E402
from load_program import run_load  # noqa: E402
from local_server import PROJECT, LocalServer  # noqa: E402
from quantile import quantile  # noqa: E402

BENCH = pathlib.Path(os.environ.get("SOUFFLEUR_BENCH", PROJECT / "build/release/examples/souffleur-bench"))
SIMULATOR = pathlib.Path(os.environ.get("SOUFFLEUR_CLUSTER_SIMULATOR", PROJECT / "build/release/examples/souffleur-cluster-simulator"))
TOLERANCE = 0.15
FEWEST_STEPS = 10  # of so many rows, to believe them
FEWEST_ROWS = 8  # of a prompt, for a step to tell what prompts take
ROWS_ALIKE = 4  # so many more of a prompt make little difference
SIMULATIONS = 5  # of each load: how long steps take is chance
SPREADS = 40  # quantiles of how much longer than expected a step takes


def bench(model, threads, *options):
    words = [str(BENCH), "--model", str(model), "--threads", str(threads), "--repeats", "5", "--format", "json", *options]
    return json.loads(subprocess.run(words, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout)["measurements"]


def measured_costs(model, threads):
    """T(M) of decode steps and of prefills, and what a token of context adds to a row of either."""
    decode, prefill, shallow, deep = {}, {}, 32, 544
    for depth, batches, tokens in ((shallow, "1,2,4,8,16", "0"), (deep, "8", "64"), (0, "0", "16,64,256")):
        for one in bench(model, threads, "--depth", str(depth), "--batch", batches, "--prefill", tokens):
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
    """Figures of what a load is simulated to do."""

    def __init__(self, folder, chosen, n_workers, costs):
        self.folder, self.chosen, self.n_workers, self.costs, self.bytes_per_token = folder, chosen, n_workers, costs, 4.0

    def __call__(self, loads):
        return figures_of([self.requests_of(load | {"chance_seed": i}) for load in loads for i in range(SIMULATIONS)], self.chosen)

    def requests_of(self, load):
        costs, out = self.folder / "costs.json", self.folder / "simulated.json"
        costs.write_text(json.dumps(self.costs))
        options = {"workers": self.n_workers, "policies": "cache_aware", "network_us": 0, "costs": costs, "json": out,
                   "bytes_per_token": self.bytes_per_token, **settings_of(self.chosen), **load}
        words = [str(SIMULATOR), "--quiet", "--together", "--equal-answers", "--each-request"]
        for name, value in options.items():
            words += ["--" + name.replace("_", "-"), str(value)]
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
        return json.loads(out.read_text())["simulations"][0]["each"]


def measured(load):
    """The same of each request as the simulator says."""
    requests = [request for request in load["requests"] if request["role"] == "measured"]
    failed = [request for request in requests if request["outcome"] != "completed"]
    if failed:
        raise SystemExit(f"{len(failed)} requests failed: {failed[0].get('error')}")
    return [{"ttft_ms": request["outputs_ms"][0]} | {name: request[name] for name in
            ("intended_ms", "ended_ms", "prompt_tokens", "cached_tokens")} for request in requests]


def figures_of(loads, chosen):
    """Of the requests of all loads, each of which took its own time."""
    requests = [request for load in loads for request in load]
    duration_s = sum(max(one["intended_ms"] + one["ended_ms"] for one in load) - min(one["intended_ms"] for one in load) for load in loads) / 1000
    ttfts_ms = [request["ttft_ms"] for request in requests]
    n_prompt = sum(request["prompt_tokens"] for request in requests)
    return {"output_tokens_per_s": len(requests) * chosen.max_tokens / duration_s,
            "ttft_p50_ms": statistics.median(ttfts_ms),
            "ttft_p95_ms": quantile(ttfts_ms, 0.95),
            "tpot_p50_ms": statistics.median((one["ended_ms"] - one["ttft_ms"]) / (chosen.max_tokens - 1) for one in requests),
            "prompt_tokens": n_prompt / len(requests),
            "hit_rate": sum(request["cached_tokens"] for request in requests) / n_prompt}


ROUTED = 1 << 62  # from there on a worker counts what its router sends


def traces(server, is_worker, most=1000):
    """Of the requests that a server has ended last, as far as it remembers."""
    with server.post("/v1/completions", {"prompt": "the last one", "max_tokens": 1}) as answer:
        name, _, last = json.loads(answer.read())["id"].removeprefix("cmpl-").rpartition("-")
    for number in range(ROUTED, ROUTED + most) if is_worker else range(max(0, int(last) - most), int(last)):
        with contextlib.suppress(urllib.error.HTTPError):  # it does not remember
            yield json.loads(server.get(f"/souffleur/trace/{name}-{number}"))


class Step(typing.NamedTuple):
    """What a worker computed at once."""
    n_decode: int  # rows
    n_prefill: int
    us: float
    began_us: float  # since 1970
    is_whole: bool  # every row is known

    @property
    def ended_us(self):
        return self.began_us + self.us


def steps_of(server, is_worker):
    """By number."""
    steps = {}
    for trace in traces(server, is_worker):
        for event in trace["traceEvents"]:
            if event["name"] in ("prefill step", "decode step"):
                of = event["args"]
                step = steps.setdefault(of["step"], {"all": of["rows_of_all"], "us": event["dur"], "decode": 0, "prefill": 0,
                                                     "began_us": trace["otherData"]["came_unix_us"] + event["ts"]})
                step[event["name"].split()[0]] += of["rows"]
    return {number: Step(one["decode"], one["prefill"], one["us"], one["began_us"], one["decode"] + one["prefill"] == one["all"])
            for number, one in steps.items()}


def times_in_company(steps, n_workers):
    """Of each step, its microseconds while 1, 2, ... n_workers computed. `steps`: all that a load took, of all workers."""
    changes = sorted([(step.began_us, 1) for step in steps] + [(step.ended_us, -1) for step in steps])
    moments, computing = [moment for moment, _ in changes], list(itertools.accumulate(change for _, change in changes))
    times = []
    for step in steps:
        of, i = [0.0] * n_workers, bisect.bisect_left(moments, step.began_us)
        while i + 1 < len(moments) and moments[i] < step.ended_us:
            of[min(max(computing[i], 1), n_workers) - 1] += min(moments[i + 1], step.ended_us) - moments[i]
            i += 1
        times.append(of)
    return times


def work_us(times, crowding):
    """What a step would have taken by itself."""
    return sum(us / slower for us, slower in zip(times, crowding))


def crowding_of(kinds, n_workers, n_without_waiting):
    """Times longer that work takes while 1, 2, ... n_workers compute: those by which steps of a kind are most alike.
    `kinds`: for each, the times_in_company() of its steps. The search begins with taking turns beyond `n_without_waiting`."""
    def unlike(crowding):
        sum_of_all = 0
        for kind in kinds:
            logs = [math.log(work_us(times, crowding)) for times in kind]
            middle = statistics.median(logs)
            sum_of_all += sum(abs(one - middle) for one in logs)
        return sum_of_all

    crowding = [max(1.0, n / n_without_waiting) for n in range(1, n_workers + 1)]
    for grain in (0.1, 0.1, 0.02, 0.02):
        for i in range(1, n_workers):
            tried = [crowding[i] + grain * k for k in range(-5, 6)]
            crowding[i] = min((one for one in tried if one >= crowding[i - 1]), default=crowding[i - 1],
                              key=lambda one: unlike([*crowding[:i], one, *(max(one, more) for more in crowding[i + 1:])]))
    return crowding


def between(points, x):
    """Linear between points, and beyond the last as between the last two."""
    (a, fa), (b, fb) = next((pair for pair in zip(points, points[1:]) if x <= pair[1][0]), tuple(points[-2:]))
    return fa + (fb - fa) * (x - a) / (b - a)


def never_falling(points):
    """The nearest to [(x, y, weight)] that does not fall (pooled adjacent violators)."""
    pools = []
    for x, y, weight in points:
        pools.append([[x], y, weight])
        while len(pools) > 1 and pools[-2][1] > pools[-1][1]:
            (xs, y, weight), (before, z, more) = pools.pop(), pools.pop()
            pools.append([before + xs, (y * weight + z * more) / (weight + more), weight + more])
    return [[x, y] for xs, y, _ in pools for x in xs]


def beside_others_us(decode, n_rows):
    """What rows that decode add to a step that reads the weights anyway."""
    return between(decode, n_rows) - decode[0][1] if n_rows else 0


def curve(times, benchmark):
    """[[rows, us]] of measured (rows, us); beyond what is known well, if anything is, as the benchmark goes on."""
    by_rows = collections.defaultdict(list)
    for rows, us in times:
        by_rows[rows if rows <= FEWEST_ROWS else rows // ROWS_ALIKE * ROWS_ALIKE].append((rows, us))
    known = never_falling((round(statistics.mean(rows for rows, _ in of)), statistics.median(us for _, us in of), len(of))
                          for _, of in sorted(by_rows.items()) if len(of) >= FEWEST_STEPS)
    most, us_of_most = known[-1] if known else benchmark[0]
    return known + [[rows, us_of_most * between(benchmark, rows) / between(benchmark, most)] for rows, _ in benchmark if rows > most]


def costs_beside_clients(costs, steps, context):
    """The same costs, where steps took something else. `context`: tokens before a row, about."""
    attention, prefill_attention = costs["attention_us"] * context, costs["prefill_attention_us"] * context
    decode = curve([(n_decode, us - attention * n_decode) for n_decode, n_prefill, us in steps if n_prefill == 0], costs["decode"])
    prompts = [(n_prefill, us - attention * n_decode - beside_others_us(decode, n_decode) - prefill_attention * n_prefill)
               for n_decode, n_prefill, us in steps if n_prefill >= FEWEST_ROWS]
    return costs | {"decode": decode, "prefill": [[1, decode[0][1]], *curve(prompts, costs["prefill"])]}


def spread_of(costs, steps, context):
    """Quantiles of how many times longer steps take than the one in the middle, for what they have to do; of too few, none."""
    if len(steps) < FEWEST_STEPS:
        return []
    ratios = sorted(us / (context * (costs["attention_us"] * n_decode + costs["prefill_attention_us"] * n_prefill)
                          + beside_others_us(costs["decode"], n_decode) + between(costs["prefill"], max(1, n_prefill)))
                    for n_decode, n_prefill, us in steps)
    middle = statistics.median(ratios)
    return [ratios[int((i + 0.5) / SPREADS * len(ratios))] / middle for i in range(SPREADS)]


def fit_texts(simulate, real, loads):
    """How many bytes a token has."""
    made = {}
    for simulate.bytes_per_token in (3, 6):
        made[simulate.bytes_per_token] = simulate(loads)["prompt_tokens"]
    text_bytes = 6 * (made[3] - made[6])
    beside_texts = made[3] - text_bytes / 3
    simulate.bytes_per_token = text_bytes / (real["prompt_tokens"] - beside_texts)


def fit_request(simulate, real, loads):
    """What a request takes beside its steps, of which the costs know nothing yet: from one client alone."""
    simulate.costs["request_us"] = max(0.0, (real["ttft_p50_ms"] - simulate(loads)["ttft_p50_ms"]) * 1000)


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


def settings_of(chosen):
    return {"workload": chosen.workload, "think_s": chosen.think_s, "shared": 4, "max_tokens": chosen.max_tokens}


@contextlib.contextmanager
def warm_service(chosen, n_workers, threads):
    """A service() that has worked, and has nothing of the loads to come in its caches."""
    with service(chosen, n_workers, threads) as (url, computing):
        run_load(url, workload="chat", clients=2 * n_workers, requests=8 * n_workers, seed=100, max_tokens=chosen.max_tokens)
        yield url, computing


def requests_of_load(chosen, n_workers, threads, **load):
    with warm_service(chosen, n_workers, threads) as (url, _):
        return measured(run_load(url, ignore_eos=True, **settings_of(chosen), **load))


def steps_of_load(chosen, n_workers, threads, **load):
    """Of all workers."""
    with warm_service(chosen, n_workers, threads) as (url, computing):
        before = [steps_of(server, n_workers > 1) for server in computing]
        run_load(url, ignore_eos=True, **settings_of(chosen), **load)
        return [step for server, warm in zip(computing, before)
                for number, step in steps_of(server, n_workers > 1).items() if number not in warm]


def learn(costs, loads, context, n_workers, n_without_waiting):
    """Costs as the steps of some loads say, each (its round, its steps). There are CPUs for `n_without_waiting` workers."""
    kinds, known = collections.defaultdict(list), []
    for of_round, steps in loads:
        for step, times in zip(steps, times_in_company(steps, n_workers)):
            if step.is_whole:
                known.append((step, times))
                if step.n_prefill == 0:
                    kinds[of_round, step.n_decode].append(times)
    crowding = crowding_of([kind for kind in kinds.values() if len(kind) >= FEWEST_STEPS], n_workers, n_without_waiting)

    def works(of):
        return [(step.n_decode, step.n_prefill, work_us(times, crowding)) for step, times in of]

    found = costs_beside_clients(costs, works(known), context)
    # How differently steps are slowed where workers wait for CPUs is simulated.
    uncrowded = [(step, times) for step, times in known if sum(times[n_without_waiting:]) < step.us / 10]
    spreads = {"decode_spread": [step for step in works(uncrowded) if step[1] == 0],
               "prefill_spread": [step for step in works(uncrowded) if step[1] >= FEWEST_ROWS]}
    return found | {name: spread_of(found, steps, context) for name, steps in spreads.items()} | \
        {"crowding": crowding if n_workers > 1 else []}


def threads_of(chosen, n_workers):
    """Of each."""
    return max(1, chosen.threads // n_workers)


def measure(chosen, n_workers):
    """What steps cost, by themselves and in loads, and what became of the loads that are compared."""
    threads = threads_of(chosen, n_workers)
    found = {"costs": measured_costs(chosen.model, threads), "learned": [], "compared": collections.defaultdict(list)}
    n_turns = 4 if chosen.workload == "multi_turn" else 1  # of a dialogue
    rate = None
    for seed in range(100, 100 + 10 * chosen.rounds, 10):
        for n_clients in (1, 2, 4, 8):
            offered = {"clients": n_clients, "requests": 12 * n_clients, "seed": 1000 + seed + n_clients}
            found["learned"].append({"round": seed, "steps": steps_of_load(chosen, n_workers, threads, **offered)})
        for name in ("alone", "8 clients", "open loop"):
            offered = {"alone": {"clients": 1, "requests": 40}, "8 clients": {"clients": 8, "requests": chosen.requests},
                       "open loop": {"rate": rate, "requests": chosen.requests}}[name] | {"seed": seed}
            requests = requests_of_load(chosen, n_workers, threads, **offered)
            found["compared"][name].append({"load": offered, "requests": requests})
            if name == "8 clients" and rate is None:
                rate = round(chosen.utilisation * figures_of([requests], chosen)["output_tokens_per_s"] / chosen.max_tokens / n_turns, 2)
    return found


def compare(chosen, n_workers, folder, found):
    """Figures that were measured and simulated, by load, and the costs."""
    real = {name: figures_of([one["requests"] for one in of], chosen) for name, of in found["compared"].items()}
    loads = {name: [one["load"] for one in of] for name, of in found["compared"].items()}
    context = real["alone"]["prompt_tokens"] + chosen.max_tokens / 2
    simulate = Simulator(folder, chosen, n_workers, found["costs"])
    fit_texts(simulate, real["alone"], loads["alone"])
    learned = [(one["round"], [Step(*step) for step in one["steps"]]) for one in found["learned"]]
    simulate.costs = learn(found["costs"], learned, context, n_workers, max(1, os.cpu_count() // threads_of(chosen, n_workers)))
    fit_request(simulate, real["alone"], loads["alone"])
    print(f"from {sum(len(steps) for _, steps in learned)} steps; open loop: {loads['open loop'][0]['rate']} dialogues/s", flush=True)
    made = {name: simulate(of) for name, of in loads.items()}
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
    parser.add_argument("--requests", type=int, default=300, help="of each load in a round")
    parser.add_argument("--rounds", type=int, default=3, help="each with loads of its own: a machine is not always as fast")
    parser.add_argument("--utilisation", type=float, default=0.6)
    parser.add_argument("--costs", type=pathlib.Path, help="file for the measured costs of one worker")
    parser.add_argument("--measured", type=pathlib.Path, help="file for what was measured; if there is one, nothing is measured again")
    parser.add_argument("--json", type=pathlib.Path, help="file for all figures")
    chosen = parser.parse_args()
    measured = json.loads(chosen.measured.read_text()) if chosen.measured and chosen.measured.exists() else {}
    found, within = {}, True
    with tempfile.TemporaryDirectory() as folder:
        for n_workers in chosen.workers:
            print(f"## {n_workers} workers" if n_workers > 1 else "## a server alone", flush=True)
            if str(n_workers) not in measured:
                measured[str(n_workers)] = measure(chosen, n_workers)
                if chosen.measured:
                    chosen.measured.write_text(json.dumps(measured))
            found[n_workers] = compare(chosen, n_workers, pathlib.Path(folder), measured[str(n_workers)])
            within &= report(found[n_workers])
    if chosen.costs:
        chosen.costs.write_text(json.dumps(found[chosen.workers[0]]["costs"]) + "\n")
    if chosen.json:
        chosen.json.write_text(json.dumps(found, indent=1) + "\n")
    return 0 if within else 1


if __name__ == "__main__":
    sys.exit(main())
