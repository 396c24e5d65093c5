#!/usr/bin/env python3
"""What a router costs and what it brings, with workers as processes on this machine (the CPUs are divided among them).

Where it may (root), each worker has a network namespace of its own, joined by a bridge; else all use the loopback device.
Parts: overhead (against the same worker, asked directly), policies (cached prompt tokens and time to first token), scale
(tokens a second), kills (kill -9 under load), slow (the link to the worker is), prefill (a worker that does nothing else),
partition (a worker's link goes down; needs namespaces).
"""
import argparse
import contextlib
import itertools
import os
import random
import signal
import statistics
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import local_server
from argument_types import positive
from local_server import LocalServer, n_tokens_of
from quantile import quantile
from slow_link import SlowLink

BRIDGE, SUBNET = "souffleur0", "10.77.7"


def run(*words):
    return subprocess.run(words, capture_output=True, text=True)


def tokens(n, seed):
    numbers = random.Random(str(seed))
    return [numbers.randrange(1000, 40000) for _ in range(n)]


def summary(values):
    return f"median {statistics.median(values):.1f} ({min(values):.1f}-{max(values):.1f})"


class Namespaces:
    """One for each worker. Nothing is left of them at the end."""

    def __init__(self):
        self.names = []
        self.work = os.geteuid() == 0 and run("ip", "link", "add", BRIDGE, "type", "bridge").returncode == 0
        if self.work:
            run("ip", "addr", "add", f"{SUBNET}.1/24", "dev", BRIDGE)
            run("ip", "link", "set", BRIDGE, "up")

    @property
    def router_address(self):
        return f"{SUBNET}.1" if self.work else "127.0.0.1"

    def make(self):
        """The words that run a command in a new one."""
        if not self.work:
            return [], None
        name, i = f"souffleur{len(self.names)}", len(self.names)
        self.names.append(name)
        run("ip", "netns", "add", name)
        run("ip", "link", "add", f"sfl{i}", "type", "veth", "peer", "name", "eth0", "netns", name)
        run("ip", "link", "set", f"sfl{i}", "master", BRIDGE)
        run("ip", "link", "set", f"sfl{i}", "up")
        inside = ["ip", "netns", "exec", name]
        run(*inside, "ip", "addr", "add", f"{SUBNET}.{i + 2}/24", "dev", "eth0")
        run(*inside, "ip", "link", "set", "eth0", "up")
        run(*inside, "ip", "link", "set", "lo", "up")
        return inside, f"{SUBNET}.{i + 2}"

    def set_link(self, i, state):
        run("ip", "link", "set", f"sfl{i}", state)

    def remove(self):
        for name in self.names:
            run("ip", "netns", "del", name)
        if self.work:
            run("ip", "link", "del", BRIDGE)


class Worker(LocalServer):
    """Its own clients reach it at its own address."""

    def __init__(self, namespaces, model, *options):
        inside, self.address = namespaces.make() if namespaces else ([], None)
        self.index = len(namespaces.names) - 1 if namespaces else None
        own = ["--address", self.address] if inside else []
        self.start([*inside, str(local_server.BINARY), "--model", str(model), "--port", "0", *own, *options])
        host = self.address or "127.0.0.1"
        self.base_url, self.stream_url = f"http://{host}:{self.port}", f"ws://{host}:{self.port}/v1/stream"


class Cluster:
    def __init__(self, model, policy, n_workers, n_threads, options=(), link=None, serves=None):
        """`serves`: what each worker does, if not all of it. `link`: (milliseconds each way, bytes a second) between the router
        and each worker, which then have no namespaces."""
        self.namespaces = Namespaces()
        self.model, self.n_threads = model, n_threads
        os.environ["SOUFFLEUR_CLUSTER_SECRET"] = "of this measurement"
        self.options = [*options, "--cluster.heartbeat_ms", "100", "--cluster.dead_after_ms", "1000"]
        address = self.namespaces.router_address
        self.router = LocalServer(model, "--role", "router", "--cluster.address", address, "--cluster.policy", policy,
                                  "--cluster.port", "18090", *self.options)
        self.link = SlowLink((address, 18090), *link) if link else None
        self.workers = [self.start_worker("--cluster.serves", what) for what in serves or ["both"] * n_workers]
        self.wait_for(n_workers)

    def start_worker(self, *own):
        router = f"127.0.0.1:{self.link.port}" if self.link else f"{self.namespaces.router_address}:18090"
        return Worker(None if self.link else self.namespaces, self.model, "--role", "worker", "--threads", str(self.n_threads),
                      "--cluster.router", router, *self.options, *own)

    def wait_for(self, n_workers):
        while self.router.metric("souffleur_cluster_workers") != n_workers:
            time.sleep(0.01)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for one in [*self.workers, self.router]:
            with contextlib.suppress(Exception):
                one.stop()
        if self.link:
            self.link.stop()
        self.namespaces.remove()


