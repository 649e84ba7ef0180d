"""Figures: what the lines hold, what the axes say, what is refused."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import scipy.signal
from systems import random_innovation, random_linear

from realization import (
    BilinearSSM,
    CovarianceModel,
    InnovationSSM,
    LinearSSM,
    frequency_response,
    markov_parameters,
    plot_bode,
    plot_impulse,
    plot_poles,
    plot_spectrum,
    plot_step,
    poles,
    simulate,
    spectral_density,
    to_scipy,
    transmission_zeros,
)


def oscillator(omega=3.0, damping=0.05):
    A = [[0.0, 1.0], [-(omega**2), -2 * damping * omega]]
    return LinearSSM(A, [[0.0], [1.0]], [[1.0, 0.0]], dt=0.0)


def mimo(dt=0.1):
    plain = random_linear(np.random.default_rng(0), 4, 2, 3)
    return LinearSSM(plain.A, plain.B, plain.C, plain.D, dt=dt)


def curves(ax):
    """Return the lines that show data: those with a label of their own, or coloured ones."""
    return [line for line in ax.lines if len(line.get_xdata()) > 2]


class TestResponses:
    def test_step_in_discrete_time_is_the_simulated_one(self):
        model = mimo()
        ax = plot_step(model, duration=3.0)
        lines = curves(ax)
        assert len(lines) == 6
        time = lines[0].get_xdata()
        np.testing.assert_allclose(time, 0.1 * np.arange(31))
        for line, (j, i) in zip(lines, [(j, i) for j in range(2) for i in range(3)], strict=True):
            u = np.zeros((31, 2))
            u[:, j] = 1.0
            expected = simulate(model, u).y[:, i]
            np.testing.assert_allclose(line.get_ydata(), expected, atol=1e-12)
            assert line.get_label() == f"u{j + 1} → y{i + 1}"
            assert line.get_drawstyle() == "steps-post"
        assert ax.get_xlabel() == "time"
        assert ax.get_ylabel() == "step response (output per unit input)"

    def test_impulse_in_discrete_time_is_the_markov_parameters(self):
        ax = plot_impulse(mimo(), output=2, input=1, duration=1.0)
        (line,) = curves(ax)
        np.testing.assert_allclose(line.get_ydata(), markov_parameters(mimo(), 11)[:, 2, 1])

    @pytest.mark.parametrize(
        ("plot", "reference"),
        [(plot_step, scipy.signal.step), (plot_impulse, scipy.signal.impulse)],
    )
    def test_continuous_time_equals_scipy(self, plot, reference):
        model = oscillator()
        (line,) = curves(plot(model, duration=5.0))
        time, y = line.get_data()
        assert (time[0], time[-1]) == (0.0, 5.0)
        _, expected = reference(to_scipy(model), T=time)
        np.testing.assert_allclose(y, expected, atol=1e-10)

    @pytest.mark.parametrize(
        ("model", "low", "high"),
        [
            (LinearSSM([[0.9]], [[1.0]], [[1.0]], dt=0.1), 3.0, 6.0),  # time constant 0.95
            (LinearSSM([[-2.0]], [[1.0]], [[1.0]], dt=0.0), 2.0, 3.0),
            (LinearSSM([[1.0]], [[1.0]], [[1.0]], dt=0.1), 1.0, 2.0),  # integrator: n + 10 samples
            (LinearSSM([[0.0]], [[1.0]], [[1.0]], dt=0.0), 9.0, 11.0),
            (LinearSSM([[2.0]], [[1.0]], [[1.0]], dt=0.0), 1.0, 2.0),  # unstable
            (LinearSSM(np.eye(5, k=-1), np.eye(5)[:, :1], np.eye(5)[4:]), 15.0, 16.0),  # a delay
            (LinearSSM([[0, 1.0], [-4.0, 0]], [[0.0], [1.0]], [[1.0, 0.0]], dt=0.0), 15.0, 16.0),
            (LinearSSM([[1 - 1e-9]], [[1.0]], [[1.0]], dt=1.0), 1000.0, 2001.0),
            (LinearSSM(np.zeros((0, 0)), np.zeros((0, 1)), np.zeros((1, 0)), [[1.0]]), 9.0, 11.0),
        ],
    )
    def test_default_duration(self, model, low, high):
        ax = plot_step(model)
        assert low <= ax.get_xlim()[1] <= high
        assert np.isfinite(curves(ax)[-1].get_ydata()).all()

    def test_several_models_have_names_and_one_colour_each(self):
        ax = plot_step([mimo(), mimo()], labels=["identified", "true"], output=0)
        labels = [text.get_text() for text in ax.get_legend().get_texts()]
        assert labels == [f"{name}, u{j} → y1" for name in ("identified", "true") for j in (1, 2)]
        colours = [line.get_color() for line in curves(ax)]
        assert colours[0] == colours[1] != colours[2] == colours[3]
        unnamed = plot_impulse([oscillator(), oscillator(2.0)])
        assert [t.get_text() for t in unnamed.get_legend().get_texts()] == ["model 1", "model 2"]

    def test_mixed_sample_times_share_a_figure(self):
        ax = plot_step([oscillator(), mimo()], output=0, input=0, duration=2.0)
        assert len(curves(ax)) == 3 - 1

    def test_a_single_line_needs_no_legend(self):
        assert plot_step(oscillator()).get_legend() is None

    def test_refusals(self):
        no_inputs = InnovationSSM([[0.5]], [[1.0]], [[0.1]], [[1.0]])
        with pytest.raises(ValueError, match=r"InnovationSSM has no inputs .*LinearSSM\(A, K, C"):
            plot_step(no_inputs)
        with pytest.raises(ValueError, match="`output` must be below 3, the number of channels"):
            plot_step(mimo(), output=3)
        with pytest.raises(ValueError, match="`input` must be below 2"):
            plot_impulse(mimo(), input=2)
        with pytest.raises(ValueError, match="`duration` must be finite and above 0"):
            plot_step(mimo(), duration=0.0)
        with pytest.raises(TypeError, match="`models` must be a LinearSSM or"):
            plot_step(CovarianceModel([[0.5]], [[1.0]], [[1.0]], [[2.0]]))
        with pytest.raises(ValueError, match="`models` must hold at least one model"):
            plot_step([])


class TestBode:
    def test_values(self):
        omega = np.geomspace(0.1, 30.0, 50)
        ax = plot_bode(mimo(), omega=omega, output=1, input=0)
        response = frequency_response(mimo(), omega)[:, 1, 0]
        (magnitude,) = curves(ax)
        np.testing.assert_allclose(magnitude.get_ydata(), 20 * np.log10(np.abs(response)))
        below = ax.figure.axes[-1]
        (phase,) = curves(below)
        np.testing.assert_allclose(
            np.exp(1j * np.radians(phase.get_ydata())), response / np.abs(response)
        )
        assert np.abs(np.diff(phase.get_ydata())).max() < 180
        assert (ax.get_ylabel(), below.get_ylabel()) == ("magnitude (dB)", "phase (degrees)")
        assert below.get_xlabel() == "frequency (rad per unit of time)"
        assert ax.get_xscale() == "log"

    def test_default_grid_ends_at_nyquist_and_meets_the_resonance(self):
        ax = plot_bode(mimo())
        omega = curves(ax)[0].get_xdata()
        assert omega[-1] == pytest.approx(np.pi / 0.1)
        sharp = oscillator(damping=1e-4)
        (line,) = curves(plot_bode(sharp, phase=False))
        omega = line.get_xdata()
        assert omega[0] <= 0.3 * 1.01
        assert omega[-1] >= 30.0 * 0.99
        peak = 20 * np.log10(1 / (2 * 1e-4 * 9.0))
        assert line.get_ydata().max() == pytest.approx(peak, abs=0.01)

    def test_nyquist_of_the_slower_model_is_marked(self):
        a = LinearSSM([[0.5]], [[1.0]], [[1.0]], dt=0.1)
        b = LinearSSM([[0.5]], [[1.0]], [[1.0]], dt=0.4)
        ax = plot_bode([a, b], phase=False)
        marks = sorted(line.get_xdata()[0] for line in ax.lines if len(line.get_xdata()) == 2)
        np.testing.assert_allclose(marks, [np.pi / 0.4, np.pi / 0.1])

    def test_without_phase(self):
        ax = plot_bode(oscillator(), phase=False)
        assert len(ax.figure.axes) == 1
        assert ax.get_xlabel() == "frequency (rad per unit of time)"

    @pytest.mark.parametrize("in_grid", [True, False])
    def test_axes_given_are_split(self, in_grid):
        fig = plt.figure()
        ax = fig.subplots(1, 2)[1] if in_grid else fig.add_axes((0.1, 0.1, 0.8, 0.8))
        before = ax.get_position().bounds
        assert plot_bode(oscillator(), ax=ax) is ax
        below = fig.axes[-1].get_position()
        assert below.y0 == pytest.approx(before[1], abs=0.01)
        assert below.y1 < ax.get_position().y0

    def test_channels_without_response_and_static_gains(self):
        decoupled = LinearSSM(np.diag([0.5, 0.2]), np.eye(2), np.eye(2))
        ax = plot_bode(decoupled)
        assert not np.isfinite(curves(ax)[1].get_ydata()).any()
        gain = LinearSSM(np.zeros((0, 0)), np.zeros((0, 1)), np.zeros((1, 0)), [[10.0]])
        (line,) = curves(plot_bode(gain, phase=False))
        np.testing.assert_allclose(line.get_ydata(), 20.0)

    @pytest.mark.parametrize("omega", [[1.0], [2.0, 1.0], [[1.0, 2.0]], [1.0, 1.0]])
    def test_omega_must_increase(self, omega):
        with pytest.raises(ValueError, match="`omega` must be a list of at least two increasing"):
            plot_bode(oscillator(), omega=omega)

    def test_omega_must_be_positive(self):
        with pytest.raises(ValueError, match="`omega` must be positive on a logarithmic axis"):
            plot_bode(oscillator(), omega=[0.0, 1.0])

    @pytest.mark.parametrize("labels", [["a", "b"], "a", [], [np.ones(2)], 3.0, len])
    def test_labels_one_per_model(self, labels):
        with pytest.raises(ValueError, match="`labels` must be a list of 1 name, one per model"):
            plot_bode([oscillator()], labels=labels)


class TestPoles:
    def test_crosses_and_circles(self):
        model = LinearSSM([[0.5, 1.0], [0.0, 0.2]], [[0.0], [1.0]], [[-0.8, 1.0]])
        ax = plot_poles(model)
        by_marker = {line.get_marker(): line for line in ax.lines}
        np.testing.assert_allclose(by_marker["x"].get_xdata(), poles(model).real)
        np.testing.assert_allclose(by_marker["o"].get_xdata(), transmission_zeros(model).real)
        assert ax.get_aspect() == 1.0
        assert max(ax.get_xlim()) > 1.3

    def test_unit_circle_or_imaginary_axis(self):
        circle = plot_poles(mimo()).lines
        radius = [np.hypot(*line.get_data()) for line in circle if len(line.get_xdata()) == 201]
        np.testing.assert_allclose(radius, 1.0)
        ax = plot_poles(oscillator())
        assert ax.get_xlabel() == "real part (rad per unit of time)"
        assert ax.get_ylim()[1] > 3.0
        assert ax.get_xlim()[1] > 0.0

    def test_far_zeros_are_counted(self):
        model = LinearSSM([[0.5, 1.0], [0.0, 0.2]], [[0.0], [1.0]], [[-99.8, 1.0]])
        ax = plot_poles(model)
        assert ax.get_title() == "1 zero outside the picture"
        assert ax.get_xlim()[1] < 5.0

    def test_names(self):
        ax = plot_poles([mimo(), oscillator_sampled()], labels=["a", "b"])
        assert [t.get_text() for t in ax.get_legend().get_texts()] == ["a", "b", "b, zeros"]

    def test_records_without_inputs_have_poles_only(self):
        for record in (
            CovarianceModel([[0.5]], [[1.0]], [[1.0]], [[2.0]]),
            InnovationSSM([[0.5]], [[1.0]], [[0.1]], [[1.0]]),
            BilinearSSM([[0.5]], [[[0.1]]], [[1.0]], [[1.0]]),
        ):
            ax = plot_poles(record)
            assert {line.get_marker() for line in ax.lines} == {"x", "None"}
        assert "o" not in {line.get_marker() for line in plot_poles(mimo(), zeros=False).lines}

    def test_order_zero(self):
        gain = LinearSSM(np.zeros((0, 0)), np.zeros((0, 1)), np.zeros((1, 0)), dt=0.0)
        marks = [line for line in plot_poles(gain).lines if line.get_marker() in ("x", "o")]
        assert [line.get_xdata().size for line in marks] == [0]

    def test_planes_do_not_mix(self):
        with pytest.raises(ValueError, match="`models` must be all in discrete time or all in"):
            plot_poles([mimo(), oscillator()])
        with pytest.raises(TypeError, match="`models` must be a StateSpaceRecord; got ndarray"):
            plot_poles(np.eye(2))


def oscillator_sampled():
    return LinearSSM([[0.5, 1.0], [0.0, 0.2]], [[0.0], [1.0]], [[-0.8, 1.0]])


class TestSpectrum:
    def test_values(self):
        model = random_innovation(np.random.default_rng(1), 3, 1, 2)
        ax = plot_spectrum(model)
        assert len(curves(ax)) == 2
        for i, line in enumerate(curves(ax)):
            omega, level = line.get_data()
            expected = spectral_density(model, omega)[:, i, i].real
            np.testing.assert_allclose(level, 10 * np.log10(expected))
            assert line.get_label() == f"y{i + 1}"
        assert omega[-1] == pytest.approx(np.pi)
        assert (ax.get_xlabel(), ax.get_ylabel()) == (
            "frequency (rad per unit of time)",
            "spectral density (dB)",
        )

    def test_given_axes_and_one_output(self):
        model = random_innovation(np.random.default_rng(1), 3, 1, 2)
        _, ax = plt.subplots()
        assert plot_spectrum(model, output=1, omega=[0.1, 0.2, 1.0], ax=ax) is ax
        assert len(curves(ax)) == 1

    def test_refusals(self):
        model = random_innovation(np.random.default_rng(1), 3, 1, 2)
        with pytest.raises(ValueError, match="`output` must be below 2"):
            plot_spectrum(model, output=2)
        with pytest.raises(TypeError, match="`output` must be an integer"):
            plot_spectrum(model, output="0")
        with pytest.raises(TypeError, match=r"`models` must be a .*got BilinearSSM"):
            plot_spectrum(BilinearSSM([[0.5]], [[[0.1]]], [[1.0]], [[1.0]]))


def test_complex_responses_are_refused():
    rotated = LinearSSM([[0.5j]], [[1.0]], [[1.0]])
    for plot in (plot_impulse, plot_step):
        with pytest.raises(TypeError, match="a response over time needs a model with real matri"):
            plot(rotated)
