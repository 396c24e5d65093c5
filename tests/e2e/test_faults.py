"""Clients that leave, lie or send rubbish, and the end of the server."""
import asyncio
import json
import random
import signal
import socket
import time
import urllib.error
import urllib.request

from stream_client import StreamClient
from waiting import wait_until


def pages_in_use(server):
    return server.metric("souffleur_kv_pages", state="pinned") + server.metric("souffleur_kv_pages", state="owned")


def status_of(server, path, body=None):
    request = urllib.request.Request(server.base_url + path, json.dumps(body).encode() if body else None)
    try:
        return urllib.request.urlopen(request).status
    except urllib.error.HTTPError as refused:
        return refused.code


def raw_request(server, body, tenant=""):
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=30)
    payload = json.dumps(body).encode()
    connection.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n"
                       b"Content-Length: %d\r\n\r\n" % (tenant.encode(), len(payload)) + payload)
    return connection


def test_a_client_that_leaves_frees_its_pages_within_one_step(server):
    wait_until(lambda: pages_in_use(server) == 0)
    endless = {"prompt": "Once upon a time there was", "max_tokens": 4000, "ignore_eos": True, "temperature": 0.9,
               "souffleur": {"speculation": False}}
    for stream in (True, False):
        connection = raw_request(server, endless | {"stream": stream})
        wait_until(lambda: pages_in_use(server) > 0)
        connection.close()
        steps_at_close = server.metric("souffleur_step_seconds_count", part="forward")
        wait_until(lambda: pages_in_use(server) == 0, 5)
        steps = server.metric("souffleur_step_seconds_count", part="forward") - steps_at_close
        # The disconnect is noticed and the cancellation sent while a step may already be in flight; the scrapes of
        # the metrics themselves take a step's time.
        assert steps <= 3, steps


def test_a_websocket_client_that_is_killed_frees_its_pages(server):
    async def conversation():
        client = await StreamClient.connect(server.stream_url)
        for i in range(4):
            await client.send(type="generate", id=str(i), prompt=f"Story {i}:", max_tokens=4000, ignore_eos=True)
        for i in range(4):
            await client.next(str(i))
            await client.next(str(i))
        assert pages_in_use(server) > 0
        client.socket.transport.abort()

    asyncio.run(conversation())
    wait_until(lambda: pages_in_use(server) == 0, 5)


