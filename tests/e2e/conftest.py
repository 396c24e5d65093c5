"""A real server process with a real model, for tests over real sockets."""
import os
import pathlib
import re
import signal
import subprocess
import threading
import time
import urllib.request

import openai
import pytest

BINARY = os.environ.get("SOUFFLEUR_BINARY", "build/release/souffleur")
MODEL_FOLDER = pathlib.Path(os.environ.get("SOUFFLEUR_MODELS", pathlib.Path.home() / ".cache/souffleur/models"))
START_TIMEOUT_S = 120


class Server:
    """One server process on a free port."""

    def __init__(self, model="smollm2", *options):
        command = [BINARY, "--config", "conf/souffleur.conf", "--model", str(MODEL_FOLDER / f"{model}.gguf"),
                   "--name", model, "--port", "0", *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.log = []
        self._drain = threading.Thread(target=self._read_log, daemon=True)
        self._drain.start()
        self.port = self._read_port()
        self.base_url = f"http://127.0.0.1:{self.port}"
        self.stream_url = f"ws://127.0.0.1:{self.port}/v1/stream"
        self.model = model

    def _read_log(self):
        for line in self.process.stderr:
            self.log.append(line)

    def _read_port(self):
        deadline = time.monotonic() + START_TIMEOUT_S
        for line in self.process.stdout:
            if found := re.search(r"WebSocket\s+ws://[^:]+:(\d+)", line):
                return int(found.group(1))
            assert time.monotonic() < deadline
        raise AssertionError("the server did not start:\n" + "".join(self.log))

    def client(self):
        return openai.OpenAI(base_url=self.base_url + "/v1", api_key="none", max_retries=0, timeout=300)

    def get(self, path):
        with urllib.request.urlopen(self.base_url + path, timeout=30) as answer:
            return answer.read().decode()

    def metric(self, name, **labels):
        """Sum of the samples with this name and these labels."""
        total = 0.0
        for line in self.get("/metrics").splitlines():
            if not line.startswith(name):
                continue
            key, _, value = line.rpartition(" ")
            if key.partition("{")[0] == name and all(f'{k}="{v}"' in key for k, v in labels.items()):
                total += float(value)
        return total

    def stop(self, how=signal.SIGINT):
        """The exit code."""
        self.process.send_signal(how)
        try:
            code = self.process.wait(timeout=30)
        finally:
            self.process.kill()
        self._drain.join(timeout=5)
        return code


def started(model, *options):
    if not (MODEL_FOLDER / f"{model}.gguf").exists():
        pytest.skip(f"{model} is not in {MODEL_FOLDER}; conf/get_model.py {model} fetches it")
    return Server(model, *options)


@pytest.fixture(scope="module")
def server():
    running = started("smollm2")
    yield running
    assert running.stop() == 0, "".join(running.log)


@pytest.fixture
def start_server():
    """Starts servers with options of their own; they are stopped after the test."""
    running = []

    def start(model="smollm2", *options):
        running.append(started(model, *options))
        return running[-1]

    yield start
    for one in running:
        if one.process.poll() is None:
            assert one.stop() == 0, "".join(one.log)
