"""The same conversations with three clients that share no code: Python's `websockets`, Beast, and a browser."""
import contextlib
import json
import os
import pathlib
import subprocess

import pytest
import websockets.sync.client

CHAT = os.environ.get("SOUFFLEUR_CHAT", "build/release/examples/souffleur_chat")
CONVERSATIONS = json.loads((pathlib.Path(__file__).parent.parent / "data/stream_conversations.json").read_text())


class PythonClient:
    def __init__(self, server):
        self.stack = contextlib.ExitStack()
        opened = websockets.sync.client.connect(server.stream_url, subprotocols=["souffleur.v1"])
        self.socket = self.stack.enter_context(opened)

    def send(self, text):
        self.socket.send(text)

    def receive(self):
        return self.socket.recv(timeout=60)

    def drop(self):
        self.socket.socket.shutdown(2)

    def close(self):
        self.stack.close()


class BeastClient:
    def __init__(self, server):
        self.process = subprocess.Popen([CHAT, "--frames", "--url", server.stream_url], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)

    def send(self, text):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def receive(self):
        return self.process.stdout.readline()

    def drop(self):
        self.process.kill()
        self.process.wait()

    def close(self):
        self.process.stdin.close()
        assert self.process.wait(timeout=20) == 0


class BrowserClient:
    def __init__(self, server, browser):
        self.browser = browser
        browser.get(server.base_url + "/health")
        browser.set_script_timeout(60)
        browser.execute_async_script("""
            const done = arguments[1];
            window.came = [];
            window.socket = new WebSocket(arguments[0], ["souffleur.v1"]);
            socket.onmessage = event => came.push(event.data);
            socket.onopen = () => done();""", server.stream_url)

    def send(self, text):
        self.browser.execute_script("socket.send(arguments[0])", text)

    def receive(self):
        return self.browser.execute_async_script("""
            const done = arguments[0];
            const look = () => came.length ? done(came.shift()) : setTimeout(look, 2);
            look();""")

    def drop(self):
        """As somebody who reloads the page."""
        self.browser.refresh()

    def close(self):
        self.browser.execute_script("socket.close()")


def matches(frame, pattern):
    return all(matches(frame.get(key, {}), value) if isinstance(value, dict) else frame.get(key) == value
               for key, value in pattern.items())


def hold(conversation, connect):
    client, kept = connect(), {}
    for step in conversation["steps"]:
        if "send" in step:
            client.send(json.dumps({key: kept[value[1:]] if str(value).startswith("$") else value
                                    for key, value in step["send"].items()}))
        elif "send_text" in step:
            client.send(step["send_text"])
        elif "drop" in step:
            client.drop()
            client = connect()
        else:
            text, frame = "", json.loads(client.receive())
            while "deltas_until" in step and frame["type"] == "delta":
                text += frame["text"]
                frame = json.loads(client.receive())
            assert matches(frame, step.get("expect") or step["deltas_until"]), (conversation["name"], step, frame)
            assert step.get("text_has", "") in text
            assert len(frame.get("tokens", [])) == step.get("tokens", len(frame.get("tokens", [])))
            kept |= {name: frame[field] for name, field in step.get("keep", {}).items()}
    client.close()


@pytest.mark.parametrize("kind", ["python", "beast", "browser"])
def test_every_client_has_the_same_conversations(server, request, kind):
    for conversation in CONVERSATIONS:
        if kind == "browser":
            hold(conversation, lambda: BrowserClient(server, request.getfixturevalue("page").browser))
        else:
            hold(conversation, lambda: (PythonClient if kind == "python" else BeastClient)(server))
