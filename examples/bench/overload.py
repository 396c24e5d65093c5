#!/usr/bin/env python3
"""A server that is asked five times as much as it can do: what it still does, and how soon it refuses the rest.

First as many clients as it has places ask all the time: that is its peak. Then requests come at `--times` the rate of that,
whether or not earlier ones are done. Goodput counts answers that came whole. Needs nothing but Python.
"""
import argparse
import asyncio
import itertools
import json
import statistics
import time

from local_server import LocalServer

numbers = itertools.count()


async def ask(server, n_tokens):
    """The HTTP status, and seconds from the last byte of the request to the first of the answer's body, and to its end."""
    body = json.dumps({"prompt": f"Say {next(numbers)} numbers:", "max_tokens": n_tokens, "ignore_eos": True,
                       "temperature": 0}).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        writer.write(b"POST /v1/completions HTTP/1.1\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
        began = time.perf_counter()
        status = int((await reader.readline()).split()[1])
        first = time.perf_counter() - began
        await reader.read()
        return status, first, time.perf_counter() - began
    finally:
        writer.close()


async def peak(server, clients, n_tokens, duration):
    until = time.perf_counter() + duration
    done = 0

    async def client():
        nonlocal done
        while time.perf_counter() < until:
            status, _, _ = await ask(server, n_tokens)
            done += status == 200
    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    return done / (time.perf_counter() - began)


async def overload(server, rate, n_tokens, duration):
    began = time.perf_counter()
    asked = []
    while (now := time.perf_counter() - began) < duration:
        for _ in range(int(now * rate) - len(asked)):
            asked.append(asyncio.create_task(ask(server, n_tokens)))
        await asyncio.sleep(0.002)
    answers = await asyncio.gather(*asked)
    return answers, time.perf_counter() - began


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--model", default="smollm2")
    options.add_argument("--times", type=float, default=5)
    options.add_argument("--duration", type=float, default=20, help="seconds of each part")
    options.add_argument("--places", type=int, default=8, help="generations that run, and that wait")
    options.add_argument("--tokens", type=int, default=16, help="of an answer")
    args = options.parse_args()
    with LocalServer(args.model, "--scheduler.max_running", str(args.places), "--scheduler.max_waiting", str(args.places)) as server:
        asyncio.run(peak(server, args.places, args.tokens, 3))  # warm
        best = asyncio.run(peak(server, args.places, args.tokens, args.duration))
        answers, took = asyncio.run(overload(server, args.times * best, args.tokens, args.duration))
    good = sum(status == 200 for status, _, _ in answers) / took
    refused = sorted(first * 1000 for status, first, _ in answers if status == 429)
    others = sorted({status for status, _, _ in answers} - {200, 429})
    print(f"peak {best:.1f} answers/s; asked {args.times * best:.1f}/s: {good:.1f} answers/s ({good / best:.0%} of the peak), "
          f"{len(refused)} refused with 429, other outcomes: {others or 'none'}")
    if refused:
        at = statistics.quantiles(refused, n=100)
        print(f"a refusal took {at[49]:.1f} ms (median), {at[94]:.1f} ms (p95), {at[98]:.1f} ms (p99), {refused[-1]:.1f} ms (longest)")


if __name__ == "__main__":
    main()
