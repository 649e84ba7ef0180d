"""The command that turns a file into a page, and the page as a browser shows it."""

import re
from dataclasses import replace

import numpy as np
import pytest
import typer.testing
from browser import Browser

import realization
from identification import Experiments, split, stochastic_id, subspace_id
from identification.__main__ import Method, app
from identification.commands import sentences
from identification.page import Page
from identification.report import fits_by_horizon, write_report
from identification.subspace import METHODS
from realization import InnovationSSM, simulate

PLANT = InnovationSSM(
    A=[[0.8, 0.3], [-0.3, 0.8]],
    B=[[0.0, 0.5], [1.0, 0.0]],
    C=[[1.0, 0.0], [0.5, 1.0]],
    K=[[0.3, 0.0], [0.0, 0.2]],
    Re=0.01 * np.eye(2),
    dt=0.5,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with a record in two formats: columns time, in1, in2, out1, out2."""
    path = tmp_path_factory.mktemp("records")
    u = np.random.default_rng(0).standard_normal((400, 2))
    y = 2.0 + simulate(PLANT, u, noise=True, rng=1).y
    table = np.hstack([np.arange(400.0)[:, None], u, y])
    header = "time,in1,in2,out1,out <2>"
    np.savetxt(path / "my record.csv", table, delimiter=",", header=header, comments="")
    np.savez(path / "record.npz", y=y, u=u)
    return path


def command(*arguments):
    return typer.testing.CliRunner().invoke(app, ["report", *map(str, arguments)])


@pytest.fixture(scope="module")
def written(folder):
    """Return what the command printed and the page that it wrote."""
    page = folder / "page.html"
    columns = ("--y", "out1,out <2>", "--u", "in1,in2", "--dt", 0.5)
    options = ("--method", "cva", "--out", page, "--model", folder / "model.npz")
    outcome = command(folder / "my record.csv", *columns, *options)
    assert outcome.exit_code == 0, outcome.output
    return outcome.output, page


def test_page_tells_what_was_found(written, folder):
    printed, page = written
    text = page.read_text(encoding="utf-8")
    for promised in (
        "A model of my record.csv",
        "in1, in2 → out1, out &lt;2&gt;",
        "200 samples made the model, 200 later ones",
        "sample time 0.5",
        "by cva: stable",
        "Fit, simulation:",
        "Fit, one-step prediction:",
        "50-step prediction",
        "The prediction errors on new data are unpredictable",
        "They do not depend on past inputs",
        "order  sing.value",
    ):
        assert promised in text
    assert f"written: {page}" in printed
    result = realization.load(folder / "model.npz")
    found = np.sort_complex(realization.poles(result.model))
    assert np.abs(found - np.sort_complex(realization.poles(PLANT))).max() < 0.03


def test_page_loads_nothing(written):
    text = written[1].read_text(encoding="utf-8")
    assert "<script" not in text
    assert set(re.findall(r'(?:src|href)="(.{5})', text)) == {"data:"}
    assert "url(" not in text
    assert "default-src 'none'" in text


def test_fits_by_horizon(folder):
    record = Experiments.from_file(folder / "record.npz", "y", "u", dt=0.5)
    first, second = split(record)
    fits = fits_by_horizon(subspace_id(first, order=2), second)
    assert list(fits) == [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, np.inf]
    best = 100 * (1 - 0.1 / second.y[0].std(axis=0))  # the innovation is all that is left
    np.testing.assert_allclose(fits[1.0], best, atol=1.0)
    steps = np.array(list(fits.values()))
    assert np.all(np.diff(steps, axis=0) < 0.5)  # the farther the worse
    assert list(fits_by_horizon(subspace_id(first, order=2), split(second, fraction=0.03)[0])) == [
        1.0,
        2.0,
        5.0,
        np.inf,
    ]


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [390, 1200])
def test_page_in_a_browser(browser, written, width, dark):
    seen = browser.open(written[1], width=width, dark=dark)
    assert browser.complaints == []
    assert all(url.startswith(("file:", "data:")) for url in browser.requests)
    assert len(seen["images"]) == 6
    assert min(seen["images"]) > 0  # each is decoded
    assert min(seen["shown"]) > 300
    assert seen["scroll"] <= seen["width"] <= width
    red = int(re.search(r"\d+", seen["paper"])[0])
    assert red < 60 if dark else red > 200
    assert "A model of my record.csv" in seen["text"]


def test_the_browser_would_tell(browser, tmp_path):
    bad = tmp_path / "bad.html"
    bad.write_text(
        "<body><div style='width: 2000px'>wide</div><img src='missing.png'>"
        "<script>console.error('one'); throw new Error('two')</script>"
    )
    seen = browser.open(bad, width=390)
    assert seen["scroll"] > seen["width"]
    assert seen["images"] == [0]
    complaints = " ".join(browser.complaints)
    assert all(word in complaints for word in ("one", "two", "missing.png"))
    assert any("missing.png" in url for url in browser.requests)


@pytest.mark.slow
def test_refined_time_series(folder):
    page = folder / "series.html"
    outcome = command(folder / "record.npz", "--y", "y", "--refine", "--order", 2, "--out", page)
    assert outcome.exit_code == 0, outcome.output
    text = page.read_text(encoding="utf-8")
    assert "no inputs → y1, y2" in text
    assert "Order 2, by pem" in text
    assert "Fit, 5-step prediction" in text
    assert "past inputs" not in text.split("How well")[0]


@pytest.mark.slow
def test_npz_and_given_order(folder):
    page = folder / "given.html"
    options = ("--order", 3, "--method", "moesp", "--focus", "simulation", "--fraction", 0.7)
    outcome = command(folder / "record.npz", "--y", "y", "--u", "u", *options, "--out", page)
    assert outcome.exit_code == 0, outcome.output
    text = page.read_text(encoding="utf-8")
    assert "Order 3, by moesp" in text
    assert "280 samples made the model, 120 later ones" in text


def test_result_without_order_table(tmp_path):
    y = np.random.default_rng(0).standard_normal((120, 1))
    first, second = split(y)
    result = replace(stochastic_id(first, order=1), order_table=None)  # as em returns it
    write_report(tmp_path / "page.html", result, first, second, source="noise")
    assert "What speaks for each order" not in (tmp_path / "page.html").read_text()


@pytest.mark.slow
def test_short_and_unstable(tmp_path):
    first = Experiments.from_data(1.5 ** np.arange(40.0) + 0.01 * np.sin(np.arange(40)))
    result = subspace_id(first, order=1, method="n4sid", past=3, future=3)
    long = Experiments.from_data(np.random.default_rng(0).standard_normal(300))
    fits = fits_by_horizon(result, long)
    assert fits[np.inf] is None
    write_report(tmp_path / "a.html", result, first, long, source="a burst")
    text = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert "UNSTABLE" in text
    assert "unstable</td>" in text
    write_report(tmp_path / "b.html", result, first, Experiments.from_data([1.0, 2.0]), source="b")
    assert "a run has 2 samples" in (tmp_path / "b.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--y", "depth"], "error: my record.csv has no column 'depth'; its columns are 0 'time'"),
        (["--y", ","], "error: `y` must name at least one column"),
        (["--y", "out1", "--order", "many"], "error: --order must be a whole number or 'auto'"),
        (["--y", "out1", "--order", "9" * 5000], "error: --order must be a whole number or 'auto'"),
        (["--y", "out1", "--dt", "-1"], "error: `dt` must be"),
        (["--y", "out1", "--fraction", "1.5"], "error: `fraction` must be"),
        (["--y", "out1", "--order", "1", "--out", "nowhere/page.html"], "error: .*nowhere"),
    ],
)
def test_wrong_calls_are_told_in_a_sentence(folder, arguments, message):
    outcome = command(folder / "my record.csv", *arguments)
    assert outcome.exit_code == 1
    assert re.search(message, outcome.output)
    assert "Traceback" not in outcome.output


def test_missing_file_and_option(folder):
    missing = command("nowhere.csv", "--y", "a")
    assert missing.exit_code == 1
    assert "must name a file that exists; there is no 'nowhere.csv' in" in missing.output
    assert "Errno" not in missing.output
    outcome = command(folder / "my record.csv")
    assert outcome.exit_code == 2
    assert "--y" in outcome.output


def test_what_the_system_refuses_is_told_with_the_file(capsys):
    with pytest.raises(typer.Exit), sentences():
        raise PermissionError(13, "Permission denied", "page.html")
    assert capsys.readouterr().err == "error: 'page.html': Permission denied\n"


def test_help_is_for_newcomers():
    outcome = typer.testing.CliRunner().invoke(app, ["report", "--help"])
    assert outcome.exit_code == 0
    for word in ("--y", "--u", "--dt", "--order", "--method", "--focus", "--out", "Example:"):
        assert word in outcome.output


def test_every_method_is_offered():
    assert {method.value for method in Method} == {"auto", *METHODS}


def test_text_is_escaped(tmp_path):
    page = Page("<b>", "& co")
    page.heading("<i>")
    page.paragraph("<script>alert(1)</script>")
    page.table(["<a>"], [["<c>"]])
    page.verdicts([(True, "<d>")])
    page.bullets(["<e>"])
    page.text("<f>")
    page.pictures((b"", "png", '"><g>'))
    page.write(tmp_path / "page.html")
    body = (tmp_path / "page.html").read_text().split("</style>")[1]
    assert not set(re.findall(r"<([a-z]+)", body)) & {
        "b",
        "i",
        "script",
        "a",
        "c",
        "d",
        "e",
        "f",
        "g",
    }
