"""Watch, in a real browser: the dashboard moves with what the server does, and shows nobody's text."""
import asyncio
import contextlib
import threading

import pytest
from page import NARROW
from stream_client import StreamClient

PICTURES = ("throughput", "step_times", "step_rows", "drafters", "ttft", "itl")


def data_of(page, name):
    """What a chart shows, a list for each series."""
    return page.run("return Chart.getChart(arguments[0]).data.datasets.map(one => [...one.data])", name)


def tile(page, name):
    return page.run("return [...document.querySelectorAll('#tiles div')].find(one => one.firstChild.textContent === arguments[0])"
                    "?.lastChild.textContent", name)


@contextlib.contextmanager
def busy(server):
    """Somebody else asks, again and again."""
    over = threading.Event()

    def ask():
        while not over.is_set():
            with server.client().completions.create(model="smollm2", max_tokens=4000, temperature=0, stream=True,
                                                    prompt="SECRET: The lamp was lit at six and the boats came home. " * 4,
                                                    extra_body={"ignore_eos": True}) as stream:
                for _ in stream:
                    if over.is_set():
                        break

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield
    finally:
        over.set()
        asking.join()


def test_the_dashboard_moves(server, page):
    page.look()
    page.open(server, "watch")
    page.until(lambda: tile(page, "generating") == "0")
    assert "Nobody asks" in page.get("generations").text
    newest_step = "return Chart.getChart('step_times').data.labels.at(-1)"
    n_before = page.run(newest_step)
    with busy(server):
        page.until(lambda: page.all(".generation"))
        page.until(lambda: page.run("return parseFloat(document.querySelector('#pool .owned').style.width)") > 0)
        page.until(lambda: float(tile(page, "tokens a second")) > 0)
        page.until(lambda: sum(filter(None, data_of(page, "itl")[0])) > 5)
        page.until(lambda: page.run(newest_step) != n_before)
        page.until(lambda: sum(data_of(page, "drafters")[0]) > 0)
        assert "SECRET" not in page.get("watch").text
    page.until(lambda: tile(page, "generating") == "0")
    page.until(lambda: page.all("#tree rect"))
    for name in PICTURES:
        assert sum(value for series in data_of(page, name) for value in series if value) > 0, name
    assert "p50" in page.get("ttft_note").text
    assert page.complaints() == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_narrow_screen(server, page, scheme):
    page.look(NARROW, scheme)
    page.open(server, "watch")
    page.until(lambda: page.all("#tiles div"))
    assert not page.overflows()
    assert page.background_is_dark() == (scheme == "dark")
    assert page.complaints() == []


def test_it_comes_back_after_its_connection_was_lost(server, page):
    page.look()
    page.open(server, "watch")
    page.until(lambda: page.all("#tiles div"))
    page.run("import(new URL('page/connection.js', location.href)).then(connection => connection.use_key(''))")
    page.until(lambda: "lost" in page.get("watch_status").text)
    page.until(lambda: page.get("watch_status").text == "")
    assert page.complaints() == []


def test_a_watch_is_a_stream_of_numbered_frames(server):
    async def watch():
        client = await StreamClient.connect(server.stream_url)
        await client.send(type="watch", id="w", interval_ms=100)
        frames = [await client.next("w") for _ in range(3)]
        assert [frame["seq"] for frame in frames] == [0, 1, 2]
        assert all(frame["type"] == "watched" for frame in frames)
        await client.send(type="generate", id="a", prompt="A SECRET word", max_tokens=5, ignore_eos=True)
        await client.frames("a")
        n_known = frames[-1]["totals"]["steps"]
        steps = []
        while sum(step["output"] for step in steps) < 5:  # fewer steps than tokens where a draft is accepted
            frame = await client.next("w")
            steps += frame["steps"]
            assert "SECRET" not in str(frame)
        numbers = [step["n"] for step in steps]
        assert numbers == list(range(n_known + 1, n_known + 1 + len(numbers))), "each step once"
        await client.send(type="watch", id="other")
        assert (await client.next("other"))["error"]["code"] == "duplicate_stream"
        await client.send(type="cancel", id="w")
        while (frame := await client.next("w"))["type"] == "watched":
            pass
        assert frame["type"] == "unwatched"
        await client.send(type="watch", id="w", interval_ms=5)
        assert (await client.next("w"))["error"]["param"] == "interval_ms"
        await client.close()

    asyncio.run(watch())
