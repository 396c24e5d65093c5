"""A flood of one tenant's requests beside another's single ones, at the server's default options."""
from concurrent.futures import ThreadPoolExecutor

import fair_share


def answer(server, key, i):
    done = server.client(key).chat.completions.create(model=server.model, max_tokens=24, temperature=0.8, seed=i,
                                                      messages=[{"role": "user", "content": fair_share.words(150, i)}],
                                                      logprobs=True)
    return done.choices[0].message.content, [token.logprob for token in done.choices[0].logprobs.content]


def test_a_tenants_first_tokens_do_not_wait_for_anothers_flood(start_server):
    given, _ = fair_share.parsed(["--samples", "20", "--rounds", "1", "--pause", "0.2", "--settle", "3"])
    alone, beside = fair_share.measure(start_server(), given)
    # The claim is 2 for the p95 on a quiet machine. First come, first served, all wait a hundred times as long.
    assert fair_share.quantile(beside, 0.5) < 5 * fair_share.quantile(alone, 0.5), (alone, beside)


def test_who_sits_out_or_leaves_the_batch_gets_the_same_answer(start_server):
    server = start_server()
    alone = [answer(server, "alone", i) for i in range(6)]
    with fair_share.Flood(server, 60, 200, 40, key="many"), ThreadPoolExecutor(2) as pool:
        of_many = pool.map(lambda i: answer(server, "many", i), range(0, 6, 2))
        of_one = [answer(server, "one", i) for i in range(1, 6, 2)]
        assert list(of_many) == alone[0::2]
        assert of_one == alone[1::2]
