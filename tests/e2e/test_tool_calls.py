"""Function calls through an unmodified OpenAI client."""
import json

import openai
import pytest

WEATHER = {"type": "function", "function": {
    "name": "get_weather", "description": "The current weather of a city",
    "parameters": {"type": "object", "required": ["city", "unit"], "additionalProperties": False,
                   "properties": {"city": {"type": "string", "maxLength": 20},
                                  "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}}}}}
TIME = {"type": "function", "function": {
    "name": "get_time", "description": "The time of day somewhere",
    "parameters": {"type": "object", "required": ["zone"], "properties": {"zone": {"type": "string", "maxLength": 20}}}}}
QUESTION = [{"role": "user", "content": "What is the weather in Paris, in celsius?"}]


def ask(server, **options):
    options = {"model": server.model, "messages": QUESTION, "tools": [WEATHER, TIME], "max_tokens": 120,
               "temperature": 0} | options
    return server.client().chat.completions.create(**options)


def named(name):
    return {"type": "function", "function": {"name": name}}


def streamed(chunks):
    """The calls, the text and the finish reason that a client puts together."""
    calls, text, reason = {}, "", None
    for chunk in chunks:
        for choice in chunk.choices:
            text += choice.delta.content or ""
            reason = choice.finish_reason or reason
            for part in choice.delta.tool_calls or []:
                call = calls.setdefault(part.index, {"id": part.id, "name": "", "arguments": ""})
                call["name"] += part.function.name or ""
                call["arguments"] += part.function.arguments or ""
    return [calls[index] for index in sorted(calls)], text, reason


def check_weather(call):
    arguments = json.loads(call["arguments"])
    assert call["name"] == "get_weather"
    assert set(arguments) == {"city", "unit"}
    assert arguments["unit"] in ("celsius", "fahrenheit")


@pytest.mark.parametrize("choice", ["required", named("get_weather")])
@pytest.mark.parametrize("temperature", [0, 1])
def test_a_call_that_is_required_is_made(qwen, choice, temperature):
    options = {"tool_choice": choice, "parallel_tool_calls": False, "temperature": temperature, "seed": 3}
    answer = ask(qwen, **options).choices[0]
    assert answer.finish_reason == "tool_calls"
    assert answer.message.content is None
    [call] = answer.message.tool_calls
    assert call.type == "function" and call.id
    if choice != "required" or temperature == 0:
        check_weather({"name": call.function.name, "arguments": call.function.arguments})
    calls, text, reason = streamed(ask(qwen, stream=True, **options))
    assert (text, reason) == ("", "tool_calls")
    assert [(one["name"], one["arguments"]) for one in calls] == [(call.function.name, call.function.arguments)]


def test_drafts_change_nothing(qwen):
    def arguments(speculation):
        answer = ask(qwen, tool_choice="required", extra_body={"souffleur": {"speculation": speculation, "cache": False}})
        return [(call.function.name, call.function.arguments) for call in answer.choices[0].message.tool_calls]
    assert arguments({"policy": "fixed", "branches": 2}) == arguments(False)


def test_the_model_calls_by_itself_and_reads_what_came_of_it(qwen):
    """With auto the model may call or not; what it made is a call or a text, never a mixture of both forms."""
    answer = ask(qwen).choices[0]
    assert bool(answer.message.tool_calls) == (answer.finish_reason == "tool_calls")
    assert "<tool_call>" not in (answer.message.content or "")
    calls, text, reason = streamed(ask(qwen, stream=True))
    assert reason == answer.finish_reason
    assert text.strip() == (answer.message.content or "").strip()
    assert len(calls) == len(answer.message.tool_calls or [])


def test_a_conversation_goes_on_with_what_a_function_gave(qwen):
    first = ask(qwen, tool_choice=named("get_weather")).choices[0].message
    history = QUESTION + [first.model_dump(exclude_none=True),
                          {"role": "tool", "tool_call_id": first.tool_calls[0].id, "content": '{"degrees": 31, "sky": "clear"}'}]
    answer = ask(qwen, messages=history, tool_choice="none")
    assert "31" in answer.choices[0].message.content
    assert answer.choices[0].finish_reason in ("stop", "length")


def test_strict_functions_have_their_form_whenever_they_are_called(qwen):
    strict = json.loads(json.dumps(WEATHER))
    strict["function"]["strict"] = True
    history = [{"role": "system", "content": "Always answer with a tool call."}] + QUESTION
    for seed in range(4):
        answer = ask(qwen, tools=[strict], messages=history, temperature=1, seed=seed).choices[0]
        for call in answer.message.tool_calls or []:
            check_weather({"name": call.function.name, "arguments": call.function.arguments})


def test_none_leaves_the_tools_out(qwen):
    without = ask(qwen, tools=openai.omit)
    assert ask(qwen, tool_choice="none").usage.prompt_tokens == without.usage.prompt_tokens
    assert ask(qwen).usage.prompt_tokens > without.usage.prompt_tokens


@pytest.mark.parametrize("options, parameter", [
    ({"tool_choice": named("no_such")}, "tool_choice"),
    ({"tool_choice": "sometimes"}, "tool_choice"),
    ({"tool_choice": "required", "tools": openai.omit}, "tool_choice"),
    ({"tools": [{"type": "retrieval"}]}, "tools[0].type"),
    ({"tools": [WEATHER, {"type": "function", "function": {"name": "a b"}}]}, "tools[1].function.name"),
    ({"tool_choice": "required", "tools": [{"type": "function", "function": {
        "name": "f", "parameters": {"type": "object", "properties": {"a": {"if": {}}}}}}]}, "tools"),
    ({"response_format": {"type": "json_object"}}, "response_format"),
])
def test_a_wrong_request_is_refused_by_name(qwen, options, parameter):
    with pytest.raises(openai.BadRequestError) as caught:
        ask(qwen, **options)
    assert caught.value.param == parameter
    assert caught.value.message


def test_a_model_whose_template_has_no_tools_says_so(server):
    with pytest.raises(openai.BadRequestError) as caught:
        ask(server)
    assert caught.value.param == "tools"
