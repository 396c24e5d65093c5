"""Try the cache, in a real browser and by its endpoint."""
import json
import urllib.error

import pytest
from page import NARROW


def compare(server, **body):
    with server.post("/souffleur/cache/compare", body) as reply:
        return json.load(reply)


def uses(found):
    return {one["policy"]: one["use"] for one in found["decisions"]}


def needs_embedder(server):
    try:
        compare(server, a="x", b="y")
    except urllib.error.HTTPError as error:
        if error.code == 404:
            pytest.skip("minilm is not there; conf/get_model.py minilm fetches it")
        raise


def test_similar_questions_are_served_and_opposites_are_not(server):
    needs_embedder(server)
    found = compare(server, a="How do I cook rice?", b="What is the best way to cook rice?", threshold=.85)
    assert .85 < found["similarity"] < 1 and found["guard"]["refused_by"] is None
    assert uses(found)["fixed"] == uses(found)["guarded"] == "serve"
    found = compare(server, a="How do I turn the alarm on?", b="How do I turn the alarm off?", threshold=.85)
    assert found["guard"]["refused_by"] and found["guard"]["why"]
    assert uses(found)["fixed"] == "serve" and uses(found)["guarded"] != "serve"
    assert compare(server, a="the same", b="the same")["similarity"] == pytest.approx(1, abs=1e-5)


def test_a_wrong_comparison_is_refused_by_name(server):
    needs_embedder(server)
    with pytest.raises(urllib.error.HTTPError) as caught:
        compare(server, a="x")
    assert caught.value.code == 400 and json.load(caught.value)["error"]["param"] == "b"


def test_without_an_embedding_model_it_says_what_is_missing(start_server, page):
    server = start_server("smollm2", "--embedding.model", "off")
    with pytest.raises(urllib.error.HTTPError) as caught:
        compare(server, a="x", b="y")
    assert caught.value.code == 404 and json.load(caught.value)["error"]["code"] == "no_embedding_model"
    page.look()
    page.open(server, "cache")
    page.get("compare_send").click()
    page.until(lambda: "no embedding model" in page.get("verdict").text)


def test_two_questions_are_judged_on_the_page(server, page):
    needs_embedder(server)
    page.look()
    page.open(server, "cache")
    page.set("threshold", .8)
    page.set("question_a", "How do I turn the alarm on?")
    page.set("question_b", "How do I turn the alarm off?")
    page.get("compare_send").click()
    page.until(lambda: len(page.all(".decisions .card")) == 3)
    assert "guard:" in page.get("verdict").text
    fixed, guarded, _ = page.texts(".decisions .chip")
    assert fixed == "serve" and guarded != "serve"
    page.set("threshold", 1)
    page.until(lambda: page.texts(".decisions .chip")[0] != "serve")
    page.all("#examples button")[0].click()
    page.until(lambda: "guards pass" in page.get("verdict").text)
    assert page.complaints() == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_narrow_screen(server, page, scheme):
    needs_embedder(server)
    page.look(NARROW, scheme)
    page.open(server, "cache")
    page.get("compare_send").click()
    page.until(lambda: page.all(".decisions .card"))
    assert not page.overflows()
    assert page.background_is_dark() == (scheme == "dark")
    assert page.complaints() == []
