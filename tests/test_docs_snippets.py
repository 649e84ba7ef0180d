"""Every Python block of README.md and docs/**/*.md runs.

A page is one session: its blocks share their names, in order. Blocks with ``>>>`` are doctests,
blocks without are executed. A text block under the comment ``<!-- output -->`` is what the block
before it prints, with ``...`` for what may differ. A page that needs an extra says so in a comment
on a line of its own, ``<!-- needs: torch -->``, and is skipped where that cannot be imported.
"""

import contextlib
import doctest
import importlib.util
import io
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FENCE = re.compile(r"(^<!-- output -->\n)?^```(python|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NEEDS = re.compile(r"^<!-- needs: ([\w., ]+) -->$", re.MULTILINE)
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def pages():
    """Return the pages with at least one Python block, as paths relative to the root."""
    docs = [path for path in (ROOT / "docs").rglob("*.md") if "_build" not in path.parts]
    candidates = [ROOT / "README.md", *sorted(docs)]
    return [str(path.relative_to(ROOT)) for path in candidates if "```python" in path.read_text()]


def run_page(text, name):
    """Run the blocks of one page in order; return the report of what failed."""
    runner = doctest.DocTestRunner(optionflags=FLAGS, verbose=False)
    session, report, printed = {"__name__": "__main__"}, [], ""
    for match in FENCE.finditer(text):
        marked, language, block = match.groups()
        line = text[: match.start()].count("\n") + 1
        if language == "text":
            if marked and not doctest.OutputChecker().check_output(block, printed, FLAGS):
                report.append(f"{name}:{line}: promised\n{block}but printed\n{printed}")
        elif ">>>" in block:
            test = doctest.DocTestParser().get_doctest(block, session, name, name, line)
            runner.run(test, out=report.append, clear_globs=False)
            session.update(test.globs)
        else:
            with contextlib.redirect_stdout(io.StringIO()) as stream:
                exec(compile("\n" * line + block, name, "exec"), session)
            printed = stream.getvalue()
    return "".join(report)


@pytest.mark.parametrize("page", pages())
def test_page_runs(page, tmp_path, monkeypatch):
    text = (ROOT / page).read_text()
    for needed in NEEDS.findall(text):
        for module in needed.split(","):
            if importlib.util.find_spec(module.strip()) is None:
                pytest.skip(f"{page} needs {module.strip()}")
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.chdir(tmp_path)
    report = run_page(text, page)
    assert not report, report


def test_a_wrong_snippet_is_noticed():
    wrong = "```python\n>>> 1 + 1\n3\n```\n"
    right = "```python\ntotal = 1 + 1\n```\ntext\n```python\n>>> total\n2\n```\n"
    promise = "```python\nprint('a', 1)\n```\n<!-- output -->\n```text\na {}\n```\n"
    assert "Got:\n    2" in run_page(wrong, "page")
    assert run_page(right, "page") == ""
    assert "promised" in run_page(promise.format(2), "page")
    assert run_page(promise.format("..."), "page") == ""


def test_chapters_end_with_exercises_and_the_tests_that_solve_them():
    for path in sorted((ROOT / "docs" / "theory").glob("*.md")):
        if path.stem not in ("index", "conventions"):
            assert re.search(r"\(Tests?: `test_", path.read_text()), path.name


def test_what_pages_point_at_exists():
    """Tests, files of the tree, and functions in the tables that say where the code is."""
    known = {name for path in (ROOT / "tests").rglob("*.py") for name in functions(path)}
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "docs").glob("*/*.md")]
    missing = []
    for page in pages:
        text = page.read_text()
        missing += [
            (page.name, name) for name in re.findall(r"`(test_\w+)`", text) if name not in known
        ]
        files = re.findall(r"(?<=[` ])((?!examples)[a-z_]+/[\w/]+\.py)(?=[` ])", text)
        missing += [(page.name, name) for name in files if not (ROOT / name).exists()]
        for row in re.findall(r"^\| .* \| `[\w/]+\.py`.* \|$", text, re.MULTILINE):
            *_, code, place, _ = row.split("|")
            first, *others = (Path(name) for name in re.findall(r"`([\w/]+\.py)`", place))
            paths = [first, *(p if "/" in str(p) else first.parent / p for p in others)]
            defined = {name for path in paths for name in functions(ROOT / path)}
            names = re.findall(r"`(\w+)`", code.split(", with")[0])
            missing += [(page.name, name) for name in names if name not in defined]
    assert not missing


def functions(path):
    """Return the names of the functions and classes of a file."""
    return set(re.findall(r"^ *(?:def|class) (\w+)", path.read_text(), re.MULTILINE))
