"""Arguments of a wrong kind are refused by name wherever a function, a flag or points are taken."""

from __future__ import annotations

import numpy as np
import pytest

import canonical_forms
import diffusion
import realization

MODEL = realization.LinearSSM([[0.5]], [[1.0]], [[1.0]])
SERIES = realization.InnovationSSM([[0.5]], [[1.0]], [[0.3]], [[1.0]])
NOISY = realization.to_gaussian(SERIES)
PROCESS = diffusion.OrnsteinUhlenbeck(1.0, 1.0, 2)
MIXTURE = diffusion.GaussianMixture([1.0], [[0.0, 1.0]], [np.eye(2)])
EXPLODING = diffusion.VarianceExploding(2)
POINT = np.zeros(2)


class Graph:
    """An array of a library that asks for a detour, as tensors with gradients do."""

    def __array__(self, *arguments, **options):
        raise RuntimeError("detach it first")


def linear_drift(x, t):
    return -x


def reverse_drift(**changes):
    parts = {"drift": linear_drift, "diffusion": np.eye(2), "score": linear_drift}
    return diffusion.reverse_time_sde(**(parts | changes)).drift(POINT, 0.5)


def pulses(respond):
    return realization.volterra_from_pulses(respond, 1, 3, n_inputs=1)


@pytest.mark.parametrize("flag", [None, 1, "yes", [True], np.eye(2), 2**80])
@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda flag: realization.simulate(SERIES, steps=3, noise=flag), "noise"),
        (lambda flag: realization.kalman_filter(SERIES, POINT, steady_state=flag), "steady_state"),
        (lambda flag: canonical_forms.modal_form(MODEL, complex=flag), "complex"),
        (lambda flag: diffusion.retime(NOISY, 2, nearest=flag), "nearest"),
    ],
)
def test_flags_are_true_or_false(call, name, flag):
    with pytest.raises(TypeError, match=f"`{name}` must be True or False; got "):
        call(flag)


@pytest.mark.parametrize(
    "call",
    [
        PROCESS.score,
        lambda x, t: MIXTURE.score(x),
        lambda x, t: MIXTURE.reverse_kernel(PROCESS, x, 0.1, t),
        lambda x, t: diffusion.sample_forward(PROCESS, x, [0.0, t], rng=0),
        lambda x, t: diffusion.sample_reverse(PROCESS, x, [t, 0.0], rng=0),
    ],
)
@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        ([np.nan, 1.0], ValueError, r"must be finite, of size 1e\+150 at most; found nan"),
        ([np.inf, 1.0], ValueError, r"must be finite, of size 1e\+150 at most; found inf"),
        (
            [1e300, 1.0],
            ValueError,
            r"must be finite, .* found 1e\+300. Use other units, or smaller",
        ),
        ([1j, 1.0], TypeError, "must be real numbers; got dtype complex128"),
        (["a", "b"], TypeError, "must be real numbers; got dtype"),
        ([[1.0], [1.0, 2.0]], TypeError, "must be a numeric array; numpy says: "),
        (Graph(), TypeError, "must be a numeric array; numpy says: detach it first"),
    ],
)
def test_points_are_finite_real_numbers(call, x, error, message):
    with pytest.raises(error, match=r"`\w+` " + message):
        call(x, 0.5)


@pytest.mark.parametrize("t", [None, "1", [0.5], np.nan, np.inf, 10**400, True])
@pytest.mark.parametrize(
    "process",
    [PROCESS, EXPLODING, diffusion.LinearSDE([[-1.0]], lambda t: [[1.0 + t]], P0=[[1.0]])],
)
def test_times_are_numbers(process, t):
    with pytest.raises((TypeError, ValueError), match="`t` must be "):
        process.coefficients(t)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"diffusion": "x"}, TypeError, "`diffusion` must be real numbers"),
        ({"diffusion": None}, TypeError, "`diffusion` must be real numbers"),
        ({"diffusion": 1j * np.eye(2)}, TypeError, "`diffusion` must be real numbers"),
        ({"diffusion": np.nan * np.eye(2)}, ValueError, "`diffusion` must be finite; found NaN"),
        ({"diffusion": lambda x, t: Graph()}, TypeError, r"`diffusion\(x, t\)` must be a numeric"),
        ({"score": lambda x, t: Graph()}, TypeError, r"`score\(x, t\)` must be a numeric array"),
        ({"drift": lambda x, t: "x"}, TypeError, r"`drift\(x, t\)` must be real numbers"),
        ({"eta": 1e300}, ValueError, r"`eta` must not be negative, nor above 1e\+06; got 1e\+300"),
    ],
)
def test_parts_of_a_reverse_equation(changes, error, message):
    with pytest.raises(error, match=message):
        reverse_drift(**changes)


