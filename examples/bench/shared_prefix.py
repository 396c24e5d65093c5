#!/usr/bin/env python3
"""What a shared prefix saves: time to first token cold and warm, and clients that come at once.

Each cold prefix is new; then requests with other ends share it. Prints medians (least to most) and ratios.
"""
import argparse
import random
import statistics
from concurrent.futures import ThreadPoolExecutor

from local_server import LocalServer

N_OWN_TOKENS = 8  # of each request, after the prefix


def tokens(n, seed):
    numbers = random.Random(seed)
    return [numbers.randrange(1000, 40000) for _ in range(n)]


def summary(values):
    return f"{statistics.median(values):8.1f} ({min(values):.1f}-{max(values):.1f})"


def measure_alone(server, n_prefix, n_prefixes, n_warm):
    cold, warm = [], []
    for i in range(n_prefixes):
        prefix = tokens(n_prefix, f"alone {i}")
        for j in range(n_warm + 1):
            ms, usage = server.time_to_first_token_ms(prompt=prefix + tokens(N_OWN_TOKENS, f"{i} {j}"), max_tokens=2)
            (warm if j else cold).append(ms)
            assert usage["prompt_tokens_details"]["cached_tokens"] >= (n_prefix // 16 * 16 if j else 0)
    print(f"cold TTFT, {n_prefix} tokens, ms            {summary(cold)}")
    print(f"warm TTFT, the prefix is cached, ms      {summary(warm)}")
    print(f"warm / cold                              {statistics.median(warm) / statistics.median(cold):8.3f}")


def measure_crowd(server, n_prefix, n_clients):
    prefix = tokens(n_prefix, "crowd")
    before = server.metric("souffleur_prefill_rows_total")
    with ThreadPoolExecutor(n_clients) as pool:
        list(pool.map(lambda i: server.time_to_first_token_ms(prompt=prefix + tokens(N_OWN_TOKENS, f"crowd {i}"),
                                                              max_tokens=2), range(n_clients)))
    n_rows = server.metric("souffleur_prefill_rows_total") - before
    print(f"{n_clients} clients at once, the same cold prefix: {n_rows:.0f} prompt tokens computed, of "
          f"{n_clients * (n_prefix + N_OWN_TOKENS)} sent")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--prefix", type=int, default=1500, help="tokens")
    parser.add_argument("--prefixes", type=int, default=5)
    parser.add_argument("--warm", type=int, default=4, help="requests that share each prefix")
    parser.add_argument("--clients", type=int, default=8)
    given, server_options = parser.parse_known_args()
    with LocalServer(given.model, *server_options) as server:
        server.time_to_first_token_ms(prompt=tokens(100, "first touch"), max_tokens=2)
        measure_alone(server, given.prefix, given.prefixes, given.warm)
        measure_crowd(server, given.prefix, given.clients)


if __name__ == "__main__":
    main()
