"""Local coordinates: the tangent of the similarity orbit, its complement, balancing."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from predictors import random_system

from identification.local_coordinates import balancing_transform, local_basis

SETTINGS = settings(max_examples=25, deadline=None, derandomize=True)
dimensions = {"n": st.integers(0, 4), "m": st.integers(0, 2), "p": st.integers(1, 3)}


@given(**dimensions, bilinear=st.booleans(), seed=st.integers(0, 99))
@SETTINGS
def test_tangent_is_the_derivative_of_a_change_of_basis(n, m, p, bilinear, seed):
    rng = np.random.default_rng(seed)
    system = random_system(rng, n, m, p, m if bilinear else 0)
    X, h = rng.standard_normal((n, n)), 1e-6
    plus, minus = np.eye(n) + h * X, np.eye(n) - h * X
    moved = system.transformed(plus, np.linalg.inv(plus)).vector()
    back = system.transformed(minus, np.linalg.inv(minus)).vector()
    along = system.orbit_tangent() @ X.ravel()
    assert np.allclose(
        (moved - back) / (2 * h), along, atol=1e-8 * max(1, np.abs(along).max(initial=0))
    )


@given(**dimensions, seed=st.integers(0, 99))
@SETTINGS
def test_basis_has_the_dimension_of_the_input_output_maps(n, m, p, seed):
    system = random_system(np.random.default_rng(seed), n, m, p, 0)
    everything = ~system.entries()
    basis = local_basis(system, everything, system.entries())
    # order n, m inputs, p outputs and p innovations: n (m + 2 p) + p m parameters
    assert basis.shape == (system.vector().size, n * (m + 2 * p) + p * m)
    assert np.allclose(basis.T @ basis, np.eye(basis.shape[1]))
    assert np.allclose(basis.T @ system.orbit_tangent(), 0, atol=1e-12)


def test_held_entries_leave_fewer_redundant_directions():
    system = random_system(np.random.default_rng(0), 3, 1, 1, 0)
    held = system.entries(C=True)
    free = ~held
    # changes of basis that keep C: 9 - 3 = 6 redundant directions of the 9 + 3 + 1 + 3 free entries
    basis = local_basis(system, free, held)
    assert basis.shape[1] == 16 - 6
    assert not basis[held].any()
    every = system.entries(A=True, B=True, C=True)
    assert local_basis(system, ~every, every).shape[1] == 4  # D and K: nothing is redundant


def test_entries_neither_free_nor_held_follow_the_basis():
    system = random_system(np.random.default_rng(0), 3, 1, 1, 0)
    free = ~system.entries(K=True)
    assert local_basis(system, free, system.entries()).shape[1] == free.sum() - 9


def test_vector_and_transform_go_back_and_forth():
    rng = np.random.default_rng(0)
    system = random_system(rng, 3, 2, 2, 2)
    assert np.array_equal(system.with_vector(system.vector()).vector(), system.vector())
    T = rng.standard_normal((3, 3))
    Tinv = np.linalg.inv(T)
    round_trip = system.transformed(T, Tinv).transformed(Tinv, T)
    assert np.allclose(round_trip.vector(), system.vector(), atol=1e-12 * np.linalg.cond(T))


@given(n=st.integers(1, 5), seed=st.integers(0, 99))
@SETTINGS
def test_balancing_makes_the_gramians_equal_and_diagonal(n, seed):
    rng = np.random.default_rng(seed)
    left, right = rng.standard_normal((n, n + 2)), rng.standard_normal((n, n + 2))
    units = 10.0 ** rng.integers(-6, 7, n)
    P, Q = np.diag(units) @ left @ left.T @ np.diag(units), right @ right.T
    Q = Q / np.outer(units, units)
    T, Tinv = balancing_transform(P, Q)
    assert np.allclose(Tinv @ T, np.eye(n), atol=1e-7)
    reach, observe = Tinv @ P @ Tinv.T, T.T @ Q @ T
    assert np.allclose(reach, observe, atol=1e-7 * np.abs(reach).max())
    assert np.allclose(reach, np.diag(np.diag(reach)), atol=1e-7 * np.abs(reach).max())


def test_balancing_survives_directions_that_nothing_sees():
    T, Tinv = balancing_transform(np.diag([1.0, 0.0]), np.zeros((2, 2)))
    assert np.isfinite(T).all()
    assert np.allclose(Tinv @ T, np.eye(2))
