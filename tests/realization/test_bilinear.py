"""The bilinear record, words, subspaces, Gramians, reduction, realization."""

import itertools
import pickle
import warnings
from dataclasses import replace

import numpy as np
import pytest
from bilinear_systems import loop, random_bilinear, with_copies
from hypothesis import given, settings
from hypothesis import strategies as st

from realization import (
    AccuracyError,
    BilinearSSM,
    GaussianSSM,
    LinearSSM,
    NumericalWarning,
    UnstableModelError,
    bilinear_gramians,
    bilinear_hankel_realization,
    bilinear_truncate,
    diagonal_bilinear,
    h2_norm,
    load,
    markov_parameters,
    minimal_bilinear,
    reachable_subspace,
    save,
    unobservable_subspace,
    word_coefficients,
)
from realization import gramians as gramians_module
from realization.internal import bilinear_balancing, bilinear_minimal_coordinates

seeds = st.integers(0, 2**32 - 1)
sizes = (st.integers(0, 5), st.integers(0, 3), st.integers(1, 3))
some = settings(max_examples=40, deadline=None, derandomize=True)


def assert_same_words(a, b, length, tolerance):
    first, second = word_coefficients(a, length), word_coefficients(b, length)
    assert first.keys() == second.keys()
    scale = max(np.abs(c).max(initial=0.0) for c in first.values())
    scale = max(scale, np.linalg.norm(a.C) * np.linalg.norm(a.B), 1e-300)
    for word, c in first.items():
        np.testing.assert_allclose(second[word], c, rtol=0, atol=tolerance * scale)


# --- the record -------------------------------------------------------------------------------


def test_record_defaults_and_copies():
    A, N, B, C = np.eye(2), np.zeros((1, 2, 2)), np.ones((2, 1)), np.ones((3, 2))
    model = BilinearSSM(A, N, B, C)
    assert (model.n_states, model.n_inputs, model.n_outputs, model.dt) == (2, 1, 3, 1.0)
    assert model.D.shape == (3, 1)
    assert model.K.shape == (2, 3)
    assert model.Re is None
    assert not model.x0.any()
    A[0, 0] = 7.0
    assert model.A[0, 0] == 1.0
    with pytest.raises(ValueError, match="read-only"):
        model.N[0, 0, 0] = 1.0
    assert repr(model) == "BilinearSSM(2 states, 1 input, 3 outputs, dt=1)"
    assert replace(model, dt=0.0).dt == 0.0


def test_record_survives_pickle_and_file(tmp_path):
    model = random_bilinear(np.random.default_rng(0), 3, 2, 2, noise=True)
    save(model, tmp_path / "model.npz")
    for back in (pickle.loads(pickle.dumps(model)), load(tmp_path / "model.npz")):
        for name in ("A", "N", "B", "C", "D", "K", "Re", "x0"):
            assert np.array_equal(getattr(back, name), getattr(model, name))
            assert not getattr(back, name).flags.writeable


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"A": np.eye(3)}, r"`C` must have shape \(any, 3\)"),
        ({"N": np.zeros((2, 2, 2))}, r"`N` must have shape \(1, 2, 2\) to match `A`"),
        ({"N": np.zeros((2, 2))}, r"`N` must have shape \(1, 2, 2\)"),
        ({"B": np.zeros((3, 1))}, r"`B` must have shape \(2, any\)"),
        ({"D": np.zeros((2, 2))}, r"`D` must have shape \(1, 1\)"),
        ({"K": np.zeros((2, 2))}, r"`K` must have shape \(2, 1\)"),
        ({"Re": [[-1.0]]}, "`Re` must be positive semidefinite"),
        ({"x0": [1.0]}, r"`x0` must have shape \(2,\)"),
        ({"dt": -1.0}, "`dt` must be finite and non-negative"),
        ({"N": np.full((1, 2, 2), np.nan)}, "`N` must be finite; found NaN"),
    ],
)
def test_record_refuses(change, message):
    parts = {"A": np.eye(2), "N": np.zeros((1, 2, 2)), "B": np.ones((2, 1)), "C": np.ones((1, 2))}
    with pytest.raises(ValueError, match=message):
        BilinearSSM(**{**parts, **change})


