"""The response cache over real sockets: one generation for equal requests, answers by key and by meaning."""
import concurrent.futures
import json
import threading
import time
import urllib.request

import pytest

from waiting import wait_until

EGG = "How long do I have to boil an egg until it is hard?"
ALIKE = "How long must I boil an egg until it is hard?"
NEGATED = "How long do I not have to boil an egg until it is hard?"
MINUTES = "How many minutes do 12 eggs need to boil?"


@pytest.fixture(scope="module")
def caching():
    from conftest import started
    running = started("smollm2", "--cache.policy", "guarded", "--cache.threshold", "0.85", "--cache.store", "memory")
    yield running
    assert running.stop() == 0, "".join(running.log)


def ask(server, question, key="none", max_tokens=400, own=None, headers=None, **more):
    done = server.client(key).chat.completions.create(
        model=server.model, messages=[{"role": "user", "content": question}], max_tokens=max_tokens, temperature=0,
        extra_body={"souffleur": own or {}}, extra_headers=headers, **more)
    return done.choices[0].message.content, done.model_extra["souffleur"]["cache"], done


def source(cache):
    return cache.get("source", "model")


def n_generated(server):
    wait_until(lambda: server.metric("vllm:num_requests_running") == 0)  # then all of it is counted
    return server.metric("vllm:generation_tokens_total")


def test_an_answer_is_generated_once_and_repeated_to_the_letter(caching):
    first, cache, made = ask(caching, EGG)
    assert source(cache) == "model" and made.choices[0].finish_reason == "stop"
    before = n_generated(caching)
    again, cache, repeated = ask(caching, EGG)
    assert (again, source(cache)) == (first, "exact")
    assert repeated.usage.completion_tokens == made.usage.completion_tokens
    assert repeated.usage.prompt_tokens == made.usage.prompt_tokens
    assert n_generated(caching) == before
    streamed, usage = "", None
    for chunk in caching.client().chat.completions.create(
            model=caching.model, messages=[{"role": "user", "content": EGG}], max_tokens=400, temperature=0, stream=True,
            stream_options={"include_usage": True}):
        streamed += chunk.choices[0].delta.content or "" if chunk.choices else ""
        usage = chunk.usage or usage
    assert streamed == first and usage.completion_tokens == made.usage.completion_tokens


def test_a_question_that_means_the_same_is_answered_by_meaning_and_a_trap_is_not(caching):
    first, _, _ = ask(caching, EGG)
    alike, cache, _ = ask(caching, ALIKE)
    assert (alike, source(cache)) == (first, "semantic") and cache["similarity"] > 0.85
    for trap in (NEGATED, MINUTES):
        _, cache, _ = ask(caching, trap, max_tokens=8)
        assert source(cache) == "model", trap


@pytest.mark.parametrize("own, headers", [
    ({"cache": False}, None), ({"cache": {"mode": "off"}}, None), ({"cache": {"refresh": True}}, None),
    ({}, {"Cache-Control": "no-store"}), ({}, {"Cache-Control": "no-cache"})])
def test_who_wants_no_stored_answer_gets_none(caching, own, headers):
    first, _, _ = ask(caching, EGG)
    again, cache, _ = ask(caching, EGG, own=own, headers=headers)
    assert (again, source(cache)) == (first, "model")


def test_who_wants_the_exact_answer_only_gets_no_other(caching):
    ask(caching, EGG)
    _, cache, _ = ask(caching, ALIKE, own={"cache": {"mode": "exact"}}, max_tokens=12)
    assert source(cache) == "model"
    _, cache, _ = ask(caching, ALIKE, own={"cache": {"threshold": 0.9999}})
    assert source(cache) == "model"


def test_64_equal_requests_make_one_generation(caching):
    question = "Name three rivers of Europe and say where each of them ends."
    before = n_generated(caching)
    with concurrent.futures.ThreadPoolExecutor(64) as pool:
        answers = list(pool.map(lambda _: ask(caching, question, max_tokens=300), range(64)))
    assert len({text for text, _, _ in answers}) == 1
    sources = [source(cache) for _, cache, _ in answers]
    assert sources.count("model") == 1, sources
    assert n_generated(caching) - before <= answers[0][2].usage.completion_tokens + 1


def test_one_that_leaves_hands_over_to_those_who_stay(caching):
    question = "Tell me a long story about a lighthouse keeper and a whale."
    heard, stayed = [], threading.Event()

    def read(leaves_early):
        stream = caching.client().chat.completions.create(
            model=caching.model, messages=[{"role": "user", "content": question}], max_tokens=120, temperature=0,
            stream=True)
        text = ""
        for chunk in stream:
            text += chunk.choices[0].delta.content or "" if chunk.choices else ""
            if text and leaves_early:
                stayed.wait(10)
                stream.close()
                return
            stayed.set() if text else None
        heard.append(text)

    leader = threading.Thread(target=read, args=(True,))
    leader.start()
    time.sleep(0.05)
    followers = [threading.Thread(target=read, args=(False,)) for _ in range(3)]
    for one in followers:
        one.start()
    for one in [leader, *followers]:
        one.join()
    alone, _, _ = ask(caching, question, max_tokens=120, own={"cache": False})
    assert heard == [alone] * 3


def test_a_stored_answer_is_streamed_at_the_pace_that_is_asked_for(caching):
    first, _, made = ask(caching, EGG)
    pace = made.usage.completion_tokens / 0.5
    start = time.monotonic()
    again, cache, _ = ask(caching, EGG, own={"cache": {"replay_tokens_per_s": pace}})
    took = time.monotonic() - start
    assert (again, source(cache)) == (first, "exact")
    assert took > 0.4


def forget(server, key):
    request = urllib.request.Request(server.base_url + "/souffleur/cache", method="DELETE",
                                     headers={"Authorization": f"Bearer {key}"})
    return json.load(urllib.request.urlopen(request, timeout=30))["deleted"]


def test_each_tenant_has_answers_of_its_own_and_may_forget_them(caching):
    for key in ("a", "b"):
        _, cache, _ = ask(caching, EGG, key)
        assert source(cache) == "model"
    assert forget(caching, "a") >= 1
    assert forget(caching, "a") == 0
    assert source(ask(caching, EGG, "b")[1]) == "exact"
    assert source(ask(caching, ALIKE, "a", max_tokens=8)[1]) == "model"
    assert source(ask(caching, EGG, "a")[1]) == "model"


def test_near_misses_are_drafted_from(caching):
    prose = "Repeat this text and nothing else: The lamp was lit at six, and the boats came home at seven, all but one."
    first, _, made = ask(caching, prose, max_tokens=64)
    assert made.choices[0].finish_reason == "stop"
    changed = prose.replace("seven", "eight")
    text, cache, answer = ask(caching, changed, max_tokens=64)
    assert source(cache) == "model" and cache["similarity"] > 0.85
    plain, _, _ = ask(caching, changed, max_tokens=64, own={"cache": False, "speculation": False})
    assert text == plain
    assert answer.model_extra["souffleur"]["speculation"]["accepted_tokens"] > 0


def test_what_is_in_doubt_is_judged_when_nobody_asks(start_server):
    server = start_server("smollm2", "--cache.policy", "bounded", "--cache.store", "memory")
    first, _, _ = ask(server, EGG)
    alike, cache, _ = ask(server, ALIKE)
    assert source(cache) == "model", "nothing is certified, and nothing was learnt yet"
    assert alike == ask(server, ALIKE, own={"cache": False, "speculation": False})[0]

    wait_until(lambda: server.metric("souffleur_response_cache_verdicts_total") == 1)
    assert ask(server, EGG)[0] == first
