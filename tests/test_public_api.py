"""The API pages and the packages agree, and everything public explains itself."""

import importlib
import inspect
import re
import tomllib
from functools import cached_property
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("realization", "identification", "canonical_forms", "diffusion")
CHECKS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["numpydoc_validation"][
    "checks"
]
NEEDS_EXTRA = {"canonical_forms.bmojo": "torch", "identification.distributed": "dask"}


def documented_names():
    """Return {module: [names]} from the autosummary lists of docs/api."""
    names = {}
    for page in sorted((ROOT / "docs" / "api").glob("*.md")):
        module, inside = None, False
        for line in page.read_text().splitlines():
            if match := re.match(r"\.\. (?:current)?module:: ([\w.]+)", line):
                module = match[1]
                names.setdefault(module, [])
            elif line.startswith(".. autosummary::"):
                inside = True
            elif line.startswith("```"):
                inside = False
            elif inside and (match := re.fullmatch(r"   ([A-Za-z]\w*)", line)):
                names[module].append(match[1])
    return names


DOCUMENTED = documented_names()


def load(module):
    """Import a module of the toolkit, or skip when its extra is not installed."""
    if module in NEEDS_EXTRA:
        pytest.importorskip(NEEDS_EXTRA[module])
    return importlib.import_module(module)


def public_names(module):
    """Return the public names of a module: its ``__all__``, nothing when it has none yet."""
    return list(getattr(load(module), "__all__", []))


@pytest.mark.parametrize("module", sorted({*PACKAGES, *DOCUMENTED}))
def test_api_page_lists_exactly_the_public_names(module):
    listed = DOCUMENTED.get(module, [])
    assert sorted(listed) == sorted(set(listed)), "a name is listed twice"
    assert set(listed) == set(public_names(module))


@pytest.mark.parametrize("package", PACKAGES)
def test_public_subpackages_have_a_page(package):
    missing = [
        name
        for path in sorted((ROOT / package).glob("*/__init__.py"))
        if not path.parent.name.startswith("_")
        and (name := f"{package}.{path.parent.name}") not in DOCUMENTED
        and "__all__" in path.read_text()
    ]
    assert missing == []


def public_members(cls):
    """Return the names of a class's own public methods and properties."""
    kinds = property | cached_property | classmethod | staticmethod
    return [
        name
        for name, raw in vars(cls).items()
        if not name.startswith("_") and (inspect.isfunction(raw) or isinstance(raw, kinds))
    ]


@pytest.mark.parametrize(
    ("module", "name"), [(module, name) for module, names in DOCUMENTED.items() for name in names]
)
def test_docstring_follows_numpydoc(module, name):
    validate = pytest.importorskip("numpydoc.validate").validate
    value = getattr(load(module), name)
    assert not inspect.ismodule(value), "a public name is a class, a function or a value"
    assert inspect.getdoc(value)
    members = public_members(value) if inspect.isclass(value) else []
    for path in [f"{module}.{name}", *(f"{module}.{name}.{member}" for member in members)]:
        found = [(path, *error) for error in validate(path)["errors"] if error[0] in CHECKS]
        assert found == []


@pytest.mark.parametrize("package", PACKAGES)
def test_every_name_in_all_exists(package):
    assert [name for name in public_names(package) if not hasattr(load(package), name)] == []


@pytest.mark.parametrize("module", sorted(DOCUMENTED))
def test_signatures_keep_the_conventions(module):
    """Where both are given by position `y` stands before `u`; `rng` is always a keyword."""
    for name in DOCUMENTED[module]:
        value = getattr(load(module), name)
        members = vars(value) if inspect.isclass(value) else {name: value}
        for member in filter(inspect.isfunction, members.values()):
            kinds = {p.name: p.kind for p in inspect.signature(member).parameters.values()}
            assert (
                kinds.get("rng", inspect.Parameter.KEYWORD_ONLY) is inspect.Parameter.KEYWORD_ONLY
            )
            both = [
                k for k in ("y", "u") if kinds.get(k) is inspect.Parameter.POSITIONAL_OR_KEYWORD
            ]
            assert both == [k for k in kinds if k in both], (name, member)


def test_choose_page_names_what_exists():
    public = {name for module in DOCUMENTED for name in public_names(module)}
    rows = [row for row in (ROOT / "docs/choose.md").read_text().splitlines() if row[:1] == "|"]
    advised = [
        name
        for row in rows
        for name in re.findall(r"`([A-Za-z_]\w*)(?:\(.*?\))?`", row.split("|")[-2])
    ]
    assert len(advised) > 20
    assert set(advised) <= public
