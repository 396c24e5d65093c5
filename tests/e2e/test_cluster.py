"""A router and its workers, as processes on this machine: workers are killed, leave and come back while clients stream.

SOUFFLEUR_KILLS says how often a worker is killed with kill -9 (3); with 50 it takes a few minutes.
"""
import asyncio
import json
import os
import random
import signal
import time
import urllib.error

import pytest

from conftest import started
from local_server import free_port
from quantile import quantile
from stream_client import StreamClient, ask, text_of, tokens_of
from waiting import wait_until

N_KILLS = int(os.environ.get("SOUFFLEUR_KILLS", "3"))
N_CLIENTS = 8 if N_KILLS <= 10 else 16
SECRET = {"SOUFFLEUR_CLUSTER_SECRET": "of this test"}


class Cluster:
    """A router, and workers that are started and end as a test wants it."""

    def __init__(self, *router_options):
        os.environ |= SECRET
        self.cluster_port = free_port()
        self.router = started("smollm2", "--role", "router", "--cluster.port", str(self.cluster_port),
                              "--cluster.dead_after_ms", "2000", "--cluster.heartbeat_ms", "100", *router_options)
        self.workers = []

    def start_worker(self, *options):
        self.workers.append(started("smollm2", "--role", "worker", "--threads", "1", "--cluster.router",
                                    f"127.0.0.1:{self.cluster_port}", "--cluster.heartbeat_ms", "100", *options))
        return self.workers[-1]

    def n_workers(self):
        return self.router.metric("souffleur_cluster_workers")

    def kill(self, worker):
        worker.process.kill()
        worker.process.wait()
        self.workers.remove(worker)

    def stop(self):
        for worker in self.workers:
            assert worker.stop() == 0, "".join(worker.log)
        assert self.router.stop() == 0, "".join(self.router.log)


@pytest.fixture(scope="module")
def cluster():
    running = Cluster()
    running.start_worker()
    running.start_worker()
    wait_until(lambda: running.n_workers() == 2)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def expected():
    """What a single server says to each request: tokens, text, and how it ended."""
    single = started("smollm2")
    answers = asyncio.run(wave(single.stream_url))
    assert single.stop() == 0
    return [seen(frames) for frames in answers]


def request_of(i):
    """Greedy and sampled ones, with stop strings, penalties, log-probabilities and a grammar."""
    request = {"prompt": f"The story of the {i + 2} bears, and of the house in which they lived, begins so:",
               "max_tokens": 30 + 4 * i, "temperature": 0 if i % 3 == 0 else 0.9, "seed": i, "ignore_eos": True}
    if i % 6 == 1:
        request |= {"stop": ["bear"], "ignore_eos": False}
    if i % 6 == 2:
        request |= {"frequency_penalty": 0.8, "repetition_penalty": 1.1}
    if i % 6 == 4:
        request |= {"logprobs": 2}
    if i % 6 == 5:
        request |= {"ignore_eos": False, "response_format": {"type": "json_object"}}
    return request


def seen(frames):
    """All that a client sees of an answer, but for when."""
    last = frames[-1]
    assert last["type"] == "done", last
    logprobs = [token.get("logprob") for frame in frames if frame["type"] == "delta" for token in frame["tokens"]]
    usage = {key: last["usage"][key] for key in ("prompt_tokens", "completion_tokens", "total_tokens")}
    return tokens_of(frames), text_of(frames), logprobs, last["finish_reason"], usage


async def wave(url, arrivals=None):
    clients = [await StreamClient.connect(url) for _ in range(N_CLIENTS)]
    times = [[] for _ in clients]
    answers = await asyncio.gather(*(ask(client, "a", request_of(i), times[i]) for i, client in enumerate(clients)))
    if arrivals is not None:
        arrivals += times
    for client in clients:
        await client.close()
    return answers


def test_killed_workers_cost_no_token(cluster, expected, capsys):
    async def killing(kills, done):
        chance = random.Random(7)
        while len(kills) < N_KILLS:
            await asyncio.sleep(chance.uniform(0.1, 1.0))
            kills.append(time.monotonic())
            cluster.kill(chance.choice(cluster.workers))
            await asyncio.to_thread(cluster.start_worker)
            await asyncio.to_thread(wait_until, lambda: cluster.n_workers() == 2)
        done.set()

    async def run():
        kills, arrivals, done, n_streams = [], [], asyncio.Event(), 0
        executioner = asyncio.create_task(killing(kills, done))
        while not done.is_set():
            for i, frames in enumerate(await wave(cluster.router.stream_url, arrivals)):
                assert seen(frames) == expected[i], i
                n_streams += 1
        await executioner
        waits = [next(at for at in stream if at > killed) - killed
                 for killed in kills for stream in arrivals if stream and stream[0] < killed < stream[-1]]
        return n_streams, waits

    n_streams, waits = asyncio.run(asyncio.wait_for(run(), 60 + 20 * N_KILLS))
    n_replays = int(cluster.router.metric("souffleur_cluster_replays"))
    with capsys.disabled():
        print(f"\n{N_KILLS} workers killed under {N_CLIENTS} clients: {n_streams} streams, {n_replays} went on at another "
              f"worker, 0 tokens lost, repeated or changed; from a kill to the next frame p50 "
              f"{1000 * quantile(waits, .5):.0f} ms, p99 {1000 * quantile(waits, .99):.0f} ms")
    wait_until(lambda: cluster.router.metric("souffleur_cluster_streams") == 0)


