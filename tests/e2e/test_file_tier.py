"""KV pages in files: a restart keeps the warm cache, and neither kill -9 nor a bad disk makes an answer wrong."""
import json
import pathlib
import signal
import statistics
import subprocess
import time

from conftest import MODEL_FOLDER
from local_server import BINARY
from test_kv_sharing import tokens
from waiting import wait_until

N_PREFIX, N_OWN, N_OUTPUT = 1504, 8, 24  # whole pages: what is in memory in part is not what this is about
PAGE_TOKENS = 16
N_PAGES = N_PREFIX // PAGE_TOKENS


def options(folder):
    return ["--kv.tier_folder", str(folder), "--kv.tier_max_mib", "512"]


def ask(server, own, prefix="shared"):
    """Milliseconds to the first token, the prompt tokens that were cached, and the answer to the bit."""
    prompt = tokens(N_PREFIX, prefix) + tokens(N_OWN, own)
    client = server.client()
    began = time.monotonic()
    first = None
    pieces, logprobs, usage = [], [], None
    for chunk in client.completions.create(
            model=server.model, prompt=prompt, max_tokens=N_OUTPUT, temperature=0.8, seed=7, logprobs=0, stream=True,
            stream_options={"include_usage": True}, extra_body={"ignore_eos": True}):
        for choice in chunk.choices:
            pieces.append(choice.text)
            if choice.logprobs:
                logprobs.extend(choice.logprobs.token_logprobs)
        if logprobs and first is None:  # the very first chunk comes at once, without a token
            first = (time.monotonic() - began) * 1000
        usage = chunk.usage or usage
    assert usage.completion_tokens == N_OUTPUT == len(logprobs)
    return first, usage.prompt_tokens_details.cached_tokens, ("".join(pieces), logprobs)


def n_pages(server, event):
    return server.metric("souffleur_kv_tier_pages_total", event=event)


def segments(folder):
    return sorted(pathlib.Path(folder).rglob("segment-*"))


def test_a_restart_keeps_the_warm_cache(start_server, tmp_path, capsys):
    cold_ms, warm_ms = [], []
    for round_ in range(3):
        folder = tmp_path / str(round_)
        server = start_server("smollm2", *options(folder))
        first, cached, cold = ask(server, "a")
        assert cached == 0
        cold_ms.append(first)
        for own in "bc":
            assert ask(server, own)[1] == N_PAGES * PAGE_TOKENS
        assert server.stop(signal.SIGTERM) == 0  # at once: what is on its way is written

        server = start_server("smollm2", *options(folder))
        assert server.metric("souffleur_kv_tier_pages") == N_PAGES
        first, cached, warm = ask(server, "a")
        warm_ms.append(first)
        assert cached == N_PAGES * PAGE_TOKENS
        assert warm == cold
        assert n_pages(server, "read") == N_PAGES
        tier = json.loads(server.get("/souffleur/kv"))["tier"]
        assert (tier["pages"], tier["read_pages"], tier["damaged_pages"]) == (N_PAGES, N_PAGES, 0)
        server.stop()
    ratio = statistics.median(warm_ms) / statistics.median(cold_ms)
    with capsys.disabled():
        print(f"\nfirst token after {statistics.median(cold_ms):.0f} ms cold, {statistics.median(warm_ms):.0f} ms after "
              f"a restart: {100 * ratio:.1f} %")
    assert ratio <= 0.25


def test_what_memory_evicts_comes_back(start_server, tmp_path):
    server = start_server("smollm2", "--kv.tokens", "2048", *options(tmp_path))
    _, _, cold = ask(server, "a")
    for own in "bc":
        ask(server, own)
    wait_until(lambda: n_pages(server, "written") == N_PAGES)
    ask(server, "x", prefix="other")
    wait_until(lambda: server.metric("souffleur_kv_evicted_pages_total") > 0)
    _, cached, again = ask(server, "a")
    assert cached == N_PAGES * PAGE_TOKENS
    assert n_pages(server, "read") > 0
    assert again == cold


def test_kill_9_while_writing_loses_only_what_was_not_written(start_server, tmp_path, capsys):
    server = start_server("smollm2", *options(tmp_path))
    _, _, cold = ask(server, "a")
    ask(server, "b")
    connection = server.client().completions.create(
        model=server.model, prompt=tokens(N_PREFIX, "shared") + tokens(N_OWN, "c"), max_tokens=500, stream=True,
        extra_body={"ignore_eos": True})
    next(iter(connection))
    wait_until(lambda: n_pages(server, "written") > 0)
    n_written = n_pages(server, "written")
    server.process.kill()
    server.process.wait()

    server = start_server("smollm2", *options(tmp_path))
    n_left = server.metric("souffleur_kv_tier_pages")
    with capsys.disabled():
        print(f"\nkilled with {n_written:.0f} of {N_PAGES} pages written; {n_left:.0f} are there")
    assert n_written <= n_left <= N_PAGES
    assert n_pages(server, "damaged") == 0
    _, cached, again = ask(server, "a")
    assert cached == n_left * PAGE_TOKENS
    assert again == cold


def test_a_damaged_page_and_a_damaged_segment_are_dropped_and_counted(start_server, tmp_path):
    server = start_server("smollm2", *options(tmp_path))
    _, _, cold = ask(server, "a")
    for own in "bc":
        ask(server, own)
    assert server.stop() == 0
    files = segments(tmp_path)
    assert len(files) > 1

    def flip(path, at):
        content = bytearray(path.read_bytes())
        content[at] ^= 1
        path.write_bytes(content)

    flip(files[0], files[0].stat().st_size // 2)
    flip(files[-1], 3)
    server = start_server("smollm2", *options(tmp_path))
    assert n_pages(server, "damaged") == 1  # the last segment's header; its pages are not known
    assert not files[-1].exists()
    _, cached, again = ask(server, "a")
    assert 0 < cached < N_PAGES * PAGE_TOKENS
    assert again == cold
    assert n_pages(server, "damaged") == 2


def test_a_folder_in_use_is_named(start_server, tmp_path):
    start_server("smollm2", *options(tmp_path))
    second = subprocess.run([BINARY, "--model", str(MODEL_FOLDER / "smollm2.gguf"), "--port", "0", *options(tmp_path)],
                            capture_output=True, text=True, timeout=60, check=False)
    assert second.returncode == 1 and "in use" in second.stderr
