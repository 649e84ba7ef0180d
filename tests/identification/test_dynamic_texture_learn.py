"""Learning a texture: exact in its parts, right on known textures, stationary on all."""

import numpy as np
import pytest
import scipy
from hypothesis import given, settings
from hypothesis import strategies as st
from systems import random_dynamics
from textures import POLES, drifting_clip, known_clip, known_texture

from diffusion import reverse
from identification.dynamic_texture import (
    DynamicTexture,
    decomposition,
    evaluate,
    frame_products,
    learn,
    open_writer,
    read_video,
    sketching,
    synthesize,
)
from identification.dynamic_texture.decomposition import decompose
from identification.dynamic_texture.dynamics import (
    limited_rank,
    one_step_error,
    stable_dynamics,
    stationary_noise,
    transition,
)
from identification.dynamic_texture.frame_products import FrameProducts
from identification.dynamic_texture.orthonormalization import orthonormal
from identification.dynamic_texture.prediction import held_out
from identification.model_repair import stabilize
from realization import UnstableModelError, poles, to_covariance
from realization.internal import solve_lyapunov


def centred(clip):
    """Return the clip as a matrix (T, pixels) without its mean."""
    rows = clip.reshape(len(clip), -1).astype(float)
    return rows - rows.mean(axis=0)


def angle_between(a, b):
    """Return the largest principal angle of two spans."""
    return float(scipy.linalg.subspace_angles(a, b).max())


@pytest.fixture(scope="module")
def clip():
    """Return 90 noisy colour frames with a spectrum that falls slowly."""
    rng = np.random.default_rng(1)
    factors = rng.standard_normal((90, 12)).cumsum(axis=0) * 0.7 ** np.arange(12)
    images = rng.standard_normal((12, 10 * 14 * 3))
    y = 120 + 6 * factors @ images + 2 * rng.standard_normal((90, 420))
    return np.clip(np.rint(y), 0, 255).astype(np.uint8).reshape(90, 10, 14, 3)


