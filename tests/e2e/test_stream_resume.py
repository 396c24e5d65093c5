"""Streams that outlive their connections."""
import asyncio
import json
import random

import pytest

from conftest import started
from stream_client import StreamClient, text_of, tokens_of
from waiting import wait_until

REQUEST = {"max_tokens": 120, "temperature": 0, "ignore_eos": True}
PROMPTS = ["Once upon a time", "The three laws of", "In the year 2050", "A recipe for"]


def run(conversation):
    return asyncio.run(asyncio.wait_for(conversation, 300))


async def uninterrupted(server):
    client = await StreamClient.connect(server.stream_url)
    for i, prompt in enumerate(PROMPTS):
        await client.send(type="generate", id=f"s{i}", prompt=prompt, keep=False, **REQUEST)
    whole = await asyncio.gather(*(client.frames(f"s{i}") for i in range(len(PROMPTS))))
    await client.close()
    return [(tokens_of(frames), text_of(frames)) for frames in whole]


class UnluckyReader:
    """Streams on connections that drop after a random number of frames."""

    def __init__(self, server, dice):
        self.server = server
        self.dice = dice
        self.frames = {f"s{i}": [] for i in range(len(PROMPTS))}
        self.n_cuts = 0

    def token(self, stream):
        return self.frames[stream][0]["resume_token"]

    def is_done(self, stream):
        return bool(self.frames[stream]) and self.frames[stream][-1]["type"] == "done"

    async def take(self, client, stream):
        frame = await client.next(stream)
        if frame["type"] == "resumed":
            assert frame["after"] == len(self.frames[stream]) - 1
            frame = await client.next(stream)
        assert frame.get("seq") == len(self.frames[stream]), frame
        self.frames[stream].append(frame)

    async def read_all(self, max_cuts):
        client = await StreamClient.connect(self.server.stream_url)
        for i, prompt in enumerate(PROMPTS):
            await client.send(type="generate", id=f"s{i}", prompt=prompt, resumable=True, **REQUEST)
        for stream in self.frames:
            await self.take(client, stream)
        while not all(self.is_done(stream) for stream in self.frames):
            for _ in range(self.dice.randint(0, 6)):
                left = [stream for stream in self.frames if not self.is_done(stream)]
                if left:
                    await self.take(client, self.dice.choice(left))
            if self.n_cuts < max_cuts:
                client = await self.come_back(client)
        await client.close()

    async def come_back(self, old):
        self.n_cuts += 1
        if self.dice.random() < 0.7:
            old.drop()  # else the server still believes in the old connection
        client = await StreamClient.connect(self.server.stream_url)
        for stream, frames in self.frames.items():
            if not self.is_done(stream):
                await client.send(type="resume", id=stream, token=self.token(stream), after=len(frames) - 1)
        return client


def test_a_hundred_cuts_lose_and_repeat_no_token(server):
    async def conversation():
        whole = await uninterrupted(server)
        n_cuts, dice = 0, random.Random(2026)
        while n_cuts < 100:
            reader = UnluckyReader(server, dice)
            await reader.read_all(100 - n_cuts)
            n_cuts += reader.n_cuts
            assert [(tokens_of(frames), text_of(frames)) for frames in reader.frames.values()] == whole

    run(conversation())


async def begun(server, **options):
    """A stream of which one delta came, and its token."""
    client = await StreamClient.connect(server.stream_url)
    await client.send(type="generate", id="a", prompt="Once", **({"resumable": True} | REQUEST | options))
    token = (await client.next("a")).get("resume_token", "none")
    assert (await client.next("a"))["type"] == "delta"
    return client, token


def test_a_stream_is_resumed_with_its_own_token_only(server):
    async def conversation():
        client, token = await begun(server, max_tokens=2000)
        client.drop()
        other = await StreamClient.connect(server.stream_url)
        for stream, wrong in (("a", "0" * 32), ("a", token[:-1]), ("b", token)):
            await other.send(type="resume", id=stream, token=wrong, after=1)
            assert (await other.next(stream))["error"]["code"] == "unknown_resume_token"
        await other.send(type="resume", id="a", token=token, after=5000)
        assert (await other.next("a"))["error"]["param"] == "after"
        await other.send(type="resume", id="a", token=token, after=1)
        assert (await other.next("a"))["type"] == "resumed"
        assert (await other.next("a"))["seq"] == 2
        await other.send(type="cancel", id="a")
        await other.close()

    run(conversation())


def test_who_is_resumed_elsewhere_is_told(server):
    async def conversation():
        client, token = await begun(server)
        other = await StreamClient.connect(server.stream_url)
        await other.send(type="resume", id="a", token=token, after=-1)
        assert (await other.next("a"))["type"] == "resumed"
        frames = await other.frames("a")
        assert len(tokens_of(frames)) == REQUEST["max_tokens"]
        while "error" not in (frame := await client.next("a")):
            assert frame["type"] == "delta"
        assert frame["error"]["code"] == "resumed_elsewhere"
        await client.close()
        await other.close()

    run(conversation())


@pytest.fixture(scope="module")
def hasty():
    running = started("smollm2", "--server.resume_s", "1")
    yield running
    assert running.stop() == 0, "".join(running.log)


def n_sequences(server):
    return json.loads(server.get("/souffleur/kv"))["sequences"]


@pytest.mark.parametrize("how", ["it was closed", "it is too late", "it was not resumable"])
def test_what_nobody_comes_back_for_is_not_computed(hasty, how):
    async def conversation():
        client, token = await begun(hasty, max_tokens=3000, resumable=how != "it was not resumable")
        if how == "it was closed":
            await client.close()
        else:
            client.drop()
        await asyncio.to_thread(wait_until, lambda: n_sequences(hasty) == 0)
        other = await StreamClient.connect(hasty.stream_url)
        await other.send(type="resume", id="a", token=token, after=1)
        assert (await other.next("a"))["error"]["code"] == "unknown_resume_token"
        await other.close()

    run(conversation())


def test_an_ended_stream_can_be_resumed_for_its_end_and_go_on(server):
    async def conversation():
        client, token = await begun(server, max_tokens=8)
        while (await client.next("a"))["type"] != "done":
            pass
        client.drop()
        other = await StreamClient.connect(server.stream_url)
        await other.send(type="resume", id="a", token=token, after=-1)
        assert (await other.next("a")) == {"type": "resumed", "id": "a", "after": -1, "running": False, "credit": None}
        frames = await other.frames("a")
        assert len(tokens_of(frames)) == 8
        await other.send(type="append", id="a", prompt=" And then", max_tokens=4)
        more = await other.frames("a", seq=len(frames))
        assert more[0]["resume_token"] == token
        assert more[-1]["usage"]["prompt_tokens"] > frames[0]["prompt_tokens"] + 8
        await other.close()

    run(conversation())
