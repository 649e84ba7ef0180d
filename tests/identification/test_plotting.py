"""Figures of an identification: what they show is what was found, at every shape of data."""

from dataclasses import replace
from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.transforms import Bbox
from systems import random_innovation

from identification import (
    Experiments,
    compare,
    frequency_response_uncertainty,
    impulse_response_uncertainty,
    pem,
    plot_bode,
    plot_compare,
    plot_impulse,
    plot_order,
    plot_poles,
    plot_residuals,
    pole_uncertainty,
    residual_tests,
    subspace_id,
)
from identification.order import CRITERIA
from realization import (
    BilinearSSM,
    GaussianSSM,
    InnovationSSM,
    LinearSSM,
    frequency_response,
    markov_parameters,
    poles,
    simulate,
)


def record(p, m, lengths=(120,), seed=0, dt=0.5):
    """Return a random model and its records."""
    rng = np.random.default_rng([seed, p, m])
    model = random_innovation(rng, 2, m, p)
    us = [rng.standard_normal((length, m)) for length in lengths]
    ys = [
        simulate(model, u if m else None, steps=None if m else len(u), noise=True, rng=rng).y
        for u in us
    ]
    model = InnovationSSM(model.A, model.C, model.K, model.Re, B=model.B, D=model.D, dt=dt)
    return model, Experiments.from_data(ys, us if m else None, dt=dt)


SHAPES = [(1, 1), (1, 0), (2, 2), (3, 1), (4, 4)]


@pytest.mark.parametrize(("p", "m"), [(1, 1), (2, 0), (2, 2)])
def test_plot_order_marks_the_choices(p, m):
    _, data = record(p, m)
    result = subspace_id(data, order=2, method="cva", past=4, future=4)
    axes = plot_order(result)
    table = result.order_table
    assert axes.shape == (3,)
    for ax, values in zip(
        axes, (table.singular_values, table.canonical_correlations), strict=False
    ):
        kept, left_out = (line for line in ax.lines if line.get_marker() == "o")
        assert np.array_equal(kept.get_xdata(), [1, 2])
        assert np.array_equal(np.r_[kept.get_ydata(), left_out.get_ydata()], values)
    labels = [text.get_text() for text in axes[2].get_legend().get_texts()]
    assert labels == [*(f"{name}: {table.best(name)}" for name in CRITERIA), "order 2"]
    marks = {line.get_label(): line.get_xdata()[0] for line in axes[2].lines}
    assert all(marks[f"{name}: {table.best(name)}"] == table.best(name) for name in CRITERIA)


def test_plot_order_of_a_table_in_a_given_figure():
    _, data = record(1, 1)
    table = subspace_id(data, order=1, method="cva", past=3, future=3).order_table
    figure = plt.figure(figsize=(3, 3))
    part = figure.subfigures(1, 2)[0]
    assert all(ax.get_figure(root=False) is part for ax in plot_order(table, fig=part))
    assert len(plt.get_fignums()) == 1


@pytest.mark.parametrize("order", [0, 1])
def test_plot_order_of_noise_free_data(order):
    """Singular values of zero and an infinite gap must not spoil the figure."""
    u = np.random.default_rng(0).standard_normal(200)
    model = LinearSSM([[0.5]], [[1.0]], [[1.0]])
    y = simulate(model, u).y if order else 2.0 * u
    axes = plot_order(subspace_id(y, u, order, method="n4sid", offset="none", past=3, future=3))
    for ax in axes:
        assert np.isfinite([*ax.get_xlim(), *ax.get_ylim()]).all()


