"""One self-contained HTML page: no script, nothing from elsewhere, light and dark, any width.

Figures are pictures inside the page. Those that are drawn (and not photographed) are transparent
and turn their lightness around in dark mode, hues kept.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = ["Page"]

STYLE = """
:root { color-scheme: light dark; --ink: #1d1f24; --paper: #fff; --soft: #62666f; --line: #d8dae0;
  --good: #17713a; --bad: #b3261e; --box: #f5f6f8; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e6eb; --paper: #14161a; --soft: #9aa0ab; --line: #363a42; --good: #6fcf8b;
    --bad: #ff8a80; --box: #1d2026; }
  img.drawn { filter: invert(1) hue-rotate(180deg); } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem 1rem 4rem; max-width: 60rem; color: var(--ink);
  background: var(--paper); font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 1rem 0 .25rem; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 .5rem; border-top: 1px solid var(--line);
  padding-top: 1rem; }
.soft, figcaption { color: var(--soft); font-size: .9rem; }
.good { color: var(--good); } .bad { color: var(--bad); }
.good::before { content: "\\2713\\00a0"; } .bad::before { content: "!\\00a0"; font-weight: bold; }
ul { padding-left: 1.2rem; } ul.plain { list-style: none; padding: 0; }
figure { margin: 1.25rem 0; } figcaption { margin-top: .4rem; }
.scroll { overflow-x: auto; }
img { display: block; max-width: 100%; height: auto; margin: 0 auto; }
.row { display: flex; flex-wrap: wrap; gap: 1rem; } .row figure { flex: 1 1 16rem; min-width: 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem; }
td, th { padding: .3rem .7rem .3rem 0; text-align: right; border-bottom: 1px solid var(--line);
  white-space: nowrap; } td:first-child, th:first-child { text-align: left; }
pre { background: var(--box); padding: .8rem; border-radius: .4rem; overflow-x: auto;
  overflow-wrap: normal; font-size: .78rem; line-height: 1.4; }
"""
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


class Page:
    """A page that grows from top to bottom; every text is escaped."""

    def __init__(self, title: str, subtitle: str) -> None:
        self.title = title
        self.parts = [f"<h1>{html.escape(title)}</h1>", _tag("p", subtitle, "soft")]

    def heading(self, text: str) -> None:
        """Begin a section."""
        self.parts.append(_tag("h2", text))

    def paragraph(self, text: str) -> None:
        """Add text."""
        self.parts.append(_tag("p", text))

    def verdicts(self, lines: Sequence[tuple[bool, str]]) -> None:
        """Add a list of findings, each good or not."""
        items = "".join(_tag("li", text, "good" if good else "bad") for good, text in lines)
        self.parts.append(f'<ul class="plain">{items}</ul>')

    def bullets(self, lines: Sequence[str]) -> None:
        """Add a list."""
        self.parts.append(f"<ul>{''.join(_tag('li', line) for line in lines)}</ul>")

    def text(self, text: str) -> None:
        """Add text as it would stand on a terminal."""
        self.parts.append(_tag("pre", text))

    def table(self, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Add a table."""
        head = "".join(_tag("th", cell) for cell in header)
        body = "".join(f"<tr>{''.join(_tag('td', cell) for cell in row)}</tr>" for row in rows)
        self.parts.append(f'<div class="scroll"><table><tr>{head}</tr>{body}</table></div>')

    def figures(self, *figures: tuple[Any, str], wide: bool = False) -> None:
        """Add drawn figures (matplotlib's) with captions, side by side where there is room.

        A wide one stays readable on a narrow screen: it scrolls in its own box.
        """
        blocks = []
        for figure, caption in figures:
            buffer = io.BytesIO()
            figure.savefig(buffer, format="png", dpi=150, transparent=True)
            most, least = (f"{scale * figure.get_figwidth():.0f}px" for scale in (100, 60))
            size = f"width: {most}"
            if wide:
                size = f"max-width: none; width: max(min({most}, 100%), {least})"
            look = f'class="drawn" style="{size}"'
            blocks.append(_picture(buffer.getvalue(), "png", caption, look))
        self._row(blocks)

    def pictures(self, *pictures: tuple[bytes, str, str], wide: bool = False) -> None:
        """Add encoded pictures: (content, kind such as "png", caption); wide as for figures."""
        look = 'style="max-width: none; width: max(100%, 40rem)"' if wide else ""
        self._row([_picture(data, kind, caption, look) for data, kind, caption in pictures])

    def _row(self, blocks: list[str]) -> None:
        """Add blocks side by side."""
        inside = "".join(blocks)
        self.parts.append(f'<div class="row">{inside}</div>' if len(blocks) > 1 else inside)

    def write(self, path: Path) -> None:
        """Write the page to a file."""
        head = (
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            '<link rel="icon" href="data:,">\n'
            f"<title>{html.escape(self.title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        )
        path.write_text(head + "\n".join(self.parts) + "\n</body>\n</html>\n", encoding="utf-8")


def _tag(name: str, text: str, style: str = "") -> str:
    """Return escaped text as an element."""
    attribute = f' class="{style}"' if style else ""
    return f"<{name}{attribute}>{html.escape(text)}</{name}>"


def _picture(data: bytes, kind: str, caption: str, look: str) -> str:
    """Return a picture inside the page, its caption below."""
    source = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    image = f'<img {look} src="{source}" alt="{html.escape(caption)}">'
    return f'<figure><div class="scroll">{image}</div>{_tag("figcaption", caption)}</figure>'
