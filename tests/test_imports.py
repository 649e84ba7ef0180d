"""Importing the packages must stay cheap: nothing heavy is loaded before it is used."""

import json
import subprocess
import sys

import pytest

HEAVY = (
    "av",
    "control",
    "dask",
    "matplotlib",
    "numba",
    "pandas",
    "scipy.linalg",
    "scipy.signal",
    "slycot",
    "statsmodels",
    "torch",
    "tqdm",
    "typer",
)


@pytest.mark.parametrize(
    "package", ["realization", "identification", "canonical_forms", "diffusion"]
)
def test_import_loads_nothing_heavy(package):
    code = f"import json, sys, {package}; print(json.dumps(sorted(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(json.loads(run.stdout))
    assert package in loaded
    assert not loaded.intersection(HEAVY)
