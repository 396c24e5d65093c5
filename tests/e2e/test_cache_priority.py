"""What a request may ask of the prefix cache: that its prefix is kept, and for how long."""
import random
import time

import openai
import pytest

N_POOL, N_KEPT, N_SCAN = 2048, 400, 300
KEPT_PAGES_TOKENS = N_KEPT // 16 * 16


def tokens(n, seed):
    numbers = random.Random(seed)
    return [numbers.randrange(1000, 40000) for _ in range(n)]


def n_cached(server, prompt, **own):
    done = server.client().completions.create(model=server.model, prompt=prompt, max_tokens=1,
                                              extra_body={"souffleur": own})
    return done.usage.prompt_tokens_details.cached_tokens


def scan(server, name, **own):
    """Half as much again as the pool, all of it new."""
    for i in range(3 * N_POOL // 2 // N_SCAN + 1):
        assert n_cached(server, tokens(N_SCAN, f"{name} {i}"), **own) == 0


@pytest.fixture
def small(start_server):
    return start_server("smollm2", "--kv.tokens", str(N_POOL))


@pytest.mark.parametrize("priority", [1, "pin"])
def test_what_is_asked_to_stay_outlives_a_scan(small, priority):
    kept, plain = tokens(N_KEPT, "kept") + [7], tokens(N_KEPT, "plain") + [7]
    n_cached(small, kept, cache_priority=priority, cache_ttl_s=600)
    n_cached(small, plain)
    scan(small, "scan")
    assert n_cached(small, kept) == KEPT_PAGES_TOKENS
    assert n_cached(small, plain) == 0


def test_a_pin_outlives_even_what_has_the_highest_priority(small):
    kept = tokens(N_KEPT, "kept") + [7]
    n_cached(small, kept, cache_priority="pin")
    scan(small, "scan", cache_priority=100)
    assert n_cached(small, kept) == KEPT_PAGES_TOKENS


def test_when_its_time_is_up_it_is_as_any_other(small):
    kept = tokens(N_KEPT, "kept") + [7]
    n_cached(small, kept, cache_priority="pin", cache_ttl_s=0.1)
    time.sleep(0.2)
    scan(small, "scan")
    assert n_cached(small, kept) == 0


def test_pins_leave_room_for_everybody_else(small):
    """Whoever pins all that there is pins a quarter; a request that needs more than the rest gets it."""
    for i in range(8):
        n_cached(small, tokens(N_SCAN, f"pinned {i}"), cache_priority="pin")
    long = tokens(N_POOL - 200, "long")
    assert n_cached(small, long) == 0
    assert n_cached(small, long) > 0


@pytest.mark.parametrize("own, parameter", [({"cache_priority": 101}, "souffleur.cache_priority"),
                                            ({"cache_priority": "high"}, "souffleur.cache_priority"),
                                            ({"cache_priority": 1, "cache_ttl_s": 0}, "souffleur.cache_ttl_s"),
                                            ({"cache_ttl_s": 5}, "souffleur.cache_ttl_s")])
def test_a_wish_that_makes_no_sense_is_named(server, own, parameter):
    with pytest.raises(openai.BadRequestError) as refused:
        n_cached(server, [1, 2, 3], **own)
    assert refused.value.body["param"] == parameter
