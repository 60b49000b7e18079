"""Prove in a browser that the documentation site asks no other host, has no error and does not scroll sideways, on a wide screen and on a phone.

    python tests/proofs/site.py                  every page; needs chromium
    python tests/proofs/site.py --only how-to    the pages whose path begins so
    python tests/proofs/site.py --shots FOLDER   also keeps a picture of each page above the library's

The site is served from this machine; every request of every page is recorded through the browser's own protocol.
"""

import argparse
import base64
import functools
import http.server
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

import websocket

ROOT = Path(__file__).resolve().parents[2]
HTML = ROOT / "docs/_build/html"
WIDTHS = (1280, 390)


class Quiet(http.server.SimpleHTTPRequestHandler):
    "Serves the site, and says nothing."

    def log_message(self, *_: Any) -> None: ...


class Browser:
    "A page of a headless Chromium."

    def __init__(self, folder: str) -> None:
        options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0"]
        self.process = subprocess.Popen(
            [chromium(), *options, f"--user-data-dir={folder}", "--remote-allow-origins=*"],
            stderr=subprocess.DEVNULL,
        )
        port = Path(folder) / "DevToolsActivePort"
        for _ in range(200):
            if port.is_file() and port.read_text().count("\n"):
                break
            time.sleep(0.1)
        address = f"http://127.0.0.1:{port.read_text().splitlines()[0]}/json/new?about:blank"
        request = urllib.request.Request(address, method="PUT")
        made = json.load(urllib.request.urlopen(request, timeout=30))
        self.socket = websocket.create_connection(made["webSocketDebuggerUrl"], timeout=60)
        self.count, self.events = 0, []
        for domain in ("Network", "Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict:
        "Call the browser; events that come meanwhile are kept."
        self.count += 1
        self.socket.send(json.dumps({"id": self.count, "method": method, "params": params}))
        while (message := json.loads(self.socket.recv())).get("id") != self.count:
            self.events.append(message)
        assert "error" not in message, message
        return message["result"]

    def visit(self, url: str, width: int) -> tuple[list[str], list[str], int]:
        "Open a page; give what it requested, its errors, and by how much it is too wide."
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=1200,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        self.events = []
        self.call("Page.navigate", url=url)
        ready = "new Promise(r => { const f = () => document.readyState === 'complete' ? setTimeout(r, 30) : setTimeout(f, 10); f() })"
        self.evaluate(ready)
        wide = self.evaluate("document.documentElement.scrollWidth") - width
        sent = [e["params"] for e in self.events if e["method"] == "Network.requestWillBeSent"]
        names = ("Runtime.exceptionThrown", "Network.loadingFailed", "Log.entryAdded")
        errors = [json.dumps(e["params"])[:300] for e in self.events if e["method"] in names]
        return [p["request"]["url"] for p in sent], errors, wide

    def evaluate(self, expression: str) -> Any:
        "Evaluate an expression in the page."
        done = self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        return done["result"].get("value")

    def shot(self, path: Path) -> None:
        "Keep a picture of the page."
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))


def chromium() -> str:
    "Find the browser; without one nothing is proved, and other proofs can go on."
    found = [shutil.which(n) for n in ("chromium", "chromium-browser", "google-chrome")]
    if not any(found):
        print(
            "site: NOT proved: needs chromium, which is not here; on Debian: apt install chromium"
        )
        sys.exit(0)
    return next(f for f in found if f)


def main() -> None:
    "Visit every page at both widths."
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shots", type=Path)
    parser.add_argument("--only", default="", help="pages whose path begins so")
    asked = parser.parse_args()
    shots = asked.shots
    chromium()
    subprocess.run(["sh", "scripts/docs.sh"], cwd=ROOT, check=True)
    pages = sorted(p.relative_to(HTML) for p in HTML.rglob("*.html") if "_static" not in p.parts)
    pages = [p for p in pages if str(p).startswith(asked.only)]
    assert pages, f"no page begins with {asked.only}"
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=HTML)
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    home = f"http://127.0.0.1:{server.server_address[1]}/"
    wrong, requests = [], 0
    with tempfile.TemporaryDirectory(prefix="site-", ignore_cleanup_errors=True) as folder:
        browser = Browser(folder)
        try:
            for page, width in ((p, w) for p in pages for w in WIDTHS):
                urls, errors, wide = browser.visit(home + str(page), width)
                requests += len(urls)
                away = [u for u in urls if not u.startswith((home, "data:", "blob:"))]
                wrong += [f"{page} at {width}: requests {u}" for u in away]
                wrong += [f"{page} at {width}: {e}" for e in errors]
                wrong += [f"{page} at {width}: {wide} pixels too wide"] if wide > 0 else []
                if shots and page.parts[0] != "library":
                    shots.mkdir(parents=True, exist_ok=True)
                    browser.shot(shots / f"{str(page).replace('/', '_')}-{width}.png")
            browser.visit(home + "search.html?q=bootstrap", 1280)
            time.sleep(1)
            found = browser.evaluate("document.querySelectorAll('#search-results li').length")
            wrong += [] if found else ["search.html: a search for bootstrap finds nothing"]
        finally:
            browser.process.terminate()
            browser.process.wait()
    print("\n".join(wrong))
    print(
        f"site: {len(pages)} pages at {len(WIDTHS)} widths, {requests} requests, {found} results of a search, {len(wrong)} wrong"
    )
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