def test_diagonal_bilinear_is_its_record():
    model = diagonal_bilinear(
        [0.5, 0.4j], [[1.0, 2.0]], [[1.0], [2.0]], [[1.0, 1.0]], x0=[1.0, 0.0]
    )
    assert np.array_equal(model.A, np.diag([0.5, 0.4j]))
    assert np.array_equal(model.N, [np.diag([1.0, 2.0])])
    assert diagonal_bilinear([0.5], np.zeros((0, 1)), np.zeros((1, 0)), [[1.0]]).n_inputs == 0
    with pytest.raises(ValueError, match=r"`gates` must have shape \(any, 2\) to match `lam`"):
        diagonal_bilinear([0.5, 0.4], [[1.0]], [[1.0], [2.0]], [[1.0, 1.0]])


# --- words ------------------------------------------------------------------------------------


@some
@given(seeds, *sizes)
def test_words_are_matrix_products(seed, n, m, p):
    model = random_bilinear(np.random.default_rng(seed), n, m, p)
    found = word_coefficients(model, 3)
    words = [w for k in range(4) for w in itertools.product(range(m + 1), repeat=k)]
    assert list(found) == words
    for word in words:
        product = model.B
        for letter in word:
            product = (model.A if letter == 0 else model.N[letter - 1]) @ product
        np.testing.assert_allclose(found[word], model.C @ product, atol=1e-13)


def test_words_of_zeros_are_markov_parameters():
    model = random_bilinear(np.random.default_rng(1), 4, 2, 3)
    linear = LinearSSM(model.A, model.B, model.C, model.D)
    found = word_coefficients(model, 5)
    h = markov_parameters(linear, 7)
    for k in range(6):
        np.testing.assert_allclose(found[(0,) * k], h[k + 1], atol=1e-13)


def test_words_refuse():
    model = random_bilinear(np.random.default_rng(1), 1, 1, 1)
    with pytest.raises(TypeError, match="`model` must be a BilinearSSM; got LinearSSM"):
        word_coefficients(LinearSSM([[0.5]], [[1.0]], [[1.0]]), 2)
    with pytest.raises(TypeError, match="`length` must be an integer"):
        word_coefficients(model, 2.0)
    steep = BilinearSSM([[1e60]], [[[1.0]]], [[1.0]], [[1.0]])
    with pytest.raises(ValueError, match=r"`length` is too large .* of 6 letters overflows"):
        word_coefficients(steep, 8)
    with pytest.raises(ValueError, match="`length` must be at least 0"):
        word_coefficients(model, -1)


# --- subspaces and minimality -------------------------------------------------------------------


@some
@given(seeds, st.integers(0, 4), st.integers(0, 3), st.integers(1, 3), st.booleans())
def test_minimal_model_keeps_all_words_and_outputs(seed, n, m, p, noise):
    rng = np.random.default_rng(seed)
    model = random_bilinear(rng, n, m, p, noise=noise)
    big = with_copies(model, rng)
    small = minimal_bilinear(big)
    reachable = n if m or noise else 0
    assert small.n_states == reachable
    assert_same_words(big, small, 3, 2e-13)
    u, e = rng.standard_normal((12, m)), rng.standard_normal((12, p))
    expected, _ = loop(big, u, e=e)
    np.testing.assert_allclose(loop(small, u, e=e)[0], expected, atol=1e-11 * abs(expected).max())
    assert (small.dt, small.Re is None) == (big.dt, big.Re is None)


def test_subspaces_are_invariant_and_found():
    rng = np.random.default_rng(3)
    big = with_copies(random_bilinear(rng, 4, 2, 2), rng)
    V, W = reachable_subspace(big), unobservable_subspace(big)
    assert V.shape == (7, 6)
    assert W.shape == (7, 2)
    for basis in (V, W):
        np.testing.assert_allclose(basis.T @ basis, np.eye(basis.shape[1]), atol=1e-14)
        for M in (big.A, *big.N):
            np.testing.assert_allclose(M @ basis, basis @ (basis.T @ M @ basis), atol=1e-12)
    np.testing.assert_allclose(V @ (V.T @ big.B), big.B, atol=1e-13)
    np.testing.assert_allclose(big.C @ W, 0, atol=1e-13)
    T = bilinear_minimal_coordinates(big, None)
    np.testing.assert_allclose(T.T @ T, np.eye(4), atol=1e-14)


def test_a_product_alone_makes_a_state_reachable():
    # x2 is driven by u x1 only: the linear part cannot reach it
    model = BilinearSSM(np.diag([0.5, 0.3]), [[[0, 0], [1, 0]]], [[1.0], [0.0]], [[0.0, 1.0]])
    assert minimal_bilinear(model).n_states == 2
    assert minimal_bilinear(replace(model, N=np.zeros((1, 2, 2)))).n_states == 0


