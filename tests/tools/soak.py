#!/usr/bin/env python3
"""A server under more load than it can do, for long, with everything that clients and the world do to it.

First it is measured how much it can do; then so many more requests come (--load), whether or not earlier ones are done, some of
clients that cancel, pull the cable, read slowly, do not read at all, have no time or talk rubbish, while its parts die in turn
(--faults: seconds between two deaths). Asserted: every request ends, with its whole answer, an orderly part of it or a clear error;
whole answers are those of a server at rest; memory and descriptors do not grow; at the end nothing holds a page, and it still
answers right. Run with the Python of build/venv.
"""
import argparse
import asyncio
import collections
import json
import os
import pathlib
import random
import socket
import statistics
import sys
import tempfile
import time

PROJECT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(PROJECT / "examples/bench"), str(PROJECT / "tests/e2e")]
from local_server import LocalServer  # noqa: E402
from stream_client import StreamClient, text_of  # noqa: E402

KINDS = {"plain": 30, "stream": 20, "socket": 20, "cancel": 8, "disconnect": 6, "drop": 3, "slow": 4, "deaf": 1, "hurried": 5,
         "rubbish": 3}
N_QUESTIONS = 24
PATIENCE_S = 180
MORTALS = ("verifier", "kv_manager", "drafter", "response_cache", "metrics", "scheduler", "intake", "kv_tier_reader",
           "kv_tier_writer", "answer_store")
#: Caches that are full, and turn over, long before the end, so that what still grows is a leak.
OPTIONS = ("--server.kills", "true", "--supervisor.max_restarts", "1000000", "--embedding.model", "off",
           "--scheduler.max_running", "8", "--scheduler.max_waiting", "16", "--kv.tokens", "6144", "--kv.tier_min_hits", "1",
           "--kv.tier_max_mib", "16", "--cache.policy", "exact", "--cache.max_mib", "1", "--cache.store_mib", "1",
           "--speculation.answers_mib", "1", "--server.write_timeout_s", "3", "--server.header_timeout_s", "3", "--log.level", "off")


def question(i):
    """One of those whose answers are known."""
    return {"prompt": f"The story of the {i + 2} bears, and of the house in which they lived, begins so:", "max_tokens": 8 + 3 * (i % 12),
            "temperature": 0 if i % 3 == 0 else 0.9, "seed": i, "ignore_eos": True}


class Broken(Exception):
    """What must not happen."""


