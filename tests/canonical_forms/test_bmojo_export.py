"""A layer is the model it came from, and gives it back: contract tests (a), (b), (f), (h), (i)."""

import warnings

import numpy as np
import pytest
import scipy
from hypothesis import given, settings
from hypothesis import strategies as st
from systems import random_innovation, random_linear

pytest.importorskip("torch", reason="the bridge needs the extra [torch]")

import torch
from layers import relative, run

from canonical_forms import (
    are_equivalent,
    balanced_form,
    eidetic_fading_form,
    minimal_form,
)
from canonical_forms.bmojo import from_model, to_model
from canonical_forms.bmojo.response import extended_response, response_errors
from realization import (
    AccuracyError,
    BilinearSSM,
    GaussianSSM,
    InnovationSSM,
    LinearSSM,
    NumericalWarning,
    UnstableModelError,
    frequency_response,
    innovation_form,
    kalman_filter,
    markov_parameters,
    predict,
    simulate,
)

torch.set_num_threads(1)  # small tensors: threads cost more than they bring

PROMISED = {torch.float64: 1e-10, torch.float32: 1e-5}
DTYPES = list(PROMISED)


def check_layer(model, layer, tol, *, steps=200):
    """Outputs, impulse responses, innovations and the layer's own error report."""
    rng = np.random.default_rng(11)
    m, p = model.n_inputs, model.n_outputs
    assert float(layer.provenance["error"]) <= tol
    u = rng.standard_normal((steps, m)).astype(np.float32).astype(float)
    y = rng.standard_normal((steps, p)).astype(np.float32).astype(float)
    simulated, innovation = run(layer, u, y)
    assert relative(simulated, simulate(model, u, steps=None if m else steps).y) <= tol
    predicted = predict(model, y, u if m else None)
    assert relative(y - innovation, predicted) <= 3 * tol * max(1, 3 / np.abs(predicted).max())
    for j in range(m):
        impulse = np.eye(steps, 1) * np.eye(m)[j]
        start = np.zeros(model.n_states)
        with torch.no_grad():
            state = layer.initial_state(1)
            rest = state.memory._replace(
                modes=torch.zeros_like(state.memory.modes),
                taps=torch.zeros_like(state.memory.taps),
            )
            got = layer(
                torch.from_numpy(impulse)[None].to(layer.S_chol.dtype), state._replace(memory=rest)
            )
        wanted = simulate(model, impulse, x0=start).y
        assert relative(got.y[0].double().numpy(), wanted) <= tol


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=10, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**20), n=st.integers(0, 10), m=st.integers(1, 3), p=st.integers(1, 3))
def test_layer_is_the_model(dtype, seed, n, m, p):
    rng = np.random.default_rng(seed)
    model = random_innovation(rng, n, m, p)
    model = InnovationSSM(
        model.A, model.C, model.K, model.Re, B=model.B, D=model.D, x0=rng.standard_normal(n)
    )
    layer = from_model(model, dtype=dtype, window=4, eidetic=2)
    check_layer(model, layer, PROMISED[dtype])


@settings(max_examples=8, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**20), n=st.integers(0, 10), m=st.integers(1, 3), p=st.integers(1, 3))
def test_round_trip(seed, n, m, p):
    model = random_innovation(np.random.default_rng(seed), n, m, p)
    back = to_model(from_model(model, dtype=torch.float64, window=0))
    assert isinstance(back, InnovationSSM)
    assert back.dt == model.dt
    np.testing.assert_allclose(back.Re, model.Re, rtol=1e-12)
    omega = np.linspace(0.0, np.pi, 40)
    for columns in ("B", "K"):
        a, b = (
            LinearSSM(M.A, getattr(M, columns), M.C, M.D if columns == "B" else None)
            for M in (model, back)
        )
        H = frequency_response(a, omega)
        assert np.abs(frequency_response(b, omega) - H).max() <= 1e-9 * max(np.abs(H).max(), 1.0)
    linear = LinearSSM(model.A, model.B, model.C, model.D, dt=0.1)
    again = to_model(from_model(linear, dtype=torch.float64, window=0))
    assert isinstance(again, LinearSSM)
    assert again.dt == 0.1
    h = markov_parameters(linear, 60)
    assert np.abs(markov_parameters(again, 60) - h).max() <= 1e-10 * np.abs(h).max()


