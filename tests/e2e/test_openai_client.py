"""An unmodified OpenAI client against the HTTP endpoints."""
import http.client
import json

import openai
import pytest
from waiting import wait_until

QUESTION = [{"role": "user", "content": "Why is the sky blue?"}]
SUM = [{"role": "user", "content": "What is 2 plus 2?"}]
CAPITAL = [{"role": "user", "content": "What is the capital of France?"}]


def chat(server, **options):
    options = {"model": server.model, "messages": QUESTION, "max_tokens": 24, "temperature": 0} | options
    return server.client().chat.completions.create(**options)


def test_a_chat_answers_sensibly(server):
    answer = chat(server, messages=SUM)
    assert "4" in answer.choices[0].message.content
    assert answer.choices[0].message.role == "assistant"
    assert answer.usage.prompt_tokens > 0
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_the_other_model_answers_sensibly(start_server):
    server = start_server("qwen-0.5b")
    assert "Paris" in chat(server, messages=CAPITAL).choices[0].message.content
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chat(server, messages=CAPITAL, stream=True))
    assert "Paris" in text


def test_a_stream_has_the_text_of_the_plain_answer(server):
    chunks = list(chat(server, stream=True, stream_options={"include_usage": True}))
    assert chunks[0].choices[0].delta.role == "assistant"
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == chat(server).choices[0].message.content
    assert [c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason] == ["length"] or \
        chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens > 0
    assert len({chunk.id for chunk in chunks}) == 1


def test_n_choices_have_seeds_of_their_own_and_repeat(server):
    def ask():
        answer = chat(server, n=3, seed=7, temperature=1.0)
        return [choice.message.content for choice in answer.choices]

    first = ask()
    assert len(set(first)) > 1
    assert ask() == first
    alone = chat(server, seed=7, temperature=1.0)
    assert alone.choices[0].message.content == first[0]


def test_a_stop_string_is_cut_off(server):
    whole = chat(server).choices[0].message.content
    stop = whole[5:9]
    answer = chat(server, stop=[stop])
    assert answer.choices[0].message.content == whole[:whole.index(stop)]
    assert answer.choices[0].finish_reason == "stop"
    text = "".join(c.choices[0].delta.content or "" for c in chat(server, stop=stop, stream=True))
    assert text == whole[:whole.index(stop)]


def test_max_tokens_ends_with_length(server):
    answer = chat(server, max_tokens=3)
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage.completion_tokens == 3
    answer = chat(server, max_tokens=openai.omit, max_completion_tokens=4)
    assert answer.usage.completion_tokens == 4


def test_logprobs_name_the_chosen_tokens(server):
    answer = chat(server, logprobs=True, top_logprobs=3)
    content = answer.choices[0].logprobs.content
    assert "".join(entry.token for entry in content) == answer.choices[0].message.content
    for entry in content:
        assert entry.logprob <= 0
        assert len(entry.top_logprobs) == 3
        assert entry.top_logprobs[0].token == entry.token  # greedy
        assert bytes(entry.bytes).decode() == entry.token
        assert entry.top_logprobs[0].logprob >= entry.top_logprobs[1].logprob


def test_logit_bias_forbids_a_token(server):
    first = chat(server, max_tokens=1, logprobs=True).choices[0].logprobs.content[0].token
    ids = json.loads(post(server, "/tokenize", {"content": first})[1])["tokens"]
    other = chat(server, max_tokens=1, logprobs=True, logit_bias={str(ids[0]): -100})
    assert other.choices[0].logprobs.content[0].token != first


def test_completions_take_text_and_token_ids(server):
    client = server.client()
    options = {"model": server.model, "max_tokens": 8, "temperature": 0}
    by_text = client.completions.create(prompt="The capital of France is", **options)
    ids = json.loads(post(server, "/tokenize", {"content": "The capital of France is"})[1])["tokens"]
    by_ids = client.completions.create(prompt=ids, **options)
    both = client.completions.create(prompt=["The capital of France is", "One, two, three,"], **options)
    assert by_text.choices[0].text == by_ids.choices[0].text == both.choices[0].text
    assert "Paris" in by_text.choices[0].text
    assert both.usage.prompt_tokens > by_text.usage.prompt_tokens
    echoed = client.completions.create(prompt="The capital of France is", echo=True, **options)
    assert echoed.choices[0].text == "The capital of France is" + by_text.choices[0].text
    streamed = client.completions.create(prompt="The capital of France is", stream=True, **options)
    assert "".join(chunk.choices[0].text for chunk in streamed) == by_text.choices[0].text
    legacy = client.completions.create(prompt="The capital of France is", logprobs=2, **options)
    assert "".join(legacy.choices[0].logprobs.tokens) == by_text.choices[0].text
    assert all(len(top) == 2 for top in legacy.choices[0].logprobs.top_logprobs)


