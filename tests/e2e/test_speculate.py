"""The script that measures drafters, on so little that it ends at once: what it prints, and its files, can be read."""
import json
import subprocess
import sys
import xml.dom.minidom

import pytest

from conftest import MODEL_FOLDER
from local_server import PROJECT


def test_drafters_are_compared_in_one_run(tmp_path):
    model = MODEL_FOLDER / "smollm2.gguf"
    if not model.exists():
        pytest.skip(f"{model} is missing; conf/get_model.py smollm2 fetches it")
    files = {kind: tmp_path / f"out.{kind}" for kind in ("json", "svg")}
    command = [sys.executable, PROJECT / "examples/bench/speculate.py", "--model", model, "--only", "random",
               "--most", "2", "--tokens", "8", "--drafters", "suffix,recycling", "--json", files["json"], "--svg", files["svg"]]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads(files["json"].read_text())
    assert list(results) == ["suffix", "recycling", "auto", "beside the best drafter"]
    assert [[row["category"], row["prompts"]] for row in results["auto"]] == [["random", 2], ["all", 2]]
    for one in results["beside the best drafter"]:
        best = max(one["ratios"][name] for name in ("suffix", "recycling"))
        assert one["ratios"][one["best"]] == best
        assert one["of_best"] == one["ratios"]["auto"] / best
        assert f"{one['of_best']:.2f} of {one['best']}" in done.stdout
    bars = xml.dom.minidom.parse(str(files["svg"])).getElementsByTagName("rect")
    assert len(bars) == 1 + 3 + 2 * 3  # the page, the legend, three variants in two categories
