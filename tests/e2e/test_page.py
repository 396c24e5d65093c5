"""The page in a real browser: it streams, stops, shows what was drafted, and asks nobody but its server."""
import json

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

WIDE, NARROW = (1100, 800), (360, 640)


def browser_with(size, scheme="light"):
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for one in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                f"--window-size={size[0]},{size[1]}"):
        options.add_argument(one)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    made = webdriver.Chrome(options, Service("/usr/bin/chromedriver"))
    made.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
    made.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                         {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": False})
    return made


@pytest.fixture(scope="module")
def browser():
    made = browser_with(WIDE)
    yield made
    made.quit()


def until(browser, condition, timeout_s=60):
    return WebDriverWait(browser, timeout_s, 0.05).until(condition)


def set_number(browser, name, value):
    box = browser.find_element(By.ID, name)
    box.clear()
    box.send_keys(str(value))


def say(browser, text, max_tokens=200):
    set_number(browser, "temperature", 0)
    set_number(browser, "max_tokens", max_tokens)
    browser.find_element(By.ID, "prompt").send_keys(text, Keys.ENTER)


def turns(browser):
    return browser.find_elements(By.CSS_SELECTOR, ".turn")


def is_idle(browser):
    return browser.find_element(By.ID, "send").text == "Send"


def notes(browser):
    return browser.find_elements(By.CSS_SELECTOR, ".note")


def complaints(browser):
    return [entry["message"] for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")
            and "favicon" not in entry["message"]]


def test_an_answer_streams_and_the_conversation_goes_on(server, browser):
    browser.get(server.base_url + "/")
    until(browser, lambda b: b.find_element(By.ID, "model").text == "smollm2")
    say(browser, "Count from one to ten, please.")
    until(browser, lambda b: len(turns(b)) == 2 and turns(b)[1].text)
    until(browser, is_idle)
    assert "per second" in notes(browser)[0].text
    first = turns(browser)[1].text
    say(browser, "And now backwards.")
    until(browser, lambda b: len(turns(b)) == 4 and is_idle(b))
    assert turns(browser)[1].text == first and turns(browser)[3].text
    assert complaints(browser) == []


def test_an_answer_that_is_stopped_stays_as_it_was(server, browser):
    browser.get(server.base_url + "/")
    say(browser, "Write a very long story about a lighthouse, of at least a thousand words.", 4000)
    until(browser, lambda b: len(turns(b)) == 2 and len(turns(b)[1].text) > 20)
    browser.find_element(By.ID, "send").click()
    until(browser, is_idle)
    n_steps = server.metric("souffleur_steps_total")
    text = turns(browser)[1].text
    assert turns(browser)[1].text == text
    assert server.metric("vllm:num_requests_running") == 0
    assert server.metric("souffleur_steps_total") - n_steps <= 1
    assert complaints(browser) == []


def test_steps_are_shown_as_bars_and_drafted_words_have_a_colour(server, browser):
    browser.get(server.base_url + "/")
    browser.find_element(By.ID, "steps").click()
    say(browser, "Repeat this sentence five times: The lamp was lit at six and the boats came home.")
    until(browser, lambda b: b.find_elements(By.CSS_SELECTOR, ".step"))
    until(browser, is_idle)
    bars = browser.find_elements(By.CSS_SELECTOR, ".trace .step")
    drafted = browser.find_elements(By.CSS_SELECTOR, ".turn .drafted")
    assert drafted and len(bars) >= 3
    assert all("ms for" in bar.get_attribute("title") for bar in bars)
    assert all(bar.size["height"] >= 1 and bar.size["width"] >= 1 for bar in bars)
    assert any("drafted by" in bar.get_attribute("title") for bar in bars)
    plain, painted = turns(browser)[1], drafted[0]
    assert painted.value_of_css_property("background-color") != plain.value_of_css_property("background-color")
    assert complaints(browser) == []


def test_the_page_asks_nobody_but_its_server(server, browser):
    browser.get_log("performance")
    browser.get(server.base_url + "/")
    say(browser, "Hello")
    until(browser, lambda b: len(turns(b)) == 2 and is_idle(b))
    asked = [message["params"].get("request", message["params"]).get("url")
             for message in (json.loads(entry["message"])["message"] for entry in browser.get_log("performance"))
             if message["method"] in ("Network.requestWillBeSent", "Network.webSocketCreated")]
    assert len(asked) >= 3
    for url in asked:
        assert f"127.0.0.1:{server.port}/" in url or url.startswith("data:"), url


def test_what_comes_from_the_cache_is_said_to(start_server, browser):
    server = start_server("smollm2", "--cache.policy", "exact", "--cache.store", "memory")
    for note in ("per second", "from the cache: the same request"):
        browser.get(server.base_url + "/")
        say(browser, "How long do I have to boil an egg until it is hard?", 400)
        until(browser, lambda b: len(turns(b)) == 2 and is_idle(b))
        assert note in notes(browser)[0].text
    assert complaints(browser) == []


def test_a_number_that_is_none_is_not_sent(server, browser):
    browser.get(server.base_url + "/")
    set_number(browser, "temperature", 7)
    browser.find_element(By.ID, "prompt").send_keys("Hello", Keys.ENTER)
    assert turns(browser) == [] and browser.find_element(By.ID, "prompt").get_attribute("value") == "Hello"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, NARROW])
def test_it_fits_the_screen_and_follows_its_light(server, size, scheme, tmp_path):
    browser = browser_with(size, scheme)
    try:
        browser.get(server.base_url + "/")
        browser.find_element(By.ID, "steps").click()
        say(browser, "Say a_word_that_is_much_longer_than_a_narrow_screen_is_wide_and_has_no_blank_in_it_at_all twice.")
        until(browser, lambda b: len(turns(b)) == 2 and is_idle(b))
        width = browser.execute_script("return document.documentElement.scrollWidth")
        assert width <= size[0], "nothing is cut off at the side"
        button = browser.find_element(By.ID, "send").rect
        assert button["x"] + button["width"] <= size[0]
        ground = browser.execute_script("return getComputedStyle(document.querySelector('form')).backgroundColor")
        is_dark = sum(int(part) for part in ground[ground.index("(") + 1:-1].split(",")[:3]) < 3 * 128
        assert is_dark == (scheme == "dark"), ground
        browser.save_screenshot(str(tmp_path / f"page-{size[0]}-{scheme}.png"))
    finally:
        browser.quit()


def test_the_page_asks_for_a_key_where_one_is_wanted(start_server, browser, tmp_path):
    keys = tmp_path / "keys"
    keys.write_text("alice a-key-of-alice-0123\n")
    server = start_server("smollm2", "--server.api_keys", str(keys))
    browser.get(server.base_url + "/")
    until(browser, lambda b: b.find_element(By.ID, "model").text == "asks for a key")
    box = browser.find_element(By.ID, "key")
    assert box.is_displayed()
    box.send_keys("a-key-of-nobody-at-all", Keys.TAB)
    until(browser, lambda b: "not one of" in b.find_element(By.ID, "model").text)
    box.clear()
    box.send_keys("a-key-of-alice-0123", Keys.TAB)
    until(browser, lambda b: b.find_element(By.ID, "model").text == "smollm2")
    say(browser, "Hello", 8)
    until(browser, lambda b: len(turns(b)) == 2 and is_idle(b) and turns(b)[1].text)
