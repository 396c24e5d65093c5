#!/usr/bin/env python3
"""Autobahn|Testsuite against the server's WebSocket layer (RFC 6455, RFC 7692), through the echo endpoint.

    tests/tools/autobahn.py WSTEST [CASE...]

WSTEST is the program of PyPI's autobahntestsuite, which needs Python 2.7:
    python2.7 -m virtualenv venv && venv/bin/pip install autobahntestsuite==25.10.1
CASE: patterns such as 1.* or 12.*; default: all sections that the suite has. Prints the behaviours by section, and every
case that is not "OK", "NON-STRICT" or "INFORMATIONAL"; exits with 1 if there is one. The report is in build/autobahn.
"""
import collections
import json
import pathlib
import subprocess
import sys

PROJECT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(PROJECT / "examples/bench"))
from local_server import LocalServer  # noqa: E402

GOOD = ("OK", "NON-STRICT", "INFORMATIONAL")


def main():
    wstest, cases = sys.argv[1], sys.argv[2:] or ["*"]
    folder = PROJECT / "build/autobahn"
    folder.mkdir(parents=True, exist_ok=True)
    with LocalServer("smollm2", "--server.echo", "true", "--server.max_body_mib", "64") as server:
        spec = {"outdir": str(folder), "cases": cases, "exclude-cases": [], "exclude-agent-cases": {},
                "servers": [{"agent": "souffleur", "url": f"ws://127.0.0.1:{server.port}/echo"}]}
        (folder / "spec.json").write_text(json.dumps(spec))
        subprocess.run([wstest, "-m", "fuzzingclient", "-s", str(folder / "spec.json")], check=True, cwd=folder,
                       stdout=subprocess.DEVNULL)
    results = json.loads((folder / "index.json").read_text())["souffleur"]
    by_section = collections.defaultdict(collections.Counter)
    bad = []
    for case, result in results.items():
        for what in ("behavior", "behaviorClose"):
            if result[what] not in GOOD:
                bad.append(f"{case} {what}: {result[what]}")
        by_section[int(case.split(".")[0])][result["behavior"]] += 1
    for section, counts in sorted(by_section.items()):
        print(f"section {section:2d}: " + ", ".join(f"{n} {name}" for name, n in counts.most_common()))
    print("\n".join(bad) or f"{len(results)} cases, none failed")
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main())
