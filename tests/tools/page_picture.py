"""Draws the page as the README shows it: `build/venv/bin/python tests/tools/page_picture.py FILE.png`, with a server of its own."""
import pathlib
import sys

ROOT = pathlib.Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests/e2e"), str(ROOT / "examples/bench")]
from conftest import started  # noqa: E402
from page import Page  # noqa: E402

QUESTIONS = ["Write a short poem about a lighthouse.",
             "Repeat your poem, but call the lighthouse a tower everywhere."]


def main():
    server, page = started("smollm2"), Page((1180, 720))
    try:
        page.open(server)
        page.get("steps").click()
        for turns, question in enumerate(QUESTIONS, 1):
            page.say(question, 90)
            page.until(lambda: len(page.turns()) == 2 * turns and page.is_idle())
        page.browser.save_screenshot(sys.argv[1])
    finally:
        page.quit()
        server.stop()


main()
