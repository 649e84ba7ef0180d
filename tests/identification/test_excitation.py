from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from identification import Experiments, multisine, persistence_of_excitation, prbs


def crest(u: np.ndarray) -> float:
    """Return peak over root mean square."""
    return float(np.abs(u).max() / np.sqrt(np.mean(u**2)))


# --- prbs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [3, 7, 10])
def test_a_full_period_is_as_white_as_a_binary_signal_can_be(bits):
    N = 2**bits - 1
    u = prbs(N)[:, 0]
    assert set(np.unique(u)) == {-1.0, 1.0}
    correlation = np.array([u @ np.roll(u, lag) for lag in range(N)])
    np.testing.assert_array_equal(np.round(correlation), [N] + [-1] * (N - 1))


def test_inputs_are_the_same_sequence_far_apart():
    u = prbs(1023, 3)
    for j in (1, 2):
        np.testing.assert_array_equal(u[:, j], np.roll(u[:, 0], -341 * j))
    for lag in range(300):
        assert abs(u[:, 0] @ np.roll(u[:, 1], lag)) < 1.5


def test_values_are_held_and_shifted():
    held = prbs(100, hold=7)[:, 0]
    np.testing.assert_array_equal(held, held[::7].repeat(7)[:100])
    np.testing.assert_array_equal(prbs(500, shift=11)[:489, 0], prbs(500)[11:, 0])
    assert not np.array_equal(prbs(500, shift=11), prbs(500))
    np.testing.assert_array_equal(prbs(5, hold=10**30, shift=511 * 10**30), np.ones((5, 1)))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(steps=st.integers(1, 300), m=st.integers(1, 5), hold=st.integers(1, 400))
def test_prbs_of_any_size(steps, m, hold):
    u = prbs(steps, m, hold=hold)
    assert u.shape == (steps, m)
    assert set(np.unique(u)) <= {-1.0, 1.0}


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: prbs(0), ValueError, "`steps` must be at least 1; got 0"),
        (lambda: prbs(10.0), TypeError, "`steps` must be an integer"),
        (lambda: prbs(10, 0), ValueError, "`n_inputs` must be at least 1"),
        (lambda: prbs(10, hold=0), ValueError, "`hold` must be at least 1"),
        (lambda: prbs(10, shift=-1), ValueError, "`shift` must be at least 0"),
        (lambda: prbs(10**9), ValueError, r"needs a sequence of 2\^30 - 1; at most 2\^24"),
    ],
)
def test_wrong_calls_of_prbs(call, error, message):
    with pytest.raises(error, match=message):
        call()


# --- multisine ------------------------------------------------------------------------------------


@pytest.mark.parametrize("phases", ["low_crest", "schroeder", "random"])
def test_power_is_flat_within_the_band_and_nowhere_else(phases):
    dt, N = 0.02, 500
    u = multisine(
        N, 2, periods=3, band=(2 * np.pi * 1.0, 2 * np.pi * 8.0), phases=phases, dt=dt, rng=0
    )
    assert u.shape == (3 * N, 2)
    np.testing.assert_array_equal(u[:N], u[N : 2 * N])
    np.testing.assert_allclose(np.abs(u).max(axis=0), 1.0, rtol=1e-12)
    spectrum = np.abs(np.fft.rfft(u[:N], axis=0))
    frequency = np.fft.rfftfreq(N, dt)
    inside = (frequency > 0.999) & (frequency < 8.001)
    for j in range(2):
        own = spectrum[inside, j][j::2]
        np.testing.assert_allclose(own, own[0], rtol=1e-9)
        assert spectrum[~inside, j].max() < 1e-9 * own[0]
    assert (spectrum[:, 0] * spectrum[:, 1]).max() < 1e-8 * spectrum.max() ** 2


def test_crest_factors():
    for N, band, low in ((1000, None, 1.2), (1000, (0.05, 0.6), 1.5)):
        factors = {
            p: crest(multisine(N, band=band, phases=p, rng=1))
            for p in ("low_crest", "schroeder", "random")
        }
        assert np.sqrt(1.0) <= factors["low_crest"] < low
        assert factors["low_crest"] < factors["schroeder"] < 1.9 < factors["random"]


def test_random_phases_are_another_signal_for_every_seed():
    first, second, again = (multisine(64, phases="random", rng=seed) for seed in (0, 1, 0))
    assert not np.allclose(first, second)
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(multisine(64, rng=0), multisine(64, rng=1))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: multisine(3), ValueError, "`period` must be at least 4"),
        (lambda: multisine(10.5), TypeError, "`period` must be an integer"),
        (lambda: multisine(10, 0), ValueError, "`n_inputs` must be at least 1"),
        (lambda: multisine(10, periods=0), ValueError, "`periods` must be at least 1"),
        (lambda: multisine(10, phases="flat"), ValueError, "`phases` must be one of"),
        (lambda: multisine(10, dt=0.0), ValueError, "`dt` must be finite and above 0"),
        (lambda: multisine(10, dt=np.nan), ValueError, "`dt` must be finite"),
        (lambda: multisine(10, band=1.0), ValueError, r"`band` must be \(lowest, highest\)"),
        (lambda: multisine(10, band=(1.0, 2.0, 3.0)), ValueError, "`band` must be"),
        (lambda: multisine(10, band=(2.0, 1.0)), ValueError, "0 <= lowest <= highest; got"),
        (lambda: multisine(10, band=(-1.0, 1.0)), ValueError, "0 <= lowest"),
        (lambda: multisine(10, band=(0.0, np.nan)), ValueError, r"`band\[1\]` must be finite"),
        (lambda: multisine(10, band=(4.0, 9.0)), ValueError, "has 0 harmonics in the band"),
        (lambda: multisine(10, 5), ValueError, "has 4 harmonics in the band, too few for 5"),
        (lambda: multisine(10, rng=1.5), TypeError, "`rng` must be an int"),
        (lambda: multisine(10, rng=-1), ValueError, "`rng` must be at least 0"),
        (lambda: multisine(10, dt=10**400), ValueError, "`dt` must be finite"),
    ],
)  # fmt: skip
def test_wrong_calls_of_multisine(call, error, message):
    with pytest.raises(error, match=message):
        call()


