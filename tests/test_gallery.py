"""The gallery as a textbook: every public function is met, every script answers one question."""

import ast
import inspect
import re
from pathlib import Path

import pytest
from test_public_api import DOCUMENTED, load

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
SCRIPTS = sorted(EXAMPLES.rglob("plot_*.py"))


@pytest.mark.parametrize("module", sorted(DOCUMENTED))
def test_every_public_function_is_met(module):
    words = set()
    for path in SCRIPTS:
        words |= set(re.findall(r"\w+", path.read_text()))
    functions = [
        name for name in DOCUMENTED[module] if inspect.isfunction(getattr(load(module), name))
    ]
    assert not sorted(set(functions) - words)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_one_question_and_one_checked_number(path):
    text = path.read_text()
    assert "?" in (ast.get_docstring(ast.parse(text)) or ""), "no question is asked"
    assert len(text.splitlines()) < 120
    assert re.search(r"^ *assert ", text, re.MULTILINE), "no number is checked"


def test_every_folder_has_a_heading():
    for folder in {path.parent for path in SCRIPTS}:
        assert (folder / "GALLERY_HEADER.rst").exists(), folder.name


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_figure_is_finished_in_the_cell_that_begins_it(path):
    """Between cells the gallery closes its figures."""
    for cell in re.split(r"^# %%", path.read_text(), flags=re.MULTILINE):
        if "subplots(" in cell:
            assert "plt.show()" in cell
