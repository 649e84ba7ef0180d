"""Samplers: the exact ones are exact, the others converge at their rate; laws, not luck.

The law that a sampler produces on a linear process is found without sampling: every step is affine
in the state and the noise, so its matrices are read off by feeding it unit vectors.
"""

import numpy as np
import pytest
import scipy
from gaussian_paths import forward_covariance, random_gaussian

import diffusion.samplers as samplers
from diffusion import (
    CriticallyDampedLangevin,
    GaussianMixture,
    LinearSDE,
    ReverseSDE,
    VarianceExploding,
    VariancePreserving,
    reverse_time_sde,
    sample_forward,
    sample_reverse,
    score_from_denoiser,
    smoother_score,
)
from realization import AccuracyError, simulate, smooth

DRAWS = 20_000
PROCESSES = {
    "VP": VariancePreserving(2, beta_max=6.0, m0=[1.0, -1.0], P0=[[2.0, 0.5], [0.5, 0.4]]),
    "dense": LinearSDE([[-1.0, 2.0], [-2.0, -0.5]], [[1.0, 0.0], [0.5, 1.0]], f=[1.0, 0.0],
                       m0=[1.0, 0.0], P0=[[1.0, 0.2], [0.2, 0.5]]),
    "CLD": CriticallyDampedLangevin(1, beta=2.0, P0=[[0.5, 0.1], [0.1, 0.3]]),
}  # fmt: skip


class Units:
    """Stands in for the source of noise: each particle gets one unit of one noise, or none."""

    dtype = np.dtype(float)

    def __init__(self, n):
        self.n, self.calls = n, 0

    def __call__(self, *shape):
        z = np.zeros(shape)
        first = 1 + self.n + self.calls * shape[-1]
        rows = z.reshape(-1, shape[-1])
        for j in range(shape[-1]):
            rows[first + j, j] = 1.0
        self.calls += 1
        return z


def produced_law(sde, times, method, **options):
    """Return mean and covariance at times[-1] of a sampler started from the law at times[0]."""
    times = [float(t) for t in times]
    score, eta = options.get("score"), options.get("eta", 1.0)
    task = samplers._checked_task(sde, times, score, method, eta)
    mean, P = sde.marginal(times[0])
    n = sde.n_states
    for i in range(len(times) - 1):
        step = task._replace(times=times[i : i + 2])
        path = np.zeros((2, 1 + n + 6 * n, n))
        path[0, 1 : 1 + n] = np.eye(n)
        samplers.SAMPLERS[method](path, range(1), step, Units(n))
        shift = path[1, 0]
        move, noise = (path[1, 1 : 1 + n] - shift).T, (path[1, 1 + n :] - shift).T
        mean, P = move @ mean + shift, move @ P @ move.T + noise @ noise.T
    return mean, P


def law_error(sde, times, method, **options):
    """Return the error of the produced covariance, relative to the true one."""
    expected = sde.marginal(times[-1])[1]
    return np.linalg.norm(
        produced_law(sde, times, method, **options)[1] - expected
    ) / np.linalg.norm(expected)


