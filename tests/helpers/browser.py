"""A headless Chromium for tests, spoken to over its debugging pipe: real keys and clicks, no further package."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
WHY_NOT = "no chromium on PATH (Debian: apt-get install chromium): the page is not tried in a browser"
_OPTIONS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
    "--remote-debugging-pipe", "--window-size=1200,900",
)  # fmt: skip
# The browser reads commands from descriptor 3 and writes to 4.
_START = """
import fcntl, os, sys
reading, writing = (fcntl.fcntl(int(word), fcntl.F_DUPFD, 20) for word in sys.argv[1:3])
os.dup2(reading, 3); os.dup2(writing, 4); os.close(reading); os.close(writing)
os.execv(sys.argv[3], sys.argv[3:])
"""


class Page:
    """One tab.

    Attributes:
        complaints: Everything that the console, the log and failed scripts said.
        requests: Addresses asked for.
    """

    def __init__(self, commands: Any, answers: int):
        self._commands, self._answers, self._number, self._rest = commands, answers, 0, b""
        self._session: str | None = None
        self.complaints: list[str] = []
        self.requests: list[str] = []
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._call(f"{domain}.enable")

    def open(self, path: Path, scripts: bool = True) -> None:
        """Load a file and wait until it is there."""
        self._call("Emulation.setScriptExecutionDisabled", value=not scripts)
        self.complaints.clear()
        self.requests.clear()
        self._loaded = False
        self._call("Page.navigate", url=path.as_uri())
        end = time.monotonic() + 60
        while not self._loaded:
            assert time.monotonic() < end, "the page did not load"
            self._read(None)

    def resize(self, width: int, height: int) -> None:
        """Make the window so many pixels large; a narrow one is a telephone's."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self._call("Emulation.setDeviceMetricsOverride", **size)

    def prefer(self, scheme: str) -> None:
        """Read as one who likes pages "light" or "dark"."""
        self._call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def run(self, expression: str) -> Any:
        """The value of a JavaScript expression; the page's own policy does not hold it up."""
        answer = self._call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def press(self, key: str) -> None:
        """A key, as from a keyboard: "Tab", "Enter", " ", or a letter."""
        codes = {"Tab": 9, "Enter": 13, " ": 32, "Backspace": 8}
        text = {"Enter": "\r", "Tab": "", "Backspace": ""}.get(key, key)
        about = {"key": key, "windowsVirtualKeyCode": codes.get(key, ord(key[0].upper()))}
        self._call("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", text=text, **about)
        self._call("Input.dispatchKeyEvent", type="keyUp", **about)

    def click(self, selector: str) -> None:
        """A mouse click in the middle of an element."""
        self.run(f"window.sought = document.querySelector({json.dumps(selector)})")
        self.run("sought.scrollIntoView({block: 'center'})")
        x, y = self.run("(({x, y, width, height}) => [x + width / 2, y + height / 2])(sought.getBoundingClientRect())")
        for kind in ("mousePressed", "mouseReleased"):
            self._call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def screenshot(self) -> bytes:
        """What the window shows, PNG."""
        return base64.b64decode(self._call("Page.captureScreenshot", format="png")["data"])

    def pdf(self) -> bytes:
        """The page as it is printed."""
        return base64.b64decode(self._call("Page.printToPDF", preferCSSPageSize=True)["data"])

    def names(self) -> list[tuple[str, str]]:
        """(role, name) of every node, as readers of screens are told."""
        nodes = self._call("Accessibility.getFullAXTree")["nodes"]
        return [(n["role"]["value"], n.get("name", {}).get("value", "")) for n in nodes if not n.get("ignored")]

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        self._commands.write(json.dumps(message).encode() + b"\0")
        self._commands.flush()
        return self._read(self._number)

    def _read(self, number: int | None) -> dict[str, Any]:
        """Take messages until the answer to one command; with None, one message."""
        while True:
            while b"\0" not in self._rest:
                part = os.read(self._answers, 1 << 20)
                assert part, "the browser has gone"
                self._rest += part
            text, _, self._rest = self._rest.partition(b"\0")
            message = json.loads(text)
            self._note(message.get("method"), message.get("params", {}))
            if number is None:
                return message
            if message.get("id") == number:
                assert "error" not in message, message["error"]
                return message["result"]

    def _note(self, method: str | None, about: dict[str, Any]) -> None:
        if method == "Page.loadEventFired":
            self._loaded = True
        elif method == "Network.requestWillBeSent":
            self.requests.append(about["request"]["url"])
        elif method in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"):
            self.complaints.append(f"{method}: {json.dumps(about)[:600]}")


@contextmanager
def chromium(profile: Path):
    """A browser with one tab.

    Args:
        profile: Folder for its files.

    Yields:
        The `Page`.
    """
    commands_out, commands_in = os.pipe()
    answers_out, answers_in = os.pipe()
    words = [sys.executable, "-c", _START, str(commands_out), str(answers_in), CHROMIUM, *_OPTIONS]
    process = subprocess.Popen(
        [*words, f"--user-data-dir={profile}"],
        pass_fds=(commands_out, answers_in), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(commands_out)
    os.close(answers_in)
    try:
        with os.fdopen(commands_in, "wb") as commands:
            yield Page(commands, answers_out)  # when its pipe closes, the browser ends
        process.wait(20)
    finally:
        os.close(answers_out)
        if process.poll() is None:
            process.kill()
            process.wait()
