"""What a server does when something that it needs has run out: a clear error or less service, and all of it again later."""
import itertools
import json
import os
import pathlib
import re
import resource
import signal
import socket
import subprocess
import sys
import urllib.error

import pytest

from conftest import MODEL_FOLDER, started
from local_server import BINARY, PROJECT
from waiting import wait_until


def refused_start(*options):
    """What a server says that does not start."""
    done = subprocess.run([str(BINARY), "--model", str(MODEL_FOLDER / "smollm2.gguf"), *options], capture_output=True,
                          text=True, timeout=60)
    assert done.returncode == 1
    return done.stderr


def connected(server):
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=30)
    connection.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
    return connection


def is_answered(connection, patience_s):
    connection.settimeout(patience_s)
    try:
        return connection.recv(12) == b"HTTP/1.1 200"
    except TimeoutError:
        return False


def test_without_descriptors_connections_wait_until_others_leave(start_server):
    server = start_server("smollm2")
    pid = server.process.pid
    n_open = len(os.listdir(f"/proc/{pid}/fd"))
    hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)[1]
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (n_open + 4, hard))
    held = [connected(server) for _ in range(4)]
    assert all(is_answered(one, 30) for one in held)
    late = [connected(server) for _ in range(8)]
    assert not is_answered(late[0], 0.5)
    wait_until(lambda: any("cannot accept connections" in line for line in server.log))
    body = json.dumps({"prompt": "One, two,", "max_tokens": 3, "ignore_eos": True, "temperature": 0}).encode()
    held[0].settimeout(60)  # who is here is served
    held[0].recv(65536)  # the rest of its first answer
    held[0].sendall(b"POST /v1/completions HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    assert held[0].recv(12) == b"HTTP/1.1 200"
    for one in held:
        one.close()
    assert all(is_answered(one, 30) for one in late[:4])
    for one in late[:4]:
        one.close()
    assert all(is_answered(one, 30) for one in late[4:])
    for one in late[4:]:
        one.close()
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (hard, hard))
    assert json.loads(server.get("/health"))["status"] == "ok"
    assert sum("cannot accept connections" in line for line in server.log) == 1


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 16 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "souffleur-test", str(disk)], capture_output=True).returncode:
        pytest.skip("only root may mount a small file system")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def fill(disk):
    with open(disk / "filler", "wb", buffering=0) as filler:
        try:
            while True:
                filler.write(b"\0" * 4096)
        except OSError:
            return


def answer_to(server, prompt):
    """Its text, which ends by itself and soon, so that it is worth storing; and where it came from."""
    done = server.client().completions.create(model=server.model, prompt=prompt, max_tokens=40, temperature=0,
                                              stop=[*"aeiou0123456789"])
    assert done.choices[0].finish_reason == "stop"
    return done.choices[0].text, done.model_extra["souffleur"]["cache"].get("source", "model")


def test_a_full_disk_stores_nothing_and_fails_nobody_and_is_used_again_when_there_is_room(start_server, small_disk):
    server = start_server("smollm2", "--cache.policy", "exact", "--cache.store", str(small_disk / "answers.db"),
                          "--kv.tier_folder", str(small_disk / "tier"), "--kv.tier_min_hits", "1")
    asked = itertools.count()

    def ask_twice():
        """The same beginning, so that its pages are worth a file."""
        words = " ".join(str(1000 * next(asked) + k) for k in range(20))
        return [answer_to(server, f"{words} {end}") for end in ("and", "or")]

    def answers(event):
        return server.metric("souffleur_response_store_operations_total", event=event)

    def pages(event):
        return server.metric("souffleur_kv_tier_pages_total", event=event)

    ask_twice()
    wait_until(lambda: answers("written") == 2)
    fill(small_disk)
    wait_until(lambda: ask_twice() and answers("failed") > 0 and pages("refused") > 0)
    before = answers("written"), pages("written")
    assert json.loads(server.get("/health"))["status"] == "ok"
    (small_disk / "filler").unlink()
    wait_until(lambda: ask_twice() and answers("written") > before[0] and pages("written") > before[1])
    for what in ("the store of answers", "kv.tier_folder"):
        wait_until(lambda: any(f"{what} works again" in line for line in server.log))
        assert sum(f"{what} fails" in line for line in server.log) == sum(f"{what} works again" in line for line in server.log)
    assert sum("full" in line for line in server.log) >= 2, "".join(server.log)
    assert len(server.log) < 20, "a full disk is no reason to fill the log, too"


