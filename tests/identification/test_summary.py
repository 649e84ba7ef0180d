"""Summaries: one structure for every method, and the words for what is in them."""

from dataclasses import replace

import numpy as np
import pytest
from systems import random_innovation

from identification import (
    Experiments,
    HankelFactor,
    bilinear_id,
    em,
    okid,
    pem,
    residual_tests,
    stochastic_id,
    subspace_id,
)
from identification.order import CRITERIA
from identification.residuals import CONFIDENCE
from identification.stochastic import METHODS as STOCHASTIC_METHODS
from identification.subspace import METHODS as SUBSPACE_METHODS
from identification.summary import METHODS, MOST, PASSES, named, order_lines
from realization import BilinearSSM, InnovationSSM, simulate

RNG = np.random.default_rng(5)
PLANT = random_innovation(RNG, 2, 1, 1)
U = RNG.standard_normal((300, 1))
Y = simulate(PLANT, U, noise=True, rng=RNG).y + 2.0
START = subspace_id(Y, U, 2, method="cva", past=5)
FACTOR = HankelFactor.from_experiments(Experiments.from_data(Y, U), past=5, future=5)
CASES = {
    "auto": lambda: subspace_id(Y, U),
    **{name: lambda name=name: subspace_id(Y, U, method=name, past=5) for name in SUBSPACE_METHODS},
    "factor": lambda: subspace_id(factor=FACTOR),
    "no inputs": lambda: subspace_id(Y, method="cva", past=5),
    **{
        f"stochastic {name}": lambda name=name: stochastic_id(Y, method=name, past=5)
        for name in STOCHASTIC_METHODS
    },
    "order 0": lambda: stochastic_id(RNG.standard_normal(300), 0, past=5),
    "pem": lambda: pem(START, Y, U),
    "pem simulation": lambda: pem(START, Y, U, focus="simulation"),
    "pem ahead": lambda: pem(START, Y, U, horizon=3),
    "pem plain": lambda: pem(PLANT, Y, U, offset="estimate"),
    "em": lambda: em(START, Y, U, max_iterations=100),
    "em missing": lambda: em(START, np.where(np.arange(300)[:, np.newaxis] % 9, Y, np.nan), U),
    "okid": lambda: okid(Y, U, 2),
    "bilinear": lambda: bilinear_id(Y, U, 2, method="subspace"),
}
LABELS = [
    "outputs", "inputs", "offsets", "method", "start", "horizons", "order", "made for",
    "B, D, initial states", "dead time", "criterion", "log-likelihood",
    "linear method", "tried", "held out", "simulation", "one-step errors", "",
]  # fmt: skip


def labels(text):
    """Return the labels of a summary, in their order; predictions by their horizon apart."""
    found = [line[2:22].rstrip() for line in text.splitlines() if line[:2] == "  " != line[2:4]]
    return [label for label in found if label in LABELS]


@pytest.mark.parametrize("case", CASES)
def test_one_structure(case):
    result = CASES[case]()
    text = result.summary()
    heads = [section.splitlines()[0] for section in text.split("\n\n")]
    expected = [
        f"{result.method} ",
        *(["chosen among"] if result.trials else []),
        *(["each order:"] if result.order_table is not None else []),
        "poles" if result.n_states else "no poles",
        "on this record",
        *(["to be known:"] if result.warnings else []),
    ]
    assert len(heads) == len(expected)
    assert all(head.startswith(start) for head, start in zip(heads, expected, strict=True))
    shown = labels(text)
    assert shown[:4] == LABELS[:4]
    assert [LABELS.index(label) for label in shown] == sorted(map(LABELS.index, shown))
    assert "order" in shown
    assert text == "\n".join(line.rstrip() for line in text.splitlines())
    assert max(map(len, text.splitlines()[:12])) <= 100
    assert not any(word in text for word in ("nan", "None", "bd", "y0", "svc 0", "e-16"))


def test_every_method_is_explained():
    assert {
        *SUBSPACE_METHODS,
        *STOCHASTIC_METHODS,
        "okid",
        "pem",
        "em",
        "bilinear subspace",
    } == set(METHODS)


