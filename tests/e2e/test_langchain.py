"""LangChain's classes for OpenAI, unchanged."""
import pytest
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel, Field

from conftest import MODEL_FOLDER, started


@pytest.fixture(scope="module")
def qwen():
    if not (MODEL_FOLDER / "minilm").exists():
        pytest.skip("minilm was not fetched")
    running = started("qwen-0.5b", "--embedding.model", "minilm", "--model.folder", str(MODEL_FOLDER))
    yield running
    assert running.stop() == 0, "".join(running.log)


def chat(server, **options):
    return ChatOpenAI(base_url=server.base_url + "/v1", api_key="none", model="qwen-0.5b", temperature=0, max_tokens=48,
                      **options)


def test_a_chain_invokes_streams_and_batches(qwen):
    model = chat(qwen)
    said = model.invoke("Name one colour.")
    assert said.content and said.usage_metadata["output_tokens"] > 0
    assert "".join(part.content for part in model.stream("Name one colour.")) == said.content
    assert [one.content for one in model.batch(["Name one colour."] * 3)] == [said.content] * 3


def test_structured_output_is_an_object(qwen):
    class City(BaseModel):
        """A city."""
        name: str = Field(max_length=20)
        people: int = Field(ge=0, le=100_000_000)

    found = chat(qwen).with_structured_output(City, method="json_schema").invoke("Name a city in France.")
    assert isinstance(found, City) and found.name


def test_a_bound_tool_is_called(qwen):
    @tool
    def get_weather(city: str) -> str:
        """The current weather of a city."""
        return city

    called = chat(qwen).bind_tools([get_weather], tool_choice="get_weather").invoke("How is the weather in Rome?")
    assert called.tool_calls[0]["name"] == "get_weather" and set(called.tool_calls[0]["args"]) == {"city"}


def test_embeddings_of_like_texts_are_alike(qwen):
    # Token ids of OpenAI's own tokenizer would mean nothing here.
    vectors = OpenAIEmbeddings(base_url=qwen.base_url + "/v1", api_key="none", model="minilm",
                               check_embedding_ctx_length=False)
    a, b, c = vectors.embed_documents(["How do I boil an egg?", "Boiling eggs, how?", "The history of Rome"])
    dot = lambda x, y: sum(p * q for p, q in zip(x, y))
    assert dot(a, b) > dot(a, c)
