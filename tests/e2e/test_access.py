"""Limits of tenants, TLS, a Unix socket, what SIGHUP reloads, names of requests."""
import asyncio
import http.client
import json
import signal
import socket
import ssl
import subprocess
import time

import httpx2 as httpx  # the one that the OpenAI client brings
import openai
import pytest
import websockets

from conftest import MODEL_FOLDER, started

KEYS = {"alice": "a-key-of-alice-0123", "bob": "a-key-of-bob-456789"}


def ask(server, key, **options):
    return server.client(key).completions.with_raw_response.create(
        model="smollm2", prompt="One", max_tokens=2, temperature=0, **options)


@pytest.fixture(scope="module")
def limited(tmp_path_factory):
    file = tmp_path_factory.mktemp("keys") / "keys"
    file.write_text(f"alice {KEYS['alice']} requests_per_minute=3\nbob {KEYS['bob']} tokens_per_day=1\n")
    running = started("smollm2", "--server.api_keys", str(file), "--server.tokens_per_minute", "100000")
    running.key_file = file
    yield running
    assert running.stop() == 0, "".join(running.log)


def test_who_asks_too_often_is_told_when_to_come_back(limited):
    answers = [ask(limited, KEYS["alice"]) for _ in range(3)]
    assert [one.headers["x-ratelimit-remaining-requests"] for one in answers] == ["2", "1", "0"]
    assert answers[0].headers["x-ratelimit-limit-requests"] == "3"
    assert answers[0].headers["x-ratelimit-limit-tokens"] == "100000"
    for stream in (False, True):
        with pytest.raises(openai.RateLimitError) as refused:
            ask(limited, KEYS["alice"], stream=stream)
        assert refused.value.code == "rate_limit_exceeded"
        assert 1 <= int(refused.value.response.headers["retry-after"]) <= 20

    async def over_the_websocket():
        protocols = ["souffleur.v1", "souffleur.key." + KEYS["alice"]]
        async with websockets.connect(limited.stream_url, subprotocols=protocols) as wire:
            await wire.send(json.dumps({"type": "generate", "id": "a", "prompt": "One", "max_tokens": 2}))
            return json.loads(await wire.recv())

    frame = asyncio.run(over_the_websocket())
    assert (frame["type"], frame["error"]["code"]) == ("error", "rate_limit_exceeded")


def test_who_has_used_its_day_is_told_so_and_others_go_on(limited):
    assert ask(limited, KEYS["bob"]).status_code == 200
    with pytest.raises(openai.RateLimitError) as refused:
        ask(limited, KEYS["bob"])
    assert refused.value.code == "insufficient_quota"
    assert 80_000 < int(refused.value.response.headers["retry-after"]) <= 86_400


def test_sighup_reloads_keys_and_limits_and_what_is_wrong_changes_nothing(limited):
    def reload(lines, said):
        n = len(limited.log)
        limited.key_file.write_text(lines)
        limited.process.send_signal(signal.SIGHUP)
        for _ in range(500):
            if any(said in line for line in limited.log[n:]):
                return
            time.sleep(0.01)
        raise AssertionError("".join(limited.log[n:]))

    good = f"carol a-key-of-carol-01\nbob {KEYS['bob']} tokens_per_day=0\n"
    reload(good, "reloaded")
    assert ask(limited, "a-key-of-carol-01").status_code == 200
    assert ask(limited, KEYS["bob"]).status_code == 200
    with pytest.raises(openai.AuthenticationError):
        ask(limited, KEYS["alice"])
    reload("carol short\n", "not reloaded")
    assert ask(limited, "a-key-of-carol-01").status_code == 200
    assert not any(key in line for key in KEYS.values() for line in limited.log)


def test_a_request_has_the_name_that_its_client_gave_it(limited):
    def name_of(answer):
        return answer.headers["x-request-id"]

    # Without a key, too: that is when somebody asks what happened.
    given = httpx.get(limited.base_url + "/health", headers={"X-Request-Id": "mine-1"})
    assert name_of(given) == "mine-1"
    assert name_of(httpx.get(limited.base_url + "/v1/models", headers={"X-Request-Id": "mine-2"})) == "mine-2"
    made = name_of(httpx.get(limited.base_url + "/health", headers={"X-Request-Id": "x" * 200}))
    assert made.startswith("req-")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    chain, key = folder / "chain.pem", folder / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-keyout", key, "-out", chain, "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"], check=True, capture_output=True)
    return chain, key


