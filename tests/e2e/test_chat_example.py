"""The terminal client of examples/."""
import os
import subprocess

CHAT = os.environ.get("SOUFFLEUR_CHAT", "build/release/examples/souffleur_chat")


def run(server, *arguments, **options):
    command = [CHAT, "--url", server.stream_url, "--temperature", "0", "--max_tokens", "24", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, **options)


def test_it_streams_one_answer(server):
    outcome = run(server, "What is 2 plus 2?")
    assert outcome.returncode == 0, outcome.stderr
    assert "4" in outcome.stdout


def test_it_holds_a_conversation(server):
    outcome = run(server, input="What is 2 plus 2?\nWhy is the sky blue?\n")
    assert outcome.returncode == 0, outcome.stderr
    assert "4" in outcome.stdout and "sky" in outcome.stdout  # the second question was understood


def test_it_says_why_it_cannot_connect():
    outcome = subprocess.run([CHAT, "--url", "ws://127.0.0.1:1/v1/stream", "x"], capture_output=True, text=True,
                             timeout=30, check=False)
    assert outcome.returncode == 1
    assert "refused" in outcome.stderr
