"""A service and a browser for each test: Chromium without a window, driven by WebDriver."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select

CHROMIUM = shutil.which("chromium")
DRIVER = shutil.which("chromedriver")

#: Nothing of the browser's own speaks to anybody, and nothing is left behind.
_SWITCHES = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-default-apps",
    "--hide-scrollbars",
    "--force-device-scale-factor=1",
)

TIMEOUT = 10.0

#: The first element with a text in it, and the texts of those that were looked at. One question for
#: all of them: a WebDriver takes milliseconds for each.
_FIND = """
const [selector, text, shown] = arguments;
const seen = [];
for (const each of document.querySelectorAll(selector)) {
  if (shown && !(each.checkVisibility() && each.getClientRects().length)) continue;
  const words = shown ? each.innerText : each.textContent;
  if (words.includes(text)) return [each, []];
  if (seen.length < 8) seen.push(words.slice(0, 200));
}
return [null, seen];
"""


@contextlib.contextmanager
def start_service(database: str, *options: str) -> Iterator[str]:
    """Run ``borough serve`` on a database, in a process of its own; yield its URL."""
    command = [sys.executable, "-m", "borough", "--db", database, "serve", "--port", "0"]
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen([*command, *options], stderr=log, env=dict(os.environ))
        try:
            yield _wait_for(process, log)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=20)


def _wait_for(process: subprocess.Popen[bytes], log: Any) -> str:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        log.seek(0)
        text = log.read()
        if process.poll() is not None:
            raise AssertionError(f"the service ended: {text}")
        lines = [line for line in text.splitlines() if line.startswith("Serving on ")]
        if lines:
            base = str(lines[0]).removeprefix("Serving on ").rstrip("/")
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{base}/healthz"):
                return base
        time.sleep(0.05)
    raise AssertionError("the service did not start")


class Browser:
    """A browser without history, cache and storage."""

    def __init__(self, *, width: int = 1440, height: int = 900, dark: bool = False) -> None:
        self._profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        options = webdriver.ChromeOptions()
        assert CHROMIUM is not None
        options.binary_location = CHROMIUM
        for switch in (*_SWITCHES, f"--user-data-dir={self._profile.name}"):
            options.add_argument(switch)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service(DRIVER))
        self.driver.set_script_timeout(120)
        self.seen: list[str] = []
        self.resize(width, height)
        self.media(dark=dark)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self.driver.quit()
        self._profile.cleanup()

    def resize(self, width: int, height: int) -> None:
        measures = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", measures)

    def media(self, *, dark: bool = False, still: bool = False) -> None:
        """Set preferences of the user's system."""
        features = [
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
            {"name": "prefers-reduced-motion", "value": "reduce" if still else "no-preference"},
        ]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def open(self, url: str) -> None:
        """Load a page anew, also when only the part after ``#`` differs."""
        self.driver.get("about:blank")
        self.driver.get(url)

    def go(self, fragment: str) -> None:
        """Go to another view of the open page, and wait for it."""
        self.driver.execute_script("location.hash = arguments[0]", fragment)
        name = fragment.removeprefix("#/").partition("?")[0]
        self.until(f"main[data-view={name}] h1", shown=False)

    def run(self, script: str, *args: object) -> Any:
        """Run the body of an asynchronous function in the page, and return its result."""
        body = (
            "const done = arguments[arguments.length - 1];"
            "(async function () {" + script + "}).apply(null, arguments)"
            ".then((value) => done({ value }), (error) => done({ error: String(error.stack) }));"
        )
        answer = self.driver.execute_async_script(body, *args)
        assert "error" not in answer, answer["error"]
        return answer["value"]

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def until(self, selector: str, text: str = "", *, shown: bool = True) -> WebElement:
        """Wait for the first matching element with a text."""
        deadline = time.monotonic() + TIMEOUT
        seen: list[str] = []
        while time.monotonic() < deadline:
            found, seen = self.driver.execute_script(_FIND, selector, text, shown)
            if found is not None:
                made: WebElement = found
                return made
            time.sleep(0.03)
        raise AssertionError(f"no {selector!r} with {text!r}; there is {seen}")

    def gone(self, selector: str) -> None:
        """Wait until no matching element is shown."""
        deadline = time.monotonic() + TIMEOUT
        while time.monotonic() < deadline:
            if self.driver.execute_script(_FIND, selector, "", True)[0] is None:
                return
            time.sleep(0.03)
        raise AssertionError(f"{selector!r} is still there")

    def text(self, selector: str) -> str:
        return self.until(selector).text

    def click(self, selector: str, text: str = "") -> None:
        self.until(selector, text).click()

    def choose(self, selector: str, value: str) -> None:
        Select(self.until(selector)).select_by_value(value)

    def write(self, selector: str, text: str) -> None:
        field = self.until(selector)
        field.clear()
        field.send_keys(text)

    def press(self, *keys: str) -> None:
        """Press keys at the focus."""
        for key in keys:
            ActionChains(self.driver).send_keys(getattr(Keys, key.upper(), key)).perform()

    def settle(self) -> None:
        """Wait until nothing of the page has changed for 300 ms."""
        self.run(
            """
            let last = performance.now();
            const watch = new MutationObserver(() => (last = performance.now()));
            watch.observe(document.body, { childList: true, subtree: true, attributes: true });
            const end = last + 8000;
            while (performance.now() - last < 300 && performance.now() < end)
              await new Promise((done) => setTimeout(done, 50));
            watch.disconnect();
            """
        )

    def focused(self) -> WebElement:
        return self.driver.switch_to.active_element

    def complaints(self) -> list[str]:
        """Errors and policy violations in the browser since the last call."""
        return [
            f"{line['level']}: {line['message']}"
            for line in self.driver.get_log("browser")
            if line["level"] in ("SEVERE", "WARNING")
            # Tests look at the pixels of the map again and again; the page itself never does.
            and "getImageData" not in line["message"]
        ]

    def requests(self) -> list[dict[str, Any]]:
        """The requests of pages since the last call: ``url``, ``method``, ``headers``."""
        sent = []
        for line in self.driver.get_log("performance"):
            message = json.loads(line["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                sent.append(message["params"]["request"])
        self.seen += [each["url"] for each in sent]
        return sent

    def requests_elsewhere(self) -> list[str]:
        """All requests to other machines."""
        self.requests()
        own = ("http://127.0.0.1:", "about:", "chrome:", "data:")
        return [url for url in self.seen if not url.startswith(own)]
