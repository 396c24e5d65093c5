"""What a request gets does not depend on its neighbours, on speculation, or on the caches."""
import asyncio

import openai

from stream_client import StreamClient, origins_of, tokens_of

N_STREAMS = 16
N_TOKENS = 40
TOPICS = ["rivers", "bread", "chess", "the moon", "trains", "glass", "violins", "winter", "salt", "maps", "bees",
          "paper", "bridges", "tea", "clocks", "islands"]


def request(i):
    return {"messages": [{"role": "user", "content": f"Write a list of facts about {TOPICS[i % len(TOPICS)]}. " *
                          (1 + i % 5)}],
            "max_tokens": N_TOKENS, "temperature": 0.8, "seed": 1000 + i}


async def stream_over_websocket(server, i, **options):
    client = await StreamClient.connect(server.stream_url)
    await client.send(type="generate", id="s", **request(i), **options)
    frames = await client.frames("s")
    assert frames[-1]["type"] == "done", frames[-1]
    await client.close()
    return tokens_of(frames), frames


async def stream_over_sse(server, i):
    """The text with each token's bytes: as good as the ids."""
    client = openai.AsyncOpenAI(base_url=server.base_url + "/v1", api_key="none", max_retries=0, timeout=300)
    chunks = await client.chat.completions.create(model=server.model, stream=True, logprobs=True, **request(i))
    tokens = []
    async for chunk in chunks:
        for choice in chunk.choices:
            if choice.logprobs:
                tokens += [(tuple(entry.bytes), entry.logprob) for entry in choice.logprobs.content]
    await client.close()
    return tokens


def test_sixteen_websocket_and_sixteen_sse_streams_at_once_are_as_alone(start_server):
    server = start_server()

    async def conversation():
        alone_ws = [(await stream_over_websocket(server, i))[0] for i in range(N_STREAMS)]
        alone_sse = [await stream_over_sse(server, N_STREAMS + i) for i in range(N_STREAMS)]
        together = await asyncio.gather(
            *(stream_over_websocket(server, i) for i in range(N_STREAMS)),
            *(stream_over_sse(server, N_STREAMS + i) for i in range(N_STREAMS)))
        assert [tokens for tokens, _ in together[:N_STREAMS]] == alone_ws
        assert together[N_STREAMS:] == alone_sse
        assert all(len(tokens) > 0 for tokens in alone_ws)

    asyncio.run(conversation())


def test_output_is_the_same_with_and_without_the_prefix_cache(start_server):
    async def all_tokens(server):
        return [(await stream_over_websocket(server, i))[0] for i in range(8)]

    with_cache = start_server()
    without = start_server("smollm2", "--kv.prefix_cache", "false")
    first = asyncio.run(all_tokens(with_cache))
    second = asyncio.run(all_tokens(with_cache))
    assert with_cache.metric("vllm:prefix_cache_hits_total") > 0
    assert asyncio.run(all_tokens(without)) == first == second
    assert without.metric("vllm:prefix_cache_hits_total") == 0


def test_output_is_the_same_with_and_without_speculation(start_server):
    text = "Copy this list exactly, twice: alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu. "
    prompts = [{"messages": [{"role": "user", "content": text}], "max_tokens": 80, "temperature": temperature,
                "seed": 5 + i} for i, temperature in enumerate([0, 0, 0.3, 0.8, 0.8, 1.0])]

    async def all_tokens(server, **ours):
        client = await StreamClient.connect(server.stream_url)
        for i, prompt in enumerate(prompts):
            await client.send(type="generate", id=str(i), souffleur=ours, **prompt)
        streams = [await client.frames(str(i)) for i in range(len(prompts))]
        await client.close()
        return [tokens_of(frames) for frames in streams], [origin for frames in streams for origin in origins_of(frames)]

    server = start_server("smollm2", "--speculation.policy", "fixed")
    drafted, origins = asyncio.run(all_tokens(server))
    plain, plain_origins = asyncio.run(all_tokens(server, speculation=False))
    off, _ = asyncio.run(all_tokens(start_server("smollm2", "--speculation.drafter", "off")))
    assert drafted == plain == off
    assert "suffix" in origins
    assert set(plain_origins) == {"model"}
