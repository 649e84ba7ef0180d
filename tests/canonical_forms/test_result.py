"""The record of a form: what it says, what it refuses, how it is saved."""

import re

import numpy as np
import pytest
from every_model import EVERY, difference, mix, mixed, record

import realization
from canonical_forms import (
    CanonicalForm,
    balanced_form,
    companion_form,
    eidetic_fading_form,
    kalman_decomposition,
    minimal_form,
    modal_form,
    truncate,
)
from canonical_forms.result import change_coordinates, entering_directions, finish, norm
from realization import AccuracyError, GaussianSSM, InnovationSSM, LinearSSM, simulate


@pytest.mark.parametrize("cls", EVERY)
@pytest.mark.parametrize("dt", [0.0, 0.3])
def test_change_of_coordinates_and_back(cls, dt):
    rng = np.random.default_rng(1)
    A = mixed(rng, [[[-0.9]], [[-0.5]], [[-0.2]]])
    model = record(cls, rng, A, 2, 2, dt=dt)
    T, Tinv = mix(rng, 3, 10.0)
    moved = change_coordinates(model, T, Tinv)
    back = change_coordinates(moved, Tinv, T)
    assert type(moved) is cls
    assert moved.dt == dt
    assert difference(model, moved) < 1e-12
    for name in ("A", "B", "C", "D", "N", "K", "Re", "x0", "Q", "R", "S", "m0", "P0", "Lambda0"):
        if hasattr(model, name):
            a, b = getattr(model, name), getattr(back, name)
            assert np.abs(a - b).max() < 1e-12 * max(np.abs(a).max(), 1.0)


def test_simulated_outputs_are_the_same():
    rng = np.random.default_rng(2)
    model = record(InnovationSSM, rng, mixed(rng, [[[0.9]], [[-0.5]]]), 2, 2)
    form = modal_form(model)
    u = rng.standard_normal((20, 2))
    original, moved = simulate(model, u), simulate(form.model, u)
    assert np.allclose(original.y, moved.y)
    assert np.allclose(original.x, moved.x @ form.T.T)


def test_noise_of_a_badly_scaled_model_stays_semidefinite():
    rng = np.random.default_rng(3)
    model = record(GaussianSSM, rng, mixed(rng, [[[0.9]], [[-0.5]], [[0.1]]]), 1, 1)
    T, Tinv = mix(rng, 3, 1e9)
    moved = change_coordinates(model, T, Tinv)
    assert np.linalg.eigvalsh(moved.Q)[0] >= -1e-12 * np.linalg.norm(moved.Q)


def test_summary_and_repr():
    rng = np.random.default_rng(4)
    model = record(LinearSSM, rng, mixed(rng, [np.eye(3, k=1), [[0.8]], [[0.5]]]), 1, 1)
    form = eidetic_fading_form(model)
    assert repr(form).startswith("CanonicalForm(eidetic-fading form, LinearSSM(5 states, 1 input")
    assert "blocks (3, 1, 1)" in repr(form)
    text = form.summary()
    assert "eidetic part     3 states, forgets after 3 steps" in text
    assert "fading part      2 states" in text
    for line in ("condition of T", "residual", "tolerance", "gap"):
        assert line in text
    assert "chain lengths    (5)" in companion_form(model).summary()
    assert "indices (5)" in repr(companion_form(model))
    assert "; reachable, observable 5; " in kalman_decomposition(model).summary()
    small = truncate(balanced_form(model), 2).summary()
    assert re.search(r"error bound +\d\.\d+, of the frequency response", small)
    assert "where x = T z" in small
    assert "Hankel values" in small


def test_long_lists_are_shortened():
    model = LinearSSM(np.diag(np.linspace(0.1, 0.9, 20)), np.ones((20, 1)), np.ones((1, 20)))
    assert ", ..., 1)" in repr(modal_form(model, condmax=10.0))


def test_arrays_are_read_only_and_forms_can_be_saved(tmp_path):
    rng = np.random.default_rng(5)
    model = record(InnovationSSM, rng, mixed(rng, [np.eye(2, k=1), [[0.8]]]), 1, 1)
    form = eidetic_fading_form(model)
    with pytest.raises(ValueError, match="read-only"):
        form.T[0, 0] = 1.0
    realization.save(form, tmp_path / "form.npz")
    loaded = realization.load(tmp_path / "form.npz")
    assert isinstance(loaded, CanonicalForm)
    assert np.array_equal(loaded.T, form.T)
    assert loaded.info["sizes"] == form.info["sizes"]
    assert difference(loaded.model, form.model) == 0


def test_a_form_checks_itself():
    model = LinearSSM(np.diag([0.5, 0.2]), np.ones((2, 1)), np.ones((1, 2)))
    with pytest.raises(
        AccuracyError, match=r"The test form has residual .* Use schur_form"
    ) as error:
        finish(
            model, np.eye(2), np.eye(2), form="test form", safer="schur_form",
            exact={"A": np.diag([0.5, 0.3])},
        )  # fmt: skip
    assert error.value.residual > 0.01


def test_what_enters_is_scaled():
    model = LinearSSM(np.eye(2) / 2, [[1e-9], [0.0]], np.ones((1, 2)))
    assert np.allclose(entering_directions(model), [[1.0], [0.0]])
    silent = LinearSSM(np.eye(2) / 2, np.zeros((2, 1)), np.ones((1, 2)))
    assert entering_directions(silent).shape == (2, 0)


@pytest.mark.parametrize("size", [1e-320, 1e-200, 1.0, 1e150, 1e300])
def test_norms_neither_overflow_nor_vanish(size):
    assert norm(np.full((2, 2), size)) == pytest.approx(2 * size)
    assert norm(np.full((2, 2), 1j * size)) == pytest.approx(2 * size)
    assert norm(np.zeros((2, 0))) == 0.0


def test_forms_of_models_in_extreme_units():
    tiny = LinearSSM([[0.5, 0.2], [-0.2, 0.7]], [[1e-300], [0.3e-300]], [[1.0, 0.4]])
    for form in (minimal_form, kalman_decomposition, modal_form):
        assert form(tiny).info["residual"] < 1e-12
    with pytest.raises(ValueError, match="`B` must have entries whose squares are finite"):
        LinearSSM([[0.5]], [[1e200]], [[1.0]])
