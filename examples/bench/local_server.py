"""A server process for the measuring scripts, and one streamed completion. Needs nothing but Python."""
import json
import os
import pathlib
import re
import signal
import subprocess
import time
import urllib.request

PROJECT = pathlib.Path(__file__).resolve().parent.parent.parent
BINARY = os.environ.get("SOUFFLEUR_BINARY", PROJECT / "build/release/souffleur")


def n_tokens_of(chunk):
    """Of a chunk of a completion with `logprobs`."""
    return sum(len((choice.get("logprobs") or {}).get("tokens", [])) for choice in chunk["choices"])


class LocalServer:
    """One server on a free port; stopped at the end of `with`."""

    def __init__(self, model, *options):
        command = [str(BINARY), "--model", model, "--port", "0", "--log.level", "warn", *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        for line in self.process.stdout:
            if found := re.search(r"ws://([^/]+)/", line):
                self.url = f"http://{found.group(1)}"
                return
        raise SystemExit(f"the server did not start: {' '.join(command)}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=60)

    def post(self, path, body):
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), {"content-type": "application/json"})
        return urllib.request.urlopen(request, timeout=3600)

    def stream(self, **body):
        """Chunks of a completion as they come; the last one has the usage."""
        body |= {"stream": True, "stream_options": {"include_usage": True}}
        with self.post("/v1/completions", body) as answer:
            for line in answer:
                if line.startswith(b"data: {"):
                    yield json.loads(line[6:])

    def time_to_first_token_ms(self, **body):
        """And the usage."""
        start = time.perf_counter()
        first_ms, usage = None, None
        for chunk in self.stream(logprobs=0, **body):  # tokens whose text is held back count, too
            if first_ms is None and n_tokens_of(chunk) > 0:
                first_ms = (time.perf_counter() - start) * 1000
            usage = chunk.get("usage") or usage
        return first_ms, usage

    def metric(self, name, label=""):
        with urllib.request.urlopen(self.url + "/metrics", timeout=60) as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines
                   if re.match(re.escape(name) + r"[{ ]", line) and label in line)

    def resident_mib(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) / 1024

    def cpu_s(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