def tokens_as_they_come(server, prompt, n_tokens):
    """Chunks with a token or several of an answer of just so many."""
    usage = None
    for chunk in server.stream(prompt=prompt, max_tokens=n_tokens, ignore_eos=True, temperature=0, logprobs=0):
        if n_tokens_of(chunk) > 0:
            yield chunk
        usage = chunk.get("usage") or usage
    assert usage["completion_tokens"] == n_tokens, usage


def timed_answer(server, n_tokens, prompt):
    """Milliseconds to the first token and to the end."""
    start = time.perf_counter()
    first = None
    for _ in tokens_as_they_come(server, prompt, n_tokens):
        first = first or time.perf_counter()
    return (first - start) * 1000, (time.perf_counter() - start) * 1000


def measure_overhead(given):
    # Drafts would make a token's time a matter of its text.
    with Cluster(given.model, "round_robin", 1, given.threads, ("--speculation.policy", "off")) as cluster:
        sides = {"direct": cluster.workers[0], "router": cluster.router}
        times = {name: [] for name in sides}
        for i in range(given.rounds + 1):
            for name, server in sides.items():
                one = timed_answer(server, 100, tokens(20, f"{i} {name}"))
                if i:
                    times[name].append(one)
        first = {name: [a for a, _ in of] for name, of in times.items()}
        each = {name: [(b - a) / 99 for a, b in of] for name, of in times.items()}
        for name in sides:
            print(f"  {name}: first token {summary(first[name])} ms, each further one {summary(each[name])} ms")
        print(f"  router - direct, of medians: {statistics.median(first['router']) - statistics.median(first['direct']):.2f}"
              f" ms a request, {1000 * (statistics.median(each['router']) - statistics.median(each['direct'])):.0f} us a token")


def turns_of(conversation, n_turns, server, results):
    """A dialogue whose prompt is all that was said before."""
    said = tokens(300, f"c{conversation}")
    for turn in range(n_turns):
        said = said + tokens(60, f"c{conversation} t{turn}")
        ms, usage = server.time_to_first_token_ms(prompt=said, max_tokens=8, ignore_eos=True)
        results.append((ms, usage["prompt_tokens"], usage["prompt_tokens_details"]["cached_tokens"]))


def ask_about(document, question, server, results):
    prompt = tokens(600, f"d{document}") + tokens(30, f"d{document} q{question}")
    ms, usage = server.time_to_first_token_ms(prompt=prompt, max_tokens=8, ignore_eos=True)
    results.append((ms, usage["prompt_tokens"], usage["prompt_tokens_details"]["cached_tokens"]))


