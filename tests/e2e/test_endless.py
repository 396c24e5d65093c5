"""Generations that outgrow their window or the model's context (StreamingLLM)."""
from concurrent.futures import ThreadPoolExecutor

import openai
import pytest
from waiting import wait_until


def text_of(server, n_tokens=400, prompt="Once upon a time", seed=1, window=128, speculation=True):
    own = {"speculation": speculation}
    if window:
        own |= {"attention_sinks": 4, "attention_window": window}
    answer = server.client().completions.create(
        model=server.model, prompt=prompt, max_tokens=n_tokens, temperature=0.8, seed=seed,
        extra_body={"ignore_eos": True, "souffleur": own})
    assert answer.usage.completion_tokens == n_tokens
    return answer.choices[0].text


def test_a_windowed_generation_is_as_alone_whatever_runs_beside_it(start_server):
    server = start_server("smollm2", "--kv.tokens", "4096")
    alone = text_of(server)
    assert text_of(server, speculation=False) == alone
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(lambda i: text_of(server, seed=max(1, i - 2), speculation=i % 2 == 0,
                                                   window=128 if i < 3 else 64), range(6)))
    assert together[:3] == [alone] * 3
    assert len(set(together)) == 4


def test_a_prompt_longer_than_its_window_is_read_the_same_every_time(start_server):
    server = start_server("smollm2", "--kv.tokens", "4096")
    prompt = "The quick brown fox jumps over the lazy dog. " * 100
    first = text_of(server, 50, prompt)
    assert text_of(server, 50, prompt) == first  # its first pages are in the prefix cache now
    assert text_of(server, 50, prompt, window=None) != first
    assert text_of(server, 50, prompt) == first  # what was computed in full view is of no use to it
    wait_until(lambda: server.metric("souffleur_kv_pages", state="owned") == 0)


def test_with_sinks_as_the_servers_policy_a_generation_outgrows_the_pool(start_server):
    server = start_server("smollm2", "--kv.tokens", "512", "--window.policy", "sinks")
    text = text_of(server, 1500, window=None)
    assert text_of(server, 1500, window=None, speculation=False) == text
    assert server.metric("souffleur_kv_pages") == 512 / 16
    wait_until(lambda: server.metric("souffleur_kv_pages", state="owned") == 0)


@pytest.mark.parametrize("own, parameter", [({"attention_window": 10**6}, "souffleur.attention_window"),
                                            ({"attention_window": 0}, "souffleur.attention_window"),
                                            ({"attention_sinks": 4}, "souffleur.attention_sinks")])
def test_limits_that_cannot_be_are_refused(start_server, own, parameter):
    server = start_server("smollm2", "--kv.tokens", "4096")
    with pytest.raises(openai.BadRequestError) as refused:
        server.client().completions.create(model=server.model, prompt="x", max_tokens=1,
                                           extra_body={"souffleur": own})
    assert refused.value.param == parameter
