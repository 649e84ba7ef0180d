"""The figure of a form."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from every_model import EVERY, jordan, mixed, record

from canonical_forms import (
    balanced_form,
    eidetic_fading_form,
    kalman_decomposition,
    modal_form,
    plot_structure,
    schur_form,
)
from realization import CovarianceModel, LinearSSM


def texts(ax):
    return [text.get_text() for text in ax.texts]


def plant(cls=LinearSSM, dt=1.0):
    rng = np.random.default_rng(0)
    blocks = [np.eye(3, k=1), np.eye(2, k=1), [[np.exp(-0.1)]], 0.9 * jordan(np.exp(0.5j), 1)]
    return record(cls, rng, mixed(rng, blocks), 2, 2, dt=dt)


def test_memory_of_every_block_is_named():
    ax = plot_structure(eidetic_fading_form(plant(dt=0.5)))
    shown = texts(ax)
    assert "exact, 3 steps" in shown
    assert "exact, 2 steps" in shown
    assert "τ = 5" in shown
    assert any("period" in text and "6.28" in text for text in shown)
    assert {"A", "B", "C"} <= set(shown)
    assert len(ax.patches) == 4
    assert "cond" in ax.get_title()


@pytest.mark.parametrize("eidetic", ["weyr", "delay_line"])
def test_one_label_for_an_eidetic_part_in_one_piece(eidetic):
    shown = texts(plot_structure(eidetic_fading_form(plant(), eidetic=eidetic)))
    assert shown.count("exact, 3 steps") == 1
    assert "exact, 2 steps" not in shown


def test_unstable_and_undamped_modes():
    A = np.diag([np.exp(0.1), 1.0, -0.5])
    shown = texts(plot_structure(modal_form(LinearSSM(A, np.ones((3, 1)), np.ones((1, 3))))))
    assert "grows, τ = 10" in shown
    assert "never fades" in shown
    assert "τ = 1.44" in shown
    zero = LinearSSM([[0.0]], [[1.0]], [[1.0]])
    assert "0" in texts(plot_structure(modal_form(zero)))


@pytest.mark.parametrize("cls", EVERY)
def test_every_class_and_a_given_axes(cls):
    _, ax = plt.subplots()
    rng = np.random.default_rng(1)
    model = record(cls, rng, mixed(rng, [[[-0.9]], [[-0.3]]]), 1, 2, dt=0.0)
    assert plot_structure(schur_form(model), ax=ax) is ax
    assert ("N" in texts(ax)) == (cls is CovarianceModel)


def test_forms_without_blocks_or_states():
    assert any("τ" in text for text in texts(plot_structure(balanced_form(plant()))))
    empty = LinearSSM(np.zeros((0, 0)), np.zeros((0, 1)), np.zeros((1, 0)))
    plot_structure(schur_form(empty)).figure.canvas.draw()
    plot_structure(kalman_decomposition(plant())).figure.canvas.draw()


def test_only_forms():
    with pytest.raises(TypeError, match="`form` must be a CanonicalForm"):
        plot_structure(plant())
