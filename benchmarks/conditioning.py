"""How well-conditioned the canonical forms are: the table of docs/theory/canonical_forms.md.

Run ``python benchmarks/conditioning.py``. Random stable models with two inputs and two outputs,
median over 25 of the condition number of T, for growing order; and three hard matrices of order 6.
A dash means that the form refuses (and says why).
"""

import warnings

import numpy as np
import scipy

import canonical_forms as cf
from realization import AccuracyError, LinearSSM, NotMinimalError

FORMS = {
    "Schur": cf.schur_form,
    "modal": cf.modal_form,
    "eidetic-fading": cf.eidetic_fading_form,
    "balanced": cf.balanced_form,
    "echelon": cf.echelon_form,
    "companion": cf.companion_form,
    "Jordan": cf.jordan_form,
}
ORDERS = (5, 10, 20, 30)


def random_model(order, rng, A=None):
    """Return a model with spectral radius 0.95 and two inputs and outputs."""
    if A is None:
        A = rng.standard_normal((order, order))
        A *= 0.95 / np.abs(np.linalg.eigvals(A)).max()
    n = A.shape[0]
    return LinearSSM(A, rng.standard_normal((n, 2)), rng.standard_normal((2, n)))


def hard_models(rng):
    """Return models with a 3 by 3 Jordan block, clustered eigenvalues, and a delay line."""
    blocks = {
        "Jordan block": [0.5 * np.eye(3) + np.eye(3, k=1), np.diag([0.9, -0.3, 0.1])],
        "cluster 1e-7": [np.diag([0.5, 0.5 + 1e-7, 0.5 - 1e-7]), np.diag([0.9, -0.3, 0.1])],
        "delay of 5": [np.eye(5, k=1), [[0.9]]],
    }
    models = {}
    for name, parts in blocks.items():
        T = np.linalg.qr(rng.standard_normal((6, 6)))[0] * np.geomspace(1.0, 0.1, 6)
        T = T @ np.linalg.qr(rng.standard_normal((6, 6)))[0]
        models[name] = random_model(6, rng, T @ scipy.linalg.block_diag(*parts) @ np.linalg.inv(T))
    return models


def condition(form, model):
    """Return cond(T), infinite where the form refuses."""
    try:
        return form(model).info["cond"]
    except (AccuracyError, NotMinimalError):
        return np.inf


def main():
    """Print the table."""
    warnings.simplefilter("ignore")
    rng = np.random.default_rng(0)
    samples = {f"n = {n}": [random_model(n, rng) for _ in range(25)] for n in ORDERS}
    samples |= {name: [model] for name, model in hard_models(rng).items()}
    print("| form |", " | ".join(samples), "|")
    print("| --- |", " | ".join("---:" for _ in samples), "|")
    for name, form in FORMS.items():
        medians = [np.median([condition(form, m) for m in models]) for models in samples.values()]
        cells = [f"{value:.0e}" if np.isfinite(value) else "–" for value in medians]
        print(f"| {name} |", " | ".join(cells), "|")


if __name__ == "__main__":
    main()