@pytest.mark.parametrize(("p", "m"), SHAPES)
@pytest.mark.parametrize("lengths", [(90,), (60, 30, 2)])
def test_plot_compare(p, m, lengths):
    model, data = record(p, m, lengths)
    comparison = compare({"first": model, "second": model}, data, horizon=1)
    axes = plot_compare(comparison)
    assert axes.shape == (p, len(lengths))
    for i in range(p):
        assert axes[i, 0].get_ylabel() == data.output_names[i]
        legend = axes[i, -1].get_legend()
        assert legend.get_title().get_text() == "one-step prediction, fit"
        texts = [text.get_text() for text in legend.get_texts()]
        fits = [f"{name}: {comparison.fits[0, i]:.1f} %" for name in ("first", "second")]
        assert texts == ["measured", *fits]
        for k, length in enumerate(lengths):
            measured, first, _ = axes[i, k].lines
            assert np.array_equal(measured.get_xdata(), np.arange(length) * 0.5)
            assert np.array_equal(measured.get_ydata(), data.y[k][:, i])
            assert np.array_equal(first.get_ydata(), comparison.y_hat[0][k][:, i])
    assert axes[-1, 0].get_xlabel() == "time (dt = 0.5)"
    titles = [ax.get_title() for ax in axes[0]]
    assert titles == ([""] if len(lengths) == 1 else [f"experiment {k}" for k in range(3)])


@pytest.mark.parametrize(("p", "m"), SHAPES)
def test_plot_residuals(p, m):
    model, data = record(p, m, (150,))
    tests = residual_tests(model, data, lags=8)
    axes = plot_residuals(tests)
    assert axes.shape == (p, p + m)
    heads = [f"with residual of {name}" for name in data.output_names]
    heads += [f"with input {name}" for name in data.input_names]
    assert [ax.get_title() for ax in axes[0]] == heads
    for i in range(p):
        assert axes[i, 0].get_ylabel() == f"residual of {data.output_names[i]}"
        for j in range(p + m):
            points = np.hstack([line.get_data() for line in axes[i, j].lines[1:]])
            shown = dict(zip(*points, strict=True))
            if j < p:
                wanted = dict(zip(range(1, 9), tests.autocorrelation[1:, i, j], strict=True))
            else:
                values = tests.cross_correlation[:, i, j - p]
                wanted = dict(zip(range(-8, 9), values, strict=True))
            assert shown == wanted


def test_plot_residuals_shows_the_verdict():
    rng = np.random.default_rng(0)
    u = rng.standard_normal(400)
    model = LinearSSM(np.zeros((0, 0)), np.zeros((0, 1)), np.zeros((1, 0)), [[1.0]])
    good = plot_residuals(residual_tests(model, u + rng.standard_normal(400), u))
    title = good[0, 0].figure.get_suptitle()
    assert title.startswith("residuals white: pass (p-value")
    assert title.endswith("independent of past inputs: pass")
    missed = np.convolve(u, [0.0, 1.0, 0.8])[:400]
    bad = plot_residuals(residual_tests(model, u + missed, u))
    assert bad[0, 0].figure.get_suptitle().count("FAIL") == 2
    red = [line for line in bad[0, 0].lines if line.get_color() == "tab:red"]
    assert red[0].get_xdata().size > 0
    early = next(line for line in bad[0, 1].lines if line.get_color() == "0.6")
    assert early.get_xdata().max() == -1


def test_plot_poles_of_results_and_models():
    model, data = record(2, 1)
    result = subspace_id(data, order=3, past=4, future=4, method="cva")
    ax = plot_poles({"truth": model, "found": result})
    crosses = {line.get_label(): line for line in ax.lines if line.get_marker() == "x"}
    for name, plain in (("truth", model), ("found", result.model)):
        shown = crosses[name].get_xdata() + 1j * crosses[name].get_ydata()
        assert np.array_equal(np.sort_complex(shown), np.sort_complex(poles(plain)))
    assert not [line for line in ax.lines if line.get_marker() == "o"]
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["truth", "found"]


def test_plot_poles_draws_where_it_is_told():
    _, ax = plt.subplots()
    _, data = record(1, 1)
    result = subspace_id(data, order=1, past=3, future=3, method="cva")
    gaussian = GaussianSSM([[0.5]], [[1.0]], [[1.0]], [[1.0]])
    bilinear = BilinearSSM([[0.5]], [[[0.1]]], [[1.0]], [[1.0]])
    assert plot_poles([result, gaussian, bilinear], ax=ax) is ax
    names = {text.get_text() for text in ax.get_legend().get_texts()}
    assert {"cva, order 1", "GaussianSSM, order 1", "BilinearSSM, order 1"} <= names
    with_zeros = plot_poles(LinearSSM([[0.5]], [[1.0]], [[1.0]], [[1.0]]), zeros=True)
    assert [line for line in with_zeros.lines if line.get_marker() == "o"]


