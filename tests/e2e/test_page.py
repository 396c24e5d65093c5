"""Play, in a real browser: it streams, stops, compares, shows who drafted what, and asks nobody but its server."""
import pytest
from page import NARROW, WIDE
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from waiting import wait_until


@pytest.fixture(autouse=True)
def looks_as_usual(page):
    page.look()


def test_an_answer_streams_and_the_conversation_goes_on(server, page):
    page.open(server)
    page.until(lambda: page.get("model").text == "smollm2")
    page.say("Count from one to ten, please.", 60)
    page.until(lambda: len(page.turns()) == 2 and page.is_idle())
    assert "tok/s" in page.text(".answer .note")
    first = page.text(".answer .text")
    page.say("And now backwards.", 60)
    page.until(lambda: len(page.turns()) == 4 and page.is_idle())
    assert page.text(".answer .text") == first and page.all(".answer .text")[1].text
    assert page.complaints() == []


def test_an_answer_that_is_stopped_stays_as_it_was(server, page):
    page.open(server)
    page.set("speculation", "off")  # else it may be over before it is stopped
    page.say("Write a very long story about a lighthouse, of at least a thousand words.", 4000)
    page.until(lambda: len(page.turns()) == 2 and len(page.text(".answer .text")) > 20)
    assert page.get("send").text == "Stop"
    page.get("send").click()
    page.until(page.is_idle)
    n_steps = server.metric("souffleur_steps_total")
    assert "stopped" in page.text(".answer .note")
    wait_until(lambda: server.metric("vllm:num_requests_running") == 0)
    assert server.metric("souffleur_steps_total") - n_steps <= 1
    assert page.complaints() == []


def test_words_that_were_drafted_have_a_colour_and_steps_are_bars(server, page):
    page.open(server)
    page.get("steps").click()
    page.say("Repeat this sentence five times: The lamp was lit at six and the boats came home.", 80)
    page.until(lambda: len(page.turns()) == 2 and page.is_idle())
    bars, drafted = page.all(".trace .step"), page.all(".answer .drafted")
    assert drafted and len(bars) >= 3
    assert "".join(span.get_attribute("textContent") for span in page.all(".answer .text > span")).strip() \
        == page.text(".answer .text").strip()
    assert all("ms for" in bar.get_attribute("title") and bar.size["height"] >= 1 for bar in bars)
    assert any("drafted by" in bar.get_attribute("title") for bar in bars)
    plain = page.all(".answer .text")[0].value_of_css_property("background-color")
    assert drafted[0].value_of_css_property("background-color") != plain
    assert "drafted tokens stood" in page.text(".answer .note")
    page.get("colours").click()
    assert drafted[0].value_of_css_property("background-color") == plain
    assert page.complaints() == []


def test_two_settings_answer_the_same_prompt_side_by_side(server, page):
    page.open(server)
    page.get("compare").click()
    page.set("temperature_b", 0)
    page.set("speculation_b", "off")
    page.say("Repeat this sentence four times: The lamp was lit at six and the boats came home.", 60)
    page.until(lambda: len(page.all(".answer")) == 2 and page.is_idle())
    left, right = page.all(".answer")
    texts = [one.find_element(By.CSS_SELECTOR, ".text").text for one in (left, right)]
    assert texts[0] == texts[1], "speculation changes nothing but the time"
    assert left.find_elements(By.CSS_SELECTOR, ".drafted") and not right.find_elements(By.CSS_SELECTOR, ".drafted")
    assert "speculation: off" in right.text
    assert abs(left.rect["y"] - right.rect["y"]) < 2 and left.rect["x"] < right.rect["x"]
    page.say("Once more.", 12)
    page.until(lambda: len(page.all(".answer")) == 4 and page.is_idle())
    assert page.complaints() == []


def test_the_same_seed_says_the_same(server, page):
    page.open(server)
    page.get("compare").click()
    page.set("temperature_b", 1.5)
    for box in ("seed", "seed_b"):
        page.set(box, 7)
    page.say("Invent a name for a boat.", 24, temperature=1.5)
    page.until(lambda: len(page.all(".answer")) == 2 and page.is_idle())
    texts = [one.text for one in page.all(".answer .text")]
    assert texts[0] and texts[0] == texts[1]


def test_a_system_prompt_a_second_try_and_an_edit(server, page):
    page.open(server)
    page.set("system", "You always answer in one word.")
    page.say("What is the capital of France?", 12)
    page.until(lambda: len(page.turns()) == 2 and page.is_idle())
    first = page.text(".answer .text")
    with server.post("/v1/chat/completions", {
            "messages": [{"role": "system", "content": "You always answer in one word."},
                         {"role": "user", "content": "What is the capital of France?"}],
            "max_tokens": 12, "temperature": 0}) as reply:
        import json
        assert json.load(reply)["choices"][0]["message"]["content"].strip() == first.strip()
    [again] = [one for one in page.all(".answer .tools button") if one.text == "Again"]
    again.click()
    page.until(lambda: page.is_idle() and page.text(".answer .text"))
    assert page.text(".answer .text") == first and len(page.turns()) == 2
    page.all(".user .tools button")[0].click()
    assert page.turns() == []
    box = page.get("prompt")
    assert box.get_attribute("value") == "What is the capital of France?"
    assert page.run("return document.activeElement === arguments[0]", box)