@pytest.mark.parametrize("dtype", DTYPES)
def test_slow_modes_and_real_modes(dtype):
    T = np.linalg.qr(np.random.default_rng(3).standard_normal((5, 5)))[0]
    values = [0.999, 0.9, 0.5, -0.4, -0.999]
    model = LinearSSM(T @ np.diag(values) @ T.T, T[:, :1], T[:1] + T[1:2])
    layer = from_model(model, dtype=dtype, window=0)
    assert layer.memory.modes == (5, 0)
    check_layer(model, layer, PROMISED[dtype], steps=2000)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("gap", [0.0, 1e-8, 1e-6, 1e-4, 1e-2])
@pytest.mark.parametrize("kind", ["jordan", "rotation", "slow", "coupled"])
def test_nearly_defective_goes_to_blocks(dtype, gap, kind):
    chain = np.eye(3, k=1) + np.diag([0.5, 0.5 + gap, 0.5 + 2 * gap])
    if kind == "rotation":
        turn = np.array([[0.6, 0.5], [-0.5, 0.6]])
        chain = np.block([[turn, np.eye(2)], [np.zeros((2, 2)), (1 + gap) * turn]])
    if kind == "slow":
        chain = np.eye(2, k=1) + np.diag([0.97, 0.97 + gap])
    if kind == "coupled":
        chain = scipy.linalg.block_diag(chain, [[0.95]])
        chain[:3, 3] = [1.0, -2.0, 0.5]
    rng = np.random.default_rng(1)
    n = len(chain)
    T = np.linalg.qr(rng.standard_normal((n, n)))[0]
    model = LinearSSM(
        T @ chain @ T.T, rng.standard_normal((n, 2)), rng.standard_normal((2, n)), np.eye(2)
    )
    layer = from_model(model, dtype=dtype, window=0)
    if gap <= 1e-4:
        assert layer.memory.parameterization == "block"
        assert 3 in layer.memory.modes or kind in ("rotation", "slow")
    check_layer(model, layer, PROMISED[dtype])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NumericalWarning)  # its condition number
        if gap <= 1e-8:
            with pytest.raises(AccuracyError, match="defective"):
                from_model(model, dtype=dtype, parameterization="diagonal")


def test_a_long_chain_of_slow_modes():
    rng = np.random.default_rng(0)
    Q = np.linalg.qr(rng.standard_normal((6, 6)))[0]
    A = Q @ (0.97 * np.eye(6) + np.eye(6, k=1)) @ Q.T
    model = LinearSSM(A, rng.standard_normal((6, 1)), rng.standard_normal((1, 6)))
    check_layer(model, from_model(model, dtype=torch.float32, window=0), 1e-5, steps=500)


def hidden_delay_line(cond):
    """Return six steps of delay and a mode, in coordinates of this condition number."""
    rng = np.random.default_rng(3)
    left, right = (np.linalg.qr(rng.standard_normal((7, 7)))[0] for _ in range(2))
    T = left * np.geomspace(1.0, 1 / cond, 7) @ right
    A = T @ scipy.linalg.block_diag(np.eye(6, k=1), [[0.5]]) @ np.linalg.inv(T)
    return LinearSSM(A, T[:, :1], rng.standard_normal((1, 7)))


def exact_impulse_response(model, steps):
    n, p = model.n_states, model.n_outputs
    system = InnovationSSM(model.A, model.C, np.zeros((n, p)), np.eye(p), B=model.B)
    return extended_response(system, np.eye(steps, 1)[np.newaxis])[0]


@pytest.mark.parametrize("cond", [1e5, 1e6])
def test_a_delay_line_that_coordinates_hide(cond):
    """No staircase finds it any more: blocks hold it, and the error is told where it is large."""
    model = hidden_delay_line(cond)
    with pytest.raises(AccuracyError, match="must not increase"):
        eidetic_fading_form(model)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", NumericalWarning)
        layer = from_model(model, dtype=torch.float32, window=0)
    error = float(layer.provenance["error"])
    assert bool(caught) == (error > 1e-5)
    assert error <= 1e-10 * cond
    got = run(layer, np.eye(100, 1))[0]
    assert relative(got, exact_impulse_response(model, 100)) <= 2 * error


