"""The tokenizer against Hugging Face's, on the prompt set and on random strings."""
import os
import pathlib
import subprocess
import sys

import pytest

from conftest import MODEL_FOLDER

TOOL = os.environ.get("SOUFFLEUR_TOKENIZE_TOOL", "build/release/tests/souffleur_tokenize_tool")


def test_it_agrees_with_the_reference_everywhere():
    if not MODEL_FOLDER.exists():
        pytest.skip(f"there is no {MODEL_FOLDER}")
    script = pathlib.Path(__file__).with_name("compare_tokenizer.py")
    subprocess.run([sys.executable, script, TOOL, MODEL_FOLDER], check=True)
