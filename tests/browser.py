"""A page as people see it: Debian's chromium, headless, spoken to over its debugging pipe.

No driver is needed: the protocol is JSON messages that end in a zero byte, on descriptors 3 and 4.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

# becomes chromium, with the two descriptors where it looks for them
CONNECT = """import os, sys
os.dup2(int(sys.argv[1]), 103), os.dup2(int(sys.argv[2]), 104), os.dup2(103, 3), os.dup2(104, 4)
os.execv(sys.argv[3], sys.argv[3:])"""
PATIENCE = 60  # seconds
MEASURE = """JSON.stringify({
  width: document.documentElement.clientWidth,
  scroll: document.documentElement.scrollWidth,
  images: [...document.images].map(i => i.complete ? i.naturalWidth : -1),
  shown: [...document.images].map(i => i.getBoundingClientRect().width),
  paper: getComputedStyle(document.body).backgroundColor,
  text: document.body.innerText})"""


class Browser:
    """A chromium with one page; what it complains about is collected in ``complaints``."""

    def __init__(self, folder: Path) -> None:
        program = shutil.which("chromium") or shutil.which("chromium-browser")
        if program is None:
            pytest.skip("needs a browser: no chromium in PATH (Debian package chromium)")
        to_read, self.write_end = os.pipe()
        self.read_end, to_write = os.pipe()

        self.process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                CONNECT,
                str(to_read),
                str(to_write),
                program,
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
                "--disable-dev-shm-usage",
                "--remote-debugging-pipe",
                f"--user-data-dir={folder}",
                "about:blank",
            ],
            pass_fds=(to_read, to_write),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(to_read)
        os.close(to_write)
        self.number, self.buffer, self.session = 0, b"", ""
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.loaded = False
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self.session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and return its result."""
        self.number += 1
        message: dict[str, Any] = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.write_end, json.dumps(message).encode() + b"\0")
        while (answer := self._receive()).get("id") != self.number:
            pass
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    def _receive(self) -> dict[str, Any]:
        """Return the next message; note what it complains about."""
        while b"\0" not in self.buffer:
            if not select.select([self.read_end], [], [], PATIENCE)[0]:
                raise RuntimeError(f"chromium has not answered for {PATIENCE} s")
            data = os.read(self.read_end, 1 << 16)
            if not data:
                raise RuntimeError("chromium has ended")
            self.buffer += data
        text, self.buffer = self.buffer.split(b"\0", 1)
        message = json.loads(text)
        method, detail = message.get("method", ""), message.get("params", {})
        if method in ("Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled"):
            self.complaints.append(json.dumps(detail)[:500])
        elif method == "Network.requestWillBeSent":
            self.requests.append(detail["request"]["url"][:100])
        elif method == "Page.loadEventFired":
            self.loaded = True
        return message

    def open(self, path: Path, *, width: int, dark: bool = False) -> dict[str, Any]:
        """Load a page at a width and return what it measures."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        size = {"width": width, "height": 844, "deviceScaleFactor": 2, "mobile": width < 500}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.loaded, self.complaints, self.requests = False, [], []
        self.call("Page.navigate", url=path.resolve().as_uri())
        end = time.monotonic() + PATIENCE
        while not self.loaded and time.monotonic() < end:
            self.call("Runtime.evaluate", expression="0")
        answer = self.call("Runtime.evaluate", expression=MEASURE)
        return json.loads(answer["result"]["value"])

    def close(self) -> None:
        """End the browser and what it started."""
        os.close(self.write_end)
        os.close(self.read_end)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(5)