def garbage(rng):
    kind = rng.randrange(6)
    if kind == 0:
        return rng.randbytes(rng.randrange(1, 4000))
    if kind == 1:
        return b"GET / HTTP/9.9\r\n\r\n"
    if kind == 2:
        return b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n"
    if kind == 3:
        return b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 40\r\n\r\n{\"prompt\": "
    if kind == 4:
        return b"GET /v1/stream HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" \
               b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n" + rng.randbytes(200)
    return b"A" * 70000


def test_a_thousand_connections_with_garbage_leave_the_server_serving(server):
    rng = random.Random(1)
    for first in range(0, 1000, 100):
        connections = []
        for _ in range(100):
            connection = socket.create_connection(("127.0.0.1", server.port), timeout=10)
            connections.append(connection)
            try:
                connection.sendall(garbage(rng))
            except OSError:
                pass
        for i, connection in enumerate(connections):
            if (first + i) % 3 == 0:
                connection.settimeout(0.1)  # some kinds of garbage are rightly waited for
                try:
                    connection.recv(100)
                except OSError:
                    pass
            connection.close()
    answer = server.client().completions.create(model=server.model, prompt="One, two,", max_tokens=4, temperature=0)
    assert answer.usage.completion_tokens == 4
    assert json.loads(server.get("/health"))["status"] == "ok"
    wait_until(lambda: pages_in_use(server) == 0)


def test_idle_connections_beyond_the_limit_are_refused_and_leave_room_again(start_server):
    server = start_server("smollm2", "--server.max_connections", "50")
    held = [socket.create_connection(("127.0.0.1", server.port), timeout=10) for _ in range(60)]
    assert held[-1].recv(100).startswith(b"HTTP/1.1 503")
    for connection in held:
        connection.close()
    wait_until(lambda: status_of(server, "/health") == 200)


def test_a_full_queue_answers_429_with_retry_after(start_server):
    server = start_server("smollm2", "--scheduler.max_running", "1", "--scheduler.max_waiting", "1")
    busy = [raw_request(server, {"prompt": "a", "max_tokens": 2000, "ignore_eos": True, "stream": True})
            for _ in range(2)]
    time.sleep(0.3)
    third = raw_request(server, {"prompt": "a", "max_tokens": 2})
    answer = third.recv(4096).decode()
    assert answer.startswith("HTTP/1.1 429")
    assert "Retry-After: " in answer
    for connection in [*busy, third]:
        connection.close()


def test_one_tenants_queue_leaves_room_for_others(start_server):
    server = start_server("smollm2", "--scheduler.max_running", "1", "--scheduler.max_waiting", "4",
                          "--scheduler.max_waiting_per_tenant", "1")
    endless = {"prompt": "a", "max_tokens": 2000, "ignore_eos": True, "stream": True}
    busy = [raw_request(server, endless, "hog") for _ in range(2)]
    time.sleep(0.3)
    third = raw_request(server, endless, "hog").recv(4096).decode()
    head, _, body = third.partition("\r\n\r\n")
    assert head.startswith("HTTP/1.1 429")
    assert "Retry-After: " in head
    error = json.loads(body)["error"]
    assert error["code"] == "tenant_overloaded" and error["type"] == "rate_limit_error"
    other = raw_request(server, endless, "other")
    assert other.recv(4096).decode().startswith("HTTP/1.1 200")
    for connection in [*busy, other]:
        connection.close()


def test_a_signal_ends_a_busy_server_cleanly(start_server):
    for how in (signal.SIGINT, signal.SIGTERM):
        server = start_server("smollm2", "--server.drain_s", "0")

        async def conversation():
            client = await StreamClient.connect(server.stream_url)
            await client.send(type="generate", id="a", prompt="Once", max_tokens=4000, ignore_eos=True)
            await client.next("a")
            server.process.send_signal(how)
            await client.reader
            assert client.socket.close_code == 1001

        began = time.monotonic()
        connection = raw_request(server, {"prompt": "a", "max_tokens": 3000, "ignore_eos": True})
        idle = socket.create_connection(("127.0.0.1", server.port))
        asyncio.run(conversation())
        assert server.process.wait(timeout=10) == 0, "".join(server.log)
        assert time.monotonic() - began < 10
        connection.close()
        idle.close()


def test_sigterm_lets_what_runs_end_and_takes_nothing_new(start_server):
    server = start_server()
    chunks = server.stream(prompt="Once upon a time", max_tokens=400, ignore_eos=True, temperature=0)
    next(chunks)
    server.process.send_signal(signal.SIGTERM)

    wait_until(lambda: status_of(server, "/health") == 503)
    assert status_of(server, "/v1/completions", {"prompt": "a", "max_tokens": 1}) == 503
    usage = [chunk["usage"] for chunk in chunks if chunk.get("usage")]
    assert usage[0]["completion_tokens"] == 400
    assert server.process.wait(timeout=10) == 0, "".join(server.log)


def test_wrong_options_and_files_are_named(tmp_path):
    import subprocess

    from local_server import BINARY

    def run(*arguments):
        outcome = subprocess.run([BINARY, *arguments], capture_output=True, text=True, timeout=60, check=False)
        return outcome.returncode, outcome.stderr

    code, error = run("--no.such.option", "1")
    assert code == 2 and "no.such.option" in error
    config = tmp_path / "wrong.conf"
    config.write_text("[server]\nprot = 80\n")
    code, error = run("--config", str(config))
    assert code == 2 and "server.prot" in error
    code, error = run("--model", "no-such-model")
    assert code == 1 and "no-such-model" in error
    lying = tmp_path / "lying.gguf"
    lying.write_bytes(b"GGUF" + b"\xff" * 100)
    code, error = run("--model", str(lying))
    assert code == 1 and "lying.gguf" in error
    code, error = run("--cache.policy", "magic", "--model", "smollm2")
    assert code == 1 and "magic" in error and "exact" in error
