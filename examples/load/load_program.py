"""souffleur-load, for scripts that compare servers. Needs nothing but Python."""
import json
import os
import pathlib
import shlex
import subprocess
import tempfile

PROJECT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = pathlib.Path(os.environ.get("SOUFFLEUR_LOAD", PROJECT / "build/release/examples/souffleur-load"))


def words_of(url, options):
    """The command line; `max_tokens=8` is --max-tokens 8, a True is a flag, a False or None is left out."""
    words = [str(PROGRAM), "--quiet", "--url", url]
    for name, value in options.items():
        if value is None or value is False:
            continue
        words.append("--" + name.replace("_", "-"))
        if value is not True:
            words.append(str(value))
    return words


def run_load(url, commands=None, **options):
    """What --json says of the one load that the options ask for. Its command is appended to `commands`."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "run.json"
        words = words_of(url, options)
        if commands is not None:
            commands.append(shlex.join(["souffleur-load", *words[1:]]))
        try:
            outcome = subprocess.run([*words, "--json", str(path)], capture_output=True, text=True, check=False)
        except OSError as error:
            raise SystemExit(f"cannot run {words[0]}: {error.strerror}; cmake --build build/release --target souffleur_load") from error
        if outcome.returncode != 0:
            raise SystemExit(f"{shlex.join(words)}\nleft with {outcome.returncode}:\n{outcome.stdout}{outcome.stderr}")
        (load,) = json.loads(path.read_text())["loads"]
    return load


def ttfts_ms(load, later_turns=False):
    """Of measured requests; `later_turns`: of those that follow an answer."""
    return [request["outputs_ms"][0] for request in load["requests"]
            if request["role"] == "measured" and request["outputs_ms"] and (request["turn"] > 0 or not later_turns)]


def texts_of(load):
    """{(dialogue, turn): digest of the answer} of completed requests."""
    return {(request["dialogue"], request["turn"]): request["digest"] for request in load["requests"]
            if request["role"] == "measured" and request["outcome"] == "completed"}