def test_a_layer_can_be_closer_than_a_simulation():
    if np.finfo(np.longdouble).eps == np.finfo(float).eps:
        pytest.skip("this machine has no extended precision to compare with")
    rng = np.random.default_rng(1)
    left, right = (np.linalg.qr(rng.standard_normal((4, 4)))[0] for _ in range(2))
    T = left * np.geomspace(1.0, 1e-3, 4) @ right
    turns = [
        r * np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]])
        for r, a in [(0.999, 0.3), (0.99, 2.0)]
    ]
    A = T @ scipy.linalg.block_diag(*turns) @ np.linalg.inv(T)
    model, u = LinearSSM(A, np.ones((4, 1)), np.ones((1, 4))), np.eye(1000, 1)
    wanted = exact_impulse_response(model, 1000)
    with pytest.warns(NumericalWarning, match="last digits of A"):
        layer = from_model(model, dtype=torch.float64, window=0, tol=1e-11)
    assert relative(run(layer, u)[0], wanted) <= 0.1 * relative(simulate(model, u).y, wanted)
    moved = from_model(balanced_form(model).model, dtype=torch.float64, window=0, tol=1e-11)
    assert float(moved.provenance["error"]) <= 1e-11


def test_a_forced_diagonal_form_reports_what_it_costs():
    chain = np.eye(3, k=1) + np.diag([0.5, 0.51, 0.52])
    model = LinearSSM(chain, np.ones((3, 1)), [[1.0, 0.5, 0.2]])
    with pytest.warns(NumericalWarning, match=r"layer differs from .*tol 1e-05") as found:
        layer = from_model(model, dtype=torch.float32, parameterization="diagonal")
    assert len(found) == 1
    assert "torch.float64" in str(found[0].message)
    assert layer.memory.parameterization == "diagonal"
    error = float(layer.provenance["error"])
    assert 1e-5 < error < 1e-1
    u = np.eye(100, 1)
    assert relative(run(layer, u)[0], simulate(model, u).y) <= 1.01 * error
    with pytest.warns(NumericalWarning, match="last digits of A: start from balanced_form"):
        from_model(model, dtype=torch.float64, tol=1e-16)


@pytest.mark.parametrize("dtype", DTYPES)
def test_eidetic_states_become_a_delay_line(dtype):
    A = np.eye(5, k=-1)
    A[3:, 3:] = [[0.5, 0.6], [-0.6, 0.5]]
    T = np.linalg.qr(np.random.default_rng(0).standard_normal((5, 5)))[0]
    model = InnovationSSM(
        T @ A @ T.T, np.eye(5)[3:] @ T.T, 0.1 * T[:, :2], np.eye(2),
        B=T @ np.eye(5, 1), x0=T @ [1.0, -2.0, 3.0, 0.5, 0.5],
    )  # fmt: skip
    layer = from_model(model, dtype=dtype, window=0)
    assert (layer.memory.modes, layer.memory.delay_taps) == ((0, 1), 3)
    check_layer(model, layer, PROMISED[dtype])
    back = to_model(layer)
    loose = {torch.float64: 1e-12, torch.float32: 1e-5}[dtype]
    u = np.random.default_rng(1).standard_normal((30, 1))
    assert relative(simulate(back, u).y, simulate(model, u).y) <= loose


def test_pure_delays_and_deadbeat_predictors():
    delay = LinearSSM(np.eye(4, k=-1), np.eye(4, 1), np.eye(4)[3:])
    layer = from_model(delay, dtype=torch.float64)
    assert (layer.memory.n_states, layer.memory.delay_taps) == (0, 4)
    u = np.random.default_rng(1).standard_normal((30, 1))
    assert np.array_equal(run(layer, u)[0], np.concatenate([np.zeros((4, 1)), u[:-4]]))
    assert minimal_form(to_model(layer)).model.n_states == 4
    A, C = np.array([[0.5, 1.0], [0.2, 0.3]]), np.array([[1.0, 0.0]])
    K = (A @ A @ np.linalg.inv(np.concatenate([C, C @ A])))[:, 1:]  # (A - K C)^2 = 0
    model = InnovationSSM(A, C, K, [[1.0]], B=[[1.0], [2.0]])
    layer = from_model(model, dtype=torch.float64)
    assert (layer.predictor.n_states, layer.predictor.delay_taps) == (0, 2)
    check_layer(model, layer, 1e-10)
    assert are_equivalent(to_model(layer), model)