class TestDecomposition:
    @pytest.mark.parametrize("held", [1 << 30, 16 * 420, 25 * 420])
    def test_blocks_give_the_singular_value_decomposition(self, clip, monkeypatch, held):
        monkeypatch.setattr(frame_products, "READ", held)
        monkeypatch.setattr(frame_products, "PANEL", 90 * 100)
        found = decompose(read_video(clip), 8)
        U, s, _ = np.linalg.svd(centred(clip).T, full_matrices=False)
        basis, z = found.images(8)
        assert found.singular_values[:20] == pytest.approx(s[:20], rel=1e-6)
        assert angle_between(basis, U[:, :8]) < 1e-5
        assert found.mean == pytest.approx(clip.mean(axis=0).ravel(), rel=1e-6)
        assert np.linalg.norm(z - centred(clip) @ basis) < 1e-5 * np.linalg.norm(z)
        rows = centred(clip)
        assert found.power == pytest.approx(np.sum(rows**2, axis=1), rel=1e-6)
        lag = np.sum(rows[1:] * rows[:-1], axis=1)
        assert np.abs(found.lag - lag).max() < 1e-6 * found.power.max()

    def test_the_projection_loses_what_no_basis_can_keep(self, clip):
        basis, z = decompose(read_video(clip), 10).images(10)
        lost = np.sum((centred(clip) - z @ basis.T) ** 2)
        tail = np.linalg.svd(centred(clip), compute_uv=False)[10:]
        assert lost == pytest.approx(np.sum(tail**2), rel=1e-6)

    def test_iterators_floats_and_halves_of_the_range(self, clip):
        exact, _ = decompose(read_video(clip), 5).images(5)
        for other in ((frame for frame in clip), clip.astype(np.float32), clip.astype(float)):
            basis, _ = decompose(read_video(other), 5).images(5)
            assert angle_between(basis, exact) < 1e-5

    def test_products_of_strips_add_up(self, clip):
        whole, _ = frame_products.frame_products(read_video(clip), 5)
        strips = [
            frame_products.frame_products(read_video(part), 5)[0]
            for part in (clip[:, :4], clip[:, 4:])
        ]
        merged = strips[0].merge(strips[1])
        assert merged.n_pixels == whole.n_pixels == 420
        assert np.abs(merged.products - whole.products).max() < 1e-6 * np.abs(whole.products).max()

    def test_products_of_other_frames_are_refused(self):
        one = FrameProducts(np.eye(3), 5)
        with pytest.raises(ValueError, match="the same 3 frames; it has 2"):
            one.merge(FrameProducts(np.eye(2), 5))
        with pytest.raises(TypeError, match="`other` must be a FrameProducts"):
            one.merge(np.eye(3))

    @pytest.mark.parametrize("held", [1 << 30, 50 * 420])
    def test_the_sketch_of_a_long_clip(self, clip, monkeypatch, held):
        exact = decompose(read_video(clip), 6)
        monkeypatch.setattr(decomposition, "MANY", 80)
        monkeypatch.setattr(decomposition, "RATIO", 1)
        monkeypatch.setattr(sketching, "SETTLED", 1e-12)
        monkeypatch.setattr(frame_products, "READ", held)
        found = decompose(read_video(clip), 6)
        assert found.z.shape == (90, 16)
        (basis, z), (known, _) = found.images(6), exact.images(6)
        assert angle_between(basis, known) < 1e-3
        assert found.singular_values[:6] == pytest.approx(exact.singular_values[:6], rel=1e-5)
        assert np.linalg.norm(z - centred(clip) @ basis) < 1e-5 * np.linalg.norm(z)
        assert found.power == pytest.approx(exact.power, rel=1e-5)
        assert np.abs(found.lag - exact.lag).max() < 1e-5 * exact.power.max()
        assert found.mean == pytest.approx(exact.mean, rel=1e-6)

    @pytest.mark.parametrize("condition", [1.0, 1e3, 1e5])
    def test_orthonormal_columns(self, condition):
        rng = np.random.default_rng(0)
        left, right = (np.linalg.qr(rng.standard_normal(s))[0] for s in ((500, 5), (5, 5)))
        images = (left * np.geomspace(1, 1 / condition, 5)) @ right
        Q, R = orthonormal(images.astype(np.float32))
        assert np.abs(Q.T @ Q - np.eye(5)).max() < 1e-5
        assert np.abs(Q @ R - images).max() < 1e-6