def test_the_initial_state_and_the_gain_count_as_inputs():
    model = BilinearSSM(np.diag([0.5, 0.3]), np.zeros((1, 2, 2)), [[1.0], [0.0]], np.ones((1, 2)))
    assert reachable_subspace(model).shape == (2, 1)
    assert reachable_subspace(replace(model, x0=np.ones(2))).shape == (2, 2)
    assert reachable_subspace(replace(model, K=np.ones((2, 1)))).shape == (2, 2)


def test_tolerance_decides_rank():
    model = BilinearSSM(np.diag([0.5, 0.3]), np.zeros((1, 2, 2)), [[1.0], [1e-6]], np.ones((1, 2)))
    assert reachable_subspace(model).shape == (2, 2)
    assert reachable_subspace(model, tol=1e-4).shape == (2, 1)
    with pytest.raises(ValueError, match="`tol` must be finite and above 0"):
        reachable_subspace(model, tol=0.0)


def test_complex_models_are_reduced_too():
    model = diagonal_bilinear([0.5j, 0.2], [[0.1j, 0.3]], [[1.0], [0.0]], [[1.0, 1.0]])
    small = minimal_bilinear(model)
    assert small.n_states == 1
    assert_same_words(model, small, 3, 1e-14)


# --- Gramians -----------------------------------------------------------------------------------


def gramian_residual(model, P):
    gated = sum((N @ P @ N.conj().T for N in model.N), np.zeros_like(P))
    W = model.B @ model.B.conj().T
    if model.dt:
        return model.A @ P @ model.A.conj().T + gated + W - P
    return model.A @ P + P @ model.A.conj().T + gated + W


@some
@given(seeds, *sizes, st.sampled_from([0.0, 0.5]))
def test_gramians_solve_their_equations(seed, n, m, p, dt):
    model = random_bilinear(np.random.default_rng(seed), n, m, p, dt=dt)
    P, Q = bilinear_gramians(model)
    dual = BilinearSSM(
        model.A.T, np.concatenate([model.N.swapaxes(1, 2), np.zeros((p, n, n))]),
        np.hstack([np.zeros((n, m)), model.C.T]), np.ones((1, n)), dt=dt,
    )  # fmt: skip
    for system, gramian in ((model, P), (dual, Q)):
        residual = gramian_residual(system, gramian)
        scale = max(np.abs(gramian).max(initial=0.0), 1e-300)
        np.testing.assert_allclose(residual / scale, 0, atol=5e-14)
        assert np.array_equal(gramian, gramian.T)
        assert np.linalg.eigvalsh(gramian).min(initial=0.0) >= -1e-13 * scale


@pytest.mark.parametrize("dt", [0.0, 1.0])
def test_large_models_are_solved_iteratively(dt, monkeypatch):
    model = random_bilinear(np.random.default_rng(5), 24, 2, 2, gate=0.25, dt=dt)
    P, Q = bilinear_gramians(model)
    np.testing.assert_allclose(gramian_residual(model, P), 0, atol=1e-11 * np.abs(P).max())
    monkeypatch.setattr(gramians_module, "DENSE_ORDER", 30)
    direct = bilinear_gramians(model)
    np.testing.assert_allclose(P, direct[0], atol=1e-11 * np.abs(P).max())
    np.testing.assert_allclose(Q, direct[1], atol=1e-11 * np.abs(Q).max())


def test_complex_gramians():
    model = diagonal_bilinear([0.5j, 0.2], [[0.1j, 0.3]], [[1.0], [1.0]], [[1.0, 1.0]])
    P, _ = bilinear_gramians(model)
    np.testing.assert_allclose(gramian_residual(model, P), 0, atol=1e-14)
    assert abs(P[0, 1].imag) > 1e-3


def test_gramian_is_the_state_covariance_over_all_sign_sequences():
    model = random_bilinear(np.random.default_rng(6), 3, 1, 2, radius=0.3, gate=0.15)
    P, _ = bilinear_gramians(model)
    T = 14  # rho^(2 T) is far below rounding's square root; the error of stopping is bounded below
    x = np.zeros((1, 3))
    for _ in range(T):
        x = np.concatenate(
            [x @ model.A.T + s * (x @ model.N[0].T + model.B[:, 0]) for s in (1.0, -1.0)]
        )
    left_out = (0.3**2 + 0.15**2) ** T * 100 * np.abs(P).max()
    np.testing.assert_allclose(x.T @ x / len(x), P, atol=max(left_out, 3e-14))
    np.testing.assert_allclose(x.mean(axis=0), 0, atol=1e-14)


