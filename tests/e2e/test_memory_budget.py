"""A server with a memory budget stays within it under load, and says so when the budget is too small."""
import concurrent.futures
import json
import subprocess

from conftest import MODEL_FOLDER
from local_server import BINARY
from waiting import wait_until

BUDGET_MIB = 448
KV_TOKENS = 32768
N_CHATS = 24
N_WORDS = 250


def test_a_full_server_stays_within_its_budget(start_server):
    server = start_server("smollm2", "--memory.budget_mib", str(BUDGET_MIB), "--kv.tokens", str(KV_TOKENS),
                          "--scheduler.max_running", "16", "--scheduler.max_waiting", "64", "--cache.policy", "exact",
                          "--cache.store", "memory",
                          "--cache.max_mib", "16", "--embedding.model", "off")
    planned = {part: server.metric("souffleur_memory_bytes", part=part) for part in (
        "program", "weights", "kv", "tables", "step", "requests", "drafts", "response_cache")}
    assert all(planned.values()), planned
    assert sum(planned.values()) <= BUDGET_MIB << 20
    n_pages = json.loads(server.get("/souffleur/kv"))["pages"]["total"]
    assert 256 <= n_pages * 16 < KV_TOKENS
    at_rest = server.resident_mib()

    def chat(number):
        words = " ".join(f"w{number}x{i}" for i in range(N_WORDS))
        answer = server.client().chat.completions.create(
            model="smollm2", messages=[{"role": "user", "content": f"Repeat: {words}"}], max_tokens=24, seed=number,
            extra_body={"ignore_eos": True})
        return answer.usage.completion_tokens, server.resident_mib()

    with concurrent.futures.ThreadPoolExecutor(24) as clients:
        outcomes = list(clients.map(chat, range(N_CHATS)))
    assert all(n_tokens == 24 for n_tokens, _ in outcomes)
    wait_until(lambda: server.metric("souffleur_kv_evicted_pages_total") > 0)  # the pool was full
    most = max(resident for _, resident in outcomes)
    print(f"resident {at_rest:.0f} MiB at rest, {most:.0f} MiB at most under load; budget {BUDGET_MIB} MiB, "
          f"{n_pages * 16} of {KV_TOKENS} positions")
    assert most <= BUDGET_MIB


def test_a_budget_that_is_too_small_ends_the_start_with_a_list_of_what_fills_it():
    outcome = subprocess.run([BINARY, "--model", MODEL_FOLDER / "smollm2.gguf", "--port", "0", "--memory.budget_mib", "100"],
                             capture_output=True, text=True, timeout=60, check=False)
    assert outcome.returncode == 1
    for word in ("memory.budget_mib", "100 MiB", "weights", "drafts"):
        assert word in outcome.stderr
