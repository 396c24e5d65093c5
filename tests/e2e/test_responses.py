"""OpenAI's Responses endpoint through an unmodified client."""
import json

import openai
import pytest
from test_tool_calls import QUESTION, WEATHER

SUM = "What is 2 plus 2?"
FUNCTION = {"type": "function"} | WEATHER["function"]


def ask(server, **options):
    options = {"model": server.model, "input": SUM, "max_output_tokens": 24, "temperature": 0} | options
    return server.client().responses.create(**options)


def test_it_answers_as_a_chat_does(server):
    answer = ask(server)
    chat = server.client().chat.completions.create(model=server.model, messages=[{"role": "user", "content": SUM}],
                                                   max_tokens=24, temperature=0)
    assert answer.output_text == chat.choices[0].message.content
    assert answer.status == ("completed" if chat.choices[0].finish_reason == "stop" else "incomplete")
    assert answer.usage.input_tokens == chat.usage.prompt_tokens
    assert answer.usage.output_tokens == chat.usage.completion_tokens
    assert answer.usage.output_tokens_details.reasoning_tokens == 0


def test_a_stream_has_its_events_in_order_and_the_same_answer(server):
    events = list(ask(server, stream=True))
    kinds = [event.type for event in events]
    assert kinds[:4] == ["response.created", "response.in_progress", "response.output_item.added", "response.content_part.added"]
    assert kinds[-4:-1] == ["response.output_text.done", "response.content_part.done", "response.output_item.done"]
    assert kinds[-1] in ("response.completed", "response.incomplete")
    assert set(kinds[4:-4]) == {"response.output_text.delta"}
    assert [event.sequence_number for event in events] == list(range(len(events)))
    text = "".join(event.delta for event in events[4:-4])
    assert text == events[-4].text == events[-1].response.output_text == ask(server).output_text
    assert events[-1].response.usage.output_tokens > 0


def test_the_clients_own_accumulator_takes_it(server):
    with server.client().responses.stream(model=server.model, input=SUM, max_output_tokens=400, temperature=0) as stream:
        text = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
        assert stream.get_final_response().output_text == text


def test_an_answer_that_is_cut_off_is_incomplete(server):
    answer = ask(server, max_output_tokens=2)
    assert answer.status == "incomplete"
    assert answer.incomplete_details.reason == "max_output_tokens"
    assert answer.usage.output_tokens == 2


def test_a_conversation_is_sent_whole_with_instructions(server):
    first = ask(server, instructions="Answer in one word.")
    more = ask(server, instructions="Answer in one word.",
               input=[{"role": "user", "content": SUM}, *first.output, {"role": "user", "content": "And 3 plus 3?"}])
    assert more.output_text
    assert more.usage.input_tokens > first.usage.input_tokens


def test_a_schema_is_kept(server):
    schema = {"type": "object", "properties": {"sum": {"type": "integer", "minimum": 0, "maximum": 99}},
              "required": ["sum"], "additionalProperties": False}
    answer = ask(server, text={"format": {"type": "json_schema", "name": "sum", "schema": schema, "strict": True}})
    assert list(json.loads(answer.output_text)) == ["sum"]


def test_functions_are_called_and_told_what_came_of_it(qwen):
    question = [{"role": "user", "content": QUESTION[0]["content"]}]
    answer = ask(qwen, input=question, tools=[FUNCTION], tool_choice="required", max_output_tokens=120)
    [call] = [item for item in answer.output if item.type == "function_call"]
    assert call.name == "get_weather"
    assert json.loads(call.arguments)["unit"] in ("celsius", "fahrenheit")
    events = list(ask(qwen, input=question, tools=[FUNCTION], tool_choice="required", max_output_tokens=120, stream=True))
    [done] = [event for event in events if event.type == "response.function_call_arguments.done"]
    assert done.arguments == call.arguments
    told = ask(qwen, tools=[FUNCTION], max_output_tokens=60, input=[
        *question, call, {"type": "function_call_output", "call_id": call.call_id, "output": "18 degrees and rain"}])
    assert told.usage.input_tokens > answer.usage.input_tokens, "the model is shown both"


@pytest.mark.parametrize("wrong, parameter", [
    ({"previous_response_id": "resp_1"}, "previous_response_id"),
    ({"store": True}, "store"),
    ({"max_output_tokens": 0}, "max_output_tokens"),
    ({"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]}, "input[0].content[0]"),
    ({"extra_body": {"souffleur": {"max_thinking_tokens": 4}}}, "souffleur.max_thinking_tokens"),
])
def test_what_it_cannot_do_is_refused(server, wrong, parameter):
    with pytest.raises(openai.BadRequestError) as refused:
        ask(server, **wrong)
    assert refused.value.param == parameter