def test_gramian_is_the_sum_over_words():
    model = random_bilinear(np.random.default_rng(7), 2, 2, 1, radius=0.2, gate=0.1)
    P, Q = bilinear_gramians(model)
    total = sum(np.sum(c**2) for c in word_coefficients(model, 9).values())
    np.testing.assert_allclose(total, np.trace(model.C @ P @ model.C.T), rtol=1e-9)
    np.testing.assert_allclose(np.trace(model.B.T @ Q @ model.B), np.trace(model.C @ P @ model.C.T))


@pytest.mark.parametrize("n", [3, 22])
def test_gramians_exist_exactly_up_to_the_condition(n):
    rng = np.random.default_rng(8)
    U, V = (np.linalg.qr(rng.standard_normal((n, n)))[0] for _ in range(2))
    B, C = np.ones((n, 1)), np.ones((1, n))

    def model(radius):
        """The map P -> A P A' + N P N' sends I to 0.25 I + (radius - 0.25) I."""
        return BilinearSSM(0.5 * U, [np.sqrt(radius - 0.25) * V], B, C)

    bilinear_gramians(model(0.99))
    too_much = model(1.15)
    with pytest.raises(UnstableModelError, match=r"spectral radius .* is 1\.15, not < 1") as found:
        bilinear_gramians(too_much)
    assert found.value.stability_margin == pytest.approx(-0.15, abs=1e-9)
    gamma = float(str(found.value).split("gamma > ")[1].split(":")[0])
    assert gamma == pytest.approx(np.sqrt(0.9 / 0.75), rel=1e-5)
    bilinear_gramians(replace(too_much, N=too_much.N / (1.01 * gamma)))
    with pytest.raises(UnstableModelError, match="do not exist"):
        bilinear_gramians(replace(too_much, N=too_much.N / (0.999 * gamma)))


@pytest.mark.parametrize("n", [2, 21])
def test_continuous_time_condition(n):
    model = BilinearSSM(-np.eye(n), [2.0 * np.eye(n)], np.ones((n, 1)), np.ones((1, n)), dt=0.0)
    # 2 (-1) + 2^2 = 2 on every direction; gamma^2 = 4 / 2
    with pytest.raises(UnstableModelError, match=r"abscissa .* is 2, not < 0.*gamma > 1\.41421:"):
        bilinear_gramians(model)
    with pytest.raises(UnstableModelError, match="need a stable `A`: its stability margin is -1"):
        h2_norm(replace(model, A=np.eye(n)))


def test_an_inaccurate_gramian_is_refused(monkeypatch):
    model = random_bilinear(np.random.default_rng(9), 2, 1, 1)
    monkeypatch.setattr(gramians_module, "symmetrize", lambda P: 1.001 * P)
    with pytest.raises(AccuracyError, match="relative residual") as found:
        bilinear_gramians(model)
    assert found.value.residual > 1e-8


# --- H2 norm ------------------------------------------------------------------------------------


def test_h2_norm_of_linear_models():
    model = random_bilinear(np.random.default_rng(10), 3, 2, 2, radius=0.6)
    linear = LinearSSM(model.A, model.B, model.C, model.D)
    h = markov_parameters(linear, 200)
    np.testing.assert_allclose(h2_norm(linear), np.linalg.norm(h), rtol=1e-13)
    np.testing.assert_allclose(
        h2_norm(replace(model, N=np.zeros_like(model.N))), h2_norm(linear), rtol=1e-13
    )
    np.testing.assert_allclose(h2_norm(LinearSSM([[-2.0]], [[3.0]], [[1.0]], dt=0.0)), 1.5)


def test_h2_norm_is_the_output_deviation():
    model = random_bilinear(np.random.default_rng(11), 2, 1, 2, radius=0.2, gate=0.1)
    outputs = []
    for signs in itertools.product([1.0, -1.0], repeat=11):
        outputs.append(loop(model, np.array(signs)[:, np.newaxis])[0][-1])
    power = np.mean(np.sum(np.square(outputs), axis=1))
    np.testing.assert_allclose(h2_norm(model) ** 2, power, rtol=1e-10)


