"""Films: the law of the model, in any length and direction of time, to the last grey level."""

import numpy as np
import pytest
import scipy
from systems import random_dynamics, random_innovation
from textures import known_clip, known_texture

from diffusion import backward_model
from identification.dynamic_texture import (
    DynamicTexture,
    change_speed,
    intensify,
    learn,
    read_video,
    synthesize,
)
from identification.dynamic_texture.coordinate_paths import closed_path, last_state, run
from realization import (
    GaussianSSM,
    NumericalWarning,
    autocovariance,
    innovation_form,
    kalman_filter,
    poles,
    simulate,
    to_covariance,
    to_gaussian,
)


class Impulses(np.random.Generator):
    """A generator whose k-th number (of all it draws) is one, and the others zero."""

    def __init__(self, position):
        super().__init__(np.random.PCG64(0))
        self.position = position

    def standard_normal(self, size=None, **_):
        count = int(np.prod(size))
        drawn = np.zeros(count)
        if 0 <= self.position < count:
            drawn[self.position] = 1.0
        self.position -= count
        return drawn.reshape(size)


def response(draw, count):
    """Return the matrix that takes standard normal numbers to a path (count of them)."""
    return np.stack([draw(Impulses(k)).ravel() for k in range(count)], axis=1)


def joint_covariance(model, steps):
    """Return the covariance of (z_0 .. z_{steps-1}, x_0, x_steps) of the stationary process."""
    n, q = model.n_states, model.n_outputs
    P = scipy.linalg.solve_discrete_lyapunov(model.A, model.Q)
    noise = np.block([[model.Q, model.S], [model.S.T, model.R]])
    # z_t and x_steps as linear maps of x_0 and all noises
    size = n + steps * (n + q)
    x = np.hstack([np.eye(n), np.zeros((n, size - n))])
    rows = []
    for t in range(steps):
        z = model.C @ x
        first = n + t * (n + q)
        z[:, first + n : first + n + q] += np.eye(q)
        rows.append(z)
        x = model.A @ x
        x[:, first : first + n] += np.eye(n)
    maps = np.vstack([*rows, np.eye(n, size), x])
    law = scipy.linalg.block_diag(P, *[noise] * steps)
    return maps @ law @ maps.T


def random_model(rng, n, q):
    """Return a stationary model with correlated noises."""
    W = rng.standard_normal((n + q, n + q))
    law = W @ W.T
    A = random_dynamics(rng, n)
    C = rng.standard_normal((q, n))
    return GaussianSSM(A, C, law[:n, :n], law[n:, n:], law[:n, n:])


@pytest.fixture(scope="module")
def texture():
    return known_texture()


class TestFilm:
    def test_is_mean_and_basis_and_path_rounded_and_clipped(self, texture):
        loud = intensify(texture, 12.0)
        film = synthesize(loud, 70, rng=5)
        rng = np.random.default_rng(5)
        P = scipy.linalg.solve_discrete_lyapunov(loud.model.A, loud.model.Q)
        n = rng.standard_normal(4)
        from realization.internal import covariance_factor, lyapunov_factor

        x = lyapunov_factor(loud.model.A, covariance_factor(loud.model.Q), dt=1.0) @ n
        z = np.vstack(list(run(loud.model, x, 70, 32, rng)))
        y = loud.mean.astype(float) + z @ loud.basis.T.astype(float)
        assert np.linalg.norm(P) > 0
        assert (y < 0).any()
        assert (y > 255).any()
        wanted = np.floor(np.clip(y, 0, 255) + 0.5).reshape(film.shape)
        different = film != wanted
        assert different.mean() < 1e-4  # single precision, at a half
        assert np.abs(film - wanted)[different].max(initial=0) <= 1

    @pytest.mark.parametrize("colour", [False, True])
    def test_shape_and_seed(self, colour):
        texture = known_texture(colour=colour)
        film = synthesize(texture, 40, rng=1)
        assert film.shape == (40, *texture.shape)
        assert film.dtype == np.uint8
        assert np.array_equal(film, synthesize(texture, 40, rng=np.random.default_rng(1)))
        assert not np.array_equal(film, synthesize(texture, 40, rng=2))
        assert np.array_equal(film[:33], synthesize(texture, 33, rng=1))

    def test_to_a_file(self, texture, tmp_path, capsys):
        film = synthesize(texture, 50, rng=3)
        assert synthesize(texture, 50, rng=3, out=tmp_path / "film.npz", progress=True) is None
        written = read_video(tmp_path / "film.npz")
        assert written.fps == 25
        assert np.array_equal(np.concatenate(list(written.blocks(16)))[..., 0], film)
        assert "film" in capsys.readouterr().err

    def test_neither_fades_nor_grows(self, texture):
        film = synthesize(texture, 9000, rng=0).reshape(9000, -1)
        z = (film - texture.mean) @ texture.basis
        powers = [np.sum(part**2) / len(part) for part in np.array_split(z, 3)]
        wanted = np.trace(to_covariance(texture.model).Lambda0)
        # the variance of a mean square over T frames of modes with poles lambda:
        # 2 P^2 (1 + |lambda|^2) / (1 - |lambda|^2) / T at most
        P, moduli = np.diag(to_covariance(texture.model).Lambda0), np.abs([0.95, 0.95, 0.9, 0.9])
        spread = np.sqrt(np.sum(2 * P**2 * (1 + moduli**2) / (1 - moduli**2)) / 3000)
        assert powers == pytest.approx([wanted] * 3, abs=4 * spread)

    def test_innovation_model(self):
        rng = np.random.default_rng(0)
        basis = np.linalg.qr(rng.standard_normal((48, 3)))[0]
        model = random_innovation(rng, 5, 0, 3, noise=4.0)
        texture = DynamicTexture(np.full(48, 120.0), basis, model, (6, 8), 25.0)
        film = synthesize(texture, 20_000, rng=0)
        z = (film.reshape(20_000, -1) - texture.mean) @ texture.basis
        law = to_covariance(model).Lambda0 + np.eye(3) / 12  # rounding to whole grey levels
        assert np.linalg.norm(z.T @ z / 20_000 - law) < 0.1 * np.linalg.norm(law)


