"""What a person types: souffleur chat, complete, tokenize, models, doctor, bench, completion, man."""
import configparser
import json
import os
import pty
import select
import signal
import subprocess
import time

import pytest

from conftest import MODEL_FOLDER
from local_server import BINARY


def souffleur(*words, **options):
    return subprocess.run([str(BINARY), *words], capture_output=True, text=True, timeout=120, **options)


def model_options(model="smollm2"):
    return ("--model", model, "--model.folder", str(MODEL_FOLDER))


def test_help_names_every_command_and_each_has_help_of_its_own():
    said = souffleur("help")
    assert said.returncode == 0
    for command in ("serve", "chat", "complete", "tokenize", "models", "bench", "cache", "doctor"):
        assert f"  {command} " in said.stdout
        own = souffleur(command, "--help")
        assert own.returncode == 0 and "Usage" in own.stdout, command
    wrong = souffleur("sing")
    assert wrong.returncode == 2 and '"sing"' in wrong.stderr


def test_complete_goes_on_with_a_text_as_the_server_does(server):
    said = souffleur("complete", "The capital of France is", "--url", server.stream_url, "-n", "8", "--temperature", "0")
    plain = server.client().completions.create(model="smollm2", prompt="The capital of France is", max_tokens=8,
                                               temperature=0).choices[0].text
    assert said.stdout == f"The capital of France is{plain}\n"
    piped = souffleur("complete", "-", "--url", server.stream_url, "-n", "8", "--temperature", "0",
                      input="The capital of France is")
    assert piped.stdout == said.stdout


def test_chat_remembers_what_was_said_until_it_is_told_to_begin_anew(server):
    options = ("--url", server.stream_url, "-n", "16", "--temperature", "0", "--system", "You are brief.")
    lines = souffleur("chat", *options, input="Say yes.\n\nSay it again.\n/new\nSay yes.\n").stdout
    client = server.client()
    messages = [{"role": "system", "content": "You are brief."}]

    def answer(text):
        messages.append({"role": "user", "content": text})
        said = client.chat.completions.create(model="smollm2", messages=messages, max_tokens=16, temperature=0)
        messages.append({"role": "assistant", "content": said.choices[0].message.content})
        return messages[-1]["content"]

    first, second = answer("Say yes."), answer("Say it again.")
    assert lines == f"{first}\n{second}\n{first}\n"


def test_chat_tells_figures_and_one_message_is_enough(server):
    said = souffleur("chat", "Count to five.", "--url", server.stream_url, "-n", "12", "--figures")
    assert said.returncode == 0 and "tokens/s" in said.stderr
    assert "12 tokens" in said.stderr or "tokens" in said.stderr


def test_ctrl_c_ends_the_answer_and_not_the_conversation(server):
    controller, terminal = pty.openpty()
    process = subprocess.Popen([str(BINARY), "chat", "--url", server.stream_url], stdin=terminal, stdout=terminal,
                               stderr=terminal, start_new_session=True)
    os.close(terminal)
    seen = b""

    def read_until(condition, longest_s=60):
        nonlocal seen
        until = time.monotonic() + longest_s
        while not condition() and time.monotonic() < until:
            if select.select([controller], [], [], 0.1)[0]:
                seen += os.read(controller, 65536)
        assert condition(), seen

    try:
        read_until(lambda: seen.endswith(b"> "))
        os.write(controller, b"Tell a very long story about the sea, with many chapters.\n")
        before = len(seen)
        read_until(lambda: len(seen) > before + 200)
        process.send_signal(signal.SIGINT)
        read_until(lambda: seen.rstrip(b" ").endswith(b"\n>"))
        read_until(lambda: server.metric("vllm:num_requests_running") == 0)
        before = len(seen)
        os.write(controller, b"Say yes.\n")
        read_until(lambda: len(seen) > before + 12)
        read_until(lambda: seen.endswith(b"> "))
        os.write(controller, b"\x04")
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()
        os.close(controller)


def test_without_a_server_chat_says_how_to_start_one():
    said = souffleur("chat", "Hello", "--url", "ws://127.0.0.1:1/v1/stream")
    assert said.returncode == 1 and "souffleur serve" in said.stderr


def test_tokenize_tells_what_the_server_tells(server):
    text = "Why is\tthe sky blue?\n<|im_end|> ä"
    ids = souffleur("tokenize", text, "--ids", *model_options()).stdout.split()
    there = json.load(server.post("/tokenize", {"content": text}))["tokens"]
    assert [int(one) for one in ids] == there
    assert int(souffleur("tokenize", "-", "--count", *model_options(), input=text).stdout) == len(there)
    assert f"{len(there)} tokens" in souffleur("tokenize", text, *model_options()).stdout
    assert "neither a file" in souffleur("tokenize", "x", "--model", "none").stderr


def test_models_lists_what_is_there_and_says_how_to_fetch_some(tmp_path):
    said = souffleur("models", "--model.folder", str(MODEL_FOLDER))
    assert "smollm2" in said.stdout and "llama" in said.stdout and "8192" in said.stdout
    (tmp_path / "broken.gguf").write_bytes(b"no model")
    assert "broken" in souffleur("models", "--model.folder", str(tmp_path)).stdout
    none = souffleur("models", "--model.folder", str(tmp_path / "none"))
    assert none.returncode == 1 and "get_model.py" in none.stderr


def test_doctor_says_what_is_wrong_and_what_to_do(server):
    fine = souffleur("doctor", *model_options(), "--port", "0")
    assert fine.returncode == 0, fine.stdout
    taken = souffleur("doctor", *model_options(), "--port", str(server.port))
    assert taken.returncode == 1 and "--port takes another one" in taken.stdout
    missing = souffleur("doctor", "--model", "none", "--port", "0")
    assert missing.returncode == 1 and "get_model.py" in missing.stdout
    assert souffleur("doctor", "--no-such-option").returncode == 2


def test_bench_prints_a_table():
    said = souffleur("bench", *model_options())
    assert said.returncode == 0, said.stderr
    assert [line.split()[0] for line in said.stdout.splitlines() if line.strip()][-3:] == ["1", "4", "16"]


@pytest.mark.parametrize("shell, check", [("bash", ["bash", "-n"]), ("zsh", None), ("fish", None)])
def test_shells_get_what_they_complete_with(shell, check):
    said = souffleur("completion", shell)
    assert said.returncode == 0 and "doctor" in said.stdout and "cache.policy" in said.stdout
    if check:
        subprocess.run(check, input=said.stdout, text=True, check=True)
        asked = said.stdout + "\nCOMP_WORDS=(souffleur do); COMP_CWORD=1; _souffleur; echo ${COMPREPLY[@]}\n" \
                              "COMP_WORDS=(souffleur serve --cache.pol); COMP_CWORD=2; _souffleur; echo ${COMPREPLY[@]}\n"
        found = subprocess.run(["bash"], input=asked, capture_output=True, text=True, check=True).stdout.split()
        assert found == ["doctor", "--cache.policy"]
    assert souffleur("completion", "tcsh").returncode == 2


def test_the_manual_has_every_option_of_the_configuration():
    page = souffleur("man").stdout
    settings = configparser.ConfigParser(inline_comment_prefixes="#")
    settings.read("conf/souffleur.conf")
    for section in settings.sections():
        for key in settings[section]:
            assert f"{section}.{key}" in page, key
