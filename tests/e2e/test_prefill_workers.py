"""A router with a worker that computes prompts and one that decodes them: the KV pages travel between them."""
import asyncio

import pytest

from conftest import started
from stream_client import StreamClient, ask, text_of, tokens_of
from test_cluster import Cluster
from waiting import wait_until

STORY = "Once upon a time there was a fox who lived beside a river, and every morning it counted its stones. "
N_PROMPTS = 6


def request_of(i, n_sentences=20):
    """Greedy and sampled; no two begin alike."""
    return {"prompt": f"Chapter {i}. " + STORY * n_sentences, "max_tokens": 16, "temperature": 0 if i % 2 == 0 else 0.8,
            "seed": i, "ignore_eos": True}


async def answers_of(url, requests):
    client = await StreamClient.connect(url)
    answers = await asyncio.gather(*(ask(client, f"a{i}", request) for i, request in enumerate(requests)))
    await client.close()
    return answers


def answered(url, requests):
    return asyncio.run(asyncio.wait_for(answers_of(url, requests), 120))


def seen(frames):
    assert frames[-1]["type"] == "done", frames[-1]
    return tokens_of(frames), text_of(frames), frames[-1]["finish_reason"]


@pytest.fixture(scope="module")
def cluster():
    running = Cluster("--cluster.prefill_timeout_ms", "20000")
    running.start_worker("--cluster.serves", "prefill")
    running.start_worker("--cluster.serves", "decode")
    wait_until(lambda: running.n_workers() == 2)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def expected():
    """What one server says that does everything itself."""
    single = started("smollm2")
    answers = [seen(frames) for frames in answered(single.stream_url, [request_of(i) for i in range(N_PROMPTS)])]
    assert single.stop() == 0
    return answers


def n_shipped_pages(cluster):
    return cluster.router.metric("souffleur_cluster_shipped_pages_total")


def test_answers_from_shipped_pages_are_those_of_one_server(cluster, expected):
    prefill, decode = cluster.workers
    answers = answered(cluster.router.stream_url, [request_of(i) for i in range(3)])
    assert [seen(frames) for frames in answers] == expected[:3]
    usages = [frames[-1]["usage"] for frames in answers]
    n_pages = [(usage["prompt_tokens"] - 1) // 16 for usage in usages]
    assert all(usage["prompt_tokens"] > 300 for usage in usages)
    wait_until(lambda: n_shipped_pages(cluster) == sum(n_pages))
    # The one has computed all of the prompts, the other what fills no page.
    n_left = sum(usage["prompt_tokens"] for usage in usages) - 16 * sum(n_pages)
    wait_until(lambda: decode.metric("souffleur_prefill_rows_total") >= n_left)
    assert decode.metric("souffleur_prefill_rows_total") == n_left
    wait_until(lambda: prefill.metric("souffleur_prefill_rows_total") >= 16 * sum(n_pages))


def test_what_the_decoding_worker_has_is_not_shipped_again_and_little_is_not_at_all(cluster, expected):
    before = n_shipped_pages(cluster)
    answers = answered(cluster.router.stream_url, [request_of(0)])
    assert [seen(frames) for frames in answers] == expected[:1]
    answered(cluster.router.stream_url, [request_of(100, 2)])
    assert n_shipped_pages(cluster) == before


def test_a_prefill_worker_that_is_killed_costs_nothing_but_time(cluster, expected):
    prefill, decode = cluster.workers
    before = n_shipped_pages(cluster)

    async def run():
        asked = asyncio.create_task(answers_of(cluster.router.stream_url, [request_of(i) for i in range(3, N_PROMPTS)]))
        while await asyncio.to_thread(n_shipped_pages, cluster) == before:
            await asyncio.sleep(0.01)
        await asyncio.to_thread(cluster.kill, prefill)
        return await asked

    answers = asyncio.run(asyncio.wait_for(run(), 120))
    assert [seen(frames) for frames in answers] == expected[3:]
    assert n_shipped_pages(cluster) > before
    wait_until(lambda: cluster.router.metric("souffleur_cluster_prefills_total", outcome="failed") > 0)
    assert cluster.router.metric("souffleur_cluster_replays") == 0
