"""A minute of what tests/tools/soak.py does for half an hour; SOUFFLEUR_SOAK_S says for how many seconds."""
import os
import pathlib
import subprocess
import sys

import pytest

from conftest import MODEL_FOLDER

SECONDS = float(os.environ.get("SOUFFLEUR_SOAK_S", "60"))
TOOL = pathlib.Path(__file__).resolve().parent.parent / "tools/soak.py"


def test_clients_and_faults_of_all_kinds_leave_nothing_behind(capfd):
    model = MODEL_FOLDER / "smollm2.gguf"
    if not model.exists():
        pytest.skip(f"{model} is not there; conf/get_model.py smollm2 fetches it")
    with capfd.disabled():
        done = subprocess.run([sys.executable, str(TOOL), "--model", str(model), "--seconds", str(SECONDS), "--capacity-s", "5"],
                              stdout=subprocess.PIPE, text=True, timeout=SECONDS + 300)
        print(done.stdout)
    assert done.returncode == 0, done.stdout
