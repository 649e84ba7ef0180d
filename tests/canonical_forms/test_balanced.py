"""Balanced and normal forms, truncation and its bound; slycot and python-control as witnesses."""

import warnings

import numpy as np
import pytest
from every_model import LINEAR, check_form, difference, hard_matrices, jordan, mixed, record
from hypothesis import given, settings
from hypothesis import strategies as st

from canonical_forms import (
    balanced_form,
    input_normal_form,
    modal_form,
    output_normal_form,
    truncate,
)
from realization import (
    BilinearSSM,
    GaussianSSM,
    InnovationSSM,
    LinearSSM,
    NotMinimalError,
    NumericalWarning,
    bilinear_gramians,
    bilinear_truncate,
    canonical_correlations,
    frequency_response,
    maximal_covariance,
    minimal_covariance,
    to_covariance,
    to_gaussian,
    word_coefficients,
)

BLOCKS = [[[0.9]], [[-0.5]], jordan(0.3 + 0.6j, 1), [[0.2]]]


def stable(rng, dt):
    A = mixed(rng, BLOCKS)
    return A if dt > 0 else A - np.eye(A.shape[0])


def gramian(A, W, dt):
    """Solve the Gramian equation entry by entry, independently of the library."""
    eye = np.eye(A.shape[0])
    L = np.kron(eye, eye) - np.kron(A, A) if dt > 0 else -np.kron(A, eye) - np.kron(eye, A)
    return np.linalg.solve(L, W.ravel()).reshape(A.shape)


def gramians(model):
    return (
        gramian(model.A, model.B @ model.B.T, model.dt),
        gramian(model.A.T, model.C.T @ model.C, model.dt),
    )


@pytest.mark.parametrize("dt", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("cls", [LinearSSM, GaussianSSM, InnovationSSM])
def test_gramians_of_the_three_forms(cls, dt):
    rng = np.random.default_rng(1)
    model = record(cls, rng, stable(rng, dt), 2, 2, dt=dt)
    P, Q = gramians(model)
    want = np.sqrt(np.sort(np.linalg.eigvals(P @ Q).real)[::-1])
    for function, power in ((balanced_form, 0.5), (input_normal_form, 0), (output_normal_form, 1)):
        form = function(model)
        check_form(model, form)
        sigma = form.info["hankel_singular_values"]
        assert np.allclose(sigma, want, rtol=1e-8)
        P, Q = gramians(form.model)
        assert np.abs(P - np.diag(sigma ** (2 * power))).max() < 1e-11 * max(sigma[0], 1) ** 2
        assert np.abs(Q - np.diag(sigma ** (2 - 2 * power))).max() < 1e-11 * max(sigma[0], 1) ** 2


@pytest.mark.parametrize("name", list(hard_matrices(np.random.default_rng(0))))
@pytest.mark.parametrize("cls", [LinearSSM, GaussianSSM, InnovationSSM])
@pytest.mark.filterwarnings("ignore::realization.NumericalWarning")  # nearly or not minimal
def test_every_class_on_hard_matrices(cls, name):
    A = hard_matrices(np.random.default_rng(1))[name]
    model = record(cls, np.random.default_rng(2), A, 1, 2)
    for function in (balanced_form, input_normal_form, output_normal_form):
        form = function(model)
        r = form.model.n_states
        assert type(form.model) is cls
        assert np.abs(form.Tinv @ form.T - np.eye(r)).max(initial=0.0) < 1e-8
        plain = [LinearSSM(m.A, m.B, m.C, m.D) for m in (model, form.model)]
        assert difference(*plain) < 1e-8
        assert r == model.n_states or form.info["error_bound"] < 1e-9


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    n=st.integers(0, 8),
    m=st.integers(1, 3),
    p=st.integers(1, 3),
    dt=st.sampled_from([0.0, 1.0]),
    logcond=st.floats(0, 2),
    seed=st.integers(0, 10**6),
)
def test_balanced_of_random_models(n, m, p, dt, logcond, seed):
    rng = np.random.default_rng(seed)
    A = mixed(rng, [[[value]] for value in rng.uniform(-0.9, 0.9, n)], 10**logcond)
    model = record(LinearSSM, rng, A - (dt == 0.0) * np.eye(n), m, p, dt=dt)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NumericalWarning)  # nearly not minimal by chance
        form = balanced_form(model)
    assert difference(model, form.model, 8) < 1e-9
    P, Q = gramians(form.model) if n else (np.zeros((0, 0)),) * 2
    assert np.abs(P - Q).max(initial=0.0) < 1e-9 * np.abs(P).max(initial=1e-300)


