"""The site as a browser shows it: links lead somewhere, math and figures appear, no errors.

Needs the site (``make docs``) and Debian's chromium; skipped without them.
"""

import json
import shutil
import subprocess
import threading
from functools import cached_property
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

SITE = Path(__file__).resolve().parents[1] / "docs" / "_build" / "html"
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")
PHONE = 390  # pixels

# Opens one page after the other in a frame as wide as a phone and posts what it sees there.
VISIT = """<!DOCTYPE html><html><head><link rel="icon" href="data:,"></head><body><script>
const rgb = text => text.match(/[0-9.]+/g).slice(0, 3).map(Number);
const light = text => { const [r, g, b] = rgb(text); return (2 * r + 5 * g + b) / 2040; };
const shade = view => {
  const text = view.document.querySelector("article h1, article p") || view.document.body;
  return [light(view.getComputedStyle(text).color),
          light(view.getComputedStyle(view.document.body).backgroundColor)];
};
const soon = (promise, ms) => Promise.race([promise, new Promise(done => setTimeout(done, ms))]);
async function look(page) {
  const frame = document.createElement("iframe");
  frame.style = "width: WIDTHpx; height: 800px; border: 0";
  const loaded = new Promise(done => { frame.onload = done; });
  frame.src = "/" + page;
  document.body.append(frame);
  await loaded;
  const view = frame.contentWindow, root = view.document;
  if (view.MathJax && view.MathJax.startup) await soon(view.MathJax.startup.promise, 20000);
  const images = [...root.images].filter(image => image.loading !== "lazy");
  const found = {
    page, width: root.documentElement.scrollWidth,
    unset: [...root.querySelectorAll(".math")].filter(
      node => !node.querySelector("mjx-container")).length,
    wrong: root.querySelectorAll("mjx-merror, mjx-container [data-mjx-error]").length,
    blank: images.filter(image => !image.naturalWidth).map(image => image.src),
    bright: null, dark: null,
  };
  root.body.dataset.theme = "light"; found.bright = shade(view);
  root.body.dataset.theme = "dark"; found.dark = shade(view);
  frame.remove();
  return found;
}
(async () => {
  const seen = [];
  for (const page of await (await fetch("/pages.json")).json())
    seen.push(await look(page).catch(error => { console.error(page, error); return null; }));
  await fetch("/seen", {method: "POST", body: JSON.stringify(seen)});
})();
</script></body></html>""".replace("WIDTH", str(PHONE))


class Page(HTMLParser):
    """The links and anchors of one page."""

    def __init__(self, path):
        super().__init__()
        self.links, self.anchors = [], set()
        self.feed(path.read_text())

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            if name == "id" or (tag == "a" and name == "name"):
                self.anchors.add(value)
            elif name in ("href", "src") and value:
                self.links.append(value)


class Server(ThreadingHTTPServer):
    """Serves the site and the page that visits it, and keeps what that page posts."""

    def __init__(self, pages):
        super().__init__(("127.0.0.1", 0), Handler)
        self.pages, self.seen, self.done = pages, [], threading.Event()


class Handler(SimpleHTTPRequestHandler):
    """Answers from the built site."""

    server: Server

    def __init__(self, *args):
        super().__init__(*args, directory=str(SITE))

    def do_GET(self):
        made = {"/visit": VISIT, "/pages.json": json.dumps(self.server.pages)}.get(self.path)
        if made is None:
            return super().do_GET()
        self.send_response(200)
        self.send_header("Content-Type", "text/html" if self.path == "/visit" else "text/json")
        self.end_headers()
        self.wfile.write(made.encode())

    def do_POST(self):
        self.server.seen = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(204)
        self.end_headers()
        self.server.done.set()

    def log_message(self, format, *args):
        """Say nothing."""


class Visit:
    """One walk of the browser through all pages that are written by hand or show code."""

    def __init__(self, folder):
        self.folder = folder

    @cached_property
    def report(self):
        paths = sorted(path.relative_to(SITE) for path in SITE.rglob("*.html"))
        pages = [str(path) for path in paths if path.parts[0] not in ("_modules", "_static")]
        server = Server(pages)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/visit"
        log = self.folder / "console.txt"
        with open(log, "w") as errors:
            browser = subprocess.Popen(
                [
                    *(
                        str(BROWSER),
                        "--headless",
                        "--no-sandbox",
                        "--disable-gpu",
                        "--hide-scrollbars",
                    ),
                    *(
                        "--disable-dev-shm-usage",
                        "--no-first-run",
                        "--disable-background-networking",
                    ),
                    *("--enable-logging=stderr", f"--user-data-dir={self.folder}"),
                    *("--remote-debugging-port=0", address),
                ],
                stdout=subprocess.DEVNULL,
                stderr=errors,
            )
        try:
            assert server.done.wait(600), f"the browser did not finish: {log.read_text()[-2000:]}"
        finally:
            browser.kill()
            browser.wait()
            server.shutdown()
            server.server_close()
        console = [line for line in log.read_text().splitlines() if "CONSOLE" in line]
        return server.seen, console


@pytest.fixture(scope="module")
def site():
    if not SITE.exists():
        pytest.skip("the site is not built; `make docs` builds it")
    return SITE


@pytest.fixture(scope="module")
def visit(site, tmp_path_factory):
    if BROWSER is None:
        pytest.skip("no chromium in PATH")
    return Visit(tmp_path_factory.mktemp("browser")).report


@pytest.mark.slow
def test_links_lead_somewhere(site):
    pages = {path.resolve(): Page(path) for path in site.rglob("*.html")}
    broken = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if target.is_dir():
                target = target / "index.html"
            missing = not target.exists()
            anchor = unquote(parts.fragment)
            if missing or (anchor and target in pages and anchor not in pages[target].anchors):
                broken.append(f"{path.relative_to(site.resolve())}: {link}")
    assert not broken, "\n".join(broken)


@pytest.mark.slow
def test_nothing_on_the_console(visit):
    assert not visit[1], "\n".join(visit[1][:20])


@pytest.mark.slow
def test_math_and_figures_appear(visit):
    seen = visit[0]
    wrong = [found for found in seen if found["unset"] or found["wrong"] or found["blank"]]
    assert len(seen) > 50
    assert not wrong, wrong[:10]


@pytest.mark.slow
def test_fits_a_phone(visit):
    wide = {found["page"]: found["width"] for found in visit[0] if found["width"] > PHONE}
    assert not wide, wide


@pytest.mark.slow
def test_dark_mode_is_dark_and_readable(visit):
    for found in visit[0]:
        (text, ground), (dark_text, dark_ground) = found["bright"], found["dark"]
        assert ground - text > 0.5, found["page"]
        assert dark_text - dark_ground > 0.5, found["page"]