def test_h2_norm_refuses():
    with pytest.raises(ValueError, match=r"must have D = 0: in continuous time .* up to 2"):
        h2_norm(LinearSSM([[-1.0]], [[1.0]], [[1.0]], [[2.0]], dt=0.0))
    with pytest.raises(TypeError, match=r"this GaussianSSM has two inputs, .*Choose one: L"):
        h2_norm(GaussianSSM([[0.5]], [[1.0]], [[1.0]], [[1.0]]))


# --- truncation ---------------------------------------------------------------------------------


@some
@given(seeds, st.integers(1, 5), st.integers(1, 2), st.integers(1, 2), st.sampled_from([0.0, 1.0]))
def test_balanced_coordinates(seed, n, m, p, dt):
    rng = np.random.default_rng(seed)
    model = random_bilinear(rng, n, m, p, radius=0.6, dt=dt, noise=True)
    T, Tinv, sigma = bilinear_balancing(model)
    assert np.all(np.diff(sigma) <= 0)
    if len(sigma) < n or sigma[-1] < 1e-4 * sigma[0]:
        return
    P, Q = bilinear_gramians(model)
    np.testing.assert_allclose(Tinv @ T, np.eye(n), atol=1e-10)
    np.testing.assert_allclose(Tinv @ P @ Tinv.T, np.diag(sigma), atol=2e-12 * sigma[0])
    np.testing.assert_allclose(T.T @ Q @ T, np.diag(sigma), atol=2e-12 * sigma[0])
    assert_same_words(model, bilinear_truncate(model, n), 3, 1e-10)


def test_truncation_drops_what_matters_least():
    rng = np.random.default_rng(12)
    model = random_bilinear(rng, 3, 1, 1, radius=0.5)
    weak = BilinearSSM(
        np.block([[model.A, np.zeros((3, 1))], [1e-5 * rng.standard_normal((1, 3)), 0.3]]),
        [np.block([[model.N[0], np.zeros((3, 1))], [np.zeros((1, 4))]])],
        np.vstack([model.B, [[1e-5]]]), np.hstack([model.C, [[1e-5]]]), model.D,
    )  # fmt: skip
    small = bilinear_truncate(weak, 3)
    assert small.n_states == 3
    assert_same_words(weak, small, 4, 1e-8)
    assert bilinear_truncate(weak, 0).n_states == 0


def test_truncation_refuses_and_warns():
    model = random_bilinear(np.random.default_rng(13), 2, 1, 1)
    with pytest.raises(ValueError, match="`order` must be at most 2, the number of states"):
        bilinear_truncate(model, 3)
    twins = diagonal_bilinear([0.5, 0.5], [[0.1, 0.1], [0.1, 0.1]], np.eye(2), np.eye(2))
    with pytest.warns(NumericalWarning, match="Balanced values 1 and 2 are equal"):
        bilinear_truncate(twins, 1)


