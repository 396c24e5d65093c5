"""What a client sees of speculation: its wishes, where each token came from, what it cost."""
import asyncio

import openai
import pytest

from stream_client import StreamClient, origins_of, text_of
from waiting import wait_until

QUESTION = [{"role": "user", "content": "Name the planets of the solar system, one per line."}]


def ask(server, speculation=None, cache="off", **options):
    ours = {"cache": {"mode": cache}} | ({} if speculation is None else {"speculation": speculation})
    options = {"model": server.model, "messages": QUESTION, "max_tokens": 64, "temperature": 0} | options
    return server.client().chat.completions.create(**options, extra_body={"souffleur": ours})


def speculation_of(answer):
    return answer.model_extra["souffleur"]["speculation"]


def test_a_prediction_of_the_exact_answer_needs_a_quarter_of_the_steps(server):
    plain = ask(server, False)
    text = plain.choices[0].message.content
    predicted = ask(server, {"max_draft": 16}, prediction={"type": "content", "content": text})
    assert predicted.choices[0].message.content == text
    assert speculation_of(predicted)["steps"] * 4 <= speculation_of(plain)["steps"]
    details = predicted.usage.completion_tokens_details
    assert details.accepted_prediction_tokens == speculation_of(predicted)["accepted_tokens"] > 0


def test_a_wrong_prediction_changes_nothing(server):
    text = ask(server, False).choices[0].message.content
    parts = [{"type": "text", "text": text[:20]}, {"type": "text", "text": " and then something else entirely"}]
    assert ask(server, prediction={"type": "content", "content": parts}).choices[0].message.content == text


def test_origins_name_the_prediction(server):
    text = ask(server, False).choices[0].message.content

    async def conversation():
        client = await StreamClient.connect(server.stream_url)
        await client.send(type="generate", id="p", messages=QUESTION, max_tokens=64, temperature=0,
                          prediction={"type": "content", "content": text},
                          souffleur={"cache": {"mode": "off"}})
        frames = await client.frames("p")
        assert text_of(frames) == text
        assert "prediction" in origins_of(frames)
        details = frames[-1]["usage"]["completion_tokens_details"]
        assert details["accepted_prediction_tokens"] == frames[-1]["speculation"]["accepted_tokens"]
        await client.close()

    asyncio.run(asyncio.wait_for(conversation(), 300))


def test_a_trace_tells_of_every_step_and_only_if_asked_for(server):
    async def frames_of(client, name, **own):
        await client.send(type="generate", id=name, messages=QUESTION, max_tokens=64, temperature=0,
                          souffleur={"cache": {"mode": "off"}} | own)
        return await client.frames(name)

    async def conversation():
        client = await StreamClient.connect(server.stream_url)
        untraced = await frames_of(client, "u")
        traced = await frames_of(client, "t", trace=True, speculation={"policy": "fixed"})
        assert text_of(traced) == text_of(untraced)
        assert not any("step" in frame for frame in untraced)
        steps = [frame["step"] for frame in traced if frame["type"] == "delta"]
        done = traced[-1]
        assert sum(step["drafted"] for step in steps) == done["speculation"]["drafted_tokens"] > 0
        assert sum(step["accepted"] for step in steps) == done["speculation"]["accepted_tokens"]
        assert len(steps) == done["speculation"]["steps"] + 1
        for step in steps:
            assert step["rows"] > step["drafted"] >= step["accepted"] and step["ms"] > 0
            assert (step["drafter"] is None) == (step["drafted"] == 0)
        await client.close()

    asyncio.run(asyncio.wait_for(conversation(), 300))


@pytest.mark.parametrize("acceptance, temperature, lossy", [
    ("typical", 0.8, True), ("typical", 0, False), ("token", 0.8, False), ("coupled", 0.8, False)])
def test_an_answer_says_whether_it_is_lossy(server, acceptance, temperature, lossy):
    answer = ask(server, {"acceptance": acceptance}, temperature=temperature, seed=1)
    assert speculation_of(answer)["lossy"] is lossy


def test_a_lossy_answer_is_neither_stored_nor_given_from_the_store(start_server):
    caching = start_server("smollm2", "--cache.policy", "exact", "--cache.store", "memory")

    def ask_for(acceptance):
        answer = ask(caching, {"acceptance": acceptance}, cache="on", temperature=0.8, seed=1, max_tokens=400)
        ours = answer.model_extra["souffleur"]
        return ours["speculation"]["lossy"], ours["cache"]["response"]

    assert ask_for("typical") == (True, "miss")
    assert ask_for("coupled") == (False, "miss")
    wait_until(lambda: ask_for("coupled") == (False, "hit"))
    assert ask_for("typical") == (True, "miss")


@pytest.mark.parametrize("speculation, parameter", [
    ({"drafter": "oracle"}, "souffleur.speculation.drafter"),
    ({"acceptance": "wishful"}, "souffleur.speculation.acceptance"),
    ({"max_draft": -1}, "souffleur.speculation.max_draft"),
    ({"policy": "bold"}, "souffleur.speculation.policy"),
    ("yes", "souffleur.speculation")])
def test_what_is_not_offered_is_refused(server, speculation, parameter):
    with pytest.raises(openai.BadRequestError) as refused:
        ask(server, speculation)
    assert refused.value.param == parameter


def test_a_request_names_its_draft_policy(server):
    copied = [{"role": "user", "content": "Repeat this, nothing else: one two three one two three one two three"}]
    fixed, adaptive, off = (ask(server, {"policy": policy}, messages=copied) for policy in ("fixed", "adaptive", "off"))
    assert fixed.choices[0].message.content == adaptive.choices[0].message.content == off.choices[0].message.content
    assert speculation_of(off)["drafted_tokens"] == 0
    assert speculation_of(fixed)["drafted_tokens"] > 0


def test_a_prediction_of_another_type_is_refused(server):
    with pytest.raises(openai.BadRequestError) as refused:
        ask(server, prediction={"type": "guess", "content": "x"})
    assert refused.value.param == "prediction.type"


def test_a_draft_model_changes_nothing_but_the_steps(server, start_server):
    helped = start_server("smollm2", "--speculation.draft_model", "smollm2", "--speculation.policy", "fixed")
    for options in ({"temperature": 0}, {"temperature": 0.8, "seed": 3}):
        plain = ask(server, False, **options)
        drafted = ask(helped, {"drafter": "draft_model"}, **options)
        assert drafted.choices[0].message.content == plain.choices[0].message.content
        assert speculation_of(drafted)["steps"] * 1.5 <= speculation_of(plain)["steps"]


def test_a_draft_model_that_is_always_late_is_not_waited_for(server, start_server):
    slow = start_server("smollm2", "--speculation.draft_model", "smollm2", "--speculation.policy", "fixed",
                        "--speculation.draft_model_budget_ms", "1")
    plain, late = ask(server, False), ask(slow, {"drafter": "draft_model"})
    assert late.choices[0].message.content == plain.choices[0].message.content
    assert speculation_of(late)["accepted_tokens"] < 8


def test_without_a_draft_model_there_is_none_to_ask(server):
    with pytest.raises(openai.BadRequestError) as refused:
        ask(server, {"drafter": "draft_model"})
    assert refused.value.param == "souffleur.speculation.drafter"


def test_a_draft_model_of_another_vocabulary_is_refused(start_server):
    with pytest.raises(SystemExit) as refused:
        start_server("smollm2", "--speculation.draft_model", "qwen-0.5b")
    assert "speculation.draft_model" in str(refused.value) and "cannot draft for" in str(refused.value)