@pytest.mark.parametrize("dt", [0.0, 1.0])
def test_hankel_values_agree_with_slycot(dt):
    slycot = pytest.importorskip("slycot")
    rng = np.random.default_rng(2)
    model = record(LinearSSM, rng, stable(rng, dt), 2, 3, dt=dt)
    form = balanced_form(model)
    dico = "C" if dt == 0.0 else "D"
    nr, Ar, Br, Cr, hsv = slycot.ab09ad(
        dico, "B", "N", 5, 2, 3, model.A, model.B, model.C, nr=3
    )  # fmt: skip
    assert np.allclose(form.info["hankel_singular_values"], hsv, rtol=1e-12)
    small = truncate(form, nr).model
    other = LinearSSM(Ar, Br, Cr, model.D, dt=dt)
    assert difference(small, other) < 1e-10


@pytest.mark.parametrize("dt", [0.0, 1.0])
@pytest.mark.parametrize("order", [0, 1, 2, 3, 4, 5])
def test_error_bound_holds(dt, order):
    rng = np.random.default_rng(3)
    model = record(LinearSSM, rng, stable(rng, dt), 2, 2, dt=dt)
    small = truncate(balanced_form(model), order)
    omega = (
        np.linspace(0, np.pi, 400) if dt else np.concatenate([[0], np.geomspace(1e-3, 1e3, 400)])
    )
    error = frequency_response(model, omega) - frequency_response(small.model, omega)
    largest = np.linalg.norm(error, 2, axis=(1, 2)).max()
    assert largest <= small.info["error_bound"] * (1 + 1e-10) + 1e-11
    if order < 5:
        assert largest > 0.01 * small.info["error_bound"]
    assert np.abs(small.Tinv @ small.T - np.eye(order)).max(initial=0.0) < 1e-12
    assert small.model.n_states == order


def test_truncations_of_the_three_forms_are_one_model():
    rng = np.random.default_rng(4)
    model = record(InnovationSSM, rng, stable(rng, 1.0), 2, 2)
    reduced = [
        truncate(f(model), 3).model for f in (balanced_form, input_normal_form, output_normal_form)
    ]
    assert difference(reduced[0], reduced[1]) < 1e-11
    assert difference(reduced[0], reduced[2]) < 1e-11


def test_truncating_twice_adds_the_bounds():
    rng = np.random.default_rng(4)
    form = balanced_form(record(LinearSSM, rng, stable(rng, 1.0), 2, 2))
    sigma = form.info["hankel_singular_values"]
    twice = truncate(truncate(form, 4), 2)
    assert np.isclose(twice.info["error_bound"], 2 * sigma[2:].sum())
    assert "truncated balanced form" in repr(twice)