@pytest.mark.parametrize(("p", "m"), [(1, 1), (2, 3)])
@pytest.mark.parametrize("phase", [True, False])
def test_plot_bode(p, m, phase):
    model, data = record(p, m)
    result = subspace_id(data, order=2, past=3, future=3, method="cva")
    omega = np.array([0.1, 1.0, 5.0])
    axes = plot_bode({"truth": model, "found": result}, omega=omega, phase=phase)
    assert axes.shape == (p, m)
    assert len(axes[0, 0].figure.axes) == p * m * (2 if phase else 1)
    for plain, number in ((model, 0), (result.model, 1)):
        magnitude = 20 * np.log10(np.abs(frequency_response(plain, omega)))
        for i in range(p):
            for j in range(m):
                shown = axes[i, j].lines[number].get_ydata()
                assert np.allclose(shown, magnitude[:, i, j], rtol=0, atol=1e-10)
                assert axes[i, j].get_title() == f"{data.input_names[j]} → {data.output_names[i]}"
    assert [t.get_text() for t in axes[0, 0].get_legend().get_texts()] == ["truth", "found"]


@pytest.mark.parametrize(("p", "m"), [(1, 1), (2, 2)])
def test_plot_bode_draws_bands(p, m):
    model, data = record(p, m, (300,))
    result, omega = pem(model, data), np.array([0.1, 1.0, 5.0])
    axes = plot_bode({"truth": model, "found": result}, omega=omega, confidence=0.9)
    found = frequency_response_uncertainty(result, omega)
    low, high = found.magnitude_band(0.9)
    first, last = found.phase_band(0.9)
    figure = axes[0, 0].figure
    for number, (i, j) in enumerate(np.ndindex(p, m)):
        (band,) = axes[i, j].collections
        corners = band.get_paths()[0].vertices
        assert np.isclose(corners[:, 1].max(), 20 * np.log10(high[:, i, j].max()))
        assert np.isclose(corners[:, 1].min(), 20 * np.log10(low[:, i, j].min()))
        (band,) = figure.axes[p * m + number].collections
        height = np.diff(np.sort(band.get_paths()[0].vertices[1:4, 1])[[0, -1]])
        assert height > 0
        assert np.degrees(last - first)[:, i, j].max() < 360
    assert axes[0, 0].get_legend().get_title().get_text() == "bands: 90 %"
    for ax in plot_bode(result, omega=omega, confidence=None).ravel():
        assert not ax.collections


@pytest.mark.parametrize(("p", "m"), [(1, 1), (2, 3)])
def test_plot_impulse(p, m):
    model, data = record(p, m, (400,))
    result = pem(model, data)
    axes = plot_impulse({"truth": model, "found": result}, duration=10.0)
    assert axes.shape == (p, m)
    low, high = impulse_response_uncertainty(result, 21).band()
    for i, j in np.ndindex(p, m):
        truth = axes[i, j].lines[1].get_ydata()
        assert np.allclose(truth, markov_parameters(model, 21)[:, i, j])
        (band,) = axes[i, j].collections
        corners = band.get_paths()[0].vertices[:, 1]
        assert np.isclose(corners.max(), high[:, i, j].max())
        assert np.isclose(corners.min(), low[:, i, j].min())
        assert axes[i, j].get_title() == f"{data.input_names[j]} → {data.output_names[i]}"
    assert axes[0, 0].get_legend().get_title().get_text() == "bands: 95 %"
    for ax in plot_impulse(model, duration=10.0).ravel():
        assert not ax.collections


