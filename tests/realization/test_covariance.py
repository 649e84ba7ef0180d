import numpy as np
import pytest
import scipy
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from processes import random_process

from realization import (
    AccuracyError,
    CovarianceModel,
    InnovationSSM,
    NotMinimalError,
    NotPositiveRealError,
    NumericalWarning,
    UnstableModelError,
    autocovariance,
    canonical_correlations,
    covariance_realization,
    is_positive_real,
    kyp_matrix,
    maximal_covariance,
    minimal_covariance,
    past_future_information,
    spectral_density,
    stochastic_balance,
    stochastic_truncate,
    to_covariance,
)

SETTINGS = settings(max_examples=30, deadline=None, derandomize=True)
SIZES = (st.integers(1, 6), st.integers(1, 4), st.sampled_from([0.0, 0.1]), st.integers(0, 10**6))


def reverse(cov):
    return CovarianceModel(cov.A.T, cov.N.T, cov.C.T, cov.Lambda0, dt=cov.dt)


def process(n, p, seed, dt=1.0):
    return to_covariance(random_process(np.random.default_rng(seed), n, p, dt=dt))


def toeplitz(lags, count):
    """Covariance of (y_t, ..., y_{t + count - 1})."""
    return np.block(
        [[lags[i - j] if i >= j else lags[j - i].T for j in range(count)] for i in range(count)]
    )


def short_memory(n, p, seed):
    """A process whose covariances vanish to rounding within forty samples."""
    rng = np.random.default_rng(seed)
    return to_covariance(random_process(rng, n, p, largest=0.5, margin=0.45))


# --- canonical correlations and information


@pytest.mark.parametrize(("n", "p", "seed"), [(1, 1, 0), (2, 1, 1), (3, 2, 2), (2, 3, 3)])
def test_correlations_and_information_by_brute_force(n, p, seed):
    """From the joint covariance of forty past and forty future outputs."""
    cov, count = short_memory(n, p, seed), 40
    joint = toeplitz(autocovariance(cov, 2 * count), 2 * count)
    half = count * p
    past, future = joint[:half, :half], joint[half:, half:]
    roots = np.linalg.cholesky(past), np.linalg.cholesky(future)
    cross = scipy.linalg.solve_triangular(roots[1], joint[half:, :half], lower=True)
    cross = scipy.linalg.solve_triangular(roots[0], cross.T, lower=True)
    expected = np.linalg.svd(cross, compute_uv=False)
    sigma = canonical_correlations(cov)
    np.testing.assert_allclose(sigma, expected[:n], atol=4e-14)
    np.testing.assert_allclose(expected[n:], 0, atol=1e-13)
    volumes = [np.linalg.slogdet(matrix)[1] for matrix in (past, future, joint)]
    information = (volumes[0] + volumes[1] - volumes[2]) / 2
    assert past_future_information(cov) == pytest.approx(information, abs=2e-11)


@SETTINGS
@given(*SIZES)
def test_correlations_are_eigenvalues_of_the_extreme_covariances(n, p, dt, seed):
    cov = process(n, p, seed, dt)
    sigma = canonical_correlations(cov)
    assert sigma.shape == (n,)
    assert (np.diff(sigma) <= 0).all()
    assert 0 <= sigma[-1] <= sigma[0] < 1
    assume(sigma[-1] > 1e-4)
    product = minimal_covariance(cov) @ np.linalg.inv(maximal_covariance(cov))
    squares = np.sort(np.linalg.eigvals(product).real)[::-1]
    np.testing.assert_allclose(squares, sigma**2, atol=1e-9)
    np.testing.assert_allclose(canonical_correlations(reverse(cov)), sigma, atol=1e-12)


@SETTINGS
@given(*SIZES)
def test_correlations_do_not_depend_on_the_state_or_the_outputs(n, p, dt, seed):
    cov = process(n, p, seed, dt)
    rng = np.random.default_rng(seed)
    T = np.linalg.qr(rng.standard_normal((n, n)))[0] * rng.uniform(0.5, 2.0, n)
    G = np.linalg.qr(rng.standard_normal((p, p)))[0] * rng.uniform(0.5, 2.0, p)
    inverse = np.linalg.inv(T)
    other = CovarianceModel(
        inverse @ cov.A @ T,
        G @ cov.C @ T,
        inverse @ cov.N @ G.T,
        G @ cov.Lambda0 @ G.T,
        dt=dt,
    )
    np.testing.assert_allclose(
        canonical_correlations(other), canonical_correlations(cov), atol=1e-11
    )