def test_what_was_given_and_what_was_chosen():
    text = subspace_id(Y, U, 2, method="pbsid", past=5, future=4, weight="cva", delay=1).summary()
    for line in (
        "method               pbsid: regression on a long past",
        "horizons             5 samples of past, 4 of future",
        "order                given",
        "made for             one-step prediction",
        "B, D, initial states by least squares on the one-step prediction",
        "dead time            1 sample, held in 1 more state",
    ):
        assert line in text
    assert "order                chosen by bic" in stochastic_id(Y, past=5).summary()
    held_out = subspace_id(Y, U, method="cva", criterion="cv", past=5).summary()
    assert "order                chosen on held-out blocks" in held_out


def test_searches_say_where_they_started_and_ended():
    result = pem(START, Y, U, horizon=3)
    text = result.summary()
    assert "start                cva" in text
    assert "order                that of the start, whose table of orders follows" in text
    assert "made for             3-step prediction" in text
    assert "3-step prediction    " in text.split("on this record")[1]
    ends = [result.options[key] for key in ("criterion of the start", "criterion")]
    assert f"{ends[0]:.4f} at the start, {ends[1]:.4f} after " in text
    assert "start                InnovationSSM" in pem(PLANT, Y, U, offset="estimate").summary()


def test_whiteness_in_words():
    assert pytest.approx(1 - CONFIDENCE) == PASSES
    tests = residual_tests(START, Y, U)
    assert f"white: nothing left to predict (p-value {tests.ljung_box_p_value:.2g})" in (
        START.summary()
    )
    assert "NOT white: their past tells more (p-value 0.009)" in (
        replace(START, whiteness=0.009).summary()
    )
    assert "white" not in replace(START, whiteness=None).summary()


def test_the_table_is_shown_around_the_order_taken():
    table = subspace_id(Y, U, 5, method="cva", past=30).order_table
    assert table.orders.size > 20
    legend, header, *rows = order_lines(table)
    whole = str(table).splitlines()
    assert [legend, header] == whole[:2]
    assert set(rows) - {"  ..."} <= set(whole[2:])
    numbers = {int(row.split()[0]) for row in rows if row != "  ..."}
    assert {0, 3, 4, 5, 6, 7, *map(table.best, CRITERIA)} <= numbers
    assert len(rows) < 20
    small = subspace_id(Y, U, 1, method="cva", past=4).order_table
    assert order_lines(small) == str(small).splitlines()


def test_numbers_of_the_table():
    table = stochastic_id(Y, past=5).order_table
    first = str(table).splitlines()[2].split()
    assert abs(table.aic[0]) < 1e-12
    assert first[5:] == ["0", "0", "-"]  # aic, bic, gap
    assert np.isnan(table.gap[0])


def test_many_channels_are_shortened():
    p = MOST + 4
    model = InnovationSSM(np.zeros((0, 0)), np.zeros((p, 0)), np.zeros((0, p)), np.eye(p))
    result = replace(
        START, model=model, offset=(np.arange(1.0, p + 1), np.zeros(0)), output_names=(),
        input_names=(), fits={"simulation": np.linspace(0.0, 99.0, p)}, order_table=None,
    )  # fmt: skip
    text = result.summary()
    assert f"outputs              y1, y2, y3, ..., y{p}" in text
    assert f"offsets              1 to {p} (subtracted from the data)" in text
    assert "simulation           0.00 % to 99.00 %" in text
    assert "no poles" in text
    assert named(np.array([1.0, 2.0]), ("a", "b")) == "a 1, b 2"


def test_a_bilinear_model_is_called_so():
    model = BilinearSSM(PLANT.A, [0.1 * PLANT.A], PLANT.B, PLANT.C, PLANT.D, K=PLANT.K, Re=[[1.0]])
    text = replace(START, model=model, method="pem").summary()
    assert text.startswith("pem bilinear model of order 2")
    assert "poles at the operating point, " in text