class TestStart:
    def test_forecast_is_the_expectation_and_carries_the_rest(self, texture):
        clip = known_clip(texture, 60) + np.random.default_rng(0).integers(0, 9, (60, 24, 32))
        carrying = DynamicTexture(
            texture.mean, texture.basis, texture.model, texture.shape, 25.0, carry=0.7
        )
        film = synthesize(carrying, 40, start=clip, noise=False)
        shown = clip[-1].ravel() - texture.mean.astype(float)
        z = shown @ texture.basis
        rest = shown - texture.basis @ z
        for k in (1, 2, 33, 40):
            ahead = np.linalg.matrix_power(texture.model.A, k) @ z
            wanted = texture.mean + texture.basis @ ahead + 0.7**k * rest
            assert np.abs(film[k - 1].ravel() - np.clip(wanted, 0, 255)).max() < 0.51

    def test_noise_is_that_of_the_model(self, texture):
        start = known_clip(texture, 1)[0]
        films = np.stack([synthesize(texture, 3, start=start, rng=k) for k in range(300)])
        again = synthesize(texture, 3, start=start, rng=7)
        assert np.array_equal(again, films[7])
        z = (films.reshape(300, 3, -1) - texture.mean) @ texture.basis
        x = (start.ravel() - texture.mean) @ texture.basis
        A, Q = texture.model.A, texture.model.Q
        assert np.abs(z[:, 0].mean(axis=0) - A @ x).max() < 4 * np.sqrt(np.diag(Q).max() / 300)
        V = A @ A @ Q @ A.T @ A.T + A @ Q @ A.T + Q
        assert np.linalg.norm(np.cov(z[:, 2].T) - V) < 0.3 * np.linalg.norm(V)

    def test_backwards_from_a_frame(self, texture):
        start = known_clip(texture, 5)
        film = synthesize(texture, 2, start=start, speed=-1, noise=False)
        P = scipy.linalg.solve_discrete_lyapunov(texture.model.A, texture.model.Q)
        J = P @ texture.model.A.T @ np.linalg.inv(P)
        z = (start[-1].ravel() - texture.mean) @ texture.basis
        wanted = texture.mean + texture.basis @ (J @ z)
        assert np.abs(film[0].ravel() - wanted).max() < 0.51

    def test_backwards_with_a_state_of_its_own(self):
        rng = np.random.default_rng(1)
        basis = np.linalg.qr(rng.standard_normal((48, 2)))[0]
        model = random_innovation(rng, 3, 0, 2, noise=6.0)
        texture = DynamicTexture(np.full(48, 120.0), basis, model, (6, 8), 25.0)
        frames = synthesize(texture, 10, rng=0)
        film = synthesize(texture, 1, start=frames, speed=-1, noise=False)
        z = (frames.reshape(10, -1) - texture.mean) @ texture.basis
        x = kalman_filter(to_gaussian(model), z).x_filt[-1]
        wanted = texture.mean + texture.basis @ (backward_model(model).H @ x)
        assert np.abs(film[0].ravel() - wanted).max() < 0.51

    def test_state_given_frames(self):
        rng = np.random.default_rng(0)
        model = random_model(rng, 4, 2)
        z = simulate(model, steps=30, noise=True, rng=0).y
        mean, factor = last_state(model, z)
        filtered = kalman_filter(model, z)
        assert mean == pytest.approx(filtered.x_filt[-1])
        assert factor @ factor.T == pytest.approx(filtered.P_filt[-1], abs=1e-9)
        # one frame: the joint law of state and coordinates
        mean, factor = last_state(model, z[-1:])
        first = kalman_filter(model, z[-1:])
        assert mean == pytest.approx(first.x_filt[0])
        assert factor @ factor.T == pytest.approx(first.P_filt[0], abs=1e-9)

    def test_wrong_starts(self, texture):
        with pytest.raises(ValueError, match=r"`start` must be a frame \(24, 32\) or frames"):
            synthesize(texture, 5, start=np.zeros((24, 31)))
        with pytest.raises(ValueError, match="`loop` and `start` exclude each other"):
            synthesize(texture, 5, start=np.zeros((24, 32)), loop=True)
        with pytest.raises(ValueError, match="`noise` = False needs `start`"):
            synthesize(texture, 5, noise=False)
        with pytest.raises(ValueError, match="`frames` must be at least 1"):
            synthesize(texture, 0)
        with pytest.raises(TypeError, match="`texture` must be a DynamicTexture"):
            synthesize("fire.npz", 5)


