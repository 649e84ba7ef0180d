"""BLAS threads are limited while small matrices are factorised, and put back."""

import inspect
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from identification import (
    bilinear_id,
    em,
    expectation_maximization,
    pem,
    prediction_error,
    stochastic_id,
    threads,
)
from identification.threads import SMALL, blas_threads_for, one_blas_thread
from realization import InnovationSSM


def threads_now():
    """Return the number of threads of the BLAS libraries of numpy and scipy."""
    return [one["num_threads"] for one in threads._libraries().info()]


@one_blas_thread
def inside(value, *, other=2):
    """Return the threads seen inside, and the arguments."""
    return threads_now(), value, other


def test_limits_and_restores():
    with threadpool_limits(2, user_api="blas"):
        before = threads_now()
        with blas_threads_for(SMALL):
            assert set(threads_now()) == {1}
        assert threads_now() == before
        with blas_threads_for(SMALL + 1):
            assert threads_now() == before
        seen, value, other = inside(5, other=7)
        assert (set(seen), value, other) == ({1}, 5, 7)
        assert threads_now() == before


class Libraries:
    """A BLAS of two threads, whose limit is one number."""

    threads = 2

    @contextmanager
    def limit(self, *, limits):
        before, self.threads = self.threads, limits
        yield
        self.threads = before


def test_threads_that_overlap_leave_the_limit_as_it_was(monkeypatch):
    libraries = Libraries()
    monkeypatch.setattr(threads, "_libraries", lambda: libraries)
    steps = [Barrier(2) for _ in range(3)]

    def first():
        with blas_threads_for(SMALL):
            steps[0].wait(timeout=10)
            steps[1].wait(timeout=10)
            assert libraries.threads == 1
        steps[2].wait(timeout=10)

    def second():
        steps[0].wait(timeout=10)
        with blas_threads_for(SMALL):
            steps[1].wait(timeout=10)
            steps[2].wait(timeout=10)

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(first), pool.submit(second)]:
            done.result()
    assert libraries.threads == 2


def test_decorated_functions_keep_their_face():
    for function, first in (
        (bilinear_id, "y"),
        (stochastic_id, "y"),
        (pem, "model"),
        (em, "model"),
    ):
        assert next(iter(inspect.signature(function).parameters)) == first
        assert function.__module__.startswith("identification.")
        assert function.__doc__


@pytest.mark.parametrize(("order", "limit"), [(1, 1), (120, 2)])
def test_refinement_is_limited_where_it_is_small(order, limit, monkeypatch):
    def note(*_, **__):
        seen.append(libraries.threads)

    libraries, seen = Libraries(), []
    monkeypatch.setattr(threads, "_libraries", lambda: libraries)
    monkeypatch.setattr(prediction_error, "minimized", note)
    monkeypatch.setattr(expectation_maximization, "require_discrete", note)
    column = np.ones((order, 1))
    start = InnovationSSM(np.eye(order) / 2, column.T, 0.1 * column / order, [[1.0]])
    y = np.random.default_rng(0).standard_normal(50)
    pem(start, y)
    em(InnovationSSM([[0.5]], [[1.0]], [[0.1]], [[1.0]]), y)
    assert (seen, libraries.threads) == ([limit, 1], 2)
