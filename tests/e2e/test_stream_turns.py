"""Conversations that go on, generations that change, and what the connection itself does."""
import asyncio
import json
import random
import string

import pytest
import websockets
from websockets.exceptions import InvalidStatus

from stream_client import StreamClient, text_of, tokens_of
from waiting import wait_until

FIRST = [{"role": "user", "content": "What is 2 plus 2?"}]
SECOND = [{"role": "user", "content": "And 3 plus 3?"}]
GREEDY = {"temperature": 0, "max_tokens": 24}


def run(conversation):
    return asyncio.run(asyncio.wait_for(conversation, 300))


def test_append_is_the_whole_conversation_on_warm_kv(server):
    async def conversation():
        client = await StreamClient.connect(server.stream_url)
        await client.send(type="generate", id="a", messages=FIRST, **GREEDY)
        first = await client.frames("a")
        assert first[-1]["appendable"]
        await client.send(type="append", id="a", messages=SECOND)
        second = await client.frames("a", seq=len(first))
        said = FIRST + [{"role": "assistant", "content": text_of(first)}] + SECOND
        await client.send(type="generate", id="b", messages=said, **GREEDY)
        whole = await client.frames("b")
        assert tokens_of(second) == tokens_of(whole) and text_of(second) == text_of(whole)
        usage = second[-1]["usage"]
        assert usage["prompt_tokens"] == whole[-1]["usage"]["prompt_tokens"]
        found = usage["prompt_tokens_details"]["cached_tokens"]
        assert found >= first[-1]["usage"]["prompt_tokens"] // 16 * 16, "the first turn was computed again"
        await client.close()

    run(conversation())


def test_append_may_change_parameters_and_fails_alone(server):
    async def conversation():
        client = await StreamClient.connect(server.stream_url)
        await client.send(type="generate", id="a", prompt="One, two, three,", **GREEDY)
        first = await client.frames("a")
        await client.send(type="append", id="a", prompt=" x" * 9000)
        failed = await client.frames("a", seq=len(first))
        assert [frame["type"] for frame in failed] == ["error"]
        await client.send(type="append", id="a", prompt=" four", max_tokens=3, ignore_eos=True)
        second = await client.frames("a", seq=len(first) + 1)
        assert len(tokens_of(second)) == 3
        await client.send(type="append", id="a", messages=SECOND)
        assert (await client.next("a"))["error"]["param"] == "prompt"
        await client.close()

    run(conversation())


def test_update_ends_an_answer_earlier_and_later(server):
    async def conversation():
        client = await StreamClient.connect(server.stream_url)
        for stream, before, after in (("shorter", 4000, 40), ("longer", 60, 90)):
            await client.send(type="generate", id=stream, prompt="Count: 1 2 3", max_tokens=before, ignore_eos=True,
                              temperature=0)
            assert (await client.next(stream))["type"] == "accepted"
            await client.next(stream)
            await client.send(type="update", id=stream, max_tokens=after, priority=5)
            while (frame := await client.next(stream))["type"] == "delta":
                pass
            assert frame["finish_reason"] == "length"
            made = frame["usage"]["completion_tokens"]
            assert made == after or (stream == "shorter" and after < made < 400), "it was past that already"
        await client.close()

    run(conversation())


def test_batches_join_tokens_and_change_nothing(server):
    async def conversation():
        client = await StreamClient.connect(server.stream_url)
        request = {"prompt": "The sea", "max_tokens": 60, "temperature": 0, "ignore_eos": True}
        await client.send(type="generate", id="one", **request)
        one = await client.frames("one")
        await client.send(type="generate", id="many", batch_ms=10000, **request)
        many = await client.frames("many")
        assert tokens_of(one) == tokens_of(many) and text_of(one) == text_of(many)
        assert [frame["type"] for frame in many] == ["accepted", "delta", "delta", "done"]
        await client.close()

    run(conversation())


def test_a_cancelled_streams_pages_are_free_after_the_step(server):
    """The end is told before the next step begins, and that one is without it."""
    async def conversation():
        client = await StreamClient.connect(server.stream_url)
        await client.send(type="generate", id="a", prompt="Once", max_tokens=3000, ignore_eos=True)
        for _ in range(5):
            await client.next("a")
        await client.send(type="cancel", id="a")
        while (frame := await client.next("a"))["type"] == "delta":
            pass
        assert frame["finish_reason"] == "cancelled"
        made = server.metric("vllm:generation_tokens_total")
        await asyncio.to_thread(wait_until, lambda: json.loads(server.get("/souffleur/kv"))["sequences"] == 0)
        pages = json.loads(server.get("/souffleur/kv"))["pages"]
        assert pages["pinned"] == 0 and pages["owned"] == 0
        assert server.metric("vllm:generation_tokens_total") - made <= 1
        await client.close()

    run(conversation())


