"""A real server process with a real model, for tests over real sockets."""
import os
import pathlib
import sys

import openai
import pytest

from local_server import LocalServer

MODEL_FOLDER = pathlib.Path(os.environ.get("SOUFFLEUR_MODELS", pathlib.Path.home() / ".cache/souffleur/models"))


class Server(LocalServer):
    def __init__(self, model="smollm2", *options):
        super().__init__(MODEL_FOLDER / f"{model}.gguf", "--config", "conf/souffleur.conf", *options)
        self.model = model

    def client(self, key="none"):
        return openai.OpenAI(base_url=self.base_url + "/v1", api_key=key, max_retries=0, timeout=300)


def started(model, *options):
    if not (MODEL_FOLDER / f"{model}.gguf").exists():
        pytest.skip(f"{model} is not in {MODEL_FOLDER}; conf/get_model.py {model} fetches it")
    return Server(model, *options)


@pytest.fixture(scope="module")
def server():
    running = started("smollm2")
    yield running
    assert running.stop() == 0, "".join(running.log)


@pytest.fixture(scope="module")
def qwen():
    """A server of a model that knows tools."""
    running = started("qwen-0.5b")
    yield running
    assert running.stop() == 0, "".join(running.log)


@pytest.fixture(scope="module")
def page():
    """A real browser."""
    from page import Page  # here, since most tests need no Selenium
    made = Page()
    yield made
    made.quit()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """Where a browser hangs, which is nothing of ours, the test begins again in another one, once."""
    page = item.funcargs.get("page")
    try:
        return (yield)
    except Exception as why:
        if page is None or not page.hangs(why):
            raise
        print(f"the browser hangs: {why}", file=sys.stderr)
    page.restart()
    return item.runtest()


@pytest.fixture
def start_server():
    """Starts servers with options of their own; they are stopped after the test."""
    running = []

    def start(model="smollm2", *options):
        running.append(started(model, *options))
        return running[-1]

    yield start
    for one in running:
        if one.process.poll() is None:
            assert one.stop() == 0, "".join(one.log)