class TestLaws:
    @pytest.mark.parametrize("name", PROCESSES)
    @pytest.mark.parametrize("steps", [1, 5])
    def test_exact_is_exact_at_any_number_of_steps(self, name, steps):
        sde = PROCESSES[name]
        mean, P = produced_law(sde, np.linspace(1.0, 0.0, steps + 1), "exact")
        np.testing.assert_allclose(mean, sde.marginal(0.0)[0], atol=1e-13)
        np.testing.assert_allclose(P, sde.marginal(0.0)[1], atol=1e-13)

    @pytest.mark.parametrize("name", PROCESSES)
    @pytest.mark.parametrize(
        ("method", "eta", "order"),
        [
            ("euler_maruyama", 1.0, 1),
            ("euler_maruyama", 0.0, 1),
            ("euler_maruyama", 0.5, 1),
            ("heun", 1.0, 2),
            ("heun", 0.0, 2),
            ("predictor_corrector", 1.0, 1),
        ],
    )
    def test_order_of_convergence(self, name, method, eta, order):
        sde, counts = PROCESSES[name], np.array([100, 200, 400])
        errors = [
            law_error(sde, np.linspace(1.0, 0.02, count + 1), method, eta=eta) for count in counts
        ]
        slope = -np.polyfit(np.log(counts), np.log(errors), 1)[0]
        assert abs(slope - order) < 0.2 * order
        assert errors[-1] < 0.05

    @pytest.mark.parametrize("name", PROCESSES)
    def test_exponential_is_exact_for_the_law_of_the_process(self, name):
        assert law_error(PROCESSES[name], [1.0, 0.4, 0.0], "exponential") < 1e-13

    def test_exponential_flow_is_first_order(self):
        sde, counts = PROCESSES["VP"], np.array([100, 200, 400])
        errors = [
            law_error(sde, np.linspace(1.0, 0.02, count + 1), "exponential", eta=0.0)
            for count in counts
        ]
        assert abs(-np.polyfit(np.log(counts), np.log(errors), 1)[0] - 1) < 0.1

    def test_exponential_flow_is_exact_for_one_point(self):
        """The prediction of the data is then the point, whatever the step: the step of DDIM."""
        sde = VarianceExploding(1, m0=[3.0], P0=[[0.0]])
        path = sample_reverse(sde, [[40.0]], [1.0, 0.5, 0.0], method="exponential", eta=0.0)
        sigma = [np.sqrt(sde.transition(0.0, t)[2][0, 0]) for t in (1.0, 0.5)]
        np.testing.assert_allclose(path[1], 3.0 + sigma[1] / sigma[0] * 37.0)
        np.testing.assert_allclose(path[2], 3.0)

    def test_exponential_with_a_known_start_is_the_step_of_ddpm(self):
        sde, t, s = VariancePreserving(1, P0=[[0.0]]), 0.5, 0.4
        score = lambda x, t: -0.7 * x  # noqa: E731
        task = samplers._checked_task(sde, [t, s], score, "exponential", 1.0)
        path = np.zeros((2, 4, 1))
        path[0, 1] = 1.0
        samplers.exponential(path, range(1), task, Units(1))
        alpha = sde.transition(s, t)[0][0, 0] ** 2
        bar_s, bar_t = (sde.transition(0.0, time)[0][0, 0] ** 2 for time in (s, t))
        np.testing.assert_allclose(path[1, 1], (1 - (1 - alpha) * 0.7) / np.sqrt(alpha))
        np.testing.assert_allclose(path[1, 2] ** 2, (1 - bar_s) / (1 - bar_t) * (1 - alpha))


def assert_gaussian(sample, mean, P):
    """Compare moments within five asymptotic standard deviations."""
    sample = sample.reshape(DRAWS, -1).astype(float)
    deviation = np.sqrt(np.diag(P))
    assert (np.abs(sample.mean(0) - mean) < 5 * deviation / np.sqrt(DRAWS) + 1e-6).all()
    spread = np.sqrt((np.outer(deviation, deviation) ** 2 + P**2) / DRAWS)
    found = (sample - mean).T @ (sample - mean) / DRAWS
    assert (np.abs(found - P) < 5 * spread + 1e-6).all()