class TestDynamics:
    @settings(max_examples=25, deadline=None, derandomize=True)
    @given(st.integers(1, 6), st.integers(0, 10_000))
    def test_stable_at_little_cost(self, n, seed):
        rng = np.random.default_rng(seed)
        path = rng.standard_normal((40, n)).cumsum(axis=0)
        A, growth, message = stable_dynamics(path)
        radius = np.abs(np.linalg.eigvals(A)).max()
        least = one_step_error(transition(path), path)
        assert radius < 1
        assert one_step_error(A, path) == pytest.approx(least * (1 + growth), rel=1e-9)
        edge = one_step_error(stabilize(transition(path), 1 - 1e-9)[0], path)
        assert growth <= edge / least - 1 + 0.0101
        assert bool(message) == (np.abs(np.linalg.eigvals(transition(path))).max() > 1 - 1 / 40)

    @settings(max_examples=25, deadline=None, derandomize=True)
    @given(st.integers(1, 6), st.integers(0, 10_000))
    def test_noise_of_a_covariance_that_can_be_kept(self, n, seed):
        rng = np.random.default_rng(seed)
        A = random_dynamics(rng, n)
        W = rng.standard_normal((n, n))
        Q = W @ W.T
        P = solve_lyapunov(A, Q, dt=1.0)
        found, distance = stationary_noise(A, P, Q)
        assert distance == 0
        assert np.linalg.norm(found - Q) < 1e-10 * np.linalg.norm(P)

    @settings(max_examples=25, deadline=None, derandomize=True)
    @given(st.integers(2, 6), st.integers(0, 10_000))
    def test_noise_of_a_covariance_that_cannot(self, n, seed):
        rng = np.random.default_rng(seed)
        A = random_dynamics(rng, n, largest=0.97)
        W, V = rng.standard_normal((2, n, n))
        P, floor = W @ W.T, 0.01 * V @ V.T
        Q, distance = stationary_noise(A, P, floor)
        reached = solve_lyapunov(A, Q, dt=1.0)
        assert np.trace(reached) == pytest.approx(np.trace(P))
        assert distance == pytest.approx(np.linalg.norm(reached - P) / np.linalg.norm(P))
        assert np.linalg.eigvalsh(Q)[0] > -1e-12 * np.linalg.norm(Q)
        # neither a plain projection nor the residuals themselves come nearer
        values, vectors = np.linalg.eigh(P - A @ P @ A.T)
        plain = (vectors * values.clip(0)) @ vectors.T
        for other in (plain + floor / 2, floor, np.eye(n)):
            law = solve_lyapunov(A, other, dt=1.0)
            law *= np.trace(P) / np.trace(law)
            assert distance <= np.linalg.norm(law - P) / np.linalg.norm(P) + 0.02

    def test_noise_rank(self):
        Q = np.diag([4.0, 3.0, 2.0, 1.0])
        assert limited_rank(Q, None)[1] == 4
        found, rank = limited_rank(Q, 2)
        assert rank == 2
        assert found == pytest.approx(np.diag([4.0, 3.0, 0.0, 0.0]))
        assert limited_rank(Q, 0.69)[1] == 2
        assert limited_rank(Q, 0.71)[1] == 3
        assert limited_rank(Q, 9)[1] == 4


def test_held_out_errors_are_those_in_pixels(clip):
    found = held_out(decompose(read_video(clip), 6), [2, 5])
    rows = clip.reshape(90, -1).astype(float)
    plain, cross, power, last = np.zeros(2), np.zeros(2), np.zeros(2), 0.0
    for cut, end in ((45, 60), (60, 75), (75, 90)):
        y = rows[:end] - rows[:cut].mean(axis=0)
        V = np.linalg.svd(y[:cut], full_matrices=False)[2].T
        last += np.sum(np.diff(y, axis=0)[cut - 1 :] ** 2)
        for k, n in enumerate((2, 5)):
            x = y @ V[:, :n]
            A = transition(x[:cut])
            rest = y - x @ V[:, :n].T
            miss = y[cut:] - x[cut - 1 : -1] @ A.T @ V[:, :n].T
            plain[k] += np.sum(miss**2)
            cross[k] += np.sum(miss * rest[cut - 1 : -1])
            power[k] += np.sum(rest[cut - 1 : -1] ** 2)
    samples = 45 * 420
    assert found.persistence == pytest.approx(last / samples, rel=1e-5)
    assert found.plain == pytest.approx(plain / samples, rel=1e-5)
    assert found.carry == pytest.approx(np.clip(cross / power, 0, 1), rel=1e-4)
    carried = (plain - 2 * found.carry * cross + found.carry**2 * power) / samples
    assert found.carried == pytest.approx(carried, rel=1e-5)


