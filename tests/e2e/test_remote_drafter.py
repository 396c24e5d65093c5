"""A draft model in another process: what it is told and says, and that nothing depends on it."""
import os
import signal
import time

import pytest

from conftest import MODEL_FOLDER, started
from local_server import LocalDrafter, free_port
from waiting import wait_until

PROMPT = "Once upon a time there was a small house by the sea, and in it lived"
# A sampled answer and a greedy one, both longer than a draft.
REQUESTS = [{"prompt": PROMPT, "max_tokens": 48, "temperature": 0, "ignore_eos": True},
            {"prompt": PROMPT, "max_tokens": 48, "temperature": 0.8, "seed": 3, "ignore_eos": True}]
QUICK = ("--cluster.heartbeat_ms", "100", "--cluster.dead_after_ms", "1000")


class Drafter(LocalDrafter):
    def __init__(self, port, *options, model=MODEL_FOLDER / "smollm2.gguf"):
        super().__init__(model, port, "--threads", "1", "--kv.tokens", "4096", *QUICK, *options)

    def kill(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="module", autouse=True)
def secret():
    os.environ["SOUFFLEUR_CLUSTER_SECRET"] = "of this test"
    yield
    del os.environ["SOUFFLEUR_CLUSTER_SECRET"]


@pytest.fixture(scope="module")
def drafters():
    """One at a time; those that live are stopped at the end."""
    running = []
    yield running
    for one in running:
        if one.process.poll() is None:
            assert one.stop() == 0, "".join(one.log)


@pytest.fixture(scope="module")
def helped(drafters):
    """A server, and the port of the drafter that it looks for."""
    port = free_port()
    drafters.append(Drafter(port))
    server = started("smollm2", "--speculation.drafter_address", f"127.0.0.1:{port}", "--speculation.policy", "fixed",
                     "--speculation.drafter", "draft_model", "--threads", "1", *QUICK)
    server.drafter_port = port
    yield server
    assert server.stop() == 0, "".join(server.log)


def n_accepted(server):
    return server.metric("souffleur_accepted_draft_tokens_total", drafter="draft_model")


def is_there(server):
    return server.metric("souffleur_remote_drafter") == 1


def text_of(server, request, speculation=True, on_chunk=lambda n: None):
    text = ""
    for n, chunk in enumerate(server.stream(**request, souffleur={"speculation": speculation, "cache": {"mode": "off"}})):
        text += "".join(choice["text"] for choice in chunk["choices"])
        on_chunk(n)
    return text


@pytest.fixture(scope="module")
def expected(helped):
    return [text_of(helped, request, speculation=False) for request in REQUESTS]


def test_the_answers_are_those_without_it_and_its_drafts_stand(helped, expected):
    wait_until(lambda: is_there(helped))
    for request, text in zip(REQUESTS, expected):
        before = n_accepted(helped)
        assert text_of(helped, request) == text
        assert n_accepted(helped) - before > 10


def test_killed_in_the_middle_of_a_stream_it_is_not_missed(helped, drafters, expected):
    wait_until(lambda: is_there(helped))
    before = n_accepted(helped)
    assert text_of(helped, REQUESTS[1], on_chunk=lambda n: drafters[-1].kill() if n == 3 else None) == expected[1]
    assert n_accepted(helped) > before
    wait_until(lambda: not is_there(helped))
    before = n_accepted(helped)
    assert text_of(helped, REQUESTS[0]) == expected[0]
    assert n_accepted(helped) == before
    assert any("the connection broke" in line for line in helped.log), helped.log


def test_its_successor_is_used_by_streams_that_are_under_way(helped, drafters):
    long = REQUESTS[1] | {"max_tokens": 300}
    before = n_accepted(helped)

    def help_comes(n):
        if n == 5:
            drafters.append(Drafter(helped.drafter_port))

    text = text_of(helped, long, on_chunk=help_comes)
    wait_until(lambda: is_there(helped))
    if n_accepted(helped) == before:  # the stream was faster than the drafter's start
        text_of(helped, long)
    assert n_accepted(helped) > before
    assert text == text_of(helped, long, speculation=False)


def test_one_that_hangs_holds_up_a_step_and_then_no_more(helped, drafters, expected):
    wait_until(lambda: is_there(helped))
    hanging = drafters[-1]
    hanging.process.send_signal(signal.SIGSTOP)
    try:
        start = time.monotonic()
        assert text_of(helped, REQUESTS[0]) == expected[0]
        assert time.monotonic() - start < 20
        wait_until(lambda: not is_there(helped))
    finally:
        hanging.process.send_signal(signal.SIGCONT)
    wait_until(lambda: is_there(helped))
    before = n_accepted(helped)
    assert text_of(helped, REQUESTS[0]) == expected[0]
    assert n_accepted(helped) > before


def test_who_does_not_know_the_secret_is_told_so(start_server, drafters, helped):
    secret = os.environ["SOUFFLEUR_CLUSTER_SECRET"]
    os.environ["SOUFFLEUR_CLUSTER_SECRET"] = "another"
    try:
        stranger = start_server("smollm2", "--speculation.drafter_address", f"127.0.0.1:{helped.drafter_port}", *QUICK)
    finally:
        os.environ["SOUFFLEUR_CLUSTER_SECRET"] = secret
    wait_until(lambda: any("does not know the cluster's secret" in line for line in stranger.log))
    assert not is_there(stranger)
    assert text_of(stranger, REQUESTS[0] | {"max_tokens": 3})


def test_a_server_of_another_vocabulary_is_told_so(start_server, helped):
    other = start_server("qwen-0.5b", "--speculation.drafter_address", f"127.0.0.1:{helped.drafter_port}", *QUICK)
    wait_until(lambda: any("has another vocabulary than qwen-0.5b" in line for line in other.log))
    assert is_there(helped) and not is_there(other)


def test_what_cannot_work_is_said_at_the_start():
    def complaint(*options, **model):
        with pytest.raises(SystemExit) as refused:
            Drafter(free_port(), *options, **model)
        return str(refused.value)

    assert "speculation.draft_model: a drafter needs one" in complaint(model="off")
    os.environ["SOUFFLEUR_CLUSTER_SECRET"] = ""
    try:
        assert "anybody could join" in complaint("--cluster.address", "0.0.0.0")
    finally:
        os.environ["SOUFFLEUR_CLUSTER_SECRET"] = "of this test"