class Http:
    """One request on a connection of its own."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    @classmethod
    async def ask(cls, server, body, receive_bytes=None):
        raw = socket.socket()
        if receive_bytes:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        raw.setblocking(False)
        await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", server.port))
        one = cls(*await asyncio.open_connection(sock=raw, limit=receive_bytes or 2**16))
        text = json.dumps(body).encode()
        one.writer.write(b"POST /v1/completions HTTP/1.1\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(text) + text)
        await one.writer.drain()
        return one

    async def status(self):
        line = await self.reader.readline()
        while (await self.reader.readline()).strip():
            pass
        return int(line.split()[1]) if line else 0

    def close(self):
        self.writer.close()

    def pull_the_cable(self):
        self.writer.transport.abort()


class Soak:
    def __init__(self, server, args):
        self.server, self.args = server, args
        self.random = random.Random(args.seed)
        self.expected = {}  # question: its text
        self.outcomes = collections.Counter()
        self.broken = []
        self.pending = set()
        self.samples = []  # (seconds, MiB, descriptors)
        self.deaths = collections.Counter()
        self.n_asked = 0

    # What clients do. Each returns an outcome.

    def body(self, stream=False, fresh=True):
        """A question, and where it stands; fresh ones have a beginning that nobody had."""
        i = self.random.randrange(N_QUESTIONS)
        body = question(i) | {"stream": stream}
        if fresh and self.random.random() < 0.5:
            body["prompt"] = f"{self.random.random()} is a number. " * 3 + body["prompt"]
            i = None
        if self.random.random() < 0.3:
            body["souffleur"] = {"cache": {"mode": "off"}}
        return i, body

    def judge(self, i, text):
        if i is not None and text != self.expected[i]:
            raise Broken(f"another answer to question {i}: {text!r} instead of {self.expected[i]!r}")
        return "answered"

    @staticmethod
    def refusal(status, error):
        """Too many requests, or a part's death: both say that it is worth another try."""
        if status not in (429, 503) or not error.get("message"):
            raise Broken(f"refused with {status}: {error}")
        return f"{status} {error.get('code')}"

    async def plain(self):
        i, body = self.body()
        one = await Http.ask(self.server, body)
        try:
            status = await one.status()
            answer = json.loads(await one.reader.read())
            if status != 200:
                return self.refusal(status, answer["error"])
            return self.judge(i, answer["choices"][0]["text"])
        finally:
            one.close()

    async def events(self, one, pause_s=0.0):
        """Chunks of a stream up to its end."""
        while line := await one.reader.readline():
            if line.startswith(b"data: {"):
                yield json.loads(line[6:])
                await asyncio.sleep(pause_s)
            elif line.startswith(b"data: [DONE]"):
                return
        raise EOFError

    async def stream(self, pause_s=0.0, receive_bytes=None):
        i, body = self.body(stream=True)
        one = await Http.ask(self.server, body, receive_bytes)
        try:
            status = await one.status()
            if status != 200:
                return self.refusal(status, json.loads(await one.reader.read())["error"])
            text = ""
            async for chunk in self.events(one, pause_s):
                if "error" in chunk:
                    return self.refusal(int(chunk["error"].get("status", 503)), chunk["error"])
                text += "".join(choice["text"] for choice in chunk["choices"])
            return self.judge(i, text)
        finally:
            one.close()

    async def slow(self):
        return await self.stream(pause_s=0.2, receive_bytes=2304)

    async def deaf(self):
        """Takes nothing; leaves when the server has long cut it off."""
        _, body = self.body(stream=True)
        one = await Http.ask(self.server, body | {"max_tokens": 400, "logprobs": 5}, 2304)
        await asyncio.sleep(6)
        one.pull_the_cable()
        return "left without reading"

    async def disconnect(self):
        _, body = self.body(stream=self.random.random() < 0.5)
        one = await Http.ask(self.server, body | {"max_tokens": 400})
        await asyncio.sleep(self.random.uniform(0, 1))
        one.pull_the_cable()
        return "pulled the cable"

    async def rubbish(self):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        try:
            writer.write(self.random.randbytes(self.random.randrange(1, 3000)) + b"\r\n\r\n")
            await reader.read()
        except ConnectionError:
            pass
        finally:
            writer.close()
        return "talked rubbish"

    async def socket(self, leave_after=None):
        """A WebSocket's stream: to its end, or cancelled after some frames."""
        i, body = self.body()
        del body["stream"]
        client = await StreamClient.connect(self.server.stream_url)
        client.schema = None
        try:
            await client.send(type="generate", id="a", **body)
            frames = []
            while not frames or frames[-1]["type"] not in ("done", "error"):
                frames.append(await client.next("a", PATIENCE_S))
                if frames[-1]["type"] == "closed":
                    raise Broken("a WebSocket was closed with a stream under way")
                if len(frames) == leave_after:
                    await client.send(type="cancel", id="a")
            if frames[-1]["type"] == "error":
                error = frames[-1]["error"]
                return self.refusal(429 if error["code"].endswith("overloaded") else 503, error)
            if frames[-1]["finish_reason"] == "cancelled":
                return "cancelled"
            return self.judge(i, text_of(frames))
        finally:
            await client.close()

    async def cancel(self):
        return await self.socket(leave_after=self.random.randrange(1, 8))

    async def drop(self):
        """A WebSocket whose cable is pulled with several streams."""
        client = await StreamClient.connect(self.server.stream_url)
        for k in range(3):
            _, body = self.body()
            del body["stream"]
            await client.send(type="generate", id=str(k), **body)
        await asyncio.sleep(self.random.uniform(0, 1))
        client.drop()
        return "pulled the cable"

    async def hurried(self):
        _, body = self.body(stream=False)
        one = await Http.ask(self.server, body | {"max_tokens": 400, "souffleur": {"timeout_ms": self.random.randrange(1, 500)}})
        try:
            status = await one.status()
            answer = json.loads(await one.reader.read())
            if status == 408 and answer["error"]["code"] == "deadline_exceeded":
                return "408 deadline_exceeded"
            if status != 200:
                return self.refusal(status, answer["error"])
            return "in its time" if answer["souffleur"]["finish_reasons"] == ["deadline"] else "answered"
        finally:
            one.close()

    # The play.

    def some_kind(self):
        return self.random.choices(list(KINDS), list(KINDS.values()))[0]

    async def watched(self, kind):
        try:
            outcome = await asyncio.wait_for(getattr(self, kind)(), PATIENCE_S)
        except asyncio.TimeoutError:
            outcome = "NO END"
            self.broken.append(f"{kind}: no end within {PATIENCE_S} s")
        except (Broken, json.JSONDecodeError, KeyError, IndexError) as breach:
            outcome = "BROKEN"
            self.broken.append(f"{kind}: {breach!r}")
        except (ConnectionError, EOFError, asyncio.IncompleteReadError) as cut:
            # A reader that is too slow is cut off; nobody else is.
            outcome = "cut off"
            if kind not in ("slow", "deaf", "rubbish"):
                self.broken.append(f"{kind}: cut off, {cut!r}")
        self.outcomes[outcome] += 1

    async def learn(self):
        for i in range(N_QUESTIONS):
            one = await Http.ask(self.server, question(i) | {"souffleur": {"cache": {"mode": "off"}}})
            assert await one.status() == 200
            self.expected[i] = json.loads(await one.reader.read())["choices"][0]["text"]
            one.close()

    async def capacity(self, duration):
        """Clients a second, if the next one comes when one has left and nobody dies."""
        until = time.monotonic() + duration
        n_done = 0

        async def client():
            nonlocal n_done
            while time.monotonic() < until:
                await self.watched(self.some_kind())
                n_done += 1
        began = time.monotonic()
        await asyncio.gather(*(client() for _ in range(16)))
        self.outcomes.clear()
        return n_done / (time.monotonic() - began)

    def sample(self, began):
        n_open = len(descriptors(self.server))
        self.samples.append((time.monotonic() - began, self.server.resident_mib(), n_open))

    def progress(self, began, rate):
        at, mib, n_open = self.samples[-1]
        slope = slope_of(self.settled())
        print(f"{at:6.0f} s  {self.n_asked} asked ({rate:.1f}/s), {self.outcomes['answered']} answered, "
              f"{sum(n for what, n in self.outcomes.items() if what.startswith('429'))} refused, {len(self.pending)} under way, "
              f"{sum(self.deaths.values())} deaths; {mib:.0f} MiB, {n_open} descriptors"
              + (f", {slope[0]:+.1f} MiB/h" if slope else "") + (f"; {len(self.broken)} BROKEN" if self.broken else ""),
              file=sys.stderr, flush=True)

    def settled(self):
        """Samples after the warm-up."""
        return [one for one in self.samples if one[0] >= self.args.warm_up * self.args.seconds]

    async def kill_parts(self, until):
        while time.monotonic() < until:
            await asyncio.sleep(self.random.expovariate(1 / self.args.faults))
            part = self.random.choice(MORTALS)
            self.deaths[part] += 1
            await asyncio.to_thread(lambda: self.server.post(f"/souffleur/kill/{part}", {}).read())

    async def run(self, rate):
        began = time.monotonic()
        until = began + self.args.seconds
        killing = asyncio.create_task(self.kill_parts(until)) if self.args.faults > 0 else None
        next_sample = next_line = began
        at = began
        while at < until:
            at += self.random.expovariate(rate)
            while (now := time.monotonic()) < at:
                if now >= next_sample:
                    self.sample(began)
                    next_sample = now + 1
                if now >= next_line:
                    self.progress(began, rate)
                    next_line = now + 10
                await asyncio.sleep(min(at - now, 0.2))
            task = asyncio.create_task(self.watched(self.some_kind()))
            self.n_asked += 1
            self.pending.add(task)
            task.add_done_callback(self.pending.discard)
        if killing:
            await killing
        await asyncio.gather(*self.pending)
        self.sample(began)
        self.progress(began, rate)

    def at_rest(self, n_open_at_first):
        """Empty, or what is not as it should be when nobody asks anything."""
        live = json.loads(self.server.get("/live"))
        if live["status"] != "ok" or live.get("parts_down"):
            return f"/live says {live}"
        pages = {state: self.server.metric("souffleur_kv_pages", state=state) for state in ("free", "cached", "pinned", "owned")}
        if pages["pinned"] + pages["owned"] > 0 or sum(pages.values()) != 6144 / 16:
            return f"KV pages: {pages}"
        busy = {name: self.server.metric(name) for name in ("vllm:num_requests_running", "vllm:num_requests_waiting")}
        if any(busy.values()):
            return f"requests: {busy}"
        n_open = n_sockets(descriptors(self.server))
        return f"{n_open} sockets are open, {n_open_at_first} were at the beginning" if n_open > n_open_at_first else ""