def test_ignore_eos_goes_on_to_the_limit(server):
    answer = chat(server, max_tokens=120, extra_body={"ignore_eos": True})
    assert answer.usage.completion_tokens == 120


def test_models_are_listed(server):
    client = server.client()
    assert [model.id for model in client.models.list()][0] == "smollm2"
    assert client.models.retrieve("smollm2").id == "smollm2"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-9")


def test_tokenize_and_detokenize_invert_each_other(server):
    text = "Zwölf Boxkämpfer 🥊 <|im_start|>\n\tx"
    tokens = json.loads(post(server, "/tokenize", {"content": text})[1])
    assert tokens["count"] == len(tokens["tokens"])
    status, body = post(server, "/detokenize", {"tokens": tokens["tokens"]})
    assert status == 200
    assert json.loads(body)["content"] == text


def post(server, path, body, raw=None):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("POST", path, raw if raw is not None else json.dumps(body),
                       {"Content-Type": "application/json"})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


@pytest.mark.parametrize("change, parameter", [
    ({"temperature": "hot"}, "temperature"),
    ({"temperature": 3}, "temperature"),
    ({"top_p": 0}, "top_p"),
    ({"top_p": True}, "top_p"),
    ({"n": 0}, "n"),
    ({"n": 33}, "n"),
    ({"max_tokens": 0}, "max_tokens"),
    ({"max_tokens": 1.5}, "max_tokens"),
    ({"seed": "x"}, "seed"),
    ({"seed": 2**64}, "seed"),
    ({"stop": 1}, "stop"),
    ({"stop": [""]}, "stop"),
    ({"messages": []}, "messages"),
    ({"messages": "hello"}, "messages"),
    ({"messages": [{"content": "x"}]}, "messages[0].role"),
    ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
    ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages[0].content[0].type"),
    ({"logit_bias": {"x": 1}}, "logit_bias"),
    ({"logit_bias": {"99999999": 1}}, "logit_bias"),
    ({"top_logprobs": 2}, "top_logprobs"),
    ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
    ({"stream": "yes"}, "stream"),
    ({"stream_options": {"include_usage": True}}, "stream_options"),
    ({"response_format": {"type": "yaml"}}, "response_format.type"),
    ({"souffleur": {"speculation": 3}}, "souffleur.speculation"),
    ({"messages": [{"role": "user", "content": "word " * 20000}]}, "messages"),
])
def test_a_wrong_field_is_named(server, change, parameter):
    status, body = post(server, "/v1/chat/completions", {"messages": QUESTION, "max_tokens": 2} | change)
    error = json.loads(body)["error"]
    assert status == 400, body
    assert error["param"] == parameter
    assert error["type"] == "invalid_request_error"
    assert error["message"]


def test_errors_have_openai_classes(server):
    with pytest.raises(openai.NotFoundError) as caught:
        chat(server, model="gpt-9")
    assert caught.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError) as caught:
        chat(server, temperature=9)
    assert caught.value.param == "temperature"


def test_unknown_fields_are_ignored(server):
    status, _ = post(server, "/v1/chat/completions",
                     {"messages": QUESTION, "max_tokens": 1, "no_such_field": {"a": [1, 2]}, "user": "me"})
    assert status == 200


def test_what_is_not_json_or_not_there_gets_an_error_object(server):
    for raw, status in [("{", 400), ("", 400), ("[1]", 400), ("{}x", 400), ('"\xff"', 400), ("[" * 10000, 400)]:
        got, body = post(server, "/v1/chat/completions", None, raw=raw.encode("latin-1"))
        assert (got, "error" in json.loads(body)) == (status, True), raw[:20]
    assert post(server, "/nothing", {})[0] == 404
    assert post(server, "/health", {})[0] == 405
    big = b'{"prompt": "' + b"x" * (9 << 20) + b'"}'
    assert post(server, "/v1/completions", None, raw=big)[0] == 413


def test_a_connection_is_kept_alive(server):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    for _ in range(3):
        connection.request("POST", "/v1/completions", json.dumps({"prompt": "a", "max_tokens": 2, "stream": True}))
        answer = connection.getresponse()
        assert answer.read().decode().endswith("data: [DONE]\n\n")
        assert not answer.will_close
    connection.close()


def test_a_step_reports_its_time_outside_the_forward_pass(server):
    chat(server)
    def steps_with(part):
        return server.metric("souffleur_step_seconds_count", part=part)

    wait_until(lambda: steps_with("forward") > 0)
    for part in ("sampling", "scheduling", "messages"):
        wait_until(lambda part=part: steps_with(part) == steps_with("forward"))
    for name in ("vllm:num_requests_running", "vllm:generation_tokens_total", "vllm:time_to_first_token_seconds_count"):
        assert name in server.get("/metrics")
