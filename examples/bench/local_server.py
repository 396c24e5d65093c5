"""A server process, for the measuring scripts and the tests, and one streamed answer. Needs nothing but Python."""
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import threading
import time
import urllib.request

PROJECT = pathlib.Path(__file__).resolve().parent.parent.parent
BINARY = os.environ.get("SOUFFLEUR_BINARY", PROJECT / "build/release/souffleur")


def n_tokens_of(chunk):
    """Of a chunk of an answer with `logprobs`."""
    found = [choice.get("logprobs") or {} for choice in chunk["choices"]]
    return sum(len(one.get("tokens") or one.get("content") or []) for one in found)


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class LocalServer:
    """One server on a free port; stopped at the end of `with`."""

    WHAT, READY = "the server", r"wss?://[^:]+:(\d+)/"  # the line that has its port

    def __init__(self, model, *options):
        self.start([str(BINARY), "--model", str(model), "--port", "0", *options])

    def start(self, command):
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.log = []
        self._drain = threading.Thread(target=lambda: self.log.extend(self.process.stderr), daemon=True)
        self._drain.start()
        self.port = self._read_port(command)
        self.base_url = f"http://127.0.0.1:{self.port}"
        self.stream_url = f"ws://127.0.0.1:{self.port}/v1/stream"

    def _read_port(self, command):
        for line in self.process.stdout:
            if found := re.search(self.READY, line):
                return int(found.group(1))
        self._drain.join(timeout=5)
        raise SystemExit(f"{self.WHAT} did not start: {' '.join(command)}\n{''.join(self.log)}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self, how=signal.SIGINT):
        """The exit code."""
        self.process.send_signal(how)
        try:
            code = self.process.wait(timeout=60)
        finally:
            self.process.kill()
        self._drain.join(timeout=5)
        return code

    def get(self, path):
        with urllib.request.urlopen(self.base_url + path, timeout=60) as answer:
            return answer.read().decode()

    def post(self, path, body, key=None):
        headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {key}"} if key else {})
        request = urllib.request.Request(self.base_url + path, json.dumps(body).encode(), headers)
        return urllib.request.urlopen(request, timeout=3600)

    def stream(self, path="/v1/completions", key=None, **body):
        """Chunks of an answer as they come; the last one has the usage."""
        body |= {"stream": True, "stream_options": {"include_usage": True}}
        with self.post(path, body, key) as answer:
            for line in answer:
                if line.startswith(b"data: {"):
                    yield json.loads(line[6:])

    def time_to_first_token_ms(self, logprobs=0, **request):
        """And the usage. `logprobs`: tokens whose text is held back count, too; a chat says True."""
        start = time.perf_counter()
        first_ms, usage = None, None
        for chunk in self.stream(logprobs=logprobs, **request):
            if first_ms is None and n_tokens_of(chunk) > 0:
                first_ms = (time.perf_counter() - start) * 1000
            usage = chunk.get("usage") or usage
        return first_ms, usage

    def metric(self, name, **labels):
        """Sum of the samples with this name and these labels."""
        total = 0.0
        for line in self.get("/metrics").splitlines():
            key, _, value = line.rpartition(" ")
            if key.partition("{")[0] == name and all(f'{k}="{v}"' in key for k, v in labels.items()):
                total += float(value)
        return total

    def resident_mib(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) / 1024

    def cpu_s(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class LocalDrafter(LocalServer):
    """A process with a draft model, for servers that have --speculation.drafter_address. All of them know the same secret."""

    WHAT, READY = "the drafter", r"^Souffleur drafts with .* on .*:(\d+)\.$"

    def __init__(self, model, port, *options):
        self.start([str(BINARY), "serve", "--role", "drafter", "--speculation.draft_model", str(model), "--cluster.port", str(port),
                    *options])
