"""Answers that have to have a form: JSON schemas, JSON mode, regular expressions, GBNF, choices."""
import concurrent.futures
import json
import re

import jsonschema
import openai
import pytest

from random_schemas import random_schemas

# More than any answer needs that is no list without end.
MOST_TOKENS = 250


@pytest.fixture(scope="module", params=["smollm2", "qwen-0.5b"])
def model(request):
    from conftest import started
    running = started(request.param)
    yield running
    assert running.stop() == 0, "".join(running.log)


def ask(server, question="Give an example.", **options):
    options = {"model": server.model, "messages": [{"role": "user", "content": question}], "max_tokens": MOST_TOKENS,
               "temperature": 0} | options
    return server.client().chat.completions.create(**options)


def schema_format(schema):
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}


def plain(extra):
    """Without drafts, and not from the response cache."""
    return {"souffleur": {"speculation": False, "cache": False} | extra}


def drafted(extra):
    return {"souffleur": {"speculation": {"policy": "fixed", "branches": 2, "max_draft": 3}, "cache": False} | extra}


def at_once(calls):
    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        return list(pool.map(lambda call: call(), calls))


def test_answers_are_valid_for_random_schemas_and_the_same_with_drafts(model):
    """200 schemas in all. Half are answered greedily, half with temperature 1."""
    n = 170 if model.model == "smollm2" else 30
    schemas = random_schemas(n, seed=len(model.model))

    def both(i):
        options = {"response_format": schema_format(schemas[i]), "temperature": i % 2, "seed": i,
                   "messages": [{"role": "user", "content": "An example of: " + json.dumps(schemas[i])[:200]}]}
        return [ask(model, extra_body=how({}), **options).choices[0] for how in (plain, drafted)]

    n_cut = 0
    for schema, (first, second) in zip(schemas, at_once([lambda i=i: both(i) for i in range(n)])):
        assert second.message.content == first.message.content, schema
        if first.finish_reason == "length":  # a list that goes on and on
            assert "$defs" in schema, first.message.content
            n_cut += 1
            continue
        jsonschema.validate(json.loads(first.message.content), schema,
                            cls=jsonschema.Draft202012Validator, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER)
    assert n_cut < n / 10


def test_drafts_of_the_grammar_stand(model):
    """Long keys leave no choice, so their tokens are drafted, and all else stays as it is."""
    names = ["an_identifier_that_nobody_would_guess", "another_very_long_identifier_of_something"]
    schema = {"type": "object", "properties": {name: {"type": "boolean"} for name in names}, "required": names}
    first = ask(model, response_format=schema_format(schema), extra_body=plain({}))
    second = ask(model, response_format=schema_format(schema), extra_body=drafted({}))
    assert second.choices[0].message.content == first.choices[0].message.content
    assert second.usage.completion_tokens_details.accepted_prediction_tokens > 5
    assert second.model_extra["souffleur"]["speculation"]["steps"] < first.model_extra["souffleur"]["speculation"]["steps"]


def test_json_mode_gives_an_object(model):
    answer = ask(model, "Describe Paris as JSON, shortly.", response_format={"type": "json_object"}, max_tokens=300)
    text = answer.choices[0].message.content
    assert text.startswith("{")
    if answer.choices[0].finish_reason == "stop":
        assert isinstance(json.loads(text), dict)


def test_an_answer_that_is_cut_ends_with_length(model):
    schema = {"type": "object", "properties": {"a": {"type": "string", "minLength": 500}}, "required": ["a"]}
    answer = ask(model, response_format=schema_format(schema), max_tokens=8)
    assert answer.choices[0].finish_reason == "length"
    assert re.match(r'\{\s*"a', answer.choices[0].message.content)