def test_information_of_known_processes():
    for pole in (0.0, 0.5, -0.9):  # y_t = pole y_{t-1} + e_t: the past tells y_{t-1}
        cov = to_covariance(InnovationSSM([[pole]], [[1.0]], [[pole]], [[1.0]]))
        assert canonical_correlations(cov)[0] == pytest.approx(abs(pole), abs=1e-15)
        expected = -0.5 * np.log(1 - pole**2)
        assert past_future_information(cov) == pytest.approx(expected, abs=1e-14)


def test_information_adds_over_independent_processes():
    a, b = process(2, 1, 0), process(3, 2, 1)
    both = CovarianceModel(
        *(
            scipy.linalg.block_diag(getattr(a, name), getattr(b, name))
            for name in ("A", "C", "N", "Lambda0")
        )
    )
    total = past_future_information(a) + past_future_information(b)
    assert past_future_information(both) == pytest.approx(total, rel=1e-12)


def test_small_correlations_keep_their_digits():
    """Two uncoupled moving averages: the coefficients are their zeros."""
    small = 1e-9
    model = InnovationSSM(np.zeros((2, 2)), np.diag([0.5, small]), np.eye(2), np.eye(2))
    np.testing.assert_allclose(
        canonical_correlations(to_covariance(model)), [0.5, small], rtol=1e-12
    )


def test_infinite_information():
    cov = CovarianceModel([[0.0]], [[1.0]], [[1.0]], [[2.0]])
    with pytest.warns(NumericalWarning, match="touches zero"):
        assert past_future_information(cov) == np.inf
    with pytest.warns(NumericalWarning, match="touches zero"):
        assert canonical_correlations(cov)[0] == pytest.approx(1.0, abs=1e-6)


def test_order_zero():
    cov = CovarianceModel(np.zeros((0, 0)), np.zeros((2, 0)), np.zeros((0, 2)), np.eye(2))
    assert canonical_correlations(cov).shape == (0,)
    assert past_future_information(cov) == 0.0
    balanced, T, sigma = stochastic_balance(cov)
    assert (balanced.n_states, T.shape, sigma.shape) == (0, (0, 0), (0,))
    assert stochastic_truncate(cov, 0).n_states == 0


# --- balancing and truncation


@SETTINGS
@given(*SIZES)
def test_balanced_coordinates(n, p, dt, seed):
    cov = process(n, p, seed, dt)
    sigma = canonical_correlations(cov)
    assume(sigma[-1] > 1e-4)
    balanced, T, found = stochastic_balance(cov)
    assert balanced.dt == dt
    np.testing.assert_allclose(found, sigma, atol=1e-14)
    tol = 1e-12 / sigma[-1]
    assert np.linalg.norm(minimal_covariance(balanced) - np.diag(sigma)) <= tol
    assert np.linalg.norm(minimal_covariance(reverse(balanced)) - np.diag(sigma)) <= tol
    np.testing.assert_allclose(T @ balanced.A, cov.A @ T, atol=tol * np.linalg.norm(T))
    omega = np.linspace(0.0, 3.0, 20)
    before, after = spectral_density(cov, omega), spectral_density(balanced, omega)
    assert np.linalg.norm(before - after) <= tol * np.linalg.norm(before)


@pytest.mark.parametrize("dt", [0.0, 1.0])
def test_balancing_at_the_tightest_tolerance(dt):
    for seed in range(10):
        cov = process(3, 2, seed, dt)
        _, T, sigma = stochastic_balance(cov)
        P, reversed_P = minimal_covariance(cov), minimal_covariance(reverse(cov))
        inverse = np.linalg.inv(T)
        condition = np.linalg.cond(T)
        assert np.linalg.norm(inverse @ P @ inverse.T - np.diag(sigma)) <= 6e-15 * condition**2
        assert np.linalg.norm(T.T @ reversed_P @ T - np.diag(sigma)) <= 6e-15 * condition**2


