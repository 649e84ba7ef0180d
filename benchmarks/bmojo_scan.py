"""The torch scans against the plain loop, forward and with gradients.

Run ``python benchmarks/bmojo_scan.py``. Median CPU time of one thread in milliseconds, all methods
in one run, taking turns, and the error of the states relative to their peak against the loop in
double precision. "autograd" is the loop as one writes it in torch, with the graph that autograd
keeps; "loop" has the gradient of this package, a scan backwards in time. The sequences are complex
and of single precision, with one mode at 0.9999 and one at 0.05; in the last two rows they are
real, with a dense matrix and with decays that vary with time. Then a whole layer: 16 modes, a
window of 64 tokens of 8 channels, 32 slots, one percent of the tokens chosen.
"""

import torch
from timing import cpu_seconds

from canonical_forms.bmojo import BMojoLayer
from canonical_forms.bmojo.scan import dense_scan, diagonal_scan

SIZES = [(8, 1024, 64), (8, 4096, 64), (1, 16384, 64), (32, 512, 16), (1, 100_000, 16)]
METHODS = ("autograd", "loop", "blocked", "associative")


def autograd_loop(lam, b, x0, dense=False):
    """Return the states, as the recurrence reads."""
    x, states = x0, []
    decays = lam.to(b.dtype).unbind(1) if lam.ndim == 3 else (lam.to(b.dtype),) * b.shape[1]
    for decay, entering in zip(decays, b.unbind(1), strict=True):
        x = (x @ decay.mT if dense else decay * x) + entering
        states.append(x)
    return torch.stack(states, 1)


def run(method, lam, b, x0, dense):
    """Return the states by one method."""
    if method == "autograd":
        return autograd_loop(lam, b, x0, dense)
    return (dense_scan if dense else diagonal_scan)(lam, b, x0, method=method)


def with_gradients(method, lam, b, x0, dense):
    """Run forward, and backward from a given gradient."""
    leaves = [part.detach().requires_grad_() for part in (lam, b, x0)]
    torch.autograd.grad(run(method, *leaves, dense), leaves, b)


def row(name, lam, b, x0, dense=False):
    """Time all methods on one problem and print them."""
    methods = [m for m in METHODS if not (dense and m == "associative")]
    cast = (lambda v: v.to(torch.complex64)) if b.is_complex() else (lambda v: v.float())
    low = [lam, cast(b), cast(x0)]
    with torch.no_grad():
        exact = run("loop", lam, b, x0, dense)
        peak = exact.abs().max()
        error = {m: float((run(m, *low, dense) - exact).abs().max() / peak) for m in methods}
        forward = cpu_seconds({m: lambda m=m: run(m, *low, dense) for m in methods}, repeats=5)
    both = cpu_seconds({m: lambda m=m: with_gradients(m, *low, dense) for m in methods}, repeats=3)
    print(name)
    for m in methods:
        print(
            f"  {m:<12} forward {1e3 * forward[m]:8.1f}  {forward['loop'] / forward[m]:5.1f}x loop"
            f"   forward+backward {1e3 * both[m]:8.1f}  {both['loop'] / both[m]:5.1f}x loop  "
            f"{both['autograd'] / both[m]:5.1f}x autograd   error {error[m]:.0e}",
            flush=True,
        )


def layer_row(length, chunk):
    """Time a layer on one sequence and print it."""
    layer = BMojoLayer(8, 8, (0, 16), target="input", chunk=chunk)
    x = torch.randn(1, length, 8)
    layer.calibrate(x)
    start = layer.initial_state()

    def forward():
        with torch.no_grad():
            layer(x)

    def steps():
        with torch.no_grad():
            state = start
            for t in range(100):
                state = layer.step(x[:, t], state).state

    seconds = cpu_seconds(
        {"forward": forward, "both": lambda: layer(x).y.sum().backward(), "steps": steps}, repeats=3
    )
    print(
        f"layer, L={length} chunk={chunk:<3} forward {1e3 * seconds['forward']:6.1f}"
        f"   forward+backward {1e3 * seconds['both']:6.1f}   a step {10 * seconds['steps']:.2f}"
    )


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print(f"torch {torch.__version__}")
    for B, L, N in SIZES:
        modulus = torch.cat([torch.tensor([0.9999, 0.05]), 0.5 + 0.49 * torch.rand(N - 2)]).double()
        lam = torch.polar(modulus, torch.pi * torch.rand(N, dtype=torch.float64))
        b = torch.randn(B, L, N, dtype=torch.complex128)
        row(f"B={B} L={L} N={N}", lam, b, b[:, 0])
    B, L, N = 1, 16384, 64
    A = torch.randn(N, N, dtype=torch.float64)
    A *= 0.99 / torch.linalg.matrix_norm(A, 2)
    b = torch.randn(B, L, N, dtype=torch.float64)
    row(f"B={B} L={L} N={N}, dense", A, b, b[:, 0], dense=True)
    row(f"B={B} L={L} N={N}, varying", 0.9 + 0.09 * torch.rand(B, L, N).double(), b, b[:, 0])
    for length in (4096, 16384):
        for chunk in (1, 16):
            layer_row(length, chunk)