def test_it_can_be_used_without_a_mouse(server, page):
    page.open(server)
    focused = lambda: page.browser.switch_to.active_element
    assert focused().get_attribute("id") == "prompt"
    page.say("Write a very long story about a lighthouse.", 2000)
    page.until(lambda: len(page.turns()) == 2 and page.text(".answer .text"))
    focused().send_keys(Keys.ESCAPE)
    page.until(page.is_idle)
    seen = []
    page.run("document.activeElement.blur()")
    for _ in range(40):
        focused().send_keys(Keys.TAB)
        seen.append(focused().text or focused().get_attribute("id"))
    for one in ("Watch", "Cache", "prompt", "Edit", "Again", "temperature", "compare", "steps"):
        assert one in seen, seen
    assert page.run("return getComputedStyle(document.activeElement).outlineStyle") != "none"
    page.run("document.activeElement.blur()")
    focused().send_keys("/")
    assert focused().get_attribute("id") == "prompt"
    [link] = [one for one in page.all("nav a") if one.text == "Watch"]
    link.send_keys(Keys.ENTER)
    page.until(page.get("watch").is_displayed)
    assert not page.get("play").is_displayed()
    assert page.complaints() == []


def test_the_page_asks_nobody_but_its_server(server, page):
    page.asked()
    page.open(server)
    page.say("Hello", 4)
    page.until(lambda: len(page.turns()) == 2 and page.is_idle())
    for view in ("watch", "cache"):
        page.run("location.hash = arguments[0]", view)
        page.until(page.get(view).is_displayed)
    asked = page.asked()
    assert len(asked) >= 8
    for url in asked:
        assert f"127.0.0.1:{server.port}/" in url or url == "about:blank", url
    assert page.complaints() == []


def test_its_policy_refuses_every_other_host(server, page):
    page.open(server)
    outcome = page.browser.execute_async_script(
        "const done = arguments[arguments.length - 1]; fetch('http://127.0.0.1:9/').then(() => done('went'), error => done(String(error)));")
    assert "Failed to fetch" in outcome
    assert any("Content Security Policy" in text for text in page.complaints())


def test_what_comes_from_the_cache_is_said_to(start_server, page):
    server = start_server("smollm2", "--cache.policy", "exact", "--cache.store", "memory")
    for note in ("tok/s", "from the cache: the same request"):
        page.open(server)
        page.say("How long do I have to boil an egg?", 400)
        page.until(lambda: len(page.turns()) == 2 and page.is_idle())
        assert note in page.text(".answer .note")
    assert page.all(".answer .drafted[data-origin=cache]")
    assert page.complaints() == []


def test_a_number_that_is_none_is_not_sent(server, page):
    page.open(server)
    page.say("Hello", temperature=7)
    assert page.turns() == [] and page.get("prompt").get_attribute("value") == "Hello"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, NARROW])
def test_it_fits_the_screen_and_follows_its_light(server, page, size, scheme):
    page.look(size, scheme)
    page.open(server)
    page.say("Say a_word_that_is_much_longer_than_a_narrow_screen_is_wide_and_has_no_blank_in_it_at_all twice.", 20)
    page.until(lambda: len(page.turns()) == 2 and page.is_idle())
    assert not page.overflows(), "nothing is cut off at the side"
    button = page.get("send").rect
    assert button["x"] + button["width"] <= size[0]
    assert page.background_is_dark() == (scheme == "dark")


def test_the_light_can_be_chosen_and_stays(server, page):
    page.open(server)
    while "dark" not in page.get("theme").text:
        page.get("theme").click()
    assert page.background_is_dark()
    page.open(server)
    assert page.background_is_dark()
    page.get("theme").click()
    assert "auto" in page.get("theme").text and not page.background_is_dark()


def test_the_page_asks_for_a_key_where_one_is_wanted(start_server, page, tmp_path):
    keys = tmp_path / "keys"
    keys.write_text("alice a-key-of-alice-0123\n")
    server = start_server("smollm2", "--server.api_keys", str(keys))
    page.open(server)
    page.until(lambda: page.get("model").text == "asks for a key")
    box = page.get("key")
    box.send_keys("a-key-of-nobody-at-all", Keys.TAB)
    page.until(lambda: "not one of" in page.get("model").text)
    box.clear()
    box.send_keys("a-key-of-alice-0123", Keys.TAB)
    page.until(lambda: page.get("model").text == "smollm2")
    page.say("Hello", 8)
    page.until(lambda: len(page.turns()) == 2 and page.is_idle() and page.text(".answer .text"))
    page.run("location.hash = 'watch'")
    page.until(lambda: "generating" in page.get("tiles").text)
