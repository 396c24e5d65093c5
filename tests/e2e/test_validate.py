"""What validate.py makes of measured steps, without a server."""
import itertools
import random
import statistics
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples/cluster_simulator"))
from validate import (  # noqa: E402
    Step,
    between,
    costs_beside_clients,
    crowding_of,
    curve,
    learn,
    never_falling,
    spread_of,
    times_in_company,
)


def error_of(points, fit):
    return sum(weight * (y - z) ** 2 for (_, y, weight), (_, z) in zip(points, fit))


def best_of_all_blocks(points):
    """The least error of what does not fall and is a mean in each of any neighbouring blocks: the best is one of these."""
    n, errors = len(points), []
    for cuts in itertools.product((False, True), repeat=n - 1):
        borders = [0, *(i + 1 for i, cut in enumerate(cuts) if cut), n]
        fit = []
        for begin, end in itertools.pairwise(borders):
            block = points[begin:end]
            mean = sum(y * weight for _, y, weight in block) / sum(weight for _, _, weight in block)
            fit += [[x, mean] for x, _, _ in block]
        if all(a[1] <= b[1] for a, b in itertools.pairwise(fit)):
            errors.append(error_of(points, fit))
    return min(errors)


def test_nothing_that_does_not_fall_is_nearer():
    chance = random.Random(1)
    for _ in range(200):
        points = [(x, chance.uniform(0, 10), chance.choice([1, 2, 5])) for x in range(chance.randrange(1, 8))]
        fit = never_falling(points)
        assert [x for x, _ in fit] == [x for x, _, _ in points]
        assert all(a[1] <= b[1] for a, b in itertools.pairwise(fit))
        assert error_of(points, fit) == pytest.approx(best_of_all_blocks(points))


def test_costs_of_steps_are_found_again_in_the_steps():
    """Steps as a machine would take them where prompts cost something else than measured, and up to 1.4 times more in some steps."""
    chance = random.Random(2)
    bench = {"decode": [[1, 2000], [4, 3000], [16, 9000]], "prefill": [[1, 2000], [64, 20000], [256, 80000]],
             "attention_us": 1, "prefill_attention_us": 0.5, "step_us": 0, "request_us": 0}
    true_decode, true_prefill, context = [[1, 4000], [8, 7000]], [[1, 4000], [16, 6000], [64, 30000]], 100
    steps = []
    for _ in range(20000):
        n_decode, n_prefill = chance.randrange(0, 9), chance.choice([0, 0, 16, 40, 64])
        if n_decode + n_prefill == 0:
            continue
        us = between(true_decode, n_decode) + context * n_decode if n_decode else 4000
        if n_prefill:
            us += between(true_prefill, n_prefill) - 4000 + context * 0.5 * n_prefill
        steps.append((n_decode, n_prefill, us * chance.choice([0.8, 1, 1, 1, 1.4])))
    found = costs_beside_clients(bench, steps, context)
    for rows, us in found["decode"]:
        if rows <= 8:
            assert us == pytest.approx(between(true_decode, rows), rel=0.02), rows
    assert dict(found["decode"])[16] == pytest.approx(7000 * 9000 / between(bench["decode"], 8))
    for rows in (16, 40, 64):
        assert dict(found["prefill"])[rows] == pytest.approx(between(true_prefill, rows), rel=0.05)
    assert dict(found["prefill"])[256] == pytest.approx(30000 * 80000 / 20000, rel=0.05)
    spread = spread_of(found, steps, context)
    assert statistics.mean(spread) == pytest.approx(1.04, abs=0.03)
    assert spread[0] == pytest.approx(0.8, abs=0.03) and spread[-1] == pytest.approx(1.4, abs=0.05)
    assert spread_of(found, steps[:3], context) == [], "too few to tell"


def test_what_too_few_steps_tell_is_left_to_the_benchmark():
    benchmark = [[1, 2000], [64, 20000], [256, 80000]]
    assert curve([(40, 1.0)] * 3, benchmark) == benchmark[1:]
    assert curve([(40, 5000.0)] * 30, benchmark) == [[40, 5000], *([rows, 5000 * us / between(benchmark, 40)] for rows, us in benchmark[1:])]


