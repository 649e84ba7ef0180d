"""Parameters of other layers: each law is stated here once more, as a loop over time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from systems import random_innovation, random_linear

pytest.importorskip("torch", reason="the bridge needs the extra [torch]")

from canonical_forms.bmojo import (
    lru_parameters,
    mamba_parameters,
    s4d_parameters,
    s5_parameters,
)
from realization import (
    AccuracyError,
    BilinearSSM,
    GaussianSSM,
    LinearSSM,
    NumericalWarning,
    UnstableModelError,
    simulate,
)
from realization.scan import selective_scan

TARGETS = (s5_parameters, lru_parameters, s4d_parameters, mamba_parameters)
ONE_CHANNEL = (s4d_parameters, mamba_parameters)


def s5_layer(values, u):
    """Zero-order hold, one state after the other: x = exp(L d) x + integral_0^d exp(L s) ds B u."""
    step = np.exp(values["log_step"])
    x, y = np.zeros(step.size, values["C"].dtype), []
    for u_t in u:
        held = np.expm1(values["Lambda"] * step) / values["Lambda"]
        x = np.exp(values["Lambda"] * step) * x + held * (values["B"] @ u_t)
        y.append((values["C"] @ x).real + values["D"] * u_t)
    return np.array(y).reshape(u.shape)


def lru_layer(values, u):
    modulus = np.exp(-np.exp(values["nu_log"]))
    phase = np.exp(values["theta_log"])
    lam = modulus * (np.cos(phase) + 1j * np.sin(phase))
    lam = lam.astype(values["C"].dtype)
    x, y = np.zeros(lam.size, values["C"].dtype), []
    for u_t in u:
        x = lam * x + np.exp(values["gamma_log"]) * (values["B"] @ u_t)
        y.append((values["C"] @ x).real + values["D"] * u_t)
    return np.array(y).reshape(u.shape)


def s4d_layer(values, u):
    """The kernel in double precision from whatever the parameters are, then in that of u."""
    A = -np.exp(values["log_A_real"].astype(float)) + 1j * values["A_imag"]
    dt = np.exp(values["log_dt"].astype(float))[:, np.newaxis]
    weights = values["C"] * (np.exp(A * dt) - 1.0) / A
    kernel = [2 * (weights * np.exp(A * dt * k)).sum(axis=1).real for k in range(len(u))]
    kernel[0] = kernel[0] + values["D"]
    kernel = np.ravel(kernel).astype(u.dtype)
    return np.array([[np.dot(kernel[: t + 1][::-1], u[: t + 1, 0])] for t in range(len(u))])


def mamba_layer(values, u):
    h, y = np.zeros_like(values["B"]), []
    for u_t in u:
        delta = values["delta"][:, np.newaxis]
        h = np.exp(delta * values["A"]) * h + delta * values["B"] * u_t[:, np.newaxis]
        out = (values["C"] * h).sum(axis=1)
        y.append((2 * out.real if np.iscomplexobj(out) else out) + values["D"] * u_t)
    return np.array(y)


LAYERS = {
    s5_parameters: s5_layer,
    lru_parameters: lru_layer,
    s4d_parameters: s4d_layer,
    mamba_parameters: mamba_layer,
}


def layer_error(target, model, *, single=False, steps=300, **options):
    """Return the largest error of the layer on an impulse and on noise, relative to the peaks."""
    values = target(model, **options)
    if single:
        narrow = {"c": np.complex64, "f": np.float32}
        values = {name: value.astype(narrow[value.dtype.kind]) for name, value in values.items()}
    p, m = model.n_outputs, model.n_inputs
    H = values["D"].size
    errors = []
    noise = np.random.default_rng(7).standard_normal((steps, m))
    impulse = np.concatenate([np.ones((1, m)), np.zeros((steps - 1, m))])
    for u in (impulse, noise):
        padded = np.pad(u, ((0, 0), (0, H - m)))
        wanted = simulate(model, u).y
        got = LAYERS[target](values, padded.astype(np.float32) if single else padded)
        errors.append(np.abs(got[:, :p] - wanted).max() / max(np.abs(wanted).max(), 1e-300))
        assert not got[:, p:].any()
    return max(errors)


def one_channel(model):
    return LinearSSM(model.A, model.B[:, :1], model.C[:1], model.D[:1, :1])


@pytest.mark.parametrize("target", TARGETS)
@settings(max_examples=15, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**20), n=st.integers(0, 8), m=st.integers(1, 3), p=st.integers(1, 3))
def test_layer_is_the_model(target, seed, n, m, p):
    model = random_linear(np.random.default_rng(seed), n, m, p)
    if target in ONE_CHANNEL:
        model = one_channel(model)
    assert layer_error(target, model) <= 1e-10
    assert layer_error(target, model, single=True) <= 1e-5


@pytest.mark.parametrize("target", TARGETS)
def test_slow_modes_and_real_modes(target):
    values = [0.999, 0.9, 0.5, -0.4, -0.999]
    rng = np.random.default_rng(3)
    T = np.linalg.qr(rng.standard_normal((5, 5)))[0]
    model = LinearSSM(T @ np.diag(values) @ T.T, T[:, :1], rng.standard_normal((1, 5)))
    assert layer_error(target, model, steps=1000) <= 1e-10
    assert layer_error(target, model, steps=1000, single=True) <= 1e-5


@pytest.mark.parametrize("target", TARGETS)
def test_repeated_modes_that_are_not_defective(target):
    T = np.random.default_rng(0).standard_normal((4, 4))
    for modes in (np.kron(np.eye(2), [[0.5, 0.3], [-0.3, 0.5]]), 0.5 * np.eye(4)):
        model = LinearSSM(T @ modes @ np.linalg.inv(T), T[:, :1], T[:1])
        assert layer_error(target, model) <= 1e-10


@pytest.mark.parametrize("target", [s5_parameters, mamba_parameters])
@pytest.mark.parametrize("step", [0.01, 1.0, 3.0])
def test_any_step(target, step):
    model = one_channel(random_linear(np.random.default_rng(5), 6, 1, 1))
    assert layer_error(target, model, step=step) <= 1e-10


@pytest.mark.parametrize("target", TARGETS)
def test_other_classes_by_their_input_to_output_map(target):
    model = random_innovation(np.random.default_rng(2), 4, 1, 1)
    gaussian = GaussianSSM(model.A, model.C, np.eye(4), np.eye(1), B=model.B, D=model.D)
    wanted = target(LinearSSM(model.A, model.B, model.C, model.D))
    for other in (model, gaussian):
        got = target(other)
        assert wanted.keys() == got.keys()
        assert all(np.array_equal(got[name], wanted[name]) for name in wanted)


def test_shapes_and_real_arrays():
    rng = np.random.default_rng(1)
    model = random_linear(rng, 5, 3, 2)
    s5, lru = s5_parameters(model), lru_parameters(model)
    N = lru["nu_log"].size
    assert s5["Lambda"].shape == s5["log_step"].shape == (N,)
    assert s5["B"].shape == lru["B"].shape == (N, 3)
    assert s5["C"].shape == lru["C"].shape == (3, N)
    assert s5["D"].shape == lru["D"].shape == (3,)
    real = LinearSSM(np.diag([0.5, 0.9]), [[1.0], [1.0]], [[1.0, 2.0]])
    assert all(np.isrealobj(value) for value in mamba_parameters(real).values())
    assert mamba_parameters(real)["A"].shape == (1, 2)
    assert s4d_parameters(real)["C"].shape == (1, 2)


def test_lru_states_have_variance_one():
    model = random_linear(np.random.default_rng(4), 6, 2, 2)
    values = lru_parameters(model)
    own = values["nu_log"] < np.log(60.0)  # not those that pass the feedthrough on
    lam = np.exp(-np.exp(values["nu_log"]))[own]
    drive = np.exp(values["gamma_log"])[own, np.newaxis] * values["B"][own]
    variance = (np.abs(drive) ** 2).sum(axis=1) / (1 - lam**2)
    np.testing.assert_allclose(variance, 1.0, rtol=1e-12)


def test_real_mamba_arguments_in_the_compiled_scan():
    model = LinearSSM(np.diag([0.5, 0.9, 0.99]), np.ones((3, 1)), [[1.0, -2.0, 0.3]], [[0.7]])
    op, u = mamba_parameters(model, step=0.1), np.random.default_rng(0).standard_normal((200, 1))
    fixed = np.ones_like(u)
    y, _ = selective_scan(
        fixed * op["delta"], op["A"], fixed * op["B"], fixed * op["C"], u, np.zeros((1, 3))
    )
    np.testing.assert_allclose(y + u * op["D"], simulate(model, u).y, atol=1e-12)


@pytest.mark.parametrize("target", TARGETS)
def test_what_no_target_can_hold(target):
    B, C = np.ones((2, 1)), np.ones((1, 2))
    stable = LinearSSM(np.diag([0.5, 0.3]), B, C)
    with pytest.raises(UnstableModelError, match=r"eigenvalues 1\.2, -1 are not") as caught:
        target(LinearSSM(np.diag([1.2, -1.0]), B, C))
    assert caught.value.stability_margin == pytest.approx(-0.2)
    with pytest.raises(UnstableModelError, match=r"0\.9 \+- 0\.8i are not"):
        target(LinearSSM([[0.9, 0.8], [-0.8, 0.9]], B, C))
    with pytest.raises(ValueError, match="1 state is eidetic"):
        target(LinearSSM(np.diag([0.5, 0.0]), B, C))
    with pytest.raises(ValueError, match="2 states are eidetic"):
        target(LinearSSM([[0.0, 1.0], [0.0, 0.0]], B, C))
    with pytest.raises(ValueError, match="discrete-time notion"):
        target(LinearSSM(np.diag([-0.5, -0.3]), B, C, dt=0.0))
    with pytest.raises(AccuracyError, match="defective"):
        target(LinearSSM([[0.5, 1.0], [0.0, 0.5]], B, C))
    with pytest.raises(ValueError, match="must have an input"):
        target(LinearSSM(stable.A, np.zeros((2, 0)), C))
    with pytest.raises(TypeError, match="affine in the input"):
        target(BilinearSSM(stable.A, np.zeros((1, 2, 2)), B, C))
    with pytest.raises(TypeError, match="`model` must be"):
        target(np.eye(2))


@pytest.mark.parametrize("target", ONE_CHANNEL)
def test_channels_that_do_not_mix(target):
    with pytest.raises(ValueError, match="got 1 output and 2 inputs"):
        target(LinearSSM(np.diag([0.5, 0.3]), np.eye(2), np.ones((1, 2))))


@pytest.mark.parametrize("target", [s5_parameters, mamba_parameters])
def test_step_must_be_positive(target):
    with pytest.raises(ValueError, match="`step`"):
        target(LinearSSM([[0.5]], [[1.0]], [[1.0]]), step=0.0)


@pytest.mark.parametrize("target", TARGETS)
def test_nearly_defective_is_never_silently_wrong(target):
    def chain(gap):
        A = np.diag([0.5, 0.5 + gap, 0.5 + 2 * gap]) + np.eye(3, k=1)
        return LinearSSM(A, np.ones((3, 1)), [[1.0, 0.5, 0.2]])

    assert layer_error(target, chain(0.05)) <= 1e-10
    for gap in (1e-2, 1e-3):
        with pytest.warns(NumericalWarning, match="times as large as their sum"):
            target(chain(gap))
    for gap in (1e-5, 1e-8, 0.0):
        with pytest.raises(AccuracyError, match=r"defective|off by"):
            target(chain(gap))


@pytest.mark.parametrize("target", TARGETS)
def test_an_eigenvalue_close_to_zero_is_reported(target):
    model = LinearSSM(np.diag([0.5, 1e-9]), np.ones((2, 1)), np.ones((1, 2)))
    with pytest.warns(NumericalWarning, match="close to 0"):
        target(model)


@pytest.mark.parametrize("target", [s5_parameters, lru_parameters])
def test_an_eigenvalue_too_close_to_zero_is_refused(target):
    rng = np.random.default_rng(0)
    Q = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    A = Q @ np.diag([0.5, 0.3, 1e-11]) @ Q.T
    model = LinearSSM(A, rng.standard_normal((3, 2)), rng.standard_normal((2, 3)))
    with pytest.raises(AccuracyError, match="eigenvalue too close to 0") as caught:
        target(model)
    assert 1e-6 < caught.value.residual < 1e-3
