"""The page in a real browser, as a person would drive it."""
import contextlib
import json
import os
import pathlib
import signal

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException, WebDriverException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait
from urllib3.exceptions import HTTPError

WIDE, NARROW = (1280, 860), (360, 640)
LONGEST_LOAD_S, LONGEST_COMMAND_S = 30, 90  # scripts have less, too, so a server that hangs is not taken for a browser that does


def children_of(parent):
    found = []
    for status in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended
            pid, rest = status.read_text().split(" (", 1)
            if int(rest.rsplit(") ", 1)[1].split()[1]) == parent:
                found.append(int(pid))
    return found


class Page:
    """A browser of its own."""

    def __init__(self, size=WIDE, scheme="light"):
        self.browser = None
        try:
            self._start(size, scheme)
        except (WebDriverException, HTTPError):
            self.restart(size, scheme)

    def _start(self, size, scheme):
        options = webdriver.ChromeOptions()
        options.binary_location = "/usr/bin/chromium"
        for one in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                    f"--window-size={size[0]},{size[1]}"):
            options.add_argument(one)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.browser = webdriver.Chrome(options, Service("/usr/bin/chromedriver"))
        self.browser.command_executor.client_config.timeout = LONGEST_COMMAND_S
        self.browser.set_page_load_timeout(LONGEST_LOAD_S)
        self.look(size, scheme)

    @staticmethod
    def hangs(error):
        """Whether `error` is that the browser's driver does not answer."""
        return isinstance(error, HTTPError)

    def restart(self, size=WIDE, scheme="light"):
        """The browser hangs."""
        if self.browser:
            driver = self.browser.service.process.pid
            for pid in [*children_of(driver), driver]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.quit()
        self._start(size, scheme)

    def look(self, size=WIDE, scheme="light"):
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia",
                                     {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                                     {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": False})

    def open(self, server, view=""):
        self.complaints()
        self.browser.get("about:blank")
        self.browser.get(server.base_url + "/" + (f"#{view}" if view else ""))
        return self

    def quit(self):
        self.browser.command_executor.client_config.timeout = 5
        with contextlib.suppress(HTTPError, WebDriverException):
            self.browser.quit()

    def get(self, name):
        return self.browser.find_element(By.ID, name)

    def all(self, selector):
        return self.browser.find_elements(By.CSS_SELECTOR, selector)

    def texts(self, selector):
        return self.run("return [...document.querySelectorAll(arguments[0])].map(one => one.textContent)", selector)

    def text(self, selector):
        return self.all(selector)[0].text

    def until(self, condition, timeout_s=60):
        """What the page draws anew meanwhile is looked at again."""
        return WebDriverWait(self.browser, timeout_s, 0.05, [StaleElementReferenceException, IndexError]).until(lambda _: condition())

    def run(self, script, *arguments):
        return self.browser.execute_script(script, *arguments)

    def set(self, name, value):
        """Of a box or a slider, as if it had been typed or dragged."""
        self.run("const box = arguments[0]; box.value = arguments[1];"
                 "for (const type of ['input', 'change']) box.dispatchEvent(new Event(type));", self.get(name), str(value))

    def say(self, text, max_tokens=200, temperature=0):
        self.set("temperature", temperature)
        self.set("max_tokens", max_tokens)
        self.get("prompt").send_keys(text, Keys.ENTER)

    def turns(self):
        return self.all(".turn")

    def is_idle(self):
        return self.get("send").text == "Send"

    def complaints(self):
        """Of the console since the last time; what the page was refused on purpose is not the page's fault."""
        return [entry["message"] for entry in self.browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")
                and "401 (Unauthorized)" not in entry["message"] and "404 (Not Found)" not in entry["message"]]

    def asked(self):
        """Addresses that the browser asked for since the last time."""
        messages = [json.loads(entry["message"])["message"] for entry in self.browser.get_log("performance")]
        return [message["params"].get("request", message["params"]).get("url") for message in messages
                if message["method"] in ("Network.requestWillBeSent", "Network.webSocketCreated")]

    def overflows(self):
        return self.run("return document.documentElement.scrollWidth > innerWidth")

    def background_is_dark(self):
        colour = self.run("return getComputedStyle(document.body).backgroundColor")
        return sum(int(part) for part in colour[colour.index("(") + 1:-1].split(",")[:3]) < 3 * 128
