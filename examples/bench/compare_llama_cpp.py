#!/usr/bin/env python3
"""Compares Souffleur's engine with llama.cpp: same model files, same threads, one minute of the same machine.

Each round runs ours, then theirs, for one row after the other; a row's ratio is taken within a round, and its minimum,
median and maximum are printed beside the ratio that Souffleur aims at for the instructions in use. Of llama.cpp's
settings with and without flash attention, the faster counts, each time. Figures are tokens per second.

llama-bench and llama-batched-bench are looked for in --peer. They are built from llama.cpp's source with
  cmake -B build -DCMAKE_BUILD_TYPE=Release -DGGML_NATIVE=ON
  cmake --build build --target llama-bench llama-batched-bench
"""
import argparse
import dataclasses
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys

from argument_types import positive

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
DECODE_STEPS = 64
BATCHES = (8, 16, 32)
BATCH_DEPTH = 16  # llama-batched-bench wants a prompt
CURVE_DEPTH = 256
CURVE_ROWS = (1, 4, 8)


def fail(why):
    sys.exit(f"compare_llama_cpp.py: {why}")


def output_of(command):
    try:
        outcome = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    except OSError as error:
        fail(f"cannot run {command[0]}: {error.strerror}")
    if outcome.returncode != 0:
        fail(f"{' '.join(map(str, command))}\nleft with {outcome.returncode}:\n{outcome.stderr[-2000:]}")
    return outcome.stdout


def parsed(text, command_name):
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        fail(f"{command_name} printed no JSON:\n{text[:500]}")


@dataclasses.dataclass
class Programs:
    bench: pathlib.Path
    peer: pathlib.Path
    models: pathlib.Path
    threads: int

    def ours(self, model, *words):
        text = output_of([self.bench, "--model", self.file_of(model), "--threads", self.threads, "--repeats", 1,
                          "--format", "json", *words])
        return parsed(text, self.bench)

    def llama_bench(self, model, *words):
        """Tokens per second, the faster of the two kinds of attention."""
        text = output_of([self.peer / "llama-bench", "-m", self.file_of(model), "-t", self.threads, "-r", 1, "-fa", "0,1",
                          "-o", "json", *words])
        return max(entry["avg_ts"] for entry in parsed(text, "llama-bench"))

    def llama_batched_bench(self, model):
        """Total tokens per second by batch size, each the faster of the two kinds of attention."""
        best = {}
        for attention in ("off", "on"):
            text = output_of([self.peer / "llama-batched-bench", "-m", self.file_of(model), "-t", self.threads,
                              "-c", max(BATCHES) * (BATCH_DEPTH + DECODE_STEPS), "-npp", BATCH_DEPTH,
                              "-ntg", DECODE_STEPS, "-npl", ",".join(map(str, BATCHES)), "-fa", attention,
                              "--output-format", "jsonl"])
            for line in text.splitlines():
                if line.startswith("{"):
                    entry = parsed(line, "llama-batched-bench")
                    best[entry["pl"]] = max(best.get(entry["pl"], 0), entry["speed_tg"])
        if set(best) != set(BATCHES):
            fail(f"llama-batched-bench printed figures for batches {sorted(best)}, not for {list(BATCHES)}")
        return best

    def file_of(self, model):
        return self.models / f"{model}.gguf"


class Decode:
    def __init__(self, depth=0):
        self.depth = depth

    def ours(self, programs, model):
        result = programs.ours(model, "--prefill", 0, "--batch", 1, "--depth", self.depth, "--decode-steps",
                               DECODE_STEPS)
        return result, {"": only(result, "decode")["tokens_per_s"]["median"]}

    def theirs(self, programs, model):
        return {"": programs.llama_bench(model, "-p", 0, "-n", DECODE_STEPS, "-d", self.depth)}


class Prefill:
    def ours(self, programs, model):
        result = programs.ours(model, "--prefill", 512, "--batch", 0)
        return result, {"": only(result, "prefill")["tokens_per_s"]["median"]}

    def theirs(self, programs, model):
        return {"": programs.llama_bench(model, "-p", 512, "-n", 0)}


class BatchedDecode:
    def ours(self, programs, model):
        result = programs.ours(model, "--prefill", 0, "--batch", ",".join(map(str, BATCHES)), "--depth", BATCH_DEPTH,
                               "--decode-steps", DECODE_STEPS)
        return result, {entry["batch"]: entry["tokens_per_s"]["median"] for entry in of_work(result, "decode")}

    def theirs(self, programs, model):
        return programs.llama_batched_bench(model)


