# SPDX-License-Identifier: Apache-2.0
"""A real browser without a screen: Debian's chromium, driven through its debugging pipe.

    with browser.Browser() as chromium:
        page = chromium.open(path, width=1280)
        page.evaluate("document.title")

A page under test is a file; `page.requests()` tells every address that it asked for. Leaving
the context ends the browser and all that it started, and removes its profile.
"""
import base64
import json
import os
import pathlib
import select
import shutil
import signal
import subprocess
import time

from harness import paths

# The keys that tests press, as the protocol wants them.
KEYS = {"Enter": (13, "\r"), "Escape": (27, ""), "ArrowDown": (40, ""), "ArrowUp": (38, ""),
        "ArrowLeft": (37, ""), "ArrowRight": (39, ""), "Tab": (9, "")}


class BrowserError(Exception):
    pass


class Browser:
    def __init__(self, timeout_s=60):
        self.timeout_s = timeout_s
        self.next_id = 0
        self.buffer = b""
        self.events = []

    def __enter__(self):
        program = paths.program("chromium")
        self.profile = paths.scratch_dir("auxin-browser-")
        commands_out, commands_in = os.pipe()
        answers_out, answers_in = os.pipe()
        arguments = [program, "--headless", "--no-sandbox", "--no-first-run",
                     "--disable-dev-shm-usage", "--disable-gpu", "--disable-background-networking",
                     "--disable-component-update", "--disable-sync", "--hide-scrollbars",
                     "--force-color-profile=srgb", f"--user-data-dir={self.profile}",
                     "--remote-debugging-pipe", "about:blank"]
        # The browser reads commands from descriptor 3 and answers on 4.
        shell = f'exec "$@" 3<&{commands_out} 4>&{answers_in}'
        environment = dict(os.environ, HOME=str(self.profile), XDG_RUNTIME_DIR=str(self.profile),
                           TMPDIR=str(self.profile))
        self.process = subprocess.Popen(
            ["/bin/bash", "-c", shell, "browser", *arguments], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment,
            pass_fds=(commands_out, answers_in), start_new_session=True)
        os.close(commands_out)
        os.close(answers_in)
        self.commands, self.answers = commands_in, answers_out
        try:
            self.call("Browser.getVersion")
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, *_):
        try:
            self.call("Browser.close", timeout_s=5)
            self.process.wait(10)
        except (BrowserError, OSError, subprocess.TimeoutExpired):
            pass
        os.close(self.commands)
        os.close(self.answers)
        try:  # its own session: nothing of anybody else's is in it
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        # A child may still be writing as it dies.
        deadline = time.monotonic() + 10
        while self.profile.exists() and time.monotonic() < deadline:
            shutil.rmtree(self.profile, ignore_errors=True)
        if self.profile.exists():
            raise BrowserError(f"{self.profile} is left")

    def call(self, method, session=None, timeout_s=None, **parameters):
        self.next_id += 1
        message = {"id": self.next_id, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.commands, data):]
        deadline = time.monotonic() + (timeout_s or self.timeout_s)
        while True:
            answer = self.read(deadline)
            if answer.get("id") == message["id"]:
                if "error" in answer:
                    raise BrowserError(f"{method}: {answer['error']['message']}")
                return answer["result"]
            if "method" in answer:
                self.events.append(answer)

    def read(self, deadline):
        while b"\0" not in self.buffer:
            if not select.select([self.answers], [], [], max(0, deadline - time.monotonic()))[0]:
                raise BrowserError("the browser does not answer")
            data = os.read(self.answers, 1 << 20)
            if not data:
                raise BrowserError("the browser ended")
            self.buffer += data
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)

    def open(self, path, width=1280, height=900, scheme="light",
             ready="document.documentElement.dataset.ready === 'yes'"):
        """`ready`: true once the page has drawn itself."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, session, target)
        for domain in ("Page", "Runtime", "Log", "Network"):
            page.call(f"{domain}.enable")
        page.resize(width, height)
        page.scheme(scheme)
        page.call("Page.navigate", url=pathlib.Path(path).resolve().as_uri())
        page.await_true(f"document.documentElement && {ready}")
        return page


class Page:
    def __init__(self, browser, session, target):
        self.browser, self.session, self.target = browser, session, target

    def close(self):
        self.browser.call("Target.closeTarget", targetId=self.target)

    def call(self, method, **parameters):
        return self.browser.call(method, session=self.session, **parameters)

    def evaluate(self, expression):
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True,
                           awaitPromise=True)
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            raise BrowserError(details.get("exception", {}).get("description", details["text"]))
        return answer["result"].get("value")

    def await_true(self, expression, timeout_s=20):
        deadline = time.monotonic() + timeout_s
        while not self.evaluate(expression):
            if time.monotonic() > deadline:
                raise BrowserError(f"never true: {expression}; {self.errors()}")
            time.sleep(0.02)

    def resize(self, width, height=900):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=False)

    def scheme(self, name):
        self.call("Emulation.setEmulatedMedia",
                  features=[{"name": "prefers-color-scheme", "value": name}])

    def settle(self):
        """Until what a resize or a click set off is laid out and drawn."""
        self.call("Page.bringToFront")  # behind another one nothing is drawn
        self.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame("
                      "() => setTimeout(done))))")

    def key(self, name):
        code, text = KEYS[name]
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=name, code=name,
                      windowsVirtualKeyCode=code, **({"text": text} if text else {}))

    def point(self, x, y):
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def click(self, x, y):
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def drag(self, from_x, from_y, to_x, to_y):
        def mouse(kind, x, y, buttons):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left",
                      buttons=buttons, clickCount=1)
        mouse("mousePressed", from_x, from_y, 1)
        for part in (0.25, 0.5, 0.75, 1):
            mouse("mouseMoved", from_x + part * (to_x - from_x), from_y + part * (to_y - from_y), 1)
        mouse("mouseReleased", to_x, to_y, 0)
        self.settle()

    def _mine(self, method):
        self.evaluate("0")  # what was sent before has arrived then
        return [event["params"] for event in self.browser.events
                if event.get("sessionId") == self.session and event["method"] == method]

    def errors(self):
        """What the console and the page complain about."""
        return ([details["exceptionDetails"] for details in self._mine("Runtime.exceptionThrown")] +
                [entry["entry"] for entry in self._mine("Log.entryAdded")] +
                [call["args"] for call in self._mine("Runtime.consoleAPICalled")])

    def requests(self):
        """All addresses that the page asked for."""
        return [sent["request"]["url"] for sent in self._mine("Network.requestWillBeSent")]

    def screenshot(self, path, whole=True):
        picture = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        pathlib.Path(path).write_bytes(base64.b64decode(picture["data"]))
