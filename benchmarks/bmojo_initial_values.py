"""What an identified initial value is worth for training, and when it is worth nothing.

Run ``python benchmarks/bmojo_initial_values.py``. A plant of order 6 with lightly damped modes and
a static nonlinearity behind it, 2 percent noise. The same network (a linear `BMojoLayer` and a
readout of 16 tanh units beside a direct path) is trained from three initial values of the layer:
identified by `subspace_id` and loaded by `from_model`; the random ring of a new layer; the diagonal
of S4D-Lin. Adam with a rate of 5e-3 for the first; the two others get the best of three rates,
chosen by the result, for every seed. A seed draws the plant, the data and the network. Errors are
relative to the standard deviation of the noisy output, on new data, 50 samples after the start.
"""

import time

import numpy as np
import torch
from torch import nn

from canonical_forms.bmojo import BMojoLayer, from_model
from identification import subspace_id
from realization import LinearSSM, simulate

RECORDS, LENGTH, BURN_IN, STEPS, SEEDS = 16, 300, 50, 500, 5
RATE, RATES = 5e-3, (3e-3, 1e-2, 3e-2)
READOUTS = {
    "weakly nonlinear: tanh(0.8 v) + 0.15 v^2": lambda v: np.tanh(0.8 * v) + 0.15 * v**2,
    "strongly nonlinear: v^2, no linear part": lambda v: v**2,
}


class Network(nn.Module):
    """A linear layer, and a static nonlinearity that starts as the identity."""

    def __init__(self, layer, offset=0.0):
        super().__init__()
        self.layer = layer
        self.hidden, self.out = nn.Linear(1, 16), nn.Linear(16, 1)
        self.direct = nn.Parameter(torch.ones(1))
        nn.init.zeros_(self.out.weight)
        nn.init.constant_(self.out.bias, offset)

    def forward(self, u):
        """Return outputs (B, L, 1)."""
        v = self.layer(u).y
        return self.direct * v + self.out(torch.tanh(self.hidden(v)))


def plant(rng):
    """Return three lightly damped pairs, with an output of unit variance for white inputs."""
    modulus, angle = rng.uniform(0.9, 0.98, 3), rng.uniform(0.1, 2.5, 3)
    A = np.zeros((6, 6))
    for i, (r, a) in enumerate(zip(modulus, angle, strict=True)):
        A[2 * i : 2 * i + 2, 2 * i : 2 * i + 2] = r * np.array(
            [[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]]
        )
    B = np.tile([[1.0], [0.0]], (3, 1)) * np.sqrt(1 - np.repeat(modulus, 2)[:, None] ** 2)
    model = LinearSSM(A, B, rng.standard_normal((1, 6)))
    size = simulate(model, rng.standard_normal(20_000)).y.std()
    return LinearSSM(A, B, model.C / size)


def data(model, readout, rng):
    """Return inputs and noisy outputs, one record a row."""
    u = rng.standard_normal((RECORDS, LENGTH, 1))
    y = np.stack([readout(simulate(model, row).y) for row in u])
    return u, y + 0.02 * y.std() * rng.standard_normal(y.shape)


def s4d_lin(layer):
    """Set the modes of a layer as S4D-Lin does: real part -1/2, frequencies pi n, random steps."""
    n = layer.memory.modes[1]
    step = torch.exp(torch.empty(n).uniform_(np.log(1e-3), np.log(1e-1)))
    layer.memory.set_modes([], torch.exp(step * (-0.5 + 1j * np.pi * torch.arange(n))).numpy())
    return layer


def train(network, sets, rate):
    """Return the error on new data before each step and after the last."""
    (u, y), (u_new, y_new) = sets
    optimizer = torch.optim.Adam(network.parameters(), lr=rate)
    errors = []
    for step in range(STEPS + 1):
        if step % 10 == 0:
            with torch.no_grad():
                e = (network(u_new) - y_new)[:, BURN_IN:]
                errors.append(float((e.square().mean() / y_new[:, BURN_IN:].var()).sqrt()))
        loss = (network(u) - y)[:, BURN_IN:].square().mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
    return errors


def first_below(errors, bound):
    """Return the number of steps until the error is below a bound, infinite if it never is."""
    return next((10.0 * i for i, e in enumerate(errors) if e < bound), np.inf)


def one_seed(readout, seed):
    """Return {initial value: errors} and the seconds that identification took."""
    rng = np.random.default_rng(seed)
    model = plant(rng)
    raw = [data(model, readout, rng) for _ in range(2)]
    sets = [[torch.as_tensor(part, dtype=torch.float32) for part in pair] for pair in raw]
    start = time.process_time()
    u, y = raw[0]
    found = subspace_id(list(y), list(u), 6, stable=True, focus="simulation")
    options = {"window": 0, "eidetic": 0, "dtype": torch.float32}
    identified = from_model(found.model, **options, tol=1e-3)
    seconds = time.process_time() - start
    offset = float(np.asarray(found.offset[0])[0])

    def new(kind, rate):
        torch.manual_seed(seed)
        layer = BMojoLayer(1, 1, (0, 3), **options)
        return train(Network(s4d_lin(layer) if kind == "S4D-Lin" else layer), sets, rate)

    torch.manual_seed(seed)
    runs = {"identified": train(Network(identified, offset), sets, RATE)}
    for kind in ("random ring", "S4D-Lin"):
        runs[kind] = min((new(kind, rate) for rate in RATES), key=lambda errors: errors[-1])
    return runs, seconds


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(f"{SEEDS} seeds, {STEPS} steps on {RECORDS} records of {LENGTH}; median (worst)")
    for name, readout in READOUTS.items():
        runs, seconds = zip(*(one_seed(readout, seed) for seed in range(SEEDS)), strict=True)
        print(f"{name}; identification took {np.mean(seconds):.2f} s")
        print(f"  {'':<12} {'first':>14} {'steps to 0.2':>14} {'steps to 0.1':>14} {'final':>14}")
        for kind in runs[0]:
            all_ = [run[kind] for run in runs]
            columns = [
                ([errors[0] for errors in all_], ".3f"),
                ([first_below(errors, 0.2) for errors in all_], ".0f"),
                ([first_below(errors, 0.1) for errors in all_], ".0f"),
                ([errors[-1] for errors in all_], ".3f"),
            ]
            cells = [f"{np.median(v):{f}} ({max(v):{f}})" for v, f in columns]
            print(f"  {kind:<12} " + " ".join(f"{cell:>14}" for cell in cells), flush=True)