# --- persistence of excitation --------------------------------------------------------------------


def test_orders_of_textbook_signals():
    t = np.arange(600)
    step = (t > 300).astype(float)
    cases = [
        (np.zeros(600), "none", 0),
        (np.ones(600), "none", 1),
        (np.ones(600), "estimate", 0),
        (np.cos(0.7 * t), "none", 2),
        (np.cos(0.7 * t) + 2.0, "none", 3),
        (np.cos(0.7 * t) + np.sin(1.9 * t) + 5.0, "estimate", 4),
        (np.cos(np.pi * t), "none", 1),
        (multisine(600, band=(0.5, 0.541))[:, 0], "none", 8),
        (step, "none", 30),
        (prbs(600)[:, 0], "estimate", 30),
    ]
    for u, offset, order in cases:
        assert persistence_of_excitation(u, offset=offset).order == order


def test_the_order_of_a_period_is_its_length():
    u = np.tile(np.random.default_rng(0).standard_normal(7), 40)
    assert persistence_of_excitation(u, offset="none").order == 7
    assert persistence_of_excitation(u).order == 6


def test_two_inputs_that_are_one_excite_nothing_apart():
    one = np.random.default_rng(1).standard_normal((500, 1))
    assert persistence_of_excitation(np.hstack([one, one])).order == 0
    late = np.vstack([np.zeros((3, 1)), one[:-3]])
    assert persistence_of_excitation(np.hstack([one, late])).order == 3


def test_ratios_say_how_clearly_an_order_is_had():
    rng = np.random.default_rng(2)
    white = persistence_of_excitation(rng.standard_normal(20000), order=5)
    assert white.ratios.shape == (5,)
    assert (white.ratios > 0.95).all()
    slow = np.cumsum(rng.standard_normal(20000))
    weak = persistence_of_excitation(slow, order=5)
    assert weak.order == 5
    assert weak.ratios[-1] < 0.01
    assert (np.diff(weak.ratios) <= 0).all()
    assert "of order 5 (at least: 5 were tried); smallest over largest" in str(white)
    assert str(persistence_of_excitation(np.full(50, 0.1))).startswith(
        "persistently exciting of order 0;"
    )


@pytest.mark.parametrize("scale", [1e-60, 1e60])
def test_units_and_experiments_do_not_matter(scale):
    rng = np.random.default_rng(3)
    u = rng.standard_normal((300, 2))
    plain = persistence_of_excitation([u[:200], u[200:]], order=6)
    scaled = persistence_of_excitation([u[:200] * [1, scale], u[200:] * [1, scale]], order=6)
    np.testing.assert_allclose(plain.ratios, scaled.ratios, rtol=1e-9)
    record = Experiments.from_data([u[:200], u[200:]], [u[:200], u[200:]])
    np.testing.assert_array_equal(persistence_of_excitation(record, order=6).ratios, plain.ratios)


def test_short_records_try_fewer_orders():
    u = np.random.default_rng(4).standard_normal(20)
    assert persistence_of_excitation(u).order == persistence_of_excitation(u).ratios.size == 10
    assert persistence_of_excitation(u[:3], offset="none").order == 1


@pytest.mark.parametrize(
    ("u", "error", "message"),
    [
        (np.zeros((10, 0)), ValueError, "has no outputs|at least one input"),
        (Experiments.from_data(np.ones(10)), ValueError, "these Experiments have none"),
        (np.zeros(0), ValueError, "has no samples"),
        (np.zeros(2), ValueError, "at least 3 samples; the longest has 2"),
        ([np.nan] * 10, ValueError, "missing value"),
        ([np.inf] * 10, ValueError, "found inf"),
        (np.ones(10) * 1j, TypeError, "must be real"),
        (1e200 * np.arange(10.0), ValueError, "Express it in other units"),
    ],
)
def test_wrong_inputs(u, error, message):
    with pytest.raises(error, match=message):
        persistence_of_excitation(u)


def test_wrong_options():
    with pytest.raises(ValueError, match="`order` must be at least 1"):
        persistence_of_excitation(np.ones(10), order=0)
    with pytest.raises(ValueError, match="`offset` must be one of"):
        persistence_of_excitation(np.ones(10), offset="mean")
