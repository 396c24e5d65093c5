"""Thoughts that are told to end. The model is SmolLM2 with two control tokens that nobody uses made into <think> and </think>,
which show: it never begins a thought by itself, so prompts do, as some models' templates."""
import asyncio
import json
import struct
import urllib.error

import gguf
import pytest
from conftest import MODEL_FOLDER, started
from stream_client import StreamClient, origins_of, text_of, tokens_of

RENAMED = {b"<reponame>": b"<think>", b"<filename>": b"</think>"}
USER_DEFINED = 4
PROMPT = "Question: what is 12 times 12?\n<think>"
CLOSING = "</think>\n\n"
GREEDY = {"temperature": 0, "ignore_eos": True}


def spelled(text):
    return struct.pack("<Q", len(text)) + text


@pytest.fixture(scope="module")
def thinker(tmp_path_factory):
    source = MODEL_FOLDER / "smollm2.gguf"
    if not source.exists():
        pytest.skip(f"there is no {source}")
    reader = gguf.GGUFReader(source)
    whole = source.read_bytes()
    header = bytearray(whole[:reader.data_offset])
    words, kinds = (reader.fields[f"tokenizer.ggml.{name}"] for name in ("tokens", "token_type"))
    for token, word in enumerate(words.data[:256]):
        if bytes(words.parts[word]) in RENAMED:
            at = kinds.parts[kinds.data[token]].ctypes.data - reader.data.ctypes.data
            header[at:at + 4] = struct.pack("<i", USER_DEFINED)
    for old, new in RENAMED.items():
        assert header.count(spelled(old)) == 1
        header = header.replace(spelled(old), spelled(new))
    path = tmp_path_factory.mktemp("model") / "thinker.gguf"
    path.write_bytes(header + bytes(-len(header) % gguf.GGUF_DEFAULT_ALIGNMENT) + whole[reader.data_offset:])
    running = started(path.with_suffix(""))
    yield running
    assert running.stop() == 0, "".join(running.log)
    path.unlink()


def ids_of(server, text):
    with server.post("/tokenize", {"content": text}) as reply:
        return json.load(reply)["tokens"]


async def run(client, stream, **options):
    await client.send(type="generate", id=stream, **(GREEDY | options))
    return await client.frames(stream)


def check_goes_on_as_if_it_had_written_that(server, frames, n_thought):
    """What stands behind what was said for it is what it says to the whole text before."""
    tokens, origins = tokens_of(frames), origins_of(frames)
    closing = ids_of(server, CLOSING)
    behind = n_thought + len(closing)
    assert tokens[n_thought:behind] == closing
    assert [i for i, origin in enumerate(origins) if origin == "forced"] == list(range(n_thought, behind))
    assert CLOSING in text_of(frames)

    async def again():
        client = await StreamClient.connect(server.stream_url)
        frames = await run(client, "again", prompt=ids_of(server, PROMPT) + tokens[:behind], max_tokens=len(tokens) - behind)
        await client.close()
        return tokens_of(frames)

    assert asyncio.run(again()) == tokens[behind:]


@pytest.mark.parametrize("n_most", [0, 1, 9])
def test_a_thought_has_at_most_so_many_tokens(thinker, n_most):
    async def play():
        client = await StreamClient.connect(thinker.stream_url)
        free = await run(client, "free", prompt=PROMPT, max_tokens=40)
        bound = await run(client, "bound", prompt=PROMPT, max_tokens=40, souffleur={"max_thinking_tokens": n_most})
        await client.close()
        return free, bound

    free, bound = asyncio.run(play())
    assert "forced" not in origins_of(free)
    assert tokens_of(bound)[:n_most] == tokens_of(free)[:n_most]
    check_goes_on_as_if_it_had_written_that(thinker, bound, n_most)
    assert bound[-1]["usage"]["completion_tokens"] == 40
    assert bound[-1]["usage"]["completion_tokens_details"].get("reasoning_tokens", 0) == n_most


def test_over_http_too(thinker):
    with thinker.post("/v1/completions", GREEDY | {"prompt": PROMPT, "max_tokens": 30, "souffleur": {"max_thinking_tokens": 4}}) as reply:
        answer = json.load(reply)
    assert CLOSING in answer["choices"][0]["text"]
    assert answer["usage"]["completion_tokens_details"]["reasoning_tokens"] == 4


@pytest.mark.parametrize("drops", [False, True])
def test_a_thought_under_way_is_told_to_end(thinker, drops):
    """With drafts in flight; and it is the same for a client that was away meanwhile."""
    async def play():
        client = await StreamClient.connect(thinker.stream_url)
        # What it expects is drafted from, so that steps have more tokens than one.
        expected = text_of(await run(client, "first", prompt=PROMPT, max_tokens=150))
        await client.send(type="generate", id="a", prompt=PROMPT, max_tokens=150, resumable=True,
                          prediction={"type": "content", "content": expected}, **GREEDY)
        frames = [await client.next("a") for _ in range(6)]
        await client.send(type="update", id="a", stop_thinking=True)
        if drops:
            await client.send(type="ping", data="it has come")
            assert (await client.next())["type"] == "pong"
            client.drop()
            client = await StreamClient.connect(thinker.stream_url)
            await client.send(type="resume", id="a", token=frames[0]["resume_token"], after=frames[-1]["seq"])
            assert (await client.next("a"))["type"] == "resumed"
        frames += await client.frames("a", seq=len(frames))
        await client.close()
        return frames

    frames = asyncio.run(play())
    assert len(tokens_of(frames)) == 150
    check_goes_on_as_if_it_had_written_that(thinker, frames, origins_of(frames).index("forced"))


def test_a_model_that_does_not_think_says_so(server):
    async def play():
        client = await StreamClient.connect(server.stream_url)
        await client.send(type="generate", id="a", prompt="Once", max_tokens=500, ignore_eos=True)
        await client.next("a")
        await client.send(type="update", id="a", stop_thinking=True)
        while (frame := await client.next("a"))["type"] == "delta":
            pass
        await client.close()
        return frame

    error = asyncio.run(play())["error"]
    assert (error["code"], error["param"]) == ("unsupported_value", "stop_thinking")
    with pytest.raises(urllib.error.HTTPError) as refused:
        server.post("/v1/completions", {"prompt": "Once", "souffleur": {"max_thinking_tokens": 5}})
    assert refused.value.code == 400
    assert json.load(refused.value)["error"]["param"] == "souffleur.max_thinking_tokens"
