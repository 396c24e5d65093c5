"""A request whose time runs out: it gets what was made, with usage; an error only if that is nothing."""
import asyncio

import openai
import pytest

from stream_client import StreamClient, text_of, tokens_of

STORY = {"prompt": "Once upon a time", "max_tokens": 4000, "temperature": 0}
OWN = {"ignore_eos": True, "souffleur": {"timeout_ms": 400}}
LONG_PROMPT = {"prompt": "word " * 7500, "max_tokens": 1}  # takes more than a second before its first token


def story(server, own=None, **options):
    own = {"ignore_eos": True} | (own or {})
    return server.client().completions.create(model=server.model, extra_body=own, **(STORY | options))


def check_is_all_that_was_made(server, text, n_tokens):
    assert 0 < n_tokens < STORY["max_tokens"]
    assert story(server, max_tokens=n_tokens).choices[0].text == text


def test_a_plain_answer_has_what_was_made(server):
    answer = story(server, OWN)
    assert answer.choices[0].finish_reason == "length"
    assert answer.souffleur["finish_reasons"] == ["deadline"]
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    check_is_all_that_was_made(server, answer.choices[0].text, answer.usage.completion_tokens)


def test_each_choice_has_what_was_made_of_it(server):
    answer = story(server, OWN, n=3, temperature=1, seed=1)
    assert answer.souffleur["finish_reasons"] == ["deadline"] * 3
    assert all(choice.text for choice in answer.choices)


@pytest.mark.parametrize("include_usage", [True, False])
def test_a_stream_has_what_was_made_and_the_usage(server, include_usage):
    chunks = list(story(server, OWN, stream=True, stream_options={"include_usage": include_usage}))
    text = "".join(chunk.choices[0].text for chunk in chunks if chunk.choices)
    (last,) = [chunk for chunk in chunks if chunk.choices and chunk.choices[0].finish_reason]
    assert last.choices[0].finish_reason == "length"
    assert last.souffleur["finish_reason"] == "deadline"
    n_tokens = last.souffleur["usage"]["completion_tokens"]
    if include_usage:
        assert chunks[-1].usage.completion_tokens == n_tokens
        assert chunks[-1].souffleur["finish_reasons"] == ["deadline"]
    check_is_all_that_was_made(server, text, n_tokens)


def test_a_websocket_stream_has_what_was_made_and_the_usage(server):
    async def conversation():
        client = await StreamClient.connect(server.stream_url)
        await client.send(type="generate", id="a", **STORY, **OWN)
        frames = await client.frames("a")
        await client.send(type="generate", id="b", **LONG_PROMPT, **OWN)
        nothing = await client.frames("b")
        await client.close()
        return frames, nothing

    frames, nothing = asyncio.run(conversation())
    assert frames[-1]["type"] == "done" and frames[-1]["finish_reason"] == "deadline"
    assert frames[-1]["usage"]["completion_tokens"] == len(tokens_of(frames))
    check_is_all_that_was_made(server, text_of(frames), len(tokens_of(frames)))
    assert nothing[-1]["finish_reason"] == "deadline"
    assert nothing[-1]["usage"]["completion_tokens"] == 0


def test_nothing_made_in_the_clients_time_is_408(server):
    with pytest.raises(openai.APIStatusError) as caught:
        server.client().completions.create(model=server.model, extra_body=OWN, **LONG_PROMPT)
    assert caught.value.status_code == 408
    assert caught.value.code == "deadline_exceeded"
    assert caught.value.param == "souffleur.timeout_ms"
    with pytest.raises(openai.APIError) as caught:  # the stream has begun, so the error is an event
        list(server.client().completions.create(model=server.model, extra_body=OWN, stream=True, **LONG_PROMPT))
    assert caught.value.code == "deadline_exceeded"


def test_nothing_made_in_the_servers_time_is_504(start_server):
    server = start_server("smollm2", "--scheduler.request_timeout_s", "1")
    with pytest.raises(openai.InternalServerError) as caught:
        server.client().completions.create(model=server.model, **LONG_PROMPT)
    assert caught.value.status_code == 504
    assert caught.value.code == "deadline_exceeded"
    assert story(server).souffleur["finish_reasons"] == ["deadline"]