def descriptors(server):
    """What each of the process is open on."""
    folder = pathlib.Path(f"/proc/{server.process.pid}/fd")
    found = []
    for one in folder.iterdir():
        try:
            found.append(os.readlink(one))
        except FileNotFoundError:
            pass
    return found


def n_sockets(of):
    return sum(one.startswith("socket:") for one in of)


def slope_of(samples):
    """MiB an hour and its standard error, by least squares."""
    if len(samples) < 20:
        return None
    hours, mib = [one[0] / 3600 for one in samples], [one[1] for one in samples]
    slope, offset = statistics.linear_regression(hours, mib)
    mean = statistics.fmean(hours)
    residues = sum((y - offset - slope * x) ** 2 for x, y in zip(hours, mib)) / (len(hours) - 2)
    return slope, (residues / sum((x - mean) ** 2 for x in hours)) ** 0.5


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--model", default="smollm2")
    options.add_argument("--seconds", type=float, default=1800)
    options.add_argument("--load", type=float, default=1.1, help="share of what the server can do that is asked")
    options.add_argument("--capacity-s", type=float, default=10, help="how long it is measured what that is")
    options.add_argument("--faults", type=float, default=5, help="mean seconds between two deaths of parts; 0: nobody dies")
    options.add_argument("--warm-up", type=float, default=0.3, help="share of the time in which memory may grow")
    options.add_argument("--most-growth", type=float, default=24, help="MiB, over the time after that, by its slope")
    options.add_argument("--seed", type=int, default=1)
    args = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="souffleur-soak-") as folder, \
            LocalServer(args.model, *OPTIONS, "--kv.tier_folder", f"{folder}/tier", "--cache.store", f"{folder}/answers.db") as server:
        sys.exit(play(server, args))


