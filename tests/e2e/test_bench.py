"""souffleur-bench on a setting so small that it ends at once: what it prints can be read, and mistakes are named."""
import json
import os
import subprocess

import pytest

from conftest import MODEL_FOLDER

BENCH = os.environ.get("SOUFFLEUR_BENCH", "build/release/examples/souffleur-bench")


def run(*options):
    return subprocess.run([BENCH, "--threads", "2", "--repeats", "1", *options], capture_output=True, text=True,
                          check=False)


def measurements(*options):
    outcome = run("--format", "json", *options)
    assert outcome.returncode == 0, outcome.stderr
    document = json.loads(outcome.stdout)
    assert document["cpu"] and document["isa"]
    return document["measurements"]


def smollm2():
    path = MODEL_FOLDER / "smollm2.gguf"
    if not path.exists():
        pytest.skip(f"{path} is missing; conf/get_model.py smollm2 fetches it")
    return str(path)


def test_every_run_measures_a_model_and_the_machine():
    all_of_them = measurements("--model", smollm2(), "--prefill", "20", "--chunk", "16", "--batch", "1,3",
                               "--decode-steps", "2", "--depth", "0,17", "--curve", "--curve-rows", "1,2", "--profile")
    assert {entry["work"] for entry in all_of_them} == {"machine stream", "machine dot products", "prefill", "decode",
                                                        "curve", "profile"}
    for entry in all_of_them:
        for figure in entry.values():
            if isinstance(figure, dict):
                assert 0 < figure["min"] <= figure["median"] <= figure["max"]
    decodes = [(entry["depth"], entry["batch"]) for entry in all_of_them if entry["work"] == "decode"]
    assert decodes == [(0, 1), (0, 3), (17, 1), (17, 3)]


def test_kernels_need_no_model():
    kernels = [entry for entry in measurements("--model", "missing", "--kernels", "--kernel-shape", "64x256",
                                               "--kernel-formats", "q4_k,q8_0", "--kernel-rows", "1,5")
               if entry["work"] == "kernel"]
    assert [(entry["format"], entry["rows"]) for entry in kernels] == [("Q4_K", 1), ("Q4_K", 5), ("Q8_0", 1),
                                                                       ("Q8_0", 5)]


@pytest.mark.parametrize("options, complaint", [
    (["--model", "missing"], "missing"),
    (["--threads", "0"], "--threads"),
    (["--batch", "1,x"], "--batch"),
    (["--prefill", "0", "--batch", "0"], "nothing to measure"),
    (["--kernels", "--kernel-shape", "64"], "--kernel-shape"),
    (["--kernels", "--kernel-shape", "64x100"], "multiple of 32"),
    (["--kernels", "--kernel-formats", "q4_k", "--kernel-shape", "64x96"], "multiple of 256"),
    (["--kernels", "--kernel-formats", "q9"], "q9"),
    (["--output", "/nowhere/x"], "/nowhere/x"),
    (["--unknown"], "--unknown"),
])
def test_a_mistake_is_named(options, complaint):
    outcome = run(*options)
    assert outcome.returncode != 0
    assert complaint in outcome.stderr
    assert outcome.stdout == ""


def test_a_depth_beyond_the_models_context_is_refused():
    outcome = run("--model", smollm2(), "--depth", "100000", "--batch", "1")
    assert outcome.returncode != 0
    assert "context" in outcome.stderr
