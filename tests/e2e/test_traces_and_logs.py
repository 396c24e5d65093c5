"""Traces of requests, and the log: what happened, and nothing of what was said."""
import asyncio
import json
import urllib.error
import urllib.request

import pytest
from stream_client import StreamClient
from waiting import wait_until

SECRET = "the-prompt-is-a-secret"


def trace_of(server, name, key=None):
    """None: there is none."""
    headers = {"authorization": f"Bearer {key}"} if key else {}
    try:
        with urllib.request.urlopen(urllib.request.Request(f"{server.base_url}/souffleur/trace/{name}", headers=headers)) as reply:
            return json.load(reply)
    except urllib.error.HTTPError as error:
        assert error.code == 404 and json.load(error)["error"]["code"] == "no_such_trace"
        return None


def spans(trace, name):
    return [event for event in trace["traceEvents"] if event["name"] == name and event["ph"] == "X"]


def check(trace, n_tokens):
    [whole] = spans(trace, "request")
    for event in trace["traceEvents"]:
        if event["ph"] == "X":
            assert event["ts"] >= 0 and event["dur"] >= 0
    for phase in ("prepare", "queue", "prefill", "decode"):
        [one] = spans(trace, phase)
        assert one["ts"] + one["dur"] <= whole["ts"] + whole["dur"] + 1, phase
    steps = spans(trace, "prefill step") + spans(trace, "decode step")
    assert sum(step["args"]["output_tokens"] for step in steps) == n_tokens
    assert trace["otherData"]["is_whole"]
    assert SECRET not in json.dumps(trace)


def test_a_streamed_chat_has_a_trace_by_the_id_of_its_answer(server):
    chunks = list(server.stream("/v1/chat/completions", messages=[{"role": "user", "content": SECRET}], max_tokens=8,
                                ignore_eos=True))
    name = chunks[0]["id"]
    wait_until(lambda: trace_of(server, name))
    trace = trace_of(server, name)
    check(trace, 8)
    assert len(spans(trace, "write")) >= 2
    assert trace["otherData"]["request"] == name.removeprefix("chatcmpl-")


def test_a_stream_is_told_its_request(server):
    async def ask():
        client = await StreamClient.connect(server.stream_url)
        await client.send(type="generate", id="a", prompt=SECRET, max_tokens=8, ignore_eos=True)
        frames = await client.frames("a")
        await client.close()
        return frames[0]["request"]

    name = asyncio.run(ask())
    wait_until(lambda: trace_of(server, name))
    trace = trace_of(server, name)
    check(trace, 8)
    assert len(spans(trace, "write")) >= 2


def test_what_a_cancelled_answer_held_is_free_when_the_next_step_begins(server):
    """As another answer's trace says, which goes on."""
    async def play():
        client = await StreamClient.connect(server.stream_url)
        await client.send(type="generate", id="stays", prompt="Once", max_tokens=150, ignore_eos=True, temperature=0)
        stays = (await client.next("stays"))["request"]
        await client.send(type="generate", id="goes", prompt="one two " * 200, max_tokens=1000, ignore_eos=True)
        goes = (await client.next("goes"))["request"]
        for _ in range(5):
            assert (await client.next("goes"))["type"] == "delta"
        await client.send(type="cancel", id="goes")
        while (await client.next("stays"))["type"] != "done":
            pass
        await client.close()
        return stays, goes

    names = asyncio.run(play())
    wait_until(lambda: all(trace_of(server, name) for name in names))
    stays, goes = (trace_of(server, name) for name in names)
    last = max(step["args"]["step"] for step in spans(goes, "decode step"))
    steps = [step["args"] for step in spans(stays, "prefill step") + spans(stays, "decode step")]
    n_before = [step["pages_in_use"] for step in steps if step["step"] == last]
    # The step that was under way when the cancel came keeps the pages, and is in no trace of who had left.
    n_behind = [step["pages_in_use"] for step in steps if step["step"] > last + 1]
    assert all(n > 400 / 16 for n in n_before)
    assert n_behind and max(n_behind) <= 1 + (1 + 150 + 16) / 16, "it has the answer that goes on, and its drafts"


def test_other_names_have_no_trace(server):
    for name in ("1-1", "chatcmpl-1-1", "x", "%2e%2e"):
        assert trace_of(server, name) is None


def test_a_tenant_sees_its_own_traces_only_and_the_log_names_no_secret(start_server, tmp_path):
    keys = tmp_path / "keys"
    keys.write_text("alice a-key-of-alice-0123\nbob a-key-of-bob-012345\n")
    server = start_server("smollm2", "--server.api_keys", str(keys), "--log.format", "json", "--log.level", "debug",
                          "--cache.policy", "exact", "--cache.store", "memory")
    body = {"messages": [{"role": "user", "content": SECRET}], "max_tokens": 4, "ignore_eos": True, "temperature": 0}
    names = []
    for _ in range(2):
        with server.post("/v1/chat/completions", body, key="a-key-of-alice-0123") as reply:
            names.append(json.load(reply)["id"])
    for name in names:
        wait_until(lambda: trace_of(server, name, "a-key-of-alice-0123"))
        assert trace_of(server, name, "a-key-of-bob-012345") is None
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{server.base_url}/souffleur/trace/{names[0]}")
    assert refused.value.code == 401
    assert server.stop() == 0
    lines = [json.loads(line) for line in server.log]
    ended = [line for line in lines if line["message"] == "request ended"]
    assert [line["request"] for line in ended] == [name.removeprefix("chatcmpl-") for name in names]
    assert ended[0]["output_tokens"] == 4
    assert all({"time", "level", "message"} <= line.keys() for line in lines)
    for secret in (SECRET, "a-key-of", "alice"):
        assert secret not in "".join(server.log)


def test_as_text_the_log_has_a_line_for_each_request(start_server):
    server = start_server("smollm2")
    chunks = list(server.stream(prompt=SECRET, max_tokens=2))
    assert server.stop() == 0
    name = chunks[0]["id"].removeprefix("cmpl-")
    [line] = [line for line in server.log if "request ended" in line]
    assert f'request="{name}"' in line and "output_tokens=" in line
    assert SECRET not in "".join(server.log)
