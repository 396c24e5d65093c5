"""Who has no key gets nothing but the page, the health and the metrics; who has one is its tenant."""
import asyncio
import json
import subprocess
import urllib.error
import urllib.request

import openai
import pytest
import websockets
from websockets.exceptions import InvalidStatus

KEYS = {"alice": "a-key-of-alice-0123", "bob": "a-key-of-bob-456789"}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    from conftest import started
    file = tmp_path_factory.mktemp("keys") / "keys"
    hashed = subprocess.run(["b2sum", "-l", "256"], input=KEYS["bob"], capture_output=True, text=True).stdout.split()[0]
    file.write_text(f"alice {KEYS['alice']}\nbob blake2b:{hashed}\n")
    running = started("smollm2", "--server.api_keys", str(file), "--cache.policy", "exact", "--cache.store", "memory")
    yield running
    assert running.stop() == 0, "".join(running.log)
    assert not any(key in line for key in KEYS.values() for line in running.log)


def status_of(server, path, key=None, method="GET"):
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        with urllib.request.urlopen(urllib.request.Request(server.base_url + path, headers=headers, method=method)) as answer:
            return answer.status, answer.headers
    except urllib.error.HTTPError as refused:
        return refused.code, refused.headers


@pytest.mark.parametrize("key", [None, "a-key-of-nobody-at-all"])
def test_without_a_key_only_what_says_nothing_is_answered(guarded, key):
    for path in ("/", "/health", "/metrics"):
        assert status_of(guarded, path, key)[0] == 200
    for path, method in (("/v1/models", "GET"), ("/souffleur/kv", "GET"), ("/souffleur/cache", "DELETE"), ("/nothing", "GET"),
                         ("/v1/completions", "POST"), ("/v1/stream", "GET"), ("/tokenize", "POST")):
        code, headers = status_of(guarded, path, key, method)
        assert (code, headers["WWW-Authenticate"]) == (401, "Bearer"), path
    with pytest.raises(openai.AuthenticationError):
        guarded.client(key or "x").models.list()


def test_each_key_is_its_tenant(guarded):
    def ask(key):
        done = guarded.client(key).completions.create(model="smollm2", prompt="The capital of France is", max_tokens=20,
                                                      temperature=0, stop=["."])
        return done.model_extra["souffleur"]["cache"]["response"]

    assert [ask(KEYS["alice"]), ask(KEYS["alice"]), ask(KEYS["bob"]), ask(KEYS["bob"])] == ["miss", "hit", "miss", "hit"]


async def first_frame(server, **options):
    async with websockets.connect(server.stream_url, **options) as socket:
        await socket.send(json.dumps({"type": "generate", "id": "a", "prompt": "Hello", "max_tokens": 1}))
        return json.loads(await socket.recv())["type"], socket.subprotocol


def test_a_websocket_has_its_key_in_the_header_or_as_a_subprotocol(guarded):
    for refused in ({}, {"subprotocols": ["souffleur.v1", "souffleur.key.a-key-of-nobody-at-all"]},
                    {"additional_headers": {"Authorization": "Bearer x"}}):
        with pytest.raises(InvalidStatus) as error:
            asyncio.run(first_frame(guarded, **refused))
        assert error.value.response.status_code == 401
    accepted = asyncio.run(first_frame(guarded, subprotocols=["souffleur.v1", f"souffleur.key.{KEYS['bob']}"]))
    assert accepted == ("accepted", "souffleur.v1"), "the key is not said back"
    headers = {"Authorization": f"Bearer {KEYS['alice']}"}
    assert asyncio.run(first_frame(guarded, additional_headers=headers))[0] == "accepted"
