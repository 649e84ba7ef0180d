"""Normals from raw bits: the kernels against NumPy one-liners, and their law."""

import numpy as np
import pytest
import scipy

from diffusion import _kernels
from diffusion._normal import PAIRS, NormalSource

TYPES = [np.dtype(np.float64), np.dtype(np.float32)]
COUNT = 400_000


def raw_bits(pairs, seed=0):
    """Return radius bits and angle bits; the corners of both ranges come first."""
    rng = np.random.default_rng(seed)
    raw = rng.integers(0, 2**32, pairs, dtype=np.uint32)
    turn = rng.integers(-(2**31), 2**31, pairs, dtype=np.int32)
    raw[:4] = 0, 1, 2**32 - 1, 2**32 - 2
    turn[4:8] = -(2**31), 2**31 - 1, 0, -1
    return raw, turn


def one_liner(raw, turn):
    """Return the (2, B) numbers in double precision, by library functions."""
    u = (raw.astype(float) + 0.5) / 2**32
    angle = ((turn >> 2).astype(float) + 0.5) / 2**29 * np.pi / 4
    radius = np.sqrt(-2 * np.log(u))
    cosine, sine = np.where(turn & 1, -1, 1) * radius * np.cos(angle), radius * np.sin(angle)
    return np.where(turn & 2, [sine, cosine], [cosine, sine])


@pytest.mark.parametrize("python", [False, True])
@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_kernels_equal_the_formula(dtype, python):
    double = dtype.itemsize == 8
    kernel = _kernels.fill_normal_double if double else _kernels.fill_normal_single
    kernel = getattr(kernel, "py_func", kernel) if python else kernel
    pairs = 60 if python else 20_000
    raw, turn = raw_bits(pairs)
    out, scratch = np.empty((2, pairs), dtype), np.empty((2, pairs), dtype)
    kernel(raw, turn, scratch[0], scratch[1], out)
    eps = np.finfo(dtype).eps if not double else 3e-12
    expected = one_liner(raw, turn)
    # the rounding of u near 1 is seen absolutely, by the radius that it makes
    np.testing.assert_allclose(
        out, expected, rtol=8 * eps, atol=0.0 if double else np.sqrt(2 * eps)
    )
    assert 6.75 < np.hypot(*out[:, 0].astype(float)) < 6.77


@pytest.mark.parametrize("dtype", TYPES, ids=str)
class TestLaw:
    def test_moments(self, dtype):
        z = NormalSource(np.random.default_rng(1), dtype)(COUNT).astype(float)
        for power, moment in ((1, 0), (2, 1), (3, 0), (4, 3), (6, 15)):
            variance = float(np.prod(np.arange(2 * power - 1, 0, -2))) - moment**2
            assert abs((z**power).mean() - moment) < 5 * np.sqrt(variance / COUNT)

    def test_distribution(self, dtype):
        z = NormalSource(np.random.default_rng(2), dtype)(COUNT).astype(float)
        distance = scipy.stats.kstest(z, "norm").statistic
        assert distance < 2.2 / np.sqrt(COUNT)  # exceeded with probability 1e-4
        for tail in (2.0, 3.0, 4.0):
            expected = COUNT * 2 * scipy.special.ndtr(-tail)
            assert abs((np.abs(z) > tail).sum() - expected) < 5 * np.sqrt(expected)

    def test_independence(self, dtype):
        """Numbers of one pair lie half a block apart; their squares would show a shared radius."""
        z = NormalSource(np.random.default_rng(3), dtype)(2 * PAIRS * 10).astype(float)
        first, second = z.reshape(10, 2, PAIRS).transpose(1, 0, 2).reshape(2, -1)
        bound = 5 / np.sqrt(first.size)
        for f in (lambda a: a, lambda a: a**2, np.abs, np.sign):
            assert abs(np.corrcoef(f(first), f(second))[0, 1]) < bound
        for lag in (1, 2, 16):
            assert abs(np.corrcoef(z[lag:], z[:-lag])[0, 1]) < bound
        # uniform on the square after the distribution function: a chi-square of 20 x 20 cells
        cells = np.histogram2d(scipy.special.ndtr(first), scipy.special.ndtr(second), 20,
                               [[0, 1], [0, 1]])[0]  # fmt: skip
        expected = first.size / 400
        statistic = ((cells - expected) ** 2 / expected).sum()
        assert abs(statistic - 399) < 5 * np.sqrt(2 * 399)

    def test_shapes_seeds_and_blocks(self, dtype):
        draw = NormalSource(np.random.default_rng(4), dtype)
        assert draw(3, 5).shape == (3, 5)
        assert draw(0, 5).shape == (0, 5)
        assert draw().shape == ()
        assert draw(7).dtype == dtype
        many = draw(2 * PAIRS + 3)
        assert np.isfinite(many).all()
        assert len(np.unique(many)) > 0.99 * many.size
        a, b = (NormalSource(np.random.default_rng(5), dtype)(1001) for _ in range(2))
        assert np.array_equal(a, b)

    def test_any_bit_generator(self, dtype):
        for kind in (np.random.MT19937, np.random.SFC64, np.random.Philox):
            z = NormalSource(np.random.Generator(kind(0)), dtype)(20_000)
            assert abs(z.var() - 1) < 5 * np.sqrt(2 / 20_000)
