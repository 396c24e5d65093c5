#!/usr/bin/env python3
"""What a draft model in another process brings, and what it brings there to draft ahead while its drafts are verified.

Three servers of one model, and two drafters, which are given the same requests, one after the other, in an order that turns:
one server without a drafter, one whose drafter drafts when it is asked (`--speculation.draft_ahead off`), one whose drafter goes
on meanwhile. Server and drafter have --threads each, so on the same machine they need twice as many cores. Prints by category the
tokens a second, and how much faster that is than without. The texts must be the same.
"""
import argparse
import os
import pathlib
import sys
import time
from collections import defaultdict

from local_server import LocalDrafter, LocalServer, free_port
from speculate import Answer, add_prompt_options, chosen_prompts

MODELS = pathlib.Path.home() / ".cache/souffleur/models"
VARIANTS = ("without", "in turns", "ahead")


def start(given, variant):
    """A server, and the drafter that it has found."""
    own = ["--threads", str(given.threads)]
    plain = ["--speculation.drafter", "draft_model", "--speculation.policy", given.policy, "--cache.policy", "off",
             "--embedding.model", "off"]
    if variant == "without":
        return LocalServer(given.model, *own, *plain), None
    port = free_port()
    drafter = LocalDrafter(given.draft_model, port, *own, "--speculation.draft_ahead", "on" if variant == "ahead" else "off")
    server = LocalServer(given.model, *own, *plain, "--speculation.drafter_address", f"127.0.0.1:{port}")
    give_up = time.monotonic() + 30
    while "drafting for a server" not in "".join(drafter.log):
        if time.monotonic() > give_up:
            raise SystemExit("server and drafter did not find each other")
        time.sleep(0.05)
    return server, drafter


def measure(given, prompts, servers):
    """Seconds and answers, by category and variant."""
    found = defaultdict(lambda: {variant: [0.0, []] for variant in VARIANTS})
    for n, (category, prompt) in enumerate(prompts):
        print(f"\r{n} of {len(prompts)} prompts: {category:20s}", end="", file=sys.stderr)
        for variant in VARIANTS[n % 3:] + VARIANTS[:n % 3]:
            server = servers[variant][0]
            Answer(server, prompt, variant, variant != "without", given, 1)
            began = time.perf_counter()
            answer = Answer(server, prompt, variant, variant != "without", given, given.tokens)
            found[category][variant][0] += time.perf_counter() - began
            found[category][variant][1].append(answer)
    print(file=sys.stderr)
    return found


def report(found):
    """How many texts differ."""
    print(f"{'category':18s}" + "".join(f"{name + ' tok/s':>16s}" for name in VARIANTS) + "   in turns   ahead   ahead / in turns   stood")
    whole = {variant: [sum(of[variant][0] for of in found.values()), sum((of[variant][1] for of in found.values()), [])]
             for variant in VARIANTS}
    for category, of in [*found.items(), ("all", whole)]:
        rates = [sum(one.n_tokens for one in of[variant][1]) / of[variant][0] for variant in VARIANTS]
        drafted = sum(one.n_drafted for one in of["ahead"][1])
        stood = sum(one.n_accepted for one in of["ahead"][1]) / drafted if drafted else 0
        print(f"{category:18s}" + "".join(f"{rate:16.1f}" for rate in rates)
              + f"   {rates[1] / rates[0]:8.2f}   {rates[2] / rates[0]:5.2f}   {rates[2] / rates[1]:16.2f}   {stood:4.0%}")
    n_different = sum(len({one.text for one in same}) > 1 for same in zip(*(answers for _, answers in whole.values())))
    print(f"texts that differ: {n_different}")
    return n_different


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=pathlib.Path, default=MODELS / "qwen-1.5b.gguf")
    parser.add_argument("--draft-model", type=pathlib.Path, default=MODELS / "qwen-0.5b.gguf")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--policy", default="adaptive", help="adaptive: drafts where that pays; fixed: always")
    parser.add_argument("--temperature", type=float, default=0.0)
    parser.add_argument("--ignore-eos", action="store_true")
    add_prompt_options(parser)
    given = parser.parse_args()
    prompts = chosen_prompts(parser, given)
    os.environ["SOUFFLEUR_CLUSTER_SECRET"] = "of this measurement"
    servers = {}
    try:
        for variant in VARIANTS:
            servers[variant] = start(given, variant)
        return 1 if report(measure(given, prompts, servers)) else 0
    finally:
        for server, drafter in servers.values():
            server.stop()
            if drafter:
                drafter.stop()


if __name__ == "__main__":
    sys.exit(main())