def test_tls_serves_https_and_wss_and_survives_who_speaks_neither(certificate):
    chain, key = certificate
    server = started("smollm2", "--server.tls_certificate", str(chain), "--server.tls_key", str(key))
    context = ssl.create_default_context(cafile=chain)
    try:
        with httpx.Client(verify=context) as client:
            ours = openai.OpenAI(base_url=f"https://127.0.0.1:{server.port}/v1", api_key="x", http_client=client)
            stream = ours.completions.create(model="smollm2", prompt="One", max_tokens=8, temperature=0, stream=True)
            text = "".join(chunk.choices[0].text for chunk in stream)
            plain = ours.completions.create(model="smollm2", prompt="One", max_tokens=8, temperature=0)
            assert text == plain.choices[0].text

        async def over_the_websocket():
            async with websockets.connect(f"wss://127.0.0.1:{server.port}/v1/stream", ssl=context) as wire:
                await wire.send(json.dumps({"type": "generate", "id": "a", "prompt": "One", "max_tokens": 8,
                                            "temperature": 0}))
                said = ""
                while (frame := json.loads(await wire.recv()))["type"] != "done":
                    said += frame.get("text", "")
                return said

        assert asyncio.run(over_the_websocket()) == text
        with socket.create_connection(("127.0.0.1", server.port)) as raw:
            raw.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert b"200" not in raw.recv(1000)
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises(OSError), socket.create_connection(("127.0.0.1", server.port)) as raw:
            old.wrap_socket(raw)

        # A client that leaves in the middle of an answer costs no more steps.
        leaving = http.client.HTTPSConnection("127.0.0.1", server.port, context=context)
        leaving.request("POST", "/v1/completions", json.dumps({"prompt": "One", "max_tokens": 4000, "ignore_eos": True}),
                        {"Content-Type": "application/json"})
        with httpx.Client(verify=context) as client:
            def running():
                lines = client.get(f"https://127.0.0.1:{server.port}/metrics").text.splitlines()
                return next(float(one.split()[-1]) for one in lines if one.startswith("vllm:num_requests_running"))

            until = time.monotonic() + 20
            while running() == 0 and time.monotonic() < until:
                time.sleep(0.01)
            leaving.sock.close()
            while running() > 0 and time.monotonic() < until:
                time.sleep(0.01)
            assert running() == 0
    finally:
        assert server.stop() == 0, "".join(server.log)


@pytest.mark.parametrize("options, complaint", [
    (("--server.tls_certificate", "/no/such"), "need each other"),
    (("--server.tls_certificate", "/no/such", "--server.tls_key", "/no/such"), "/no/such"),
    (("--address", "unix:"), "unix:"),
    (("--address", "nowhere"), "neither an IP address nor unix:PATH"),
])
def test_what_cannot_be_served_says_why(options, complaint):
    with pytest.raises(SystemExit) as refused:
        started("smollm2", *options)
    assert complaint in str(refused.value)


def test_a_unix_socket_serves_and_is_removed_and_a_left_over_one_is_replaced(tmp_path):
    path = tmp_path / "s"
    left_over = socket.socket(socket.AF_UNIX)
    left_over.bind(str(path))
    left_over.close()
    from local_server import BINARY
    command = [str(BINARY), "--model", str(MODEL_FOLDER / "smollm2.gguf"), "--address", f"unix:{path}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert any("--unix-socket" in line for line in process.stdout)
            with httpx.Client(transport=httpx.HTTPTransport(uds=str(path))) as client:
                answer = client.post("http://localhost/v1/completions", json={"prompt": "One", "max_tokens": 2},
                                     timeout=60)
                assert answer.json()["usage"]["completion_tokens"] == 2
            second = subprocess.run(command, capture_output=True, text=True, timeout=60)
            assert second.returncode == 1 and "somebody listens there already" in second.stderr
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0
    assert not path.exists()