@pytest.mark.parametrize("dt", [0.0, 1.0])
def test_unstable_part_is_split_off_and_kept(dt):
    rng = np.random.default_rng(5)
    grow = [[[1.2]], jordan(0.8 + 0.9j, 1)] if dt else [[[0.3]], jordan(0.1 + 2j, 1)]
    shrink = BLOCKS if dt else [[[-0.5]], [[-2.0]]]
    model = record(LinearSSM, rng, mixed(rng, [*shrink, *grow]), 2, 2, dt=dt)
    form = balanced_form(model)
    check_form(model, form, tol=1e-9)
    assert form.info["unstable"] == 3
    inner = LinearSSM(form.model.A[3:, 3:], form.model.B[3:], form.model.C[:, 3:], dt=dt)
    P, Q = gramians(inner)
    assert np.abs(P - Q).max() < 1e-10 * np.abs(P).max()
    small = truncate(form, 4)
    poles = np.linalg.eigvals(small.model.A)
    assert ((np.abs(poles) > 1) if dt else (poles.real > 0)).sum() == 3
    omega = np.linspace(0.01, 3, 50)
    error = frequency_response(model, omega) - frequency_response(small.model, omega)
    assert np.linalg.norm(error, 2, axis=(1, 2)).max() <= small.info["error_bound"] + 1e-10
    with pytest.raises(ValueError, match="`order` must be between 3, the number of unstable"):
        truncate(form, 2)


def test_integrator_counts_as_unstable():
    model = LinearSSM(np.diag([0.0, -1.0]), np.ones((2, 1)), np.ones((1, 2)), dt=0.0)
    assert balanced_form(model).info["unstable"] == 1


@pytest.mark.parametrize("dt", [0.0, 1.0])
@pytest.mark.parametrize("function", [balanced_form, input_normal_form, output_normal_form])
def test_covariance_data_are_balanced_stochastically(function, dt):
    rng = np.random.default_rng(6)
    A = mixed(rng, [[[0.9]], [[-0.5]], [[0.2]]]) - (dt == 0.0) * np.eye(3)
    source = InnovationSSM(
        A, rng.standard_normal((2, 3)), 0.3 * rng.standard_normal((3, 2)), np.eye(2), dt=dt
    )
    cov = to_covariance(source)
    form = function(cov)
    check_form(cov, form)
    sigma = form.info["hankel_singular_values"]
    assert np.allclose(sigma, canonical_correlations(cov), atol=1e-9)
    power = {balanced_form: 0.5, input_normal_form: 0.0, output_normal_form: 1.0}[function]
    assert np.allclose(minimal_covariance(form.model), np.diag(sigma ** (2 * power)), atol=1e-8)
    top = np.linalg.inv(maximal_covariance(form.model))
    assert np.allclose(top, np.diag(sigma ** (2 - 2 * power)), atol=1e-8)
    assert truncate(form, 2).model.n_states == 2
    assert "error_bound" not in truncate(form, 2).info


def test_process_without_inputs_points_to_its_covariances():
    model = InnovationSSM([[0.5]], [[1.0]], [[0.3]], [[1.0]])
    with pytest.raises(NotMinimalError, match="no stable state that B reaches"):
        balanced_form(model)
    assert balanced_form(to_covariance(model)).info["hankel_singular_values"].size == 1
    assert to_gaussian(balanced_form(to_covariance(model)).model).n_states == 1


@pytest.mark.parametrize("dt", [0.0, 1.0])
def test_bilinear(dt):
    rng = np.random.default_rng(7)
    A = mixed(rng, [[[0.6]], [[-0.5]], [[0.2]]]) - (dt == 0.0) * np.eye(3)
    model = record(BilinearSSM, rng, A, 2, 2, dt=dt)
    form = balanced_form(model)
    check_form(model, form)
    P, Q = bilinear_gramians(form.model)
    sigma = form.info["hankel_singular_values"]
    assert np.abs(P - np.diag(sigma)).max() < 1e-9 * sigma[0]
    assert np.abs(Q - np.diag(sigma)).max() < 1e-9 * sigma[0]
    small, other = truncate(form, 2), bilinear_truncate(model, 2)
    a, b = word_coefficients(small.model, 3), word_coefficients(other, 3)
    assert all(np.allclose(a[word], b[word], atol=1e-9) for word in a)
    assert np.allclose(small.Tinv @ small.T, np.eye(2))
    assert np.allclose(small.Tinv @ model.A @ small.T, small.model.A)