def test_a_log_that_cannot_be_written_ends_nothing_and_goes_on_when_there_is_room(small_disk):
    log = small_disk / "log"
    with open(log, "wb") as file:
        server = subprocess.Popen([str(BINARY), "--model", str(MODEL_FOLDER / "smollm2.gguf"), "--port", "0"],
                                  stdout=subprocess.PIPE, stderr=file, text=True)
    try:
        port = next(int(found[1]) for line in server.stdout if (found := re.search(r"http://[^:]+:(\d+)", line)))
        ask = urllib.request.Request(f"http://127.0.0.1:{port}/v1/completions",
                                     json.dumps({"prompt": "One, two,", "max_tokens": 3}).encode(), {"content-type": "application/json"})
        assert urllib.request.urlopen(ask, timeout=60).status == 200
        fill(small_disk)
        n_bytes = log.stat().st_size
        for _ in range(3):
            server.send_signal(signal.SIGHUP)  # something to be logged
            assert urllib.request.urlopen(ask, timeout=60).status == 200
        (small_disk / "filler").unlink()

        def is_logged():
            server.send_signal(signal.SIGHUP)
            return log.stat().st_size > n_bytes

        wait_until(is_logged)
        server.send_signal(signal.SIGINT)
        assert server.wait(timeout=60) == 0
    finally:
        server.kill()


def test_a_port_that_is_taken_is_named():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = refused_start("--port", str(port))
    assert f"127.0.0.1:{port}" in said and "in use" in said


@pytest.mark.parametrize("option, more", [("--kv.tier_folder", ()), ("--cache.store", ("--cache.policy", "exact"))])
def test_a_folder_that_cannot_be_written_is_named(option, more):
    said = refused_start("--port", "0", option, "/proc/souffleur", *more)
    assert "/proc/souffleur" in said


def test_a_request_that_no_memory_is_there_for_is_refused_and_others_are_not(start_server):
    server = start_server("smollm2", "--kv.tokens", "256")
    with pytest.raises(urllib.error.HTTPError) as refused:
        server.post("/v1/completions", {"prompt": "word " * 400, "max_tokens": 2})
    error = json.load(refused.value)["error"]
    assert refused.value.code in (400, 413, 503) and error["message"]
    assert answer_to(server, "One")[0]


def test_of_five_times_too_many_requests_the_rest_is_refused():
    """What it still answers, and how soon it refuses, is printed; examples/bench/overload.py measures it."""
    done = subprocess.run([sys.executable, str(PROJECT / "examples/bench/overload.py"), "--model",
                           str(MODEL_FOLDER / "smollm2.gguf"), "--duration", "2"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    print(done.stdout)
    assert "refused with 429, other outcomes: none" in done.stdout and "a refusal took" in done.stdout


SECRETS = ("sk-0123456789abcdef", "hunter2-hunter2")


def test_no_secret_is_logged_whatever_the_level(tmp_path):
    """Keys, and a password of a Redis that is not there."""
    keys = tmp_path / "keys"
    keys.write_text(f"alice {SECRETS[0]}\n")
    store = f"redis://:{SECRETS[1]}@127.0.0.1:1/0"
    server = started("smollm2", "--server.api_keys", str(keys), "--cache.policy", "exact", "--cache.store", store, "--log.level",
                     "trace")
    try:
        with server.post("/v1/completions", {"prompt": "One", "max_tokens": 2, "temperature": 0}, key=SECRETS[0]) as reply:
            assert reply.status == 200
        with pytest.raises(urllib.error.HTTPError):
            server.post("/v1/completions", {"prompt": "One"}, key=SECRETS[0] + "x")
        said = server.get("/metrics") + server.get("/health")
    finally:
        assert server.stop() == 0
    said += "".join(server.log) + pathlib.Path(f"/proc/self/comm").read_text()
    for secret in (*SECRETS, "alice"):
        assert secret not in said
    keys.write_text(f"alice {SECRETS[0]}\nbob {SECRETS[0]}\n")
    assert SECRETS[0] not in refused_start("--port", "0", "--server.api_keys", str(keys))
    assert SECRETS[1] not in refused_start("--port", "0", "--cache.policy", "exact", "--cache.store", store + "/x/y")


def test_a_client_chooses_no_file(start_server, tmp_path):
    """Names of templates, models and pages are names, not paths."""
    server = start_server("smollm2")
    (tmp_path / "secret").write_text("hush")
    for path in (f"/page/../../../..{tmp_path}/secret", f"/page/%2e%2e/..{tmp_path}/secret", f"//{tmp_path}/secret",
                 f"/v1/models/{tmp_path}/secret", "/souffleur/trace/../../etc/passwd"):
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as raw:
            raw.sendall(f"GET {path} HTTP/1.1\r\nConnection: close\r\n\r\n".encode())
            answer = b"".join(iter(lambda: raw.recv(65536), b""))
        assert answer.startswith(b"HTTP/1.1 404"), path
    chosen = {"messages": [{"role": "user", "content": "{% include '/etc/passwd' %}{{ 7 * 6 }}"}], "max_tokens": 1,
              "chat_template": "{% include '/etc/passwd' %}"}
    with server.post("/v1/chat/completions", chosen) as reply:
        assert reply.status == 200  # a template is the model's; what a client says is text
    with server.post("/tokenize", {"content": chosen["messages"][0]["content"]}) as reply:
        n_text = json.load(reply)["count"]
    with server.post("/v1/chat/completions", chosen) as reply:
        assert json.load(reply)["usage"]["prompt_tokens"] >= n_text