def crowded_steps(n_workers, crowding, work_of_step, seed, n_steps=2000):
    """Steps of workers that pause now and then, each at the speed that there is at any moment. A brute-force clock."""
    chance, now, tick = random.Random(seed), 0.0, 50.0
    left, begun, kind, pause = [0.0] * n_workers, [0.0] * n_workers, [None] * n_workers, [0.0] * n_workers
    steps = []
    while len(steps) < n_steps:
        for i in range(n_workers):
            if kind[i] is None and pause[i] <= now:
                kind[i], left[i] = work_of_step(chance)
                begun[i] = now
        computing = [i for i in range(n_workers) if kind[i] is not None]
        now += tick
        for i in computing:
            left[i] -= tick / crowding[len(computing) - 1]
            if left[i] <= 0:
                steps.append(Step(*kind[i], now - begun[i], begun[i], True))
                kind[i], pause[i] = None, now + chance.choice([0, 0, 0, 0, 100_000])
    return steps


def test_what_a_step_took_is_told_by_how_many_computed():
    steps = [Step(1, 0, 10, 0, True), Step(1, 0, 10, 5, True), Step(1, 0, 4, 6, True), Step(1, 0, 2, 100, True)]
    assert times_in_company(steps, 3) == [[5, 1, 4], [0 + 5, 1, 4], [0, 0, 4], [2, 0, 0]]
    assert times_in_company(steps, 2) == [[5, 5], [5, 5], [0, 4], [2, 0]], "more than are known count as the most"


def test_how_much_workers_slow_each_other_is_found_again_in_their_steps():
    chance = random.Random(3)
    for true in ([1, 1.3, 1.9, 2.7], [1, 1, 1.5, 2]):
        steps = crowded_steps(4, true, lambda _: ((1, 0), chance.choice([7000, 8000, 8000, 8000, 12000])), 4)
        found = crowding_of([times_in_company(steps, 4)], 4, 2)
        assert found == pytest.approx(true, rel=0.06), (true, found)


def test_costs_are_those_of_a_worker_by_itself_also_where_steps_of_more_rows_come_in_a_crowd():
    def work(chance):
        n_decode = chance.choice([1, 1, 1, 2, 3])
        n_prefill = chance.choice([0] * 9 + [64])
        return (n_decode, n_prefill), 6000 + 2000 * (n_decode - 1) + (24000 if n_prefill else 0)

    bench = {"decode": [[1, 5000], [4, 8000], [16, 16000]], "prefill": [[1, 5000], [64, 20000], [256, 80000]],
             "attention_us": 0, "prefill_attention_us": 0, "step_us": 0, "request_us": 0}
    loads = [(0, crowded_steps(n, [1, 1.2, 1.8, 2.4], work, n)) for n in (1, 4, 4, 4)]
    found = learn(bench, loads, 100, 4, 2)
    assert found["crowding"] == pytest.approx([1, 1.2, 1.8, 2.4], rel=0.06)
    for rows, us in found["decode"]:
        if rows <= 3:
            assert us == pytest.approx(4000 + 2000 * rows, rel=0.03), rows
    assert dict(found["prefill"])[64] == pytest.approx(30000, rel=0.05)
    assert learn(bench, loads[:1], 100, 1, 1)["crowding"] == [], "a server alone shares its CPUs with no other"


def test_a_machine_that_is_slower_in_one_round_does_not_look_like_a_crowd():
    def work(us):
        return lambda _: ((1, 0), us)

    bench = {"decode": [[1, 5000], [4, 8000]], "prefill": [[1, 5000], [64, 20000]], "attention_us": 0, "prefill_attention_us": 0}
    fast_alone, slow_in_a_crowd = crowded_steps(1, [1], work(6000), 1), crowded_steps(4, [1, 1, 1.5, 2], work(9000), 2)
    prompts = [Step(0, 16, 9000, 1e12 + 1e5 * i, True) for i in range(20)]
    found = learn(bench, [(0, fast_alone + prompts), (1, slow_in_a_crowd)], 0, 4, 2)
    assert found["crowding"] == pytest.approx([1, 1, 1.5, 2], rel=0.06)