class TestLoop:
    @pytest.mark.parametrize(("n", "q", "steps"), [(2, 2, 5), (3, 1, 4), (2, 3, 1)])
    def test_is_the_process_given_that_it_closes(self, n, q, steps):
        model = random_model(np.random.default_rng(n), n, q)
        count = n + steps * (n + q)
        M = response(lambda rng: closed_path(model, steps, rng), count)
        law = joint_covariance(model, steps)
        size = steps * q
        gap = np.hstack([np.zeros((n, size)), -np.eye(n), np.eye(n)])
        gain = law @ gap.T @ np.linalg.pinv(gap @ law @ gap.T)
        closed = (law - gain @ gap @ law)[:size, :size]
        assert np.linalg.norm(M @ M.T - closed) < 1e-9 * np.linalg.norm(law)

    def test_of_a_film(self, texture):
        film = synthesize(texture, 30, loop=True, rng=0).astype(float)
        steps = np.abs(np.diff(np.concatenate([film, film[:1]]), axis=0)).mean(axis=(1, 2))
        assert steps[-1] < 1.5 * steps[:-1].max()
        assert synthesize(texture, 1, loop=True, rng=0).shape == (1, 24, 32)


class TestSpeed:
    @pytest.mark.parametrize("speed", [2, 0.5, -1, -0.5, 3, 1.5])
    def test_poles_and_covariance(self, texture, speed):
        film_model = change_speed(texture, speed).model
        wanted = np.sort_complex(poles(texture.model).astype(complex) ** abs(speed))
        assert np.sort_complex(poles(film_model)) == pytest.approx(wanted, rel=1e-8)
        law = to_covariance(texture.model).Lambda0
        assert to_covariance(film_model).Lambda0 == pytest.approx(law, rel=1e-8, abs=1e-6)

    def test_backwards_is_the_reverse(self, texture):
        lags = autocovariance(texture.model, 5)
        backwards = autocovariance(change_speed(texture, -1).model, 5)
        assert np.abs(backwards - lags.transpose(0, 2, 1)).max() < 1e-9 * np.abs(lags).max()

    @pytest.mark.parametrize("speed", [2, 0.5, -1])
    def test_of_films(self, speed):
        # one turning wave: the peak of the temporal spectrum moves by the factor, within 5 %
        texture = known_texture()
        first = DynamicTexture(
            texture.mean,
            np.ascontiguousarray(texture.basis[:, :2]),
            GaussianSSM(
                texture.model.A[:2, :2], np.eye(2), texture.model.Q[:2, :2], np.zeros((2, 2))
            ),
            texture.shape,
            25.0,
        )

        def peak_and_power(film):
            z = (film.reshape(len(film), -1) - first.mean) @ first.basis
            pieces = z.reshape(-1, 250, 2)
            spectrum = np.sum(np.abs(np.fft.rfft(pieces, 2048, axis=1)) ** 2, axis=(0, 2))
            return np.argmax(spectrum), np.sum(z**2) / len(z)

        peak, power = peak_and_power(synthesize(first, 20_000, rng=0))
        moved, same = peak_and_power(synthesize(first, 20_000, speed=speed, rng=1))
        assert moved == pytest.approx(abs(speed) * peak, rel=0.05)
        # of both; a mean square over T frames of poles lambda has the relative variance
        # (1 + |lambda|^2) / (1 - |lambda|^2) / T
        moduli = 0.95 ** np.array([2.0, 2.0 * abs(speed)])
        spread = np.sqrt(np.sum((1 + moduli) / (1 - moduli) / 20_000))
        assert same == pytest.approx(power, rel=max(0.05, 3 * spread))

    def test_carry_follows(self, texture):
        carrying = DynamicTexture(
            texture.mean, texture.basis, texture.model, texture.shape, 25.0, carry=0.5
        )
        assert change_speed(carrying, 2).carry == pytest.approx(0.25)
        assert change_speed(carrying, -2).carry == pytest.approx(0.25)
        assert change_speed(carrying, 1) is carrying

    def speedy(self, model):
        basis = np.linalg.qr(np.random.default_rng(0).standard_normal((30, model.n_outputs)))[0]
        return DynamicTexture(np.full(30, 100.0), basis, model, (5, 6), 25.0)

    @pytest.mark.parametrize("speed", [0.5, -0.5, 1.5])
    def test_negative_poles(self, speed):
        A = np.array([[-0.5, 0.2, 0.0], [0.0, 0.8, 0.3], [0.0, -0.3, 0.8]])
        texture = self.speedy(GaussianSSM(A, np.eye(3), np.eye(3), np.zeros((3, 3))))
        with pytest.warns(NumericalWarning, match=r"no process of this order exists at speed"):
            slow = change_speed(texture, speed)
        wanted = (poles(texture.model).astype(complex) ** abs(speed)).copy()
        wanted[np.abs(wanted.imag) < 1e-12] = wanted[np.abs(wanted.imag) < 1e-12].real
        negative = np.isclose(poles(texture.model), -0.5)
        wanted[negative] = wanted[negative].real
        found = np.sort_complex(poles(slow.model).astype(complex))
        assert found == pytest.approx(np.sort_complex(wanted), abs=1e-9)
        law = to_covariance(texture.model).Lambda0
        assert to_covariance(slow.model).Lambda0 == pytest.approx(law, abs=1e-9)

    def test_no_noise_covariance(self):
        # strongly non-normal: A_h P A_h' exceeds P at half speed
        A = np.array([[0.2, 3.0], [0.0, 0.25]])
        texture = self.speedy(GaussianSSM(A, np.eye(2), np.diag([1e-3, 1.0]), np.zeros((2, 2))))
        with pytest.warns(NumericalWarning, match="correlations from frame to frame differ"):
            slow = change_speed(texture, 0.5)
        assert np.sort(poles(slow.model).real) == pytest.approx(np.sqrt([0.2, 0.25]))
        law = to_covariance(texture.model).Lambda0
        assert to_covariance(slow.model).Lambda0 == pytest.approx(law, rel=1e-6)

    def test_innovation_model_with_a_negative_pole(self):
        rng = np.random.default_rng(3)
        model = innovation_form(
            to_gaussian(GaussianSSM([[-0.6]], [[1.0], [0.5]], [[1.0]], np.eye(2)))
        )
        texture = self.speedy(model)
        assert rng is not None
        with pytest.warns(NumericalWarning, match="a neighbour is used"):
            slow = change_speed(texture, 0.5)
        law = to_covariance(model).Lambda0
        assert to_covariance(slow.model).Lambda0 == pytest.approx(law, rel=1e-9)
        assert np.abs(slow.model.A).max() < 1e-12

    def test_wrong_speeds(self, texture):
        with pytest.raises(ValueError, match="`speed` must not be zero"):
            synthesize(texture, 5, speed=0)
        with pytest.raises(TypeError, match="`speed` must be a real number"):
            change_speed(texture, "fast")
        with pytest.raises(TypeError, match="`texture` must be a DynamicTexture"):
            change_speed(None, 2)


def test_a_learned_texture_plays_at_every_speed(recwarn):
    texture = learn(np.random.default_rng(0).integers(90, 160, (60, 8, 9), dtype=np.uint8), 6)
    with pytest.warns(NumericalWarning, match="no process of this order"):
        film = synthesize(texture, 20, speed=0.5, rng=0)
    assert film.std() > 5
