"""The torch scans against the plain recurrence, and their gradients against differences."""

import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from canonical_forms.bmojo.scan import SHORT, dense_scan, diagonal_scan  # noqa: E402

torch.set_num_threads(1)  # small tensors: threads cost more than they bring
CHECKED = settings(max_examples=30, deadline=None, derandomize=True)
METHODS = ("loop", "blocked", "associative")


def problem(seed, length, n, *, batch=2, complex_=True, kind="constant", decay=0.9):
    """Return decays (or a matrix), a drive and an initial state in double precision."""
    torch.manual_seed(seed)
    dtype = torch.complex128 if complex_ else torch.float64
    b = torch.randn(batch, length, n, dtype=dtype)
    if kind == "dense":
        A = torch.randn(n, n, dtype=dtype)
        A = decay * A / torch.linalg.matrix_norm(A, 2) if n else A
    else:
        A = torch.randn(*((batch, length, n) if kind == "varying" else (n,)), dtype=dtype)
        A = decay * A / A.abs().clamp(min=1)
    return A, b, torch.randn(batch, n, dtype=dtype)


def scan(kind):
    return dense_scan if kind == "dense" else diagonal_scan


def recurrence(A, b, x, kind):
    """Return the states, as the recurrence reads."""
    states = [b[:, :0]]
    for t in range(b.shape[1]):
        step = A[:, t] if kind == "varying" else A
        x = (x @ step.mT if kind == "dense" else step * x) + b[:, t]
        states.append(x[:, None])
    return torch.cat(states, 1)


@pytest.mark.parametrize("kind", ["constant", "varying", "dense"])
@CHECKED
@given(
    seed=st.integers(0, 2**31),
    length=st.sampled_from([0, 1, 2, 3, 4, 15, 16, 17, 100, 257]),
    n=st.integers(0, 4),
    batch=st.integers(1, 3),
    complex_=st.booleans(),
    method=st.sampled_from(("auto", *METHODS)),
)
def test_every_method_is_the_recurrence(kind, seed, length, n, batch, complex_, method):
    A, b, x0 = problem(seed, length, n, batch=batch, complex_=complex_, kind=kind)
    if method == "associative" and 0 in (length, n):
        method = "blocked"
    x = scan(kind)(A, b, x0, method=method)
    exact = recurrence(A, b, x0, kind)
    assert x.shape == b.shape
    assert (x - exact).abs().sum() <= 1e-12 * (1 + exact.abs().sum())


@pytest.mark.parametrize("kind", ["constant", "varying", "dense"])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("complex_", "length"), [(False, 1), (False, 6), (True, 2), (True, 6)])
def test_gradients_agree_with_differences(kind, method, complex_, length):
    parts = [p.requires_grad_() for p in problem(0, length, 2, complex_=complex_, kind=kind)]
    assert torch.autograd.gradcheck(lambda *a: scan(kind)(*a, method=method), parts)


@pytest.mark.parametrize("kind", ["constant", "varying", "dense"])
def test_second_derivatives_agree_with_differences(kind):
    parts = [p.requires_grad_() for p in problem(1, 5, 2, kind=kind)]
    assert torch.autograd.gradgradcheck(lambda *a: scan(kind)(*a, method="blocked"), parts)


def test_gradient_of_nothing_is_nothing():
    lam, b, x0 = (p.requires_grad_() for p in problem(0, 0, 2))
    grads = torch.autograd.grad(diagonal_scan(lam, b, x0).abs().sum(), (lam, b, x0))
    assert all(float(grad.abs().sum()) == 0 for grad in grads)


@pytest.mark.parametrize("method", METHODS)
def test_large_states_of_slow_modes_stay_accurate_in_single_precision(method):
    lam, b, x0 = problem(2, 4000, 8)
    lam = torch.polar(torch.linspace(0.05, 0.999, 8).double(), lam.real)
    exact = diagonal_scan(lam, b, x0, method="loop")
    single = diagonal_scan(lam, b.to(torch.complex64), x0.to(torch.complex64), method=method)
    assert single.dtype == torch.complex64
    assert (single - exact).abs().max() < 2e-5 * exact.abs().max()


def test_powers_are_formed_in_the_precision_of_the_decay():
    # With powers of the rounded decay the error is about L eps/2, here only sqrt(L) eps.
    lam = torch.tensor([0.9999], dtype=torch.float64)
    b = torch.zeros(1, 10_000, 1)
    x0 = torch.ones(1, 1)
    exact = lam ** torch.arange(1, 10_001)
    error = {
        method: float((diagonal_scan(lam, b, x0, method=method)[0, :, 0] - exact).abs().max())
        for method in ("loop", "blocked")
    }
    assert error["blocked"] < 1e-5
    assert error["blocked"] < error["loop"] / 5


def test_auto_switches_at_the_documented_length():
    for length in (SHORT, SHORT + 1):
        lam, b, x0 = problem(3, length, 2)
        method = "loop" if length == SHORT else "blocked"
        assert torch.equal(diagonal_scan(lam, b, x0), diagonal_scan(lam, b, x0, method=method))


def test_inputs_are_not_modified():
    lam, b, x0 = problem(4, 100, 3)
    copies = [part.clone() for part in (lam, b, x0)]
    diagonal_scan(lam, b, x0, method="blocked")
    assert all(torch.equal(part, copy) for part, copy in zip((lam, b, x0), copies, strict=True))


def test_functional_gradient():
    lam, b, x0 = problem(7, 100, 3, complex_=False)
    lam.requires_grad_()
    diagonal_scan(lam, b, x0).square().sum().backward()
    found = torch.func.grad(lambda v: diagonal_scan(v, b, x0).square().sum())(lam.detach())
    torch.testing.assert_close(found, lam.grad)


def test_unknown_method():
    lam, b, x0 = problem(5, 3, 1)
    with pytest.raises(
        ValueError, match="`scan` must be one of 'auto', 'loop', 'blocked', 'associative'"
    ):
        diagonal_scan(lam, b, x0, method="fast")


def test_associative_scan_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch._higher_order_ops.associative_scan", None)
    lam, b, x0 = problem(6, 3, 1)
    with pytest.raises(ImportError, match=r"does not have\. Use scan='auto'"):
        diagonal_scan(lam, b, x0, method="associative")