def test_plot_poles_draws_regions():
    model, data = record(1, 1, (500,))
    result = pem(model, data)
    ax = plot_poles({"truth": model, "found": result})
    borders = pole_uncertainty(result).ellipses()
    assert len(ax.patches) == 2
    for patch, border in zip(ax.patches, borders, strict=True):
        assert np.isclose(patch.get_xy()[:, 0].max(), border.real.max())
        assert patch.get_facecolor()[:3] == plt.matplotlib.colors.to_rgb("C1")
    near = InnovationSSM(np.diag([0.5, 0.501]), [[1, 1]], [[1], [1]], [[1.0]])
    doubtful = replace(result, model=near, covariance=1e-4 * np.eye(8))
    patches = plot_poles(doubtful).patches
    assert [patch.get_linestyle() for patch in patches] == ["--", "--"]
    assert not plot_poles(doubtful, confidence=None).patches


def test_no_figure_is_cut_off_and_no_axes_overlap():
    model, data = record(2, 2, (80, 60))
    result = subspace_id(data, order=2, past=3, future=3, method="cva")
    named = {"a model with a rather long name": model, "found": result}
    plot_order(result)
    plot_compare(compare(named, data))
    plot_residuals(residual_tests(result, data))
    refined = {**named, "refined": pem(result, data)}
    plot_poles(refined)
    plot_bode(refined)
    plot_impulse(refined)
    assert len(plt.get_fignums()) == 6
    for figure in map(plt.figure, plt.get_fignums()):
        figure.draw_without_rendering()
        boxes = [ax.get_tightbbox() for ax in figure.axes]
        for box in boxes:
            assert min(box.x0, box.y0) > -1
            assert box.x1 < figure.bbox.x1 + 1
            assert box.y1 < figure.bbox.y1 + 1
        assert not any(Bbox.intersection(a, b) for a, b in combinations(boxes, 2))


def test_plot_bode_of_plain_models_in_a_given_figure():
    figure = plt.figure(layout="constrained")
    axes = plot_bode(LinearSSM([[0.5]], np.ones((1, 2)), [[1.0]]), fig=figure)
    assert axes[0, 1].figure is figure
    assert axes[0, 1].get_title() == "u2 → y"


MODEL = LinearSSM([[0.5]], [[1.0]], [[1.0]])
SILENT = InnovationSSM([[0.5]], [[1.0]], [[0.1]], [[1.0]])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: plot_order(MODEL), TypeError, "`result` must be a IdentificationResult or Order"),
        (lambda: plot_compare(MODEL), TypeError, "`comparison` must be a Comparison"),
        (lambda: plot_residuals(MODEL), TypeError, "`tests` must be a ResidualTests"),
        (lambda: plot_poles(3), TypeError, "`results` must be a IdentificationResult or"),
        (lambda: plot_poles([]), ValueError, "`results` must hold at least one model"),
        (lambda: plot_bode({"a": 3}), TypeError, "`a` must be a IdentificationResult or"),
        (
            lambda: plot_bode(MODEL, fig=3),
            TypeError,
            "`fig` must be a Figure or SubFigure; got int",
        ),
        (lambda: plot_poles(MODEL, ax="left"), TypeError, "`ax` must be a Axes; got str"),
        (lambda: plot_bode([]), ValueError, "`results` must hold at least one model"),
        (lambda: plot_bode(SILENT), ValueError, "`results` have no inputs .*plot_spectrum"),
        (lambda: plot_impulse(SILENT), ValueError, "`results` have no inputs"),
        (lambda: plot_impulse(MODEL, confidence=95), ValueError, "`confidence`"),
        (lambda: plot_poles(MODEL, confidence="high"), TypeError, "`confidence`"),
        (lambda: plot_bode([MODEL, SILENT]), ValueError, r"must have the same \(outputs, inputs\)"),
    ],
)
def test_refusals(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_a_result_without_a_table():
    _, data = record(1, 1)
    result = replace(subspace_id(data, order=1, past=3, future=3), order_table=None)
    with pytest.raises(ValueError, match="no order table: its method compares no orders"):
        plot_order(result)