def test_a_worker_that_is_told_to_end_finishes_or_hands_over(cluster, expected):
    async def run(drain_s):
        leaving = await asyncio.to_thread(cluster.start_worker, "--server.drain_s", drain_s)
        await asyncio.to_thread(wait_until, lambda: cluster.n_workers() == 3)
        asked = asyncio.create_task(wave(cluster.router.stream_url))
        await asyncio.sleep(0.5)
        cluster.workers.remove(leaving)
        assert await asyncio.to_thread(leaving.stop, signal.SIGTERM) == 0
        for i, frames in enumerate(await asked):
            assert seen(frames) == expected[i], i

    for drain_s in ("20", "0"):
        asyncio.run(asyncio.wait_for(run(drain_s), 60))
        wait_until(lambda: cluster.n_workers() == 2)


def test_cancelled_and_changed_streams_are_so_at_their_worker(cluster):
    async def run():
        client = await StreamClient.connect(cluster.router.stream_url)
        await client.send(type="generate", id="a", prompt="One, two,", max_tokens=1000, ignore_eos=True)
        await client.next("a"), await client.next("a")
        await client.send(type="cancel", id="a")
        assert (await client.frames("a", seq=2))[-1]["finish_reason"] == "cancelled"
        await client.send(type="generate", id="b", prompt="One, two,", max_tokens=1000, ignore_eos=True)
        await client.next("b"), await client.next("b")
        await client.send(type="update", id="b", max_tokens=20)
        frames = await client.frames("b", seq=2)
        assert frames[-1]["finish_reason"] == "length"
        await client.close()

    asyncio.run(asyncio.wait_for(run(), 60))
    for worker in cluster.workers:
        wait_until(lambda: worker.metric("vllm:num_requests_running") == 0)


def test_openai_clients_and_embeddings_do_not_notice(cluster):
    answer = cluster.router.client().chat.completions.create(
        model=cluster.router.model, messages=[{"role": "user", "content": "Say yes."}], max_tokens=5, temperature=0)
    assert answer.usage.completion_tokens > 0
    assert json.loads(cluster.router.get("/ready")) == {"status": "ok"}


def test_without_workers_a_request_gets_an_error_that_says_try_again():
    alone = Cluster("--cluster.worker_wait_s", "1")
    try:
        with pytest.raises(urllib.error.HTTPError) as refused:
            alone.router.post("/v1/completions", {"prompt": "One,", "max_tokens": 3})
        assert refused.value.code == 503 and refused.value.headers["retry-after"]
        assert json.loads(refused.value.read())["error"]["code"] == "no_worker"
        stranger_secret = os.environ["SOUFFLEUR_CLUSTER_SECRET"]
        os.environ["SOUFFLEUR_CLUSTER_SECRET"] = "another"
        stranger = alone.start_worker()
        os.environ["SOUFFLEUR_CLUSTER_SECRET"] = stranger_secret
        small = alone.start_worker("--kv.tokens", "1024")
        time.sleep(0.5)
        assert alone.n_workers() == 0
        assert stranger.stop() == 0 and small.stop() == 0
        assert any("does not know the cluster's secret" in line for line in stranger.log), stranger.log
        assert any("its kv.tokens are 1024" in line for line in small.log), small.log
        assert not any("another" in line for line in stranger.log)
        alone.workers = []
        fresh = alone.start_worker()
        wait_until(lambda: alone.n_workers() == 1)
        # The worker comes back to a router that was away.
        alone.router.process.kill()
        alone.router.process.wait()
        alone.router = started("smollm2", "--role", "router", "--cluster.port", str(alone.cluster_port))
        wait_until(lambda: alone.n_workers() == 1)
        alone.router.post("/v1/completions", {"prompt": "One,", "max_tokens": 3}).read()
        assert fresh.process.poll() is None
    finally:
        alone.stop()
