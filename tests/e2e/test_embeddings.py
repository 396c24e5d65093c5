"""/v1/embeddings with an unmodified OpenAI client, beside generations."""
import base64
import concurrent.futures
import json
import math
import pathlib
import struct

import openai
import pytest

from conftest import MODEL_FOLDER
from waiting import wait_until

GOLDEN = [json.loads(line) for line in pathlib.Path("tests/golden/minilm.jsonl").read_text().splitlines()]

pytestmark = pytest.mark.skipif(not (MODEL_FOLDER / "minilm").exists(),
                                reason="conf/get_model.py minilm fetches the model")


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b)) / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


def embed(server, texts, **options):
    return server.client().embeddings.create(model="minilm", input=texts, **options)


def test_vectors_are_the_references(server):
    rows = GOLDEN[:64] + GOLDEN[176:]
    answer = embed(server, [row["text"] for row in rows], encoding_format="float")
    assert [entry.index for entry in answer.data] == list(range(len(rows)))
    assert min(cosine(entry.embedding, row["embedding"]) for entry, row in zip(answer.data, rows)) > 0.99999
    assert answer.usage.prompt_tokens == sum(len(row["ids"]) for row in rows)
    truncated = [i for i, row in enumerate(rows) if "n_ids_untruncated" in row]
    assert answer.souffleur["truncated_inputs"] == truncated != []


def test_base64_and_numbers_are_the_same_vector(server):
    numbers = embed(server, "hello world", encoding_format="float").data[0].embedding
    raw = json.loads(server.post("/v1/embeddings", {"input": "hello world", "encoding_format": "base64"}).read())
    assert struct.unpack("<384f", base64.b64decode(raw["data"][0]["embedding"])) == pytest.approx(numbers, abs=1e-7)
    assert embed(server, "hello world").data[0].embedding == pytest.approx(numbers, abs=1e-7)  # the client asks for base64
    assert len(embed(server, "hello world", dimensions=384).data[0].embedding) == 384


def test_wrong_requests_are_refused_with_the_parameter(server):
    for options, parameter in (({"input": [[1, 2]]}, "input"), ({"dimensions": 100}, "dimensions"),
                               ({"model": "gpt"}, "model")):
        with pytest.raises(openai.APIStatusError) as refused:
            server.client().embeddings.create(**({"model": "minilm", "input": "x"} | options))
        assert refused.value.body["param"] == parameter
    assert [model.id for model in server.client().models.list()] == ["smollm2", "minilm"]


def test_a_vector_does_not_depend_on_who_asks_beside_it_nor_on_generations(server):
    def vectors(texts):
        return [entry.embedding for entry in embed(server, texts).data]

    texts = [row["text"] for row in GOLDEN[:40]]
    alone = vectors(texts)
    with concurrent.futures.ThreadPoolExecutor(12) as clients:
        story = clients.submit(server.client().completions.create, model="smollm2", prompt="Once", max_tokens=100,
                               extra_body={"ignore_eos": True})
        asked = [clients.submit(vectors, texts[i::8] + [texts[0]]) for i in range(8)]
        for i, one in enumerate(asked):
            assert one.result() == alone[i::8] + [alone[0]]
        assert story.result().usage.completion_tokens == 100
    wait_until(lambda: server.metric("souffleur_embedded_texts_total") >= 88)


def test_an_empty_time_budget_fails_and_the_next_request_does_not(server):
    body = {"input": ["word " * 300] * 400, "souffleur": {"timeout_ms": 1}}
    with pytest.raises(Exception) as refused:
        server.post("/v1/embeddings", body)
    assert refused.value.code == 504
    assert len(embed(server, "next").data) == 1


def test_the_model_takes_no_more_memory_than_is_counted_for_it(server, start_server):
    embed(server, [row["text"] for row in GOLDEN])
    counted = server.metric("souffleur_memory_bytes", part="embedding_model") / 2**20
    without = start_server("smollm2", "--embedding.model", "off").resident_mib()
    print(f"resident {server.resident_mib():.0f} MiB, {without:.0f} MiB without; {counted:.0f} MiB counted")
    assert 0 < server.resident_mib() - without < counted


def test_a_server_without_an_embedding_model_says_so(start_server):
    server = start_server("smollm2", "--embedding.model", "off")
    with pytest.raises(openai.NotFoundError) as refused:
        embed(server, "x")
    assert refused.value.code == "no_embedding_model"
    assert server.client().completions.create(model="smollm2", prompt="Once", max_tokens=3).usage.completion_tokens > 0