@pytest.mark.parametrize("dtype", DTYPES)
def test_gaussian_models_get_their_innovation_form(dtype):
    rng = np.random.default_rng(0)
    linear = random_linear(rng, 4, 1, 2)
    model = GaussianSSM(
        linear.A, linear.C, np.eye(4), 0.5 * np.eye(2), B=linear.B, D=linear.D, m0=np.ones(4)
    )
    layer = from_model(model, dtype=dtype, window=0)
    check_layer(innovation_form(model), layer, PROMISED[dtype])
    y = simulate(model, np.zeros((4000, 1)), noise=True, rng=1).y
    e = run(layer, np.zeros((4000, 1)), y)[1]
    steady = kalman_filter(model, y, np.zeros((4000, 1))).innovations
    assert np.abs(e[500:] - steady[500:]).max() <= 1e-4
    S = layer.S_chol.double().numpy()
    np.testing.assert_allclose(S @ S.T, innovation_form(model).Re, rtol=1e-5)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [0, 1, 5])
def test_models_without_inputs_predict_their_tokens(dtype, n):
    model = random_innovation(np.random.default_rng(4), n, 0, 2)
    layer = from_model(model, dtype=dtype, window=4, eidetic=2)
    assert (layer.target, layer.n_inputs, layer.n_outputs) == ("input", 2, 2)
    y = np.random.default_rng(5).standard_normal((100, 2)).astype(np.float32).astype(float)
    predicted, innovation = run(layer, y)
    wanted = predict(model, y)
    tol = PROMISED[dtype]
    assert relative(predicted, wanted) <= tol
    assert np.abs(innovation - (y - wanted)).max() <= 10 * tol
    back = to_model(layer)
    assert back.n_inputs == 0
    h, other = (markov_parameters(LinearSSM(M.A, M.K, M.C), 40) for M in (model, back))
    assert np.abs(h - other).max(initial=0.0) <= 10 * tol
    assert to_model(layer, part="memory").n_inputs == 2


def test_autonomous_models_have_no_tokens():
    model = LinearSSM([[0.5]], np.zeros((1, 0)), [[1.0]])
    layer = from_model(model)
    assert (layer.window, layer.eidetic, layer.n_inputs) == (0, 0, 0)
    assert layer(torch.zeros(1, 5, 0)).y.shape == (1, 5, 1)
    with pytest.raises(ValueError, match="`n_inputs`"):
        from_model(model, window=4)
    no_input = BilinearSSM([[0.5]], np.zeros((0, 1, 1)), np.zeros((1, 0)), [[1.0]], K=[[0.2]])
    assert from_model(no_input).target == "input"


@pytest.mark.parametrize("model", [
    LinearSSM(np.diag([1.2, 0.5]), np.ones((2, 1)), np.ones((1, 2))),
    LinearSSM(np.array([[1.0, 0.3], [0.0, 0.5]]), np.ones((2, 1)), np.ones((1, 2))),
    LinearSSM(np.array([[0.9, 0.8], [-0.8, 0.9]]), np.ones((2, 1)), np.ones((1, 2))),
    LinearSSM(1.1 * np.eye(3) + np.eye(3, k=1), np.ones((3, 1)), np.ones((1, 3))),
    BilinearSSM(np.diag([1.2, 0.5]), np.zeros((1, 2, 2)), np.ones((2, 1)), np.ones((1, 2))),
])  # fmt: skip
def test_unstable_models_are_refused_or_stabilized_aloud(model):
    with pytest.raises(UnstableModelError, match=r"its eigenvalues .* are not"):
        from_model(model)
    before = np.sort(np.abs(np.linalg.eigvals(model.A)))
    for method in ("reflect", "clip"):
        with pytest.warns(NumericalWarning, match=r"moved .* changes by \d\.\de[+-]\d\d"):
            layer = from_model(model, dtype=torch.float64, stabilize=method)
        after = np.abs(np.linalg.eigvals(layer.memory.matrix().detach().numpy()))
        wanted = np.minimum(1 / before, 0.999) if method == "reflect" else 0.999
        expected = np.sort(np.where(before >= 1, wanted, before))
        np.testing.assert_allclose(np.sort(after), expected, atol=1e-5)
        assert layer.provenance["memory_stabilized"].startswith(method)
        assert float(layer.provenance["memory_stabilized_change"]) > 0
        assert float(layer.provenance["error"]) <= 1e-9


