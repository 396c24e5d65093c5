"""Memory costs what is used, and what a burst needed beside its KV is given back."""
import concurrent.futures
import time

N_CLIENTS = 16
CHATS_EACH = 4


def test_a_server_that_rests_after_64_chats_keeps_their_kv_and_little_else(start_server):
    server = start_server("smollm2", "--embedding.model", "off")  # with room for 32,768 tokens of KV
    at_start = server.resident_mib()

    def client(number):
        for question in range(CHATS_EACH):
            text = f"Client {number}, question {question}: tell me a long story about the number {number * 7} and a sea captain."
            server.client().chat.completions.create(model="smollm2", messages=[{"role": "user", "content": text}],
                                                    max_tokens=128, temperature=0.7, seed=number * 10 + question)

    with concurrent.futures.ThreadPoolExecutor(N_CLIENTS) as clients:
        list(clients.map(client, range(N_CLIENTS)))
    after_chats = server.resident_mib()
    time.sleep(4)
    at_rest = server.resident_mib()
    kv = server.metric("souffleur_kv_pages", state="cached") * 16 * 23_040 / 2**20
    print(f"resident {at_start:.0f} MiB at the start, {after_chats:.0f} MiB after the chats, {at_rest:.0f} MiB at rest, "
          f"of which {kv:.0f} MiB are cached KV")
    assert at_start <= 200
    assert at_rest <= 390
    assert at_rest - kv <= at_start + 10