def test_pings_of_both_kinds_are_answered(server):
    async def conversation():
        client = await StreamClient.connect(server.stream_url)
        await client.send(type="ping", data="who is there")
        assert await client.next() == {"type": "pong", "data": "who is there"}
        await (await client.socket.ping(b"abc"))
        await client.close()

    run(conversation())


def test_frames_are_compressed_for_who_offers_it(server):
    async def conversation():
        texts = []
        for compression in (None, "deflate"):
            client = await StreamClient.connect(server.stream_url, compression=compression)
            extensions = client.socket.response.headers.get("Sec-WebSocket-Extensions", "")
            assert ("permessage-deflate" in extensions) == (compression is not None)
            await client.send(type="generate", id="a", prompt="Über " * 50, max_tokens=30, temperature=0)
            texts.append(text_of(await client.frames("a")))
            await client.close()
        assert texts[0] == texts[1]

    run(conversation())


def test_what_is_small_only_when_packed_is_too_large(server):
    async def conversation():
        client = await StreamClient.connect(server.stream_url, compression="deflate")
        await client.socket.send("x" * (9 << 20))
        await client.reader
        assert client.socket.close_code == 1009

    run(conversation())


@pytest.mark.parametrize("offers, outcome", [(None, None), (["souffleur.v1"], "souffleur.v1"),
                                             (["mqtt", "souffleur.v1"], "souffleur.v1"), (["mqtt"], 400),
                                             (["souffleur.v2", "souffleur.key.x"], 400)])
def test_only_our_subprotocol_is_spoken(server, offers, outcome):
    async def conversation():
        try:
            async with websockets.connect(server.stream_url, subprotocols=offers) as socket:
                return socket.subprotocol
        except InvalidStatus as refused:
            assert "souffleur.v1" in json.loads(refused.response.body)["error"]["message"]
            return refused.response.status_code

    assert run(conversation()) == outcome


def test_a_client_that_sends_too_fast_waits(start_server):
    """All of its frames are obeyed, later."""
    server = start_server("smollm2", "--server.max_frames_per_s", "100")

    async def conversation():
        client = await StreamClient.connect(server.stream_url)
        for i in range(150):
            await client.send(type="ping", data=str(i))
        assert [(await client.next())["data"] for _ in range(150)] == [str(i) for i in range(150)]
        await client.close()

    run(conversation())


def random_text(dice):
    return "".join(dice.choices(string.printable + "äß€😀", k=dice.randint(0, 12)))


def random_value(dice):
    return dice.choice([None, True, -1, 0, 1, 2, 1e300, 0.5, [], [1], {}, [{"role": "user", "content": "x"}], "a", "b",
                        random_text(dice)])


def random_frame(dice):
    names = ["id", "type", "messages", "prompt", "credit", "tokens", "token", "after", "max_tokens", "priority", "data",
             "batch_ms", "resumable", "keep", "n", "stop", "temperature", "seed", "logprobs", "souffleur"]
    frame = {"type": dice.choice(["generate", "append", "credit", "cancel", "update", "resume", "ping"]),
             "id": dice.choice("abc"), "max_tokens": 2}
    frame |= dice.choice([{"prompt": "x"}, {"messages": FIRST}, {}])
    for name in dice.sample(names, dice.randint(0, 2)):
        frame[name] = random_value(dice)
    return dice.choice([json.dumps(frame)] * 9 + [random_text(dice)])


def test_whatever_frames_come_every_answer_is_as_the_schema_says(server):
    """And the connection lives: the client checks each frame."""
    async def conversation():
        dice = random.Random(8)
        for _ in range(4):
            client = await StreamClient.connect(server.stream_url)
            for _ in range(60):
                await client.socket.send(random_frame(dice))
            await client.send(type="ping", data="end of the random part")
            while (frame := await client.next())["type"] != "pong" or frame.get("data") != "end of the random part":
                assert frame["type"] in ("error", "pong"), frame
            await client.close()

    run(conversation())