@SETTINGS
@given(*SIZES)
def test_truncated_processes_are_processes(n, p, dt, seed):
    cov = process(n, p, seed, dt)
    sigma = canonical_correlations(cov)
    for order in range(n):
        if order and sigma[order - 1] - sigma[order] < 1e-4:
            continue
        reduced = stochastic_truncate(cov, order)
        assert (reduced.n_states, reduced.dt) == (order, dt)
        np.testing.assert_array_equal(reduced.Lambda0, cov.Lambda0)
        assert is_positive_real(reduced).ok
        values = np.linalg.eigvalsh(kyp_matrix(reduced, np.diag(sigma[:order])))
        assert values[0] >= -1e-11


def test_truncation_is_balanced_in_continuous_time_only():
    for dt in (0.0, 1.0):
        cov = process(4, 2, 2, dt)
        sigma = canonical_correlations(cov)
        reduced = stochastic_truncate(cov, 2)
        error = np.linalg.norm(minimal_covariance(reduced) - np.diag(sigma[:2]))
        assert error <= 4e-15 if dt == 0.0 else error > 1e-6


def test_truncating_what_is_not_minimal_changes_nothing():
    """A state that the outputs do not see, another that nothing reaches."""
    model = random_process(np.random.default_rng(5), 2, 2)
    A = scipy.linalg.block_diag(model.A, 0.3, 0.4)
    C = np.hstack([model.C, np.zeros((2, 1)), np.ones((2, 1))])
    K = np.vstack([model.K, np.ones((1, 2)), np.zeros((1, 2))])
    cov = to_covariance(InnovationSSM(A, C, K, model.Re))
    sigma = canonical_correlations(cov)
    np.testing.assert_allclose(sigma[2:], 0, atol=1e-14)
    assert past_future_information(cov) == pytest.approx(
        past_future_information(to_covariance(model)), rel=1e-12
    )
    reduced = stochastic_truncate(cov, 2)
    np.testing.assert_allclose(autocovariance(reduced, 9), autocovariance(cov, 9), atol=1e-13)
    for task in (lambda: stochastic_balance(cov), lambda: stochastic_truncate(cov, 3)):
        with pytest.raises(NotMinimalError, match="At most 2 states can be kept") as caught:
            task()
        assert caught.value.singular_value < 1e-14


def test_truncation_is_checked():
    cov = process(3, 2, 0)
    with pytest.raises(ValueError, match="`order` must be at most the number of states 3"):
        stochastic_truncate(cov, 4)
    with pytest.raises(ValueError, match="`order` must be at least 0"):
        stochastic_truncate(cov, -1)
    with pytest.raises(TypeError, match="`order` must be an integer"):
        stochastic_truncate(cov, 1.0)
    twins = CovarianceModel(
        *(scipy.linalg.block_diag(getattr(cov, x), getattr(cov, x)) for x in "ACN"),
        scipy.linalg.block_diag(cov.Lambda0, cov.Lambda0),
    )
    with pytest.raises(ValueError, match="must not separate equal canonical correlations"):
        stochastic_truncate(twins, 1)
    assert stochastic_truncate(twins, 2).n_states == 2
    bad = CovarianceModel([[0.0]], [[1.0]], [[1.2]], [[2.0]])
    for task in (past_future_information, stochastic_balance, lambda c: stochastic_truncate(c, 0)):
        with pytest.raises(NotPositiveRealError, match="not those of any process"):
            task(bad)
    with pytest.raises(TypeError, match="must be a CovarianceModel"):
        canonical_correlations(InnovationSSM([[0.5]], [[1.0]], [[0.2]], [[1.0]]))


# --- time reversal in covariance data


@SETTINGS
@given(*SIZES)
def test_reversal_transposes_the_covariances(n, p, dt, seed):
    cov = process(n, p, seed, dt or 1.0)
    lags, backward = autocovariance(cov, 8), autocovariance(reverse(cov), 8)
    scale = np.linalg.norm(lags)
    assert np.linalg.norm(backward - np.swapaxes(lags, 1, 2)) <= 1e-14 * scale
    if p == 1:  # a scalar process cannot tell its direction of time
        assert np.linalg.norm(backward - lags) <= 1e-14 * scale


def test_a_vector_process_knows_its_direction():
    cov = process(2, 2, 3)
    lags = autocovariance(cov, 4)
    assert np.abs(lags - np.swapaxes(lags, 1, 2)).max() > 1e-2


# --- realization from covariances