class Curve:
    """Ours alone: rows that speculation verifies together."""

    def ours(self, programs, model):
        result = programs.ours(model, "--curve", "--curve-rows", ",".join(map(str, CURVE_ROWS)), "--depth",
                               CURVE_DEPTH)
        return result, {entry["rows"]: entry["ratio_to_rows_1"]["median"] for entry in of_work(result, "curve")}

    def theirs(self, _programs, _model):
        return None


def of_work(result, work):
    return [entry for entry in result["measurements"] if entry["work"] == work]


def only(result, work):
    (entry,) = of_work(result, work)
    return entry


@dataclasses.dataclass
class Row:
    name: str
    model: str
    work: object  # rows that share it share its runs
    key: object  # of the row's figure among the work's
    needed_avx2: float
    needed_avx512: float
    ours: list = dataclasses.field(default_factory=list)
    theirs: list = dataclasses.field(default_factory=list)

    def ratios(self):
        return [a / b for a, b in zip(self.ours, self.theirs)] if self.theirs else self.ours

    def needed(self, isa):
        return self.needed_avx512 if isa.startswith("avx512") else self.needed_avx2

    def verdict(self, isa):
        """Ours over theirs has to reach the needed ratio; T(M) / T(1) must not exceed it."""
        median = statistics.median(self.ratios())
        return "yes" if (median >= self.needed(isa) if self.theirs else median <= self.needed(isa)) else "no"


def all_rows():
    batched, curve = BatchedDecode(), Curve()
    rows = [Row("SmolLM2 decode, batch 1, depth 0", "smollm2", Decode(), "", 1.7, 1.7),
            Row("SmolLM2 decode, batch 1, depth 1024", "smollm2", Decode(1024), "", 2.2, 2.5)]
    for batch, avx2, avx512 in zip(BATCHES, (4, 5, 6), (4.5, 6, 8)):
        rows.append(Row(f"SmolLM2 decode, batch {batch}, total", "smollm2", batched, batch, avx2, avx512))
    rows += [Row("SmolLM2 prefill 512", "smollm2", Prefill(), "", 3.5, 5),
             Row("Qwen2.5-1.5B decode, batch 1", "qwen-1.5b", Decode(), "", 1.2, 1.25),
             Row("Qwen2.5-1.5B prefill 512", "qwen-1.5b", Prefill(), "", 2.5, 4),
             Row("Qwen2.5-0.5B decode, batch 1", "qwen-0.5b", Decode(), "", 1.3, 1.4),
             Row("Qwen2.5-0.5B prefill 512", "qwen-0.5b", Prefill(), "", 2.5, 4)]
    for n_rows, avx2, avx512 in ((4, 1.4, 1.25), (8, 2.0, 1.6)):
        rows.append(Row(f"SmolLM2 T({n_rows}) / T(1), depth {CURVE_DEPTH}", "smollm2", curve, n_rows, avx2, avx512))
    return rows


def run_once(served, programs, title):
    """Adds a figure of each side to the rows `served` by one work; what our run said about the machine."""
    work, model = served[0].work, served[0].model
    print(f"{title}: {served[0].name}, ours", file=sys.stderr, flush=True)
    result, ours = work.ours(programs, model)
    if not isinstance(work, Curve):
        print(f"{title}: {served[0].name}, llama.cpp's", file=sys.stderr, flush=True)
    theirs = work.theirs(programs, model)
    for row in served:
        row.ours.append(ours[row.key])
        if theirs:
            row.theirs.append(theirs[row.key])
    return result


def run_rounds(rows, programs, n_rounds):
    """Fills the rows' lists, up to an interruption; what the last of our runs said about the machine."""
    result = None
    works = list(dict.fromkeys(row.work for row in rows))
    try:
        for round_number in range(1, n_rounds + 1):
            for work in works:
                served = [row for row in rows if row.work is work]
                result = run_once(served, programs, f"round {round_number} of {n_rounds}")
    except KeyboardInterrupt:
        print("interrupted; the figures so far:", file=sys.stderr, flush=True)
    return result


def summary(values):
    return {"min": min(values), "median": statistics.median(values), "max": max(values)} if values else None


def text_of(values, n_decimals):
    if not values:
        return ""
    return " / ".join(f"{value:.{n_decimals}f}" for value in summary(values).values())


