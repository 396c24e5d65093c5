"""The scripts that compare servers and settings, on so little that they end at once: what they print, and their files."""
import json
import subprocess
import sys
import xml.dom.minidom

import pytest

from conftest import MODEL_FOLDER
from local_server import PROJECT


def run(script, *words):
    return subprocess.run([sys.executable, str(PROJECT / "examples" / script), *map(str, words)], capture_output=True, text=True,
                          check=False)


def smollm2():
    path = MODEL_FOLDER / "smollm2.gguf"
    if not path.exists():
        pytest.skip(f"{path} is missing; conf/get_model.py smollm2 fetches it")
    return path


def test_two_servers_are_compared(server, tmp_path):
    files = {kind: tmp_path / f"report.{kind}" for kind in ("json", "markdown", "svg")}
    done = run("compare/compare.py", "--model", smollm2(), "--peer-url", server.base_url, "--peer-name", "another", "--only",
               "^chat|cancel", "--clients", "2", "--rounds", "2", "--quick",
               *sum(([f"--{kind}", path] for kind, path in files.items()), []))
    assert done.returncode == 0, done.stderr
    assert files["markdown"].read_text() == done.stdout.removesuffix("\n")
    assert "| 2 | tokens/s |" in done.stdout and "## Memory" in done.stdout and "souffleur-load" in done.stdout
    rows = json.loads(files["json"].read_text())["rows"]
    assert [(row["scenario"], row["clients"]) for row in rows] == [("chat", 2), ("cancel storm", 2)]
    for row in rows:
        assert set(row["figures"]) == {"Souffleur", "another"}
        assert all(one["failed"] == 0 and one["tokens/s"] > 0 for rounds in row["figures"].values() for one in rounds)
    xml.dom.minidom.parse(str(files["svg"]))


def test_an_ablation_checks_that_no_answer_changes(tmp_path):
    files = {kind: tmp_path / f"ablation.{kind}" for kind in ("json", "markdown", "svg")}
    done = run("ablation/ablate.py", "--model", smollm2(), "--quick", "--caches", "exact", "--radix", "on", "--speculation",
               "off,auto", "--clients", "2", "--requests", "8", "--max-tokens", "10",
               *sum(([f"--{kind}", path] for kind, path in files.items()), []))
    assert done.returncode == 0, done.stderr
    cells = json.loads(files["json"].read_text())
    assert [(cell["cache"], cell["radix"], cell["speculation"]) for cell in cells] == [
        ("off", "off", "off"), ("exact", "on", "off"), ("exact", "on", "auto")]
    assert all(cell["answers"] >= 8 and cell["differing"] == 0 for cell in cells)
    assert cells[0]["speedup"] == [1.0]
    assert files["markdown"].read_text() == done.stdout
    xml.dom.minidom.parse(str(files["svg"]))


@pytest.mark.parametrize("script, words, complaint", [
    ("compare/compare.py", ["--model", "/missing.gguf"], "--model"),
    ("compare/compare.py", ["--model", "/dev/null", "--peer", "/missing"], "--peer"),
    ("compare/compare.py", ["--only", "chess"], "shared prefix"),
    ("ablation/ablate.py", ["--caches", "some"], "semantic"),
    ("ablation/ablate.py", ["--speculation", "draft_model", "--caches", "off"], "--draft-model"),
])
def test_a_mistake_is_named(script, words, complaint):
    done = run(script, *words)
    assert done.returncode != 0
    assert complaint in done.stderr
