"""The WebSocket conversation souffleur.v1."""
import asyncio

import websockets

from stream_client import StreamClient, text_of, tokens_of

QUESTION = [{"role": "user", "content": "What is 2 plus 2?"}]


def run(conversation):
    return asyncio.run(asyncio.wait_for(conversation, 300))


def test_a_stream_answers_sensibly(server):
    async def conversation():
        client = await StreamClient.connect(server.stream_url)
        assert client.socket.subprotocol == "souffleur.v1"
        await client.send(type="generate", id="a1", messages=QUESTION, max_tokens=24, temperature=0)
        frames = await client.frames("a1")
        assert frames[0]["type"] == "accepted"
        assert "4" in text_of(frames)
        done = frames[-1]
        assert done["usage"]["completion_tokens"] >= len(tokens_of(frames))
        assert done["usage"]["prompt_tokens"] == frames[0]["prompt_tokens"]
        assert done["finish_reason"] in ("stop", "length")
        for part in ("timings", "speculation", "cache"):
            assert done[part]
        await client.close()

    run(conversation())


def test_streams_of_one_connection_run_at_once(server):
    async def conversation():
        client = await StreamClient.connect(server.stream_url)
        for i in range(8):
            await client.send(type="generate", id=f"s{i}", prompt=f"Number {i} is", max_tokens=20, seed=i,
                              ignore_eos=True)
        streams = await asyncio.gather(*(client.frames(f"s{i}") for i in range(8)))
        assert all(len(tokens_of(frames)) == 20 for frames in streams)
        await client.close()

    run(conversation())


def test_cancel_ends_a_stream_and_its_id_can_be_used_again(server):
    async def conversation():
        client = await StreamClient.connect(server.stream_url)
        await client.send(type="generate", id="a", prompt="Once upon a time", max_tokens=2000, ignore_eos=True)
        assert (await client.next("a"))["type"] == "accepted"
        assert (await client.next("a"))["type"] == "delta"
        await client.send(type="cancel", id="a")
        while (frame := await client.next("a"))["type"] == "delta":
            pass
        assert frame["type"] == "done" and frame["finish_reason"] == "cancelled"
        client.queues.clear()
        await client.send(type="generate", id="a", prompt="Once", max_tokens=2)
        assert (await client.frames("a"))[-1]["type"] == "done"
        await client.close()

    run(conversation())


def test_no_more_tokens_come_than_were_granted(server):
    async def conversation():
        client = await StreamClient.connect(server.stream_url)
        request = {"prompt": "The quick brown fox", "max_tokens": 30, "seed": 3, "ignore_eos": True}
        await client.send(type="generate", id="free", **request)
        free = await client.frames("free")
        await client.send(type="generate", id="tight", credit=3, **request)
        frames, granted = [await client.next("tight")], 3
        while frames[-1]["type"] != "done":
            while len(tokens_of(frames)) < granted:
                frames.append(await client.next("tight"))
            assert len(tokens_of(frames)) == granted
            if granted < 30:
                await asyncio.sleep(0.05)
                assert client.queue("tight").empty()
                await client.send(type="credit", id="tight", tokens=9)
                granted = min(30, granted + 9)
            else:
                frames.append(await client.next("tight"))
        assert [frame["seq"] for frame in frames] == list(range(len(frames)))
        assert tokens_of(frames) == tokens_of(free)
        assert text_of(frames) == text_of(free)
        await client.close()

    run(conversation())


def test_a_wrong_frame_is_refused_and_the_connection_goes_on(server):
    async def conversation():
        client = await StreamClient.connect(server.stream_url)
        for frame, parameter in [("{", None), ("[]", None), ('{"type":"generate"}', "id"),
                                 ('{"type":"dance","id":"x"}', "type"), ('{"type":"credit","id":"x"}', "tokens"),
                                 ('{"type":"generate","id":"x"}', "messages"),
                                 ('{"type":"generate","id":"x","prompt":"a","n":2}', "n"),
                                 ('{"type":"generate","id":"x","prompt":"a","temperature":-1}', "temperature"),
                                 ('{"type":"cancel","id":"x"}', "id")]:
            await client.socket.send(frame)
            refused = await client.next("x" if '"x"' in frame else "")
            assert refused["type"] == "error"
            assert refused["error"]["param"] == parameter, refused
        await client.send(type="generate", id="x", prompt="a", max_tokens=1)
        assert (await client.frames("x"))[-1]["type"] == "done"
        await client.close()

    run(conversation())


def test_a_binary_frame_closes_with_its_code(server):
    async def conversation():
        client = await StreamClient.connect(server.stream_url)
        await client.socket.send(b"\x00\x01")
        await client.reader
        assert client.socket.close_code == 1003

    run(conversation())


def test_an_oversized_frame_closes_with_its_code(server):
    async def conversation():
        client = await StreamClient.connect(server.stream_url)
        try:
            await client.socket.send("x" * (9 << 20))
        except websockets.ConnectionClosed:
            pass
        await client.reader
        assert client.socket.close_code == 1009

    run(conversation())