def test_coordinates_can_be_chosen():
    model = random_linear(np.random.default_rng(0), 5, 1, 1)
    for parameterization in ("diagonal", "block"):
        layer = from_model(model, dtype=torch.float64, parameterization=parameterization, window=0)
        assert layer.memory.parameterization == parameterization
        check_layer(model, layer, 1e-10)


def test_unstable_predictors_are_named():
    model = InnovationSSM([[0.5]], [[1.0]], [[2.0]], [[1.0]], B=[[1.0]])
    with pytest.raises(UnstableModelError, match=r"predictor \(A - K C\).*-1\.5"):
        from_model(model)
    stable = LinearSSM([[0.5]], [[1.0]], [[1.0]])
    assert "memory_stabilized" not in from_model(stable, stabilize="clip").provenance
    integrator = InnovationSSM([[1.0]], [[1.0]], [[0.4]], [[1.0]], B=[[1.0]])
    with pytest.warns(NumericalWarning, match=r"those of the memory \(reflect: 1\)") as found:
        layer = from_model(integrator, dtype=torch.float64, stabilize="reflect")
    assert "predictor" not in str(found[0].message)
    y = np.random.default_rng(0).standard_normal((50, 1))
    np.testing.assert_allclose(
        y - run(layer, y, y)[1], predict(integrator, y, y), atol=1e-12
    )  # the predictor is stable and stays as it is
    np.testing.assert_allclose(to_model(layer, part="predictor").A, [[1.0]], atol=1e-12)


def test_wrong_calls():
    model = LinearSSM([[0.5]], [[1.0]], [[1.0]])
    with pytest.raises(TypeError, match="`model` must be"):
        from_model(np.eye(2))
    with pytest.raises(TypeError, match="must be real"):
        from_model(LinearSSM([[0.5j]], [[1.0]], [[1.0]]))
    with pytest.raises(ValueError, match="discrete time"):
        from_model(LinearSSM([[-0.5]], [[1.0]], [[1.0]], dt=0.0))
    with pytest.raises(ValueError, match="`dtype`"):
        from_model(model, dtype=torch.float16)
    with pytest.raises(ValueError, match=r"`device` must be a torch.device, .*; got 'nope'"):
        from_model(model, device="nope")
    with pytest.raises(ValueError, match="`scan` must be one of"):
        from_model(model, scan="fast")
    with pytest.raises(ValueError, match="`parameterization`"):
        from_model(model, parameterization="lru")
    with pytest.raises(ValueError, match="`stabilize`"):
        from_model(model, stabilize="shrink")
    with pytest.raises(ValueError, match="`tol`"):
        from_model(model, tol=0.0)
    exact = InnovationSSM([[0.5]], [[1.0], [1.0]], np.zeros((1, 2)), np.diag([1.0, 0.0]))
    with pytest.raises(ValueError, match=r"`model\.Re` must be positive definite"):
        from_model(exact)
    with pytest.raises(TypeError, match="`layer` must be"):
        to_model(model)
    with pytest.raises(ValueError, match="`part`"):
        to_model(from_model(model), part="both")


@pytest.mark.parametrize(
    ("model", "dtype"),
    [
        (LinearSSM([[0.5]], [[1e30]], [[1e30]]), "float32"),
        (LinearSSM(0.5 * np.eye(4) + 1e8 * np.eye(4, k=1), np.ones((4, 1)), np.eye(4)), "float64"),
        (
            LinearSSM(0.5 * np.eye(4) + 1e120 * np.eye(4, k=1), np.ones((4, 1)), np.eye(4)),
            "float64",
        ),
    ],
)
def test_numbers_beyond_the_precision_are_refused(model, dtype):
    with pytest.raises(AccuracyError, match=rf"No coordinates hold `model` in {dtype}: .*Scale"):
        from_model(model, dtype=dtype)