def test_truncation_checks_the_reduced_model(monkeypatch):
    model = random_bilinear(np.random.default_rng(14), 3, 1, 1)
    monkeypatch.setattr(gramians_module, "_least_scaling", lambda A, N, dt: len(A) < 3 and 1.25)
    with pytest.warns(NumericalWarning, match=r"reduced model of order 2 .* more than 1\.25"):
        bilinear_truncate(model, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bilinear_truncate(model, 3)


# --- Hankel realization -------------------------------------------------------------------------


@some
@given(seeds, st.integers(0, 4), st.integers(1, 2), st.integers(1, 3))
def test_word_coefficients_are_realized(seed, n, m, p):
    model = random_bilinear(np.random.default_rng(seed), n, m, p, radius=0.9, gate=0.9)
    length = min(max(n - 1, 0), 2)
    c = word_coefficients(model, 2 * length + 1)
    words = [w for w in c if len(w) <= length]
    values = np.linalg.svd(np.block([[c[w + v] for w in words] for v in words]))[1]
    if n and values[n - 1] < 1e-7 * values[0]:  # words this short need not show every state
        return
    found = bilinear_hankel_realization(c, n, D=model.D, dt=0.5)
    assert (found.n_states, found.n_inputs, found.n_outputs, found.dt) == (n, m, p, 0.5)
    assert np.array_equal(found.D, model.D)
    if n:
        assert_same_words(model, found, 2 * length + 1, 1e-14 * values[0] / values[n - 1])


def test_hankel_rank_is_the_order():
    model = random_bilinear(np.random.default_rng(20), 3, 1, 1)
    c = word_coefficients(model, 5)
    words = [w for w in c if len(w) <= 2]
    H = np.array([[c[w + v].item() for w in words] for v in words])
    s = np.linalg.svd(H, compute_uv=False)
    assert s[2] > 1e-6 * s[0]
    assert s[3] < 1e-14 * s[0]
    assert_same_words(model, bilinear_hankel_realization(c, 3), 5, 7e-15 * (s[0] / s[2]))


def test_minimal_realizations_are_similar():
    rng = np.random.default_rng(21)
    model = random_bilinear(rng, 3, 2, 2)
    found = bilinear_hankel_realization(word_coefficients(model, 4), 3)

    def observability(system):
        words = [w for k in range(3) for w in itertools.product(range(3), repeat=k)]
        rows = []
        for word in words:
            row = system.C
            for letter in reversed(word):
                row = row @ (system.A if letter == 0 else system.N[letter - 1])
            rows.append(row)
        return np.vstack(rows)

    T = np.linalg.lstsq(observability(model), observability(found))[0]
    Tinv = np.linalg.inv(T)
    np.testing.assert_allclose(Tinv @ model.A @ T, found.A, atol=1e-10)
    np.testing.assert_allclose(Tinv @ model.N @ T, found.N, atol=1e-10)
    np.testing.assert_allclose(Tinv @ model.B, found.B, atol=1e-10)


def test_selected_words_suffice():
    model = random_bilinear(np.random.default_rng(22), 3, 1, 1)
    c = word_coefficients(model, 5)
    chosen = [(), (0,), (1,), (0, 1)]
    needed = {w + mid + v for w in chosen for v in chosen for mid in ((), (0,), (1,))}
    found = bilinear_hankel_realization(
        {w: c[w] for w in needed}, 3, rows=chosen, columns=reversed(chosen)
    )
    assert_same_words(model, found, 4, 1e-9)


def test_a_smaller_order_approximates():
    rng = np.random.default_rng(23)
    model = random_bilinear(rng, 2, 1, 1)
    c = word_coefficients(model, 3)
    noisy = {word: value + 1e-9 * rng.standard_normal((1, 1)) for word, value in c.items()}
    assert_same_words(model, bilinear_hankel_realization(noisy, 2), 3, 1e-6)


def test_scalars_are_one_by_one():
    c = {(): 2.0, (0,): 1.0, (1,): 0.5}
    found = bilinear_hankel_realization(c, 1)
    np.testing.assert_allclose(found.A, 0.5)
    np.testing.assert_allclose(found.N, 0.25)


@pytest.mark.parametrize(
    ("coefficients", "kwargs", "error", "message"),
    [
        ([1.0], {}, TypeError, "`coefficients` must be a mapping from words"),
        ({0: 1.0}, {}, TypeError, "`coefficients` must be a mapping from words"),
        ({(0,): 1.0}, {}, ValueError, "must contain that of the empty word"),
        ({(): np.zeros((0, 1))}, {}, ValueError, "neither of them 0"),
        ({(): 1.0, (0,): [[1.0, 2.0]]}, {}, ValueError, r"must all have shape \(1, 1\)"),
        ({(): 1.0}, {}, ValueError, r"must contain the word \(0,\)"),
        ({(): 1.0, (0,): 0.5, (1,): 0.5}, {"rows": [(0,)]}, ValueError, "`rows` must contain"),
        ({(): 0.0, (0,): 0.0, (1,): 0.0}, {}, ValueError, "must not exceed the rank 0"),
        ({(): 1.0}, {"rows": {"a": 1.0}}, TypeError, "`rows` must be a list of words, .* got dict"),
        ({(): 1.0}, {"columns": "01"}, TypeError, "`columns` must be a list of words"),
        ({(): 1.0}, {"columns": 3}, TypeError, "`columns` must be a list of words, .* got int"),
        ({(): 1.0}, {"rows": [(), 0]}, TypeError, r"`rows` must be a list .* got \[\(\), 0\]"),
        (
            {(): 1.0},
            {"rows": LinearSSM([[0.5]], [[1.0]], [[1.0]])},
            TypeError,
            "`rows` must be a list of words, tuples of letters; got LinearSSM",
        ),
    ],
)
def test_hankel_realization_refuses(coefficients, kwargs, error, message):
    with pytest.raises(error, match=message):
        bilinear_hankel_realization(coefficients, 1, **kwargs)