def test_what_is_not_minimal_is_left_out_with_a_bound():
    rng = np.random.default_rng(8)
    B = np.array([[1.0], [1.0], [0.0]])
    model = LinearSSM(np.diag([0.9, 0.5, 0.2]), B, rng.standard_normal((1, 3)))
    with pytest.warns(NumericalWarning, match=r"1 of 3 states have Hankel singular values below"):
        form = balanced_form(model)
    assert form.T.shape == (3, 2)
    assert difference(model, form.model) < 1e-12
    with pytest.warns(NumericalWarning, match="left out; the error is at most"):
        assert balanced_form(model, tol=0.5).model.n_states == 1
    bilinear = BilinearSSM(model.A, np.zeros((1, 3, 3)), B, model.C)
    with pytest.warns(NumericalWarning, match=r"1 of 3 states .* were left out\. minimal_form"):
        assert balanced_form(bilinear).model.n_states == 2


def test_equal_values_warn():
    model = LinearSSM(np.diag([0.5, 0.5]), np.eye(2), np.eye(2))
    with pytest.warns(NumericalWarning, match="Hankel singular values 1 and 2 are equal"):
        truncate(balanced_form(model), 1)


def test_wrong_calls():
    rng = np.random.default_rng(9)
    model = record(LinearSSM, rng, stable(rng, 1.0), 1, 1)
    with pytest.raises(ValueError, match="must be balanced or normal; got the modal form"):
        truncate(modal_form(model), 2)
    with pytest.raises(ValueError, match="`order` must be between 0"):
        truncate(balanced_form(model), 6)
    with pytest.raises(TypeError, match="`order` must be an integer"):
        truncate(balanced_form(model), 1.0)
    with pytest.raises(TypeError, match="`form` must be a CanonicalForm"):
        truncate(model, 1)
    with pytest.raises(ValueError, match="`tol` must be"):
        balanced_form(model, tol=-1.0)
    for function in (input_normal_form, output_normal_form):
        with pytest.raises(TypeError, match="only balanced_form balances"):
            function(record(BilinearSSM, rng, np.eye(2) / 2, 1, 1))


@pytest.mark.parametrize("cls", LINEAR)
def test_order_zero(cls):
    form = balanced_form(record(cls, np.random.default_rng(0), np.zeros((0, 0)), 2, 2))
    assert form.model.n_states == 0
    assert truncate(form, 0).model.n_states == 0


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
def test_python_control_returns_another_model_in_discrete_time():
    """Its balanced_reduction solves the continuous-time problem whatever dt is."""
    control = pytest.importorskip("control")
    pytest.importorskip("slycot")
    model = LinearSSM(np.diag([0.9, 0.5, 0.1]), np.ones((3, 1)), [[1.0, 2.0, 1.0]])
    theirs = control.balanced_reduction(
        control.ss(model.A, model.B, model.C, model.D, True), 1, method="truncate"
    )
    ours = truncate(balanced_form(model), 1)
    assert ours.model.dt == 1.0
    assert ours.model.n_states == 1
    assert (theirs.dt, theirs.nstates) == (0, 3)  # asked for order 1 of a discrete-time model
    omega = np.linspace(0, np.pi, 100)
    exact = frequency_response(model, omega)[:, 0, 0]
    error = np.abs(frequency_response(ours.model, omega)[:, 0, 0] - exact).max()
    assert error <= ours.info["error_bound"]


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
def test_python_control_agrees_in_continuous_time():
    control = pytest.importorskip("control")
    pytest.importorskip("slycot")
    rng = np.random.default_rng(10)
    model = record(LinearSSM, rng, stable(rng, 0.0), 1, 1, dt=0.0)
    theirs = control.balanced_reduction(control.ss(model.A, model.B, model.C, model.D), 3)
    ours = truncate(balanced_form(model), 3).model
    assert difference(LinearSSM(theirs.A, theirs.B, theirs.C, theirs.D, dt=0.0), ours) < 1e-9