def measure_policies(given):
    for n_workers, policy in itertools.product(given.workers, given.policies):
        threads = max(1, given.threads // n_workers)
        with Cluster(given.model, policy, n_workers, threads) as cluster:
            for name, jobs in {
                "multi-turn": [(turns_of, c, 5) for c in range(3 * n_workers)],
                "shared prefix": [(ask_about, d, q) for q in range(5) for d in range(3 * n_workers)],
            }.items():
                results = []
                random.Random(1).shuffle(jobs)
                with ThreadPoolExecutor(2 * n_workers) as pool:
                    list(pool.map(lambda job: job[0](job[1], job[2], cluster.router, results), jobs))
                ms, sent, cached = zip(*results)
                print(f"  {policy}, {n_workers} workers, {name}: {100 * sum(cached) / sum(sent):.0f} % of the prompt tokens "
                      f"cached, time to first token p50 {quantile(ms, .5):.0f} ms, p95 {quantile(ms, .95):.0f} ms")


def measure_scale(given):
    for n_workers in given.workers:
        threads = max(1, given.threads // n_workers)
        with Cluster(given.model, "least_loaded", n_workers, threads) as cluster:
            n_clients, n_tokens = 8, 64
            start = time.perf_counter()
            with ThreadPoolExecutor(n_clients) as pool:
                list(pool.map(lambda i: timed_answer(cluster.router, n_tokens, tokens(30, f"s{i}")), range(3 * n_clients)))
            took = time.perf_counter() - start
            print(f"  {n_workers} workers of {threads} threads, {n_clients} clients: {3 * n_clients * n_tokens / took:.0f} "
                  "tokens a second")


def arrivals_of(server, prompt, n_tokens):
    """When something came; all of it did."""
    return [time.perf_counter() for _ in tokens_as_they_come(server, prompt, n_tokens)]


def waits(events, arrivals):
    """From each event to the next token of each stream that was under way."""
    return [1000 * (next(at for at in one if at > event) - event)
            for event in events for one in arrivals if one and one[0] < event < one[-1]]


def measure_kills(given):
    with Cluster(given.model, "least_loaded", 2, max(1, given.threads // 2)) as cluster, ThreadPoolExecutor(8) as pool:
        killed, arrivals = [], []
        for i in range(given.kills):
            asked = [pool.submit(arrivals_of, cluster.router, tokens(30, f"k{i} {j}"), 100) for j in range(8)]
            time.sleep(1)
            victim = cluster.workers.pop(0)
            killed.append(time.perf_counter())
            victim.process.send_signal(signal.SIGKILL)
            victim.process.wait()
            arrivals += [one.result() for one in asked]
            cluster.workers.append(cluster.start_worker())
            cluster.wait_for(2)
        found = waits(killed, arrivals)
        print(f"  {given.kills} kills under 8 streams, {len(found)} waits: next token after p50 {quantile(found, .5):.0f} ms, "
              f"p99 {quantile(found, .99):.0f} ms; {cluster.router.metric('souffleur_cluster_replays'):.0f} streams went on "
              "elsewhere")


def measure_slow_link(given):
    texts = {}
    for name, link in {"as it is": None, "20 ms, 1 MB/s": (20, 1e6), "100 ms, 50 kB/s": (100, 5e4)}.items():
        with Cluster(given.model, "least_loaded", 1, given.threads, link=link) as cluster, ThreadPoolExecutor(8) as pool:
            start = time.perf_counter()
            asked = list(pool.map(lambda j: timed_text(cluster.router, tokens(30, f"w{j}"), 100), range(8)))
            took = time.perf_counter() - start
            texts[name] = [text for text, _, _ in asked]
            gaps = [ms for _, _, of in asked for ms in of]
            print(f"  {name}: 8 streams at {800 / took:.0f} tokens a second, first token p50 "
                  f"{quantile([first for _, first, _ in asked], .5):.0f} ms, further ones p50 {quantile(gaps, .5):.1f}, p99 "
                  f"{quantile(gaps, .99):.1f} ms, {cluster.router.metric('souffleur_cluster_replays'):.0f} went on elsewhere, "
                  f"{sum(a != b for a, b in zip(texts[name], texts['as it is']))} texts differ")


def timed_text(server, prompt, n_tokens):
    """An answer, the milliseconds to its first token, and those between its tokens."""
    start, text, times = time.perf_counter(), "", []
    for chunk in tokens_as_they_come(server, prompt, n_tokens):
        text += chunk["choices"][0]["text"]
        times.append(1000 * (time.perf_counter() - start))
    return text, times[0], [b - a for a, b in itertools.pairwise(times)]


def measure_partition(given):
    with Cluster(given.model, "least_loaded", 2, max(1, given.threads // 2)) as cluster, ThreadPoolExecutor(8) as pool:
        if not cluster.namespaces.work:
            print("  no namespaces here, so no partition")
            return
        asked = [pool.submit(arrivals_of, cluster.router, tokens(30, f"p{j}"), 200) for j in range(8)]
        time.sleep(1)
        cut = time.perf_counter()
        cluster.namespaces.set_link(cluster.workers[0].index, "down")
        arrivals = [one.result() for one in asked]
        found = waits([cut], arrivals)
        cluster.namespaces.set_link(cluster.workers[0].index, "up")
        start = time.perf_counter()
        cluster.wait_for(2)
        print(f"  one of 2 workers cut off under 8 streams (taken for dead after 1000 ms): next token after p50 "
              f"{quantile(found, .5):.0f} ms, most {max(found):.0f} ms; no answer was short; back "
              f"{time.perf_counter() - start:.1f} s after the link")


def measure_prefill_workers(given):
    """Long prompts beside streams that decode."""
    for serves in (["both", "both"], ["prefill", "decode"]):
        threads = max(1, given.threads // 2)
        with Cluster(given.model, "cache_aware", 2, threads, serves=serves) as cluster, ThreadPoolExecutor(4) as pool:
            streams = [pool.submit(arrivals_of, cluster.router, tokens(30, f"short {j}"), 400) for j in range(3)]
            time.sleep(1)
            firsts = [timed_answer(cluster.router, 2, tokens(1000, f"long {i}"))[0] for i in range(6)]
            gaps = [1000 * (b - a) for one in streams for a, b in itertools.pairwise(one.result())]
            print(f"  {' + '.join(serves)}: prompts of 1,000 tokens beside 3 streams: first token p50 "
                  f"{quantile(firsts, .5):.0f} ms; between the streams' tokens p50 {quantile(gaps, .5):.1f}, p99 "
                  f"{quantile(gaps, .99):.1f}, most {max(gaps):.0f} ms; "
                  f"{cluster.router.metric('souffleur_cluster_shipped_pages_total'):.0f} pages shipped")


PARTS = {"overhead": measure_overhead, "policies": measure_policies, "scale": measure_scale, "kills": measure_kills,
         "slow": measure_slow_link, "prefill": measure_prefill_workers, "partition": measure_partition}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="all, if none is named")
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--workers", type=positive, nargs="+", default=[1, 2, 4])
    parser.add_argument("--threads", type=positive, default=os.cpu_count(), help="of all workers together")
    parser.add_argument("--policies", nargs="+", default=["round_robin", "cache_aware"])
    parser.add_argument("--rounds", type=positive, default=15)
    parser.add_argument("--kills", type=positive, default=10)
    given = parser.parse_args()
    namespaces = Namespaces()
    print("workers in network namespaces" if namespaces.work else "workers on the loopback device")
    namespaces.remove()
    for part in given.parts or PARTS:
        print(part, flush=True)
        PARTS[part](given)


if __name__ == "__main__":
    main()
