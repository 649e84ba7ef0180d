"""The site as a browser shows it: links lead somewhere, math and figures appear, no errors.

Needs the site (``make docs``) and Debian's chromium; skipped without them.
"""

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from browser import Browser

SITE = Path(__file__).resolve().parents[1] / "docs" / "_build" / "html"
PHONE = 390  # pixels

# What a page looks like once its formulas are set.
LOOK = """(async () => {
  if (window.MathJax && MathJax.startup) await MathJax.startup.promise;
  const unset = [...document.querySelectorAll(".math")].filter(
    node => !node.querySelector("mjx-container"));
  const images = [...document.images].filter(image => image.loading !== "lazy");
  return {
    width: document.documentElement.scrollWidth,
    unset: unset.map(node => node.textContent),
    wrong: document.querySelectorAll("mjx-merror, mjx-container [data-mjx-error]").length,
    blank: images.filter(image => !image.naturalWidth).map(image => image.src),
  };
})()"""
COLOURS = """(() => {
  const text = document.querySelector("article h1, article p") || document.body;
  return [getComputedStyle(text).color, getComputedStyle(document.body).backgroundColor];
})()"""


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


def evaluate(browser, expression):
    """Return the value of an expression, or of what it promises."""
    answer = browser.call(
        "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
    )
    return answer["result"]["value"]


def lightness(colour):
    """Return how light a colour like ``rgb(10, 20, 30)`` is, from 0 to 1."""
    red, green, blue = (float(part) for part in re.findall(r"[0-9.]+", colour)[:3])
    return (2 * red + 5 * green + blue) / (8 * 255)


def contrast(browser, scheme):
    """Return how much darker the text is than its ground."""
    feature = {"name": "prefers-color-scheme", "value": scheme}
    browser.call("Emulation.setEmulatedMedia", features=[feature])
    text, ground = evaluate(browser, COLOURS)
    return lightness(ground) - lightness(text)


@pytest.fixture(scope="module")
def site():
    if not SITE.exists():
        pytest.skip("the site is not built; `make docs` builds it")
    return SITE


@pytest.fixture(scope="module")
def seen(site, tmp_path_factory):
    """Return what each page looks like on a phone."""
    browser = Browser(tmp_path_factory.mktemp("profile"))
    found = {}
    for path in sorted(site.rglob("*.html")):
        name = str(path.relative_to(site))
        if not name.startswith(("_modules", "_static")):
            browser.open(path, width=PHONE)
            look = evaluate(browser, LOOK)
            look["light"], look["dark"] = (contrast(browser, name) for name in ("light", "dark"))
            found[name] = look | {"complaints": browser.complaints, "asked": browser.requests}
    browser.close()
    return found


@pytest.mark.slow
def test_links_lead_somewhere(site):
    pages = {path.resolve(): Page(path) for path in site.rglob("*.html")}
    broken = []
    sources = site.resolve() / "_modules"  # a name that two packages export links to one of them
    for path, page in pages.items():
        for link in [] if path.is_relative_to(sources) else page.links:
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
def test_nothing_on_the_console_and_nothing_from_the_network(seen):
    assert not {name: look["complaints"] for name, look in seen.items() if look["complaints"]}
    outside = {
        name: [url for url in look["asked"] if not url.startswith(("file:", "data:"))]
        for name, look in seen.items()
    }
    assert not {name: urls for name, urls in outside.items() if urls}


@pytest.mark.slow
def test_math_and_figures_appear(seen):
    assert len(seen) > 50
    wrong = ("unset", "wrong", "blank")
    assert not {name: look for name, look in seen.items() if any(look[key] for key in wrong)}


@pytest.mark.slow
def test_fits_a_phone(seen):
    assert not {name: look["width"] for name, look in seen.items() if look["width"] > PHONE}


@pytest.mark.slow
def test_light_and_dark_are_readable(seen):
    assert not {name: look for name, look in seen.items() if look["light"] < 0.5}
    assert not {name: look for name, look in seen.items() if look["dark"] > -0.5}