@SETTINGS
@given(
    st.integers(0, 6),
    st.integers(1, 4),
    st.sampled_from(["cva", "none", "one_sided"]),
    st.integers(0, 10**6),
)
def test_exact_covariances_are_recovered(n, p, weighting, seed):
    cov = process(n, p, seed)
    lags = autocovariance(cov, 19)
    smallest = 1.0
    if n:
        rows = np.vstack([cov.C @ np.linalg.matrix_power(cov.A, k) for k in range(9)])
        columns = np.hstack([np.linalg.matrix_power(cov.A, k) @ cov.N for k in range(9)])
        smallest = np.linalg.svd(rows @ columns, compute_uv=False)[n - 1] / np.linalg.norm(lags)
    assume(smallest > 1e-5)
    found = covariance_realization(lags, n, weighting=weighting, dt=0.1)
    assert (found.n_states, found.dt) == (n, 0.1)
    error = np.linalg.norm(autocovariance(found, 30) - autocovariance(cov, 30))
    assert error <= 1e-12 / smallest * np.linalg.norm(lags)


def test_exact_covariances_at_the_tightest_tolerance():
    cov = short_memory(3, 2, 1)
    lags = autocovariance(cov, 59)
    found = covariance_realization(lags, 3)
    error = np.abs(autocovariance(found, 59) - lags).max()
    assert error <= 4e-13
    # the state is balanced: both extreme covariances are the canonical correlations
    sigma = canonical_correlations(cov)
    for data in (found, reverse(found)):
        np.testing.assert_allclose(minimal_covariance(data), np.diag(sigma), atol=3e-14)


def test_few_lags_are_enough():
    cov = process(2, 1, 0)
    found = covariance_realization(autocovariance(cov, 5), 2, weighting="none")
    np.testing.assert_allclose(autocovariance(found, 9), autocovariance(cov, 9), atol=1e-10)
    wide = process(2, 3, 0)  # more outputs than states: three lags
    found = covariance_realization(autocovariance(wide, 2), 2)
    np.testing.assert_allclose(autocovariance(found, 9), autocovariance(wide, 9), atol=1e-10)


def test_singular_dynamics():
    """A moving average: A is nilpotent."""
    lags = np.zeros((12, 1, 1))
    lags[:3, 0, 0] = np.convolve([1.0, 0.5, 0.2], [0.2, 0.5, 1.0])[2:]
    found = covariance_realization(lags, 2)
    np.testing.assert_allclose(autocovariance(found, 11), lags, atol=1e-13)
    assert np.abs(np.linalg.eigvals(found.A)).max() < 1e-6


def test_lower_order_than_the_data():
    cov = process(4, 2, 2)
    found = covariance_realization(autocovariance(cov, 39), 3)
    error = np.abs(autocovariance(found, 10)[1:] - autocovariance(cov, 10)[1:]).max()
    assert 1e-8 < error < np.abs(autocovariance(cov, 1)).max()


def test_realization_is_checked():
    lags = autocovariance(process(2, 2, 0), 9)
    with pytest.raises(ValueError, match=r"must be real with shape \(L, p, p\)"):
        covariance_realization(lags[:, 0], 2)
    with pytest.raises(ValueError, match="`order` must be at most 8 for 10 covariances"):
        covariance_realization(lags, 9)
    with pytest.raises(ValueError, match="at most 2, the rank of the Hankel matrix"):
        covariance_realization(lags, 3)
    with pytest.raises(ValueError, match="`weighting` must be one of"):
        covariance_realization(lags, 2, weighting="moesp")
    with pytest.raises(ValueError, match="`covariances` must be finite"):
        covariance_realization(np.full((4, 1, 1), np.nan), 1)
    indefinite = np.array([1.0, 0.9, 0.0, -0.9, 0.5, 0.1])[:, None, None]
    for weighting in ("cva", "one_sided"):
        with pytest.raises(ValueError, match="positive definite block Toeplitz matrix"):
            covariance_realization(indefinite, 1, weighting=weighting)
    growing = 1.2 ** np.arange(6)[:, None, None] - 0.5
    with pytest.raises(UnstableModelError, match="realized `A` is not stable") as caught:
        covariance_realization(growing, 1, weighting="none")
    assert caught.value.stability_margin < 0


def test_information_that_rounding_hides_is_refused():
    cov = CovarianceModel(np.diag([1 - 1e-12, 0.3]), [[1.0, 1.0]], [[0.03], [0.01]], [[1.0]])
    with pytest.raises(AccuracyError, match=r"coefficient is 1 to rounding.* margin is 1.0e-12"):
        past_future_information(cov)
