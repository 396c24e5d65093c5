#!/usr/bin/env python3
"""What one tenant's flood does to another: time to first token of single chat requests, alone and beside it.

The flood keeps so many requests in the server at once, each with a prompt of its own. The other tenant asks one thing
at a time, with pauses. Alone and beside the flood take turns. Prints medians and 95th percentiles, and their ratio.
"""
import argparse
import http.client
import json
import random
import socket
import statistics
import threading
import time

from local_server import LocalServer
from quantile import quantile

WORDS = """the of and to in is that was for on are with they at be this from have or by one had not but what all were
when we there can an your which their said if do will each about how up out them then she many some so these would other
into has more her two like him see time could no make than first been its who now people my made over did down only way
find use may water long little very after words called just where most know""".split()


def words(n, seed):
    """A text of about n tokens."""
    return " ".join(random.Random(seed).choices(WORDS, k=n))


class Flood:
    """So many requests of one tenant under way at any time; whoever is done asks the next thing. For `with`."""

    def __init__(self, server, n_requests, n_prompt, n_output, key="flood"):
        self.server, self.n_prompt, self.n_output, self.key = server, n_prompt, n_output, key
        self.n_done = 0
        self._ends = False
        self._lock = threading.Lock()
        self._connections = {}
        self._clients = [threading.Thread(target=self._ask, args=(i,), daemon=True) for i in range(n_requests)]

    def _ask(self, i):
        n = 0
        while not self._ends:
            n += 1
            body = {"prompt": words(self.n_prompt, f"{time.time_ns()} {i} {n}"), "max_tokens": self.n_output,
                    "temperature": 0.8, "ignore_eos": True}
            connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=3600)
            self._connections[i] = connection
            try:
                connection.request("POST", "/v1/completions", json.dumps(body),
                                   {"content-type": "application/json", "authorization": f"Bearer {self.key}"})
                answer = connection.getresponse()
                usage = json.loads(answer.read()).get("usage")
            except (OSError, http.client.HTTPException, ValueError):
                usage = None
            finally:
                connection.close()
            if not self._ends and usage is None:
                time.sleep(0.1)  # refused
            elif usage:
                with self._lock:
                    self.n_done += 1

    def __enter__(self):
        for client in self._clients:
            client.start()
        return self

    def __exit__(self, *_):
        self._ends = True
        for connection in list(self._connections.values()):
            try:
                connection.sock.shutdown(socket.SHUT_RDWR)
            except (OSError, AttributeError):
                pass  # it has just ended by itself
        for client in self._clients:
            client.join(timeout=60)


def single_requests(server, n, n_prompt, n_output, pause_s, seed, key="single"):
    """Times to first token, ms, of n chats of one tenant, one after the other."""
    numbers = random.Random(seed)
    times = []
    for i in range(n):
        time.sleep(pause_s * numbers.uniform(0.5, 1.5))  # not in step with the other's requests
        question = words(numbers.randint(*n_prompt), f"{seed} {i}")
        ms, _ = server.time_to_first_token_ms(path="/v1/chat/completions", key=key, logprobs=True,
                                              messages=[{"role": "user", "content": question}], max_tokens=n_output)
        times.append(ms)
    return times


def measure(server, given, progress=lambda text: None):
    """Times to first token alone and beside the flood."""
    alone, beside = [], []
    seconds, n_tokens = 0, 0

    def some(seed):
        return single_requests(server, given.samples // given.rounds, given.single_prompt, given.single_output,
                               given.pause, seed)

    single_requests(server, 3, given.single_prompt, given.single_output, 0, "first touch")
    for i in range(given.rounds):
        alone += some(f"alone {i}")
        with Flood(server, given.flood, given.flood_prompt, given.flood_output) as flood:
            time.sleep(given.settle)
            start, before = time.perf_counter(), server.metric("vllm:generation_tokens_total")
            beside += some(f"beside {i}")
            n_tokens += server.metric("vllm:generation_tokens_total") - before
            seconds += time.perf_counter() - start
        progress(f"round {i + 1}: {flood.n_done} requests of the flood were answered in full")
    progress(f"tokens made beside the flood, of both, each second {n_tokens / seconds:8.1f}")
    return alone, beside


def parsed(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--samples", type=int, default=80, help="single requests alone, and as many beside the flood")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--pause", type=float, default=0.4, help="s between single requests, on average")
    parser.add_argument("--single-prompt", type=int, nargs=2, default=(70, 270), metavar=("LEAST", "MOST"),
                        help="words; the chat template adds about 30 tokens")
    parser.add_argument("--single-output", type=int, default=8, help="tokens")
    parser.add_argument("--flood", type=int, default=100, help="requests under way")
    parser.add_argument("--flood-prompt", type=int, default=300, help="tokens")
    parser.add_argument("--flood-output", type=int, default=128, help="tokens")
    parser.add_argument("--settle", type=float, default=5, help="s from the flood's begin to the first single request")
    return parser.parse_known_args(arguments)


def summary(times):
    return f"{statistics.median(times):8.1f} {quantile(times, 0.95):8.1f}"


def main():
    given, server_options = parsed()
    with LocalServer(given.model, *server_options) as server:
        alone, beside = measure(server, given, print)
    print("time to first token, ms                    median      p95")
    print(f"alone                                    {summary(alone)}")
    print(f"beside {given.flood:4d} requests of another tenant  {summary(beside)}")
    print(f"ratio                                    {statistics.median(beside) / statistics.median(alone):8.2f} "
          f"{quantile(beside, 0.95) / quantile(alone, 0.95):8.2f}")


if __name__ == "__main__":
    main()