@pytest.mark.parametrize("extra, pattern", [
    ({"guided_regex": r"(\d{3}-){2}\d{4}"}, r"(\d{3}-){2}\d{4}"),
    ({"guided_choice": ["positive", "negative", "né"]}, r"positive|negative|né"),
    ({"guided_json": {"type": "integer", "minimum": 10, "maximum": 12}}, r"1[012]"),
    ({"guided_grammar": 'root ::= "yes" | "no" " way"{1,2}'}, r"yes|no( way){1,2}"),
    ({"grammar": 'root ::= [a-c]+ "!"\n'}, r"[a-c]+!"),
    ({"json_schema": {"enum": ["x", "y"]}}, r'"[xy]"'),
    ({"structured_outputs": {"regex": "[A-Z]{3}"}}, r"[A-Z]{3}"),
    ({"response_format": {"type": "text"}}, r"(?s).*"),
])
def test_forms_in_the_words_of_other_servers(model, extra, pattern):
    for temperature in (0, 1):
        answer = ask(model, "Is it true?", extra_body=extra, temperature=temperature, max_tokens=40).choices[0]
        if answer.finish_reason == "stop":
            assert re.fullmatch(pattern, answer.message.content), answer.message.content


def test_completions_and_choices_have_a_form_too(model):
    answer = model.client().completions.create(model=model.model, prompt="Two plus two is", n=3, temperature=1, seed=1,
                                               max_tokens=5, extra_body={"guided_regex": "[0-9]"})
    assert all(re.fullmatch("[0-9]", choice.text) for choice in answer.choices)


def test_a_stream_has_the_text_of_the_plain_answer(model):
    options = {"response_format": schema_format(random_schemas(1, 7)[0])}
    chunks = list(ask(model, stream=True, **options))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == ask(model, **options).choices[0].message.content


def test_logprobs_are_those_among_allowed_tokens(model):
    answer = ask(model, extra_body={"guided_regex": "[01]"}, logprobs=True, top_logprobs=4, max_tokens=1)
    entry = answer.choices[0].logprobs.content[0]
    assert {top.token for top in entry.top_logprobs if top.logprob > -100} == {"0", "1"}
    assert entry.token in "01"


def test_ends_are_forbidden_where_the_text_may_not_end(model):
    answer = ask(model, extra_body={"guided_regex": "a{30}", "ignore_eos": True}, max_tokens=60)
    assert answer.choices[0].message.content == "a" * 30
    assert answer.choices[0].finish_reason == "stop"


@pytest.mark.parametrize("options, parameter, part", [
    ({"response_format": schema_format({"type": "object", "properties": {"a": {"not": {}}}})},
     "response_format.json_schema.schema", "#/properties/a/not"),
    ({"response_format": {"type": "yaml"}}, "response_format.type", "json_schema"),
    ({"response_format": {"type": "json_schema"}}, "response_format.json_schema.schema", "required"),
    ({"extra_body": {"guided_regex": "(?=a)"}}, "guided_regex", "lookaround"),
    ({"extra_body": {"guided_regex": 3}}, "guided_regex", "string"),
    ({"extra_body": {"guided_choice": []}}, "guided_choice", "array"),
    ({"extra_body": {"grammar": "root ::= x"}}, "grammar", "\"x\""),
    ({"extra_body": {"grammar": "root ::= root \"a\" | \"b\""}}, "grammar", "left recursion"),
    ({"extra_body": {"guided_regex": "a", "grammar": "root ::= \"a\""}}, "grammar", "guided_regex"),
    ({"extra_body": {"guided_regex": "((a{1,60000}){1,60000}b){1,60000}" * 3}}, "guided_regex", "states"),
    ({"extra_body": {"guided_json": {"$ref": "#/nowhere"}}}, "guided_json", "#/nowhere"),
])
def test_a_form_that_cannot_be_used_is_refused_by_name(model, options, parameter, part):
    with pytest.raises(openai.BadRequestError) as caught:
        ask(model, **options)
    assert caught.value.param == parameter
    assert part in caught.value.message
