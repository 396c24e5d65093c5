"""Servers that Souffleur is compared with: llama.cpp's, or whatever answers at a URL. Needs nothing but Python."""
import pathlib
import re
import socket
import subprocess
import time
import urllib.error
import urllib.request


def peak_mib(pid):
    """The most memory that a process had resident."""
    try:
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    return int(re.search(r"VmHWM:\s+(\d+)", status).group(1)) / 1024


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class LlamaServer:
    """llama.cpp's llama-server with as many slots and as much KV memory as asked for; stopped at the end of `with`."""

    def __init__(self, program, model, threads, slots, kv_tokens, options=()):
        port = free_port()
        self.command = [str(program), "-m", str(model), "-t", str(threads), "-tb", str(threads), "-np", str(slots),
                        "-c", str(kv_tokens), "--kv-unified", "--host", "127.0.0.1", "--port", str(port), *options]
        self.base_url = f"http://127.0.0.1:{port}"
        self.log = []
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._wait()

    def _wait(self):
        for _ in range(600):
            if self.process.poll() is not None:
                raise SystemExit(f"llama-server left with {self.process.returncode}: {' '.join(self.command)}")
            try:
                with urllib.request.urlopen(self.base_url + "/health", timeout=5):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        raise SystemExit("llama-server does not become ready")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def peak_mib(self):
        return peak_mib(self.process.pid)


class RemoteServer:
    """Somebody else's; it goes on running, and remembers what was asked before."""

    def __init__(self, url):
        self.base_url = url
        self.command = [url]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def peak_mib(self):
        return None


def version_of(program):
    """What llama-server says of itself, on one line."""
    said = subprocess.run([str(program), "--version"], capture_output=True, text=True, check=False)
    lines = [line.strip() for line in (said.stdout + said.stderr).splitlines() if line.startswith(("version", "built"))]
    return "; ".join(lines) or "unknown version"