def play(server, args):
    soak = Soak(server, args)
    asyncio.run(soak.learn())
    capacity = asyncio.run(soak.capacity(args.capacity_s))
    at_first = descriptors(server)
    print(f"it can do {capacity:.1f} clients/s", file=sys.stderr, flush=True)
    asyncio.run(soak.run(args.load * capacity))

    complaint = "it was not looked at"
    for _ in range(120):
        if not (complaint := soak.at_rest(n_sockets(at_first))):
            break
        time.sleep(0.5)
    if complaint:
        soak.broken.append("at the end " + complaint)
    right = dict(soak.expected)
    asyncio.run(soak.learn())
    if soak.expected != right:
        soak.broken.append("it does not answer as it did at the beginning")
    at_last = descriptors(server)
    if len(at_last) > len(at_first) + 8:  # files of the tier come and go
        soak.broken.append(f"descriptors at the end: {collections.Counter(at_last)}")
    slope, error = slope_of(soak.settled())
    hours = (1 - args.warm_up) * args.seconds / 3600
    if (slope - 2 * error) * hours > args.most_growth:
        soak.broken.append(f"memory grows by {slope:.0f} MiB an hour")
    if (code := server.stop()) != 0:
        soak.broken.append(f"it ended with {code}: {''.join(server.log)[-2000:]}")

    resident = [mib for _, mib, _ in soak.settled()]
    print(f"{soak.n_asked} requests in {args.seconds:.0f} s, {args.load:.0%} of what it can do: "
          + ", ".join(f"{n} {what}" for what, n in soak.outcomes.most_common()))
    print("deaths: " + (", ".join(f"{n} {part}" for part, n in sorted(soak.deaths.items())) or "none"))
    print(f"resident memory {min(resident):.0f} to {max(resident):.0f} MiB after the warm-up, {slope:+.1f} ± {error:.1f} MiB an hour; "
          f"descriptors {len(at_first)} before, {max(n for _, _, n in soak.samples)} at most, {len(at_last)} after")
    for breach in soak.broken[:20]:
        print("BROKEN:", breach)
    print("no request was lost, no answer was wrong, nothing leaked" if not soak.broken else f"{len(soak.broken)} things are broken")
    return 1 if soak.broken else 0


if __name__ == "__main__":
    main()
