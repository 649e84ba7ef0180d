"""What is shipped: four packages, typed, and one place for the version."""

import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {"realization", "identification", "canonical_forms", "diffusion"}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def distributions(tmp_path_factory):
    """Build the sdist and, from it, the wheel."""
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT)]
    subprocess.run(command, capture_output=True, text=True, check=True)
    (wheel,) = out.glob("*.whl")
    (sdist,) = out.glob("*.tar.gz")
    return wheel, sdist


@pytest.mark.slow
def test_wheel_holds_exactly_the_four_packages(distributions):
    wheel, _ = distributions
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (metadata,) = [name for name in names if name.endswith(".dist-info/METADATA")]
        message = Parser().parsestr(archive.read(metadata).decode())
    top_level = {name.split("/")[0] for name in names}
    info = metadata.split("/")[0]
    assert top_level == PACKAGES | {info}
    assert {f"{package}/py.typed" for package in PACKAGES} <= set(names)
    assert f"{info}/licenses/LICENSE" in names
    assert message["Version"] == PROJECT["version"]
    assert message["Requires-Python"] == ">=3.11"
    assert set(message.get_all("Provides-Extra")) == set(PROJECT["optional-dependencies"])


@pytest.mark.slow
def test_wheel_holds_every_module(distributions):
    wheel, _ = distributions
    modules = {
        str(path.relative_to(ROOT)) for name in PACKAGES for path in (ROOT / name).rglob("*.py")
    }
    with zipfile.ZipFile(wheel) as archive:
        assert {name for name in archive.namelist() if name.endswith(".py")} == modules


@pytest.mark.slow
def test_sdist_can_test_and_document_itself(distributions):
    _, sdist = distributions
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {
        "LICENSE",
        "Makefile",
        "README.md",
        "constraints.txt",
        "docs/conf.py",
        "docs/references.bib",
        "pyproject.toml",
        "tests/test_packaging.py",
    }
    assert wanted <= names
    assert not {name.split("/")[0] for name in names} & {".git", ".venv", "out", "dist"}


def test_version_stands_in_one_place():
    version = PROJECT["version"]
    files = [
        *(path for name in PACKAGES for path in (ROOT / name).rglob("*.py")),
        *(ROOT / "docs").glob("*.md"),
        *(ROOT / "docs").glob("*.py"),
        ROOT / "CITATION.cff",
        ROOT / "README.md",
    ]
    assert [str(path) for path in files if version in path.read_text()] == []
