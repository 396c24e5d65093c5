#!/usr/bin/env python3
"""A generation far beyond the model's context (StreamingLLM): does its memory or its step time grow?

Prints, by thousand tokens, the wall time and the processor time of a token and the server's resident memory; at the
end, the last thousand over tokens 2,000 to 3,000.
"""
import argparse
import time

from local_server import LocalServer, n_tokens_of


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--tokens", type=int, default=50_000)
    parser.add_argument("--sinks", type=int, default=16)
    parser.add_argument("--window", type=int, default=1024)
    given, server_options = parser.parse_known_args()
    if given.tokens < 3000:
        parser.error(f"--tokens is {given.tokens}; the least is 3000, since tokens 2,000 to 3,000 are compared with")
    body = {"prompt": "Once upon a time", "max_tokens": given.tokens, "temperature": 0.8, "seed": 1, "ignore_eos": True,
            "logprobs": 0,  # one chunk a token, also where the text is held back
            "souffleur": {"attention_sinks": given.sinks, "attention_window": given.window, "speculation": False}}
    rows = []
    options = ["--scheduler.max_output_tokens", str(given.tokens), "--scheduler.request_timeout_s", "7200"]
    with LocalServer(given.model, *options, *server_options) as server:
        n, wall, cpu = 0, time.perf_counter(), server.cpu_s()
        for chunk in server.stream(**body):
            if not chunk["choices"]:
                print(f"usage: {chunk['usage']}")
                continue
            n += n_tokens_of(chunk)
            if n >= 1000 * (len(rows) + 1):
                now = time.perf_counter(), server.cpu_s()
                rows.append((now[0] - wall, now[1] - cpu, server.resident_mib()))
                wall, cpu = now
                print(f"tokens to {n:6d}: {rows[-1][0]:.3f} ms wall, {rows[-1][1]:.3f} ms processor a token; "
                      f"{rows[-1][2]:.1f} MiB resident", flush=True)
    print(f"last 1,000 / tokens 2,000 to 3,000: {rows[-1][0] / rows[2][0]:.3f} wall, {rows[-1][1] / rows[2][1]:.3f} "
          f"processor; memory {rows[-1][2] / rows[2][2]:.3f}")


if __name__ == "__main__":
    main()