class TestKnownTexture:
    FRAMES = 2000

    def assert_recovered(self, texture, known):
        # a pole's standard deviation is about sqrt((1 - |pole|^2) / T), a direction's less
        assert angle_between(texture.basis, known.basis) < 0.05
        found = np.sort_complex(poles(texture.model))
        wanted = np.sort_complex([*POLES, *np.conj(POLES)])
        bound = 4 * np.sqrt((1 - np.abs(wanted) ** 2) / self.FRAMES)
        assert (np.abs(found - wanted) < bound).all()

    @pytest.mark.parametrize("colour", [False, True])
    def test_is_recovered(self, colour):
        known = known_texture(colour=colour)
        texture = learn(known_clip(known, self.FRAMES), 4)
        self.assert_recovered(texture, known)
        assert texture.shape == known.shape
        assert texture.frame_shape == (24, 32, 3 if colour else 1)
        assert texture.info["growth of the one-step error"] == 0

    def test_is_recovered_through_an_encoded_file(self, tmp_path):
        pytest.importorskip("av")
        known = known_texture()
        clip = known_clip(known, self.FRAMES)
        with open_writer(tmp_path / "clip.mkv", known.frame_shape, 30.0) as writer:
            writer.write(clip[..., None])
        texture = learn(read_video(tmp_path / "clip.mkv", grey=True), 4)
        self.assert_recovered(texture, known)
        assert texture.fps == pytest.approx(30.0)
        assert texture.model.dt == pytest.approx(1 / 30)

    def test_is_recovered_from_a_sketch(self, monkeypatch):
        known = known_texture()
        monkeypatch.setattr(decomposition, "MANY", 1000)
        self.assert_recovered(learn(known_clip(known, self.FRAMES), 4), known)

    def test_subspace_method(self):
        known = known_texture()
        texture = learn(known_clip(known, self.FRAMES), 4, method="subspace", past=3)
        self.assert_recovered(texture, known)
        assert texture.info["past"] == 3
        ratio = np.trace(to_covariance(texture.model).Lambda0) / np.trace(
            to_covariance(known.model).Lambda0
        )
        assert ratio == pytest.approx(1, abs=0.2)
        assert texture.spectral_radius < 1

    def test_auto_takes_the_four_states(self):
        clip = known_clip(known_texture(), 400)
        noise = np.random.default_rng(0).standard_normal(clip.shape)
        texture = learn(clip + 3 * noise)
        assert texture.n_states == 4
        assert texture.info["orders tried"].size > 10
        assert texture.info["held-out one-step PSNR, plain"] == pytest.approx(
            texture.info["their held-out one-step PSNR, plain"].max()
        )

    def test_share_of_the_variance(self):
        clip = known_clip(known_texture(), 300)
        shares = np.cumsum(learn(clip, 5).singular_values ** 2)
        shares /= shares[-1]
        assert learn(clip, float(shares[1] - 1e-3)).n_states == 2
        assert learn(clip, float(shares[1] + 1e-3)).n_states == 3

    def test_noise_rank_keeps_the_variance(self):
        clip = known_clip(known_texture(), 300)
        full = np.trace(to_covariance(learn(clip, 4).model).Lambda0)
        for noise_rank, rank in ((2, 2), (0.999999, 4)):
            texture = learn(clip, 4, noise_rank=noise_rank)
            assert np.linalg.matrix_rank(texture.model.Q) == rank
            assert texture.info["noise rank"] == rank
            assert np.trace(to_covariance(texture.model).Lambda0) == pytest.approx(full)

    def test_what_persists_outside_the_basis_is_carried(self):
        clip = known_clip(known_texture(), 300).astype(float)
        rng = np.random.default_rng(0)
        for keep in (0.0, 0.9):
            rest = rng.standard_normal(clip.shape)
            for t in range(1, 300):
                rest[t] = keep * rest[t - 1] + np.sqrt(1 - keep**2) * rest[t]
            assert learn(clip + 3 * rest, 4).carry == pytest.approx(keep, abs=0.03)