@pytest.mark.parametrize("dtype", [0, "", 2.0, [2], np.zeros(2)])
def test_types_of_samples(dtype):
    with pytest.raises(TypeError, match="`dtype` must be float64 or float32; got "):
        diffusion.sample_reverse(PROCESS, POINT, [1.0, 0.5], dtype=dtype)


def test_a_final_state_is_real():
    with pytest.raises(TypeError, match="`final_state` must be real numbers"):
        diffusion.sample_backward(NOISY, steps=3, final_state=[1j])
    with pytest.raises(ValueError, match="`final_state` must be a plain array; got 1 masked entry"):
        diffusion.sample_backward(NOISY, steps=3, final_state=np.ma.array([1.0], mask=[True]))


@pytest.mark.parametrize("respond", [None, "u", np.eye(2), 3.0])
def test_what_responds_is_a_function(respond):
    with pytest.raises(TypeError, match="`respond` must be a function of an input; got "):
        pulses(respond)


def test_a_record_without_channels_relates_nothing():
    none, some = np.zeros((30, 0)), np.ones((30, 1))
    for y, u in ((none, some), (some, none)):
        with pytest.raises(ValueError, match="`y` and `u` must have at least one channel each"):
            realization.volterra_from_data(y, u, 1, 3)


def test_a_time_beyond_the_schedule():
    with pytest.raises(
        ValueError, match=r"`t` = 1000 is so late that the noise .* an earlier time"
    ):
        EXPLODING.coefficients(1e3)
    with pytest.raises(ValueError, match=r"`t` = 1000 is so late"):
        EXPLODING.marginal(1e3)
    with pytest.raises(ValueError, match="must satisfy 0 <= s <= t"):
        EXPLODING.coefficients(-1.0)


@pytest.mark.parametrize("part", ["F", "G", "f"])
@pytest.mark.parametrize("varies", [False, True])
def test_coefficients_are_real(part, varies):
    parts = {"F": -np.eye(2), "G": np.eye(2), "f": np.zeros(2), "P0": np.eye(2)}
    value = 1j * parts[part]
    with pytest.raises(TypeError, match="`F`, `f` and `G` must be real; got complex"):
        diffusion.LinearSDE(**(parts | {part: (lambda t: value) if varies else value}))


def test_records_of_which_no_squares_can_be_taken():
    y = np.full((30, 1), 1e200)
    with pytest.raises(ValueError, match=r"`y` must be of size 1e\+100 at most.* other units"):
        diffusion.two_filter_smooth(NOISY, y)
    for first, second, name in ((y, y / y, "y"), (y / y, y, "u")):
        with pytest.raises(
            ValueError, match=rf"`{name}` must have samples whose squares .*1e\+200"
        ):
            realization.volterra_from_data(first, second, 1, 3)


@pytest.mark.parametrize("tol", [np.eye(2), None, "0", -1.0, np.nan])
def test_tolerance_of_positive_realness(tol):
    covariances = realization.to_covariance(SERIES)
    with pytest.raises((TypeError, ValueError), match="`tol` must"):
        realization.is_positive_real(covariances, tol=tol)


def test_a_filter_that_overflows_is_told():
    wild = realization.InnovationSSM(
        [[0.5, 1e12], [0.0, 0.5]], [[1.0, 0.4]], [[0.1], [0.2]], [[1.0]]
    )
    with pytest.raises(
        realization.AccuracyError, match=r"The filter overflows at step \d+: .* inno"
    ):
        diffusion.two_filter_smooth(wild, np.random.default_rng(0).standard_normal(30))


def test_gramians_of_models_in_mixed_units():
    B, C = np.array([[1e150], [1e-150]]), np.array([[1e-150, 1e150]])
    A, N = np.diag([0.5, 0.3]), np.diag([0.1, 0.1])
    P, _ = realization.bilinear_gramians(realization.BilinearSSM(A, [N], B, C))
    np.testing.assert_allclose(P, B @ B.T / (1 - np.outer([0.5, 0.3], [0.5, 0.3]) - 0.01))
