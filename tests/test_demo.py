"""The demonstration: its own examples, files as people have them, and kind errors."""

import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from realdata import data_file

import realization
from realization import LinearSSM, simulate

DEMO = Path(__file__).resolve().parents[1] / "examples" / "demo.py"


@pytest.fixture
def demo(monkeypatch):
    """Return a function that runs the script with arguments, as the command line would."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", [str(DEMO), *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            runpy.run_path(str(DEMO), run_name="__main__")
        return stop.value.code

    return run


def write_record(path, header="", separator=","):
    """Write 240 samples of a resonant plant: columns time, input, output."""
    plant = LinearSSM([[0.8, 0.3], [-0.3, 0.8]], [[0.0], [1.0]], [[1.0, 0.0]])
    rng = np.random.default_rng(3)
    u = rng.standard_normal((240, 1))
    y = 2.0 + simulate(plant, u).y + 0.1 * rng.standard_normal((240, 1))
    rows = np.hstack([np.arange(240.0)[:, None], u, y])
    lines = [separator.join(f"{value:.6f}" for value in row) for row in rows]
    path.write_text("\n".join([header] * bool(header) + lines) + "\n")
    return path


@pytest.mark.parametrize(
    ("header", "separator", "columns"),
    [
        ("time,drive,height", ",", ("height", "drive")),
        ("", "  ", ("2", "1")),
        ("", ",", ("2", "1")),
    ],
)
def test_own_data(demo, tmp_path, capsys, header, separator, columns):
    path = write_record(tmp_path / "my record.csv", header, separator)
    out = tmp_path / "results of it"
    y, u = columns
    assert demo("--data", path, "--y", y, "--u", u, "--dt", 0.5, "--out", out) in (0, None)
    printed = capsys.readouterr().out
    for promised in (
        "order  sing.value",
        "time constant",
        "fit in %, simulation",
        "fit in %, one-step prediction",
        "whiteness of the residuals",
        "independence of past inputs",
        "sample time 0.5",
    ):
        assert promised in printed
    if header:
        assert "outputs              height\n  inputs               drive" in printed
    result = realization.load(out / "my record_model.npz")
    assert (result.n_outputs, result.n_inputs, result.dt) == (1, 1, 0.5)
    assert abs(result.offset[0][0] - 2.0) < 0.3
    figures = {path.name for path in out.glob("*.png")}
    kinds = ("order", "residuals", "poles", "simulation", "1_step", "bode")
    assert figures == {f"my record_{kind}.png" for kind in kinds}


def test_what_is_not_said_is_told(demo, tmp_path, capsys):
    path = write_record(tmp_path / "a.csv")
    assert demo("--data", path, "--y", 2, "--u", 1, "--out", tmp_path) in (0, None)
    assert "no DT is given: the sample time is taken as 1" in capsys.readouterr().out
    missing = demo("--data", tmp_path / "none.csv", "--y", 2, "--out", tmp_path)
    assert re.match("error: `path` must name a file that exists; there is no '.*none.csv'", missing)
    assert re.match("error: .*a.csv", demo("--data", path, "--y", 2, "--out", path))


def test_output_only(demo, tmp_path, capsys):
    path = write_record(tmp_path / "series.txt", separator="\t")
    assert demo("--data", path, "--y", "2", "--out", tmp_path) in (0, None)
    printed = capsys.readouterr().out
    assert "inputs               none" in printed
    assert "fit in %, 5-step prediction" in printed
    assert not (tmp_path / "series_bode.png").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--y", "height"), "error: .*no column 'height'; its columns are 0, 1, 2"),
        (("--u", "1"), "error: `y` must name at least one column"),
        (("--y", "2", "--u", "1", "--dt", "-1"), "error: `dt` must be finite and non-negative"),
    ],
)
def test_wrong_calls(demo, tmp_path, arguments, message):
    path = write_record(tmp_path / "record.dat", separator=" ")
    code = demo("--data", path, "--out", tmp_path, *arguments)
    assert isinstance(code, str)
    assert re.search(message, code)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("y\n" + "1\n" * 20 + "\nNA\n", "a missing value (NaN) in 1 of 21 samples"),
        ("y\n1\n2\nthree\n", "must hold numbers; found 'three'"),
        ("y\n1\n2\n3\n4\n5\n6\n", "too few samples"),
        ("", "holds no data"),
    ],
)
def test_wrong_files(demo, tmp_path, text, message):
    path = tmp_path / "wrong.csv"
    path.write_text(text)
    assert message in demo("--data", path, "--y", "0", "--out", tmp_path)


def test_no_file(demo, tmp_path):
    assert "nowhere.csv" in demo("--data", tmp_path / "nowhere.csv", "--y", "0", "--out", tmp_path)


@pytest.mark.slow
def test_its_own_examples(demo, tmp_path, capsys):
    assert demo("--out", tmp_path) in (0, None)
    printed = capsys.readouterr().out
    assert "outputs ['sunspots'], 0 inputs" in printed
    assert "outputs ['y1', 'y2'], inputs ['u1', 'u2']" in printed
    assert "independence of past inputs, lags 0..25: pass" in printed
    for name in ("sunspots", "plant"):
        assert realization.load(tmp_path / f"{name}_model.npz").n_states > 1


@pytest.mark.slow
@pytest.mark.parametrize(("name", "least"), [("dryer", 85.0), ("robot_arm", 90.0)])
def test_measured_plants(demo, tmp_path, capsys, name, least):
    path = data_file("daisy", f"{name}.dat")
    assert demo("--data", path, "--y", "1", "--u", "0", "--out", tmp_path) in (0, None)
    held_out = capsys.readouterr().out.split("second half")[1]
    fit = held_out.split("fit in %, simulation")[1].splitlines()[2].split()[-1]
    assert float(fit) > least