class TestStability:
    def test_a_drift_becomes_stationary_and_says_so(self):
        clip = drifting_clip()
        texture = learn(clip, 3)
        info = texture.info
        assert info["spectral radius of least squares"] > 1
        assert texture.spectral_radius == pytest.approx(info["spectral radius"])
        assert texture.spectral_radius < 1
        assert np.abs(poles(reverse(texture.model))).max() < 1
        # it explodes: beyond what the edge of the unit circle costs, stability costs one percent
        path = decompose(read_video(clip), 3).images(3)[1]
        edge = stabilize(transition(path), 1 - 1e-9)[0]
        costs = [one_step_error(A, path) for A in (texture.model.A, edge, transition(path))]
        assert info["growth of the one-step error"] == pytest.approx(
            costs[0] / costs[2] - 1, rel=1e-3
        )
        assert costs[0] <= costs[1] + 0.0101 * costs[2]
        assert "were moved to" in info["warnings"][0]
        assert "\n\nto be known:\n  - eigenvalues of A" in texture.summary()
        variance = np.trace(to_covariance(texture.model).Lambda0)
        assert variance == pytest.approx(np.sum(path**2) / len(path))

    def test_can_be_left_out(self):
        texture = learn(drifting_clip(), 3, stable=False)
        assert texture.spectral_radius > 1
        assert "no film can be made" in texture.info["warnings"][0]
        with pytest.raises(UnstableModelError, match="stability margin"):
            synthesize(texture, 10)
        limited = learn(drifting_clip(), 3, stable=False, noise_rank=1)
        assert np.trace(limited.model.Q) == pytest.approx(np.trace(texture.model.Q))

    def test_subspace_too(self):
        texture = learn(drifting_clip(200), 3, method="subspace", past=2)
        assert texture.spectral_radius < 1
        assert np.abs(poles(reverse(texture.model))).max() < 1
        texture = learn(known_clip(known_texture(), 200), 4, method="subspace", stable=False)
        assert "noise scaled by" not in texture.info


class TestWrongCalls:
    def test_clips_without_dynamics(self):
        frame = np.zeros((1, 6, 8), dtype=np.uint8)
        with pytest.raises(ValueError, match="at least 3 frames, to have dynamics; got 1"):
            learn(frame, 1)
        with pytest.raises(ValueError, match="its 20 frames are all the same"):
            learn(np.repeat(frame, 20, axis=0) + np.uint8(7), 2)
        with pytest.raises(ValueError, match='order="auto" holds frames out and needs at least 8'):
            learn(np.random.default_rng(0).integers(0, 255, (6, 4, 4)).astype(np.uint8))

    def test_orders(self, clip):
        with pytest.raises(ValueError, match="`order` = 90 needs at least 92 frames; got 90"):
            learn(clip, 90)
        with pytest.raises(ValueError, match="`order` must be at least 1; got 0"):
            learn(clip, 0)
        with pytest.raises(ValueError, match="`order` must be finite and between 0 and 1"):
            learn(clip, 1.5)
        with pytest.raises(TypeError, match="`order` must be an integer"):
            learn(clip, "many")
        still = np.random.default_rng(0).standard_normal((2, 40, 1)) @ np.ones((1, 30))
        with pytest.raises(ValueError, match="vary in 1 direction only"):
            learn(still[0][:, :, None] * np.ones((1, 1, 4)), 2)

    def test_options(self, clip):
        with pytest.raises(ValueError, match="`method` must be one of"):
            learn(clip, 2, method="em")
        with pytest.raises(ValueError, match="`noise_rank` must be at least 1"):
            learn(clip, 2, noise_rank=0)
        with pytest.raises(ValueError, match="too few samples"):
            learn(clip, 20, method="subspace")
        with pytest.raises(ValueError, match="time first"):
            learn(clip[0, :, :, 0], 2)

    def test_short_clips_with_a_given_order(self, clip):
        texture = learn(clip[:7], 2)
        assert isinstance(texture, DynamicTexture)
        assert texture.carry == 0
        assert learn(clip[:4], 2).spectral_radius < 1
        assert learn(clip[:6], 0.5).n_states < 4


@pytest.mark.parametrize("order", [1, "auto"])
def test_what_can_be_predicted_without_error(order):
    blinking = np.where(np.arange(60) % 2, 200.0, 50.0)[:, None, None] * np.ones((4, 5))
    texture = learn(blinking, order)
    assert poles(texture.model)[0] == pytest.approx(-1, abs=1e-3)
    assert texture.info["held-out one-step PSNR, plain"] > 100
    metrics = evaluate(texture, blinking)
    assert metrics.reconstruction_psnr > 100
    assert metrics.covariance_ratio == pytest.approx(1)


def test_progress_bars(clip, capsys):
    learn(clip, 2, progress=True)
    assert "basis images" in capsys.readouterr().err