def test_options_reach_the_layer():
    model = random_innovation(np.random.default_rng(0), 3, 2, 1)
    layer = from_model(
        model, window=8, eidetic=4, n_heads=2, head_dim=16, alpha=0.05, chunk=4, scan="loop",
        device="cpu",
    )  # fmt: skip
    assert (layer.window, layer.eidetic, layer.chunk, layer.memory.scan) == (8, 4, 4, "loop")
    assert (layer.n_heads, layer.head_dim, layer.alpha) == (2, 16, 0.05)
    assert layer.S_chol.dtype == torch.get_default_dtype()
    assert from_model(model, threshold=3.0).threshold == 3.0
    assert from_model(model, window=0).eidetic == 0
    assert set(layer.provenance) >= {"source", "model", "version", "tol", "error", "memory_cond"}
    assert all(isinstance(value, str) for value in layer.provenance.values())


def test_innovation_test_selects_its_level_on_the_models_own_data():
    model = random_innovation(np.random.default_rng(3), 4, 1, 2)
    rng = np.random.default_rng(0)
    T, alpha = 20000, 0.05
    u = rng.standard_normal((T, 1))
    y = simulate(model, u, noise=True, rng=1).y
    layer = from_model(model, dtype=torch.float64, window=0, alpha=alpha)
    with torch.no_grad():
        out = layer(torch.from_numpy(u)[None], y=torch.from_numpy(y)[None])
    found = out.selected.double().mean().item()
    assert abs(found - alpha) <= 4 * np.sqrt(alpha * (1 - alpha) / T)


def test_trained_layers_come_back_as_what_they_are():
    model = random_innovation(np.random.default_rng(6), 3, 1, 1)
    layer = from_model(model, dtype=torch.float64, window=4)
    with torch.no_grad():
        layer.memory.C.mul_(1.5)
    with pytest.raises(ValueError, match=r"two models by now: their responses differ by"):
        to_model(layer)
    h = markov_parameters(model, 20)
    trained = markov_parameters(to_model(layer, part="memory"), 20)
    np.testing.assert_allclose(trained[1:], 1.5 * h[1:], atol=1e-12)
    np.testing.assert_allclose(
        markov_parameters(to_model(layer, part="predictor"), 20), h, atol=1e-12
    )
    with torch.no_grad():
        layer.gate.fill_(0.25)
    with pytest.warns(NumericalWarning, match=r"attention branch is up to 0\.25"):
        to_model(layer, part="memory")


def test_a_calibrated_linear_model_has_noise():
    model = LinearSSM([[0.5]], [[1.0]], [[1.0]], dt=0.5)
    layer = from_model(model, dtype=torch.float64)
    u = np.random.default_rng(0).standard_normal((500, 1))
    y = simulate(model, u).y + 0.1 * np.random.default_rng(1).standard_normal((500, 1))
    layer.calibrate(torch.from_numpy(u)[None], torch.from_numpy(y)[None])
    back = to_model(layer)
    assert isinstance(back, InnovationSSM)
    assert back.Re[0, 0] == pytest.approx(0.01, rel=0.2)
    assert back.dt == 0.5


def test_gradients_flow_from_an_exported_layer():
    model = random_innovation(np.random.default_rng(6), 4, 2, 1)
    for options in ({}, {"parameterization": "block"}):
        layer = from_model(model, window=4, eidetic=2, **options)
        x, y = torch.randn(2, 30, 2), torch.randn(2, 30, 1)
        out = layer(x, y=y)
        (out.y.square().mean() + out.innovation.square().mean()).backward()
        for name, value in layer.named_parameters():
            if value.numel() and "attention" not in name:
                assert value.grad is not None, name
                assert torch.isfinite(value.grad).all(), name
        assert layer.gate.grad.abs().max() > 0


def test_response_errors_see_a_wrong_memory():
    model = random_linear(np.random.default_rng(2), 3, 1, 1)
    system = InnovationSSM(model.A, model.C, np.zeros((3, 1)), [[1.0]], B=model.B, D=model.D)
    memory = from_model(model, dtype=torch.float64).memory
    assert max(response_errors(memory, system)) <= 1e-13
    with torch.no_grad():
        memory.C.mul_(1.001)
    assert min(response_errors(memory, system)) > 1e-4
    with torch.no_grad():
        memory.C.fill_(torch.nan)
    assert response_errors(memory, system) == (np.inf, np.inf)
