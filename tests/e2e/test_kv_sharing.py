"""KV pages shared between requests, and more requests than pages."""
import random
from concurrent.futures import ThreadPoolExecutor

from waiting import wait_until

N_PREFIX, N_OWN = 600, 8
N_CLIENTS, N_FITTING, N_PROMPT, N_OUTPUT = 24, 6, 300, 40


def tokens(n, seed):
    numbers = random.Random(seed)
    return [numbers.randrange(1000, 40000) for _ in range(n)]


def answer(server, prompt, n_output, seed=1):
    done = server.client().completions.create(model=server.model, prompt=prompt, max_tokens=n_output, temperature=0.8,
                                              seed=seed, logprobs=0, extra_body={"ignore_eos": True})
    assert done.usage.completion_tokens == n_output
    return done.choices[0].text, done.choices[0].logprobs.token_logprobs


def test_clients_that_come_at_once_with_the_same_cold_prefix_compute_it_once(start_server):
    server = start_server()
    prefix = tokens(N_PREFIX, "prefix")
    prompts = [prefix + tokens(N_OWN, f"own {i}") for i in range(8)]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda prompt: answer(server, prompt, 4), prompts))
    assert server.metric("souffleur_prefill_rows_total") <= N_PREFIX + 8 * (N_OWN + 16)
    cold = start_server("smollm2", "--kv.prefix_cache", "false")
    assert [answer(cold, prompt, 4) for prompt in prompts[:3]] == together[:3]


def test_twenty_four_clients_over_a_pool_for_six_answer_as_alone(start_server):
    n_pool = N_FITTING * (N_PROMPT + N_OUTPUT)
    server = start_server("smollm2", "--kv.tokens", str(n_pool))

    def one(i):
        return answer(server, tokens(N_PROMPT, f"prompt {i}"), N_OUTPUT, seed=i)

    with ThreadPoolExecutor(N_CLIENTS) as pool:
        together = list(pool.map(one, range(N_CLIENTS)))
    assert [one(i) for i in range(N_CLIENTS)] == together
    assert server.metric("souffleur_kv_pages") <= n_pool / 16 + 1
    wait_until(lambda: server.metric("souffleur_kv_pages", state="owned") == 0)
    wait_until(lambda: server.metric("souffleur_kv_pages", state="pinned") == 0)