class TestSampleReverse:
    @pytest.mark.parametrize("dtype", [None, np.float32])
    @pytest.mark.parametrize("name", PROCESSES)
    def test_joint_law_of_the_path(self, name, dtype):
        sde, times = PROCESSES[name], [1.0, 0.6, 0.5, 0.1, 0.03, 0.0]
        mean, P = sde.marginal(1.0)
        x_T = np.random.default_rng(0).multivariate_normal(mean, P, (4, DRAWS // 4))
        path = sample_reverse(sde, x_T, times, dtype=dtype, rng=1)
        assert path.shape == (6, 4, DRAWS // 4, 2)
        assert path.dtype == (dtype or float)
        np.testing.assert_allclose(path[0], x_T, rtol=1e-6)
        laws = [sde.marginal(t) for t in times]
        joint = np.block(
            [[laws[i][1] @ sde.transition(times[i], times[j])[0].T if i > j
              else sde.transition(times[j], times[i])[0] @ laws[j][1] for j in range(6)]
             for i in range(6)]
        )  # fmt: skip
        joint = np.triu(joint) + np.triu(joint, 1).T
        assert_gaussian(np.moveaxis(path, 0, -2), np.concatenate([m for m, _ in laws]), joint)

    def test_singular_start(self):
        sde = VariancePreserving(2, m0=[1.0, 2.0], P0=[[1.0, 1.0], [1.0, 1.0]])
        x_T = np.random.default_rng(0).standard_normal((DRAWS, 2))
        path = sample_reverse(sde, x_T, [1.0, 0.3, 0.0], rng=0)
        np.testing.assert_allclose(path[-1, :, 1] - path[-1, :, 0], 1.0, atol=1e-12)
        known = VariancePreserving(2, m0=[1.0, 2.0], P0=np.zeros((2, 2)))
        path = sample_reverse(known, x_T, [1.0, 0.3, 0.0], rng=0)
        np.testing.assert_allclose(path[-1], np.tile([1.0, 2.0], (DRAWS, 1)), atol=1e-12)

    def test_stiff_process(self):
        sde = LinearSDE(np.diag([-400.0, -1.0]), np.eye(2), P0=np.eye(2))
        for times in ([2.0, 0.0], [2.0, 1.0, 1e-12, 0.0]):
            x = np.random.default_rng(0).standard_normal((DRAWS, 2)) * np.sqrt([1 / 800, 0.5])
            path = sample_reverse(sde, x, times, rng=0)
            assert_gaussian(path[-1], np.zeros(2), np.eye(2))

    @pytest.mark.parametrize("dtype", [None, np.float32])
    def test_mixture_is_recovered_in_five_steps(self, dtype):
        data = GaussianMixture([0.2, 0.5, 0.3], [[-3.0], [0.0], [2.0]], [[[0.1]], [[0.3]], [[0.0]]])
        sde = VariancePreserving(1)
        x_T = data.diffuse(sde, 1.0).sample(DRAWS, rng=0)
        path = sample_reverse(sde, x_T, np.linspace(1, 0, 6), score=data, dtype=dtype, rng=1)
        end = path[-1, :, 0].astype(float)
        assert abs((np.abs(end - 2.0) < 1e-6).mean() - 0.3) < 5 * np.sqrt(0.21 / DRAWS)
        rest = end[np.abs(end - 2.0) >= 1e-6]

        def cdf(law, x, components):
            parts = [
                (law.weights[k], law.means[k, 0], law.covariances[k, 0, 0]) for k in components
            ]
            total = sum(w * scipy.special.ndtr((x - m) / np.sqrt(P)) for w, m, P in parts)
            return total / law.weights[components].sum()

        assert scipy.stats.kstest(rest, lambda x: cdf(data, x, [0, 1])).statistic < 2.2 / np.sqrt(
            rest.size
        )
        middle = data.diffuse(sde, 0.4)
        sample = path[3, :, 0].astype(float)
        assert scipy.stats.kstest(
            sample, lambda x: cdf(middle, x, [0, 1, 2])
        ).statistic < 2.2 / np.sqrt(DRAWS)

    @pytest.mark.parametrize(
        "method", ["euler_maruyama", "heun", "exponential", "predictor_corrector"]
    )
    def test_every_method_with_the_score_of_a_mixture(self, method):
        data = GaussianMixture([0.4, 0.6], [[-1.0], [1.0]], [[[0.05]], [[0.05]]])
        x_T = np.random.default_rng(0).standard_normal((4000, 1))
        times = np.linspace(1.0, 0.03, 100) ** 2
        path = sample_reverse(VariancePreserving(), x_T, times, score=data, method=method, rng=1)
        end = path[-1, :, 0]
        assert abs((end > 0).mean() - 0.6) < 5 * np.sqrt(0.24 / 4000) + 0.02
        assert abs(np.abs(end).mean() - 1.0) < 0.05
        assert abs(np.abs(end).std() - np.sqrt(0.05)) < 0.05

    @pytest.mark.parametrize("eta", [0.0, 1.0])
    def test_a_denoiser_as_score(self, eta):
        sde = VarianceExploding(1, sigma_min=0.05, sigma_max=10.0, P0=[[4.0]])

        def denoiser(x, t):
            J, offset, _ = sde.reverse_kernel(0.0, t)
            return x @ J.T + offset

        score = score_from_denoiser(denoiser, sde, predicts="data")
        x_T = np.random.default_rng(0).standard_normal((DRAWS, 1)) * np.sqrt(104.0)
        path = sample_reverse(
            sde, x_T, np.linspace(1, 0, 80), score=score, method="exponential", eta=eta, rng=0
        )
        assert abs(path[-1].var() - 4.0) < 4.0 * (5 * np.sqrt(2 / DRAWS) + 0.05)

    def test_posterior_of_a_linear_model(self):
        """The smoother's score, run backwards from noise, draws paths that explain the outputs."""
        model, T, n = random_gaussian(3, 2, 2, "stationary"), 3, 2
        y = simulate(model, steps=T, noise=True, rng=0).y
        sde = VariancePreserving(2, beta_max=8.0)
        score = smoother_score(model, y, sde=sde)
        count = 300
        x_T = np.random.default_rng(0).standard_normal((count, T + 1, n))
        times = np.linspace(1.0, 0.05, 25) ** 2
        path = sample_reverse(sde, x_T, times, score=score, method="exponential", rng=0)
        smoothed = smooth(model, y)
        joint, k = forward_covariance(model, T), (T + 1) * n
        P = joint[:k, :k] - joint[:k, k:] @ np.linalg.solve(joint[k:, k:], joint[k:, :k])
        deviation = np.sqrt(np.diag(P))
        found = path[-1].reshape(count, k)
        assert (
            np.abs(found.mean(0) - smoothed.x.ravel())
            < 5 * deviation / np.sqrt(count) + 0.15 * deviation
        ).all()
        assert (np.abs(found.std(0) / deviation - 1) < 5 / np.sqrt(2 * count) + 0.1).all()

    def test_nonlinear_equation(self):
        """Geometric Brownian motion back to its start, by Euler and Maruyama."""
        backward = reverse_time_sde(
            lambda x, t: 0 * x,
            lambda x, t: x[..., None],
            lambda x, t: -(1.0 + (np.log(x) + t / 2) / t) / x,
        )
        x_T = np.exp(0.5 * np.random.default_rng(0).standard_normal((2000, 1)) - 0.125)
        times = np.geomspace(0.25, 0.01, 200)
        end = sample_reverse(backward, x_T, times, method="euler_maruyama", rng=1)[-1]
        assert abs(np.log(end).mean() + 0.005) < 5 * 0.1 / np.sqrt(2000) + 0.005
        assert abs(np.log(end).var() - 0.01) < 0.01 * (5 * np.sqrt(2 / 2000) + 0.1)
        with pytest.raises(ValueError, match="noise that does not depend on the state"):
            sample_reverse(backward, x_T, times, method="heun", rng=1)
        still = ReverseSDE(lambda x, t: -x, lambda x, t: np.zeros((*x.shape, 1)))
        end = sample_reverse(still, [1.0], np.linspace(1, 0, 101), method="heun", rng=0)[-1]
        np.testing.assert_allclose(end, np.e, rtol=1e-4)

    def test_one_point_one_time_and_seeds(self):
        sde = PROCESSES["VP"]
        assert sample_reverse(sde, [1.0, 2.0], [0.5]).tolist() == [[1.0, 2.0]]
        a, b = (sample_reverse(sde, [1.0, 2.0], [0.5, 0.2], rng=3) for _ in range(2))
        assert a.shape == (2, 2)
        assert np.array_equal(a, b)
        assert not np.array_equal(a, sample_reverse(sde, [1.0, 2.0], [0.5, 0.2], rng=4))
        assert sample_reverse(sde, np.zeros((0, 2)), [0.5, 0.2]).shape == (2, 0, 2)

    def test_single_precision_throughout(self):
        x = np.ones((5, 2), np.float32)
        for method in samplers.SAMPLERS:
            path = sample_reverse(
                PROCESSES["VP"], x, [0.5, 0.4], method=method, dtype="float32", rng=0
            )
            assert path.dtype == np.float32

    def test_progress_bar(self, capsys):
        sample_reverse(PROCESSES["VP"], [1.0, 2.0], [0.5, 0.2, 0.1], progress=True)
        assert "2/2" in capsys.readouterr().err
        sample_reverse(PROCESSES["VP"], [1.0, 2.0], [0.5, 0.2, 0.1])
        assert capsys.readouterr().err == ""

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (
                {"times": [0.5, 0.6]},
                "`times` must be a list of times that are not negative and decrease",
            ),
            ({"times": [0.5, -0.1]}, "`times` must be a list"),
            ({"times": []}, "`times` must be a list"),
            ({"method": "euler"}, "`method` must be one of"),
            ({"eta": 0.0}, 'method="exact" draws from the conditional laws'),
            ({"score": lambda x, t: -x}, 'method="exact" draws from the conditional laws'),
            ({"method": "heun", "eta": -1.0}, "`eta` must not be negative"),
            ({"method": "exponential", "eta": 0.5}, "`eta` must be 0 or 1"),
            (
                {"sde": PROCESSES["dense"], "method": "exponential", "eta": 0.0},
                "multiples of the identity",
            ),
            ({"dtype": np.float16}, "`dtype` must be float64 or float32"),
            ({"x_T": [1.0]}, r"`x_T` must have shape \(..., 2\)"),
            ({"x_T": [1.0, np.nan]}, "`x_T` must be finite"),
            (
                {"sde": VariancePreserving(2, beta_max=1e5), "method": "exponential"},
                "`times` must take shorter",
            ),
        ],
    )
    def test_refusals(self, options, message):
        arguments = {"sde": PROCESSES["VP"], "x_T": [1.0, 2.0], "times": [0.5, 0.2], **options}
        with pytest.raises(ValueError, match=message):
            sample_reverse(**arguments)

    def test_refusals_of_kinds(self):
        sde = PROCESSES["VP"]
        with pytest.raises(TypeError, match="`sde` must be a LinearSDE"):
            sample_reverse("VP", [1.0], [0.5, 0.2])
        with pytest.raises(TypeError, match="`score` must be a callable or a GaussianMixture"):
            sample_reverse(sde, [1.0, 2.0], [0.5, 0.2], score=3.0, method="heun")
        with pytest.raises(ValueError, match="`score` and `eta` are part of a ReverseSDE"):
            sample_reverse(sde.reverse_sde(), [1.0, 2.0], [0.5, 0.2], eta=0.5, method="heun")
        with pytest.raises(ValueError, match='`method` must be "euler_maruyama" or "heun"'):
            sample_reverse(sde.reverse_sde(), [1.0, 2.0], [0.5, 0.2])
        known = VariancePreserving(1, P0=[[0.0]])
        with pytest.raises(AccuracyError, match="t = 0 is singular"):
            sample_reverse(known, [1.0], [0.5, 0.0], method="heun")
        wild = ReverseSDE(lambda x, t: 1e200 * x, lambda x, t: np.eye(1))
        with pytest.raises(OverflowError, match="The path overflows at t = "):
            sample_reverse(wild, [1.0], [1.0, 0.5, 0.2], method="euler_maruyama")


class TestSampleForward:
    @pytest.mark.parametrize("name", PROCESSES)
    def test_law(self, name):
        sde, times = PROCESSES[name], [0.1, 0.4, 1.0]
        path = sample_forward(sde, np.tile([1.0, -2.0], (DRAWS, 1)), times, rng=0)
        assert path.shape == (3, DRAWS, 2)
        for k, t in enumerate(times[1:], 1):
            Phi, offset, Q = sde.transition(0.1, t)
            assert_gaussian(path[k], Phi @ [1.0, -2.0] + offset, Q)
        Phi, Q = sde.transition(0.4, 1.0)[0], sde.transition(0.1, 0.4)[2]
        first, last = (path[k] - path[k].mean(0) for k in (1, 2))
        assert np.abs(last.T @ first / DRAWS - Phi @ Q).max() < 5 * 2 / np.sqrt(DRAWS)

    def test_there_and_back(self):
        """Forward from data, then back along the exact kernels: the law of the data again."""
        sde = PROCESSES["dense"]
        mean, P = sde.marginal(0.0)
        data = np.random.default_rng(0).multivariate_normal(mean, P, DRAWS)
        late = sample_forward(sde, data, [0.0, 1.0], rng=1)[-1]
        back = sample_reverse(sde, late, [1.0, 0.5, 0.0], rng=2)[-1]
        assert_gaussian(back, mean, P)

    def test_without_noise_it_is_a_flow(self):
        sde = LinearSDE([[-1.0]], [[0.0]], P0=[[1.0]])
        path = sample_forward(sde, [[2.0]], [0.0, 1.0, 2.0])
        np.testing.assert_allclose(path[:, 0, 0], 2.0 * np.exp([0.0, -1.0, -2.0]))

    def test_refusals(self):
        with pytest.raises(ValueError, match="not negative and increase"):
            sample_forward(PROCESSES["VP"], [1.0, 2.0], [0.5, 0.2])
        with pytest.raises(TypeError, match="`sde` must be a LinearSDE"):
            sample_forward(PROCESSES["VP"].reverse_sde(), [1.0, 2.0], [0.2, 0.5])
        with pytest.raises(ValueError, match=r"`x0` must have shape \(..., 2\)"):
            sample_forward(PROCESSES["VP"], [1.0], [0.2, 0.5])