def print_table(rows, isa):
    table = [("work", "ours", "llama.cpp", "ratio", "needed", "reached")]
    for row in rows:
        figures = row.ours if row.theirs else []
        needed = f"{'>=' if row.theirs else '<='} {row.needed(isa):g}"
        table.append((row.name, text_of(figures, 1), text_of(row.theirs, 1), text_of(row.ratios(), 2), needed,
                      row.verdict(isa)))
    widths = [max(map(len, column)) for column in zip(*table)]
    for line in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())


def cpu_flags():
    found = re.search(r"^flags\s*:(.*)$", pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    return set(found.group(1).split()) if found else set()


def peer_instructions():
    """Of a native build on this machine."""
    flags = cpu_flags()
    for name in ("avx512", "avx512f", "avx_vnni", "avx2"):
        if name in flags:
            return name
    return "portable"


def document_of(rows, result, programs):
    isa = result["isa"]
    return {"cpu": result["cpu"], "isa": isa, "threads": programs.threads,
            "machine": [entry for entry in result["measurements"] if entry["work"].startswith("machine")],
            "rows": [{"work": row.name, "model": row.model, "ours": row.ours, "theirs": row.theirs,
                      "ratio": summary(row.ratios()), "needed": row.needed(isa), "reached": row.verdict(isa) == "yes"}
                     for row in rows]}


def chosen_rows(pattern):
    try:
        rows = [row for row in all_rows() if re.search(pattern, row.name, re.IGNORECASE)]
    except re.error as error:
        fail(f"--only: \"{pattern}\" is no regular expression: {error}")
    if not rows:
        names = "\n  ".join(row.name for row in all_rows())
        fail(f"--only: no row is like \"{pattern}\"; the rows are\n  {names}")
    return rows


def check_files(rows, programs):
    if not os.access(programs.bench, os.X_OK):
        fail(f"--bench: there is no program {programs.bench}; cmake --build build/release --target souffleur_bench")
    if any(not isinstance(row.work, Curve) for row in rows):
        for name in ("llama-bench", "llama-batched-bench"):
            if not os.access(programs.peer / name, os.X_OK):
                fail(f"--peer: there is no program {programs.peer / name}; --help says how it is built")
    for model in dict.fromkeys(row.model for row in rows):
        if not programs.file_of(model).exists():
            fail(f"--models: there is no {programs.file_of(model)}; python3 conf/get_model.py {model} fetches it")


def warn_if_busy():
    """Threads that spin at each other's barriers, as llama.cpp's, lose far more to other programs than ours."""
    load = os.getloadavg()[0]
    if load > 0.5:
        print(f"warning: other programs keep this machine busy (load {load:.1f}); these ratios will mean nothing",
              file=sys.stderr, flush=True)
    return load


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", type=pathlib.Path, default=REPOSITORY / "build/release/examples/souffleur-bench",
                        help="our program (default: build/release/examples/souffleur-bench)")
    parser.add_argument("--peer", type=pathlib.Path, default=CACHE / "souffleur-peers/llama.cpp/build/bin",
                        help="folder of llama.cpp's programs (default: %(default)s)")
    parser.add_argument("--models", type=pathlib.Path, default=CACHE / "souffleur/models",
                        help="folder of the model files (default: %(default)s)")
    parser.add_argument("--threads", type=positive, default=2, help="of both (default: 2)")
    parser.add_argument("--rounds", type=positive, default=5, help="of all rows (default: 5)")
    parser.add_argument("--only", default="", metavar="PATTERN", help="rows whose name matches, e.g. 'prefill|batch 8'")
    parser.add_argument("--json", type=argparse.FileType("w"), metavar="FILE", help="also writes every figure there")
    return parser.parse_args()


def main():
    chosen = arguments()
    programs = Programs(chosen.bench, chosen.peer, chosen.models, chosen.threads)
    rows = chosen_rows(chosen.only)
    check_files(rows, programs)
    load = warn_if_busy()
    result = run_rounds(rows, programs, chosen.rounds)
    rows = [row for row in rows if row.ours]
    if not rows:
        fail("interrupted before the first figure")
    isa = result["isa"]
    print(f"{result['cpu']}, threads {chosen.threads}, rounds {chosen.rounds}, load before {load:.1f}; ours uses {isa}, a native llama.cpp "
          f"{peer_instructions()}. Tokens per second, min / median / max.\n")
    print_table(rows, isa)
    if chosen.json:
        json.dump({"load_before": load} | document_of(rows, result, programs), chosen.json, indent=1)
        chosen.json.write("\n")


if __name__ == "__main__":
    main()
