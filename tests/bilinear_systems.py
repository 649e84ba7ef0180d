"""Random bilinear models, and what they mean written as plainly as possible."""

import numpy as np

from realization import BilinearSSM


def random_bilinear(rng, n, m, p, *, radius=0.8, gate=0.2, dt=1.0, noise=False):
    """Return a model with |A| = radius and |N_i| = gate (continuous time: A shifted by -1).

    Its Gramians exist when radius^2 + m gate^2 < 1.
    """
    A = rng.standard_normal((n, n))
    N = rng.standard_normal((m, n, n))
    if n:
        A *= radius / np.linalg.norm(A, 2)
        N *= gate / np.linalg.norm(N, 2, axis=(1, 2))[:, np.newaxis, np.newaxis]
    if dt == 0.0:
        A = A - np.eye(n)
    B, C, D = (rng.standard_normal(shape) for shape in ((n, m), (p, n), (p, m)))
    if not noise:
        return BilinearSSM(A, N, B, C, D, dt=dt)
    K, F, x0 = (rng.standard_normal(shape) for shape in ((n, p), (p, p), (n,)))
    return BilinearSSM(A, N, B, C, D, K=0.1 * K, Re=F @ F.T, x0=x0, dt=dt)


def with_copies(model, rng):
    """Return a model of order n + 3 with the same outputs: one state unreachable, two unseen."""
    n, m, p = model.n_states, model.n_inputs, model.n_outputs

    def enlarge(M):
        # order of the states: reachable and seen, reachable and unseen (2), unreachable (1)
        big = rng.standard_normal((n + 3, n + 3))
        big[:n, :n], big[:n, n : n + 2], big[n + 2, : n + 2] = M, 0.0, 0.0
        return big

    A, N = enlarge(model.A), np.array([enlarge(M) for M in model.N]).reshape(m, n + 3, n + 3)
    B = np.vstack([model.B, rng.standard_normal((2, m)), np.zeros((1, m))])
    K = np.vstack([model.K, rng.standard_normal((2, p)), np.zeros((1, p))])
    C = np.hstack([model.C, np.zeros((p, 2)), rng.standard_normal((p, 1))])
    x0 = np.concatenate([model.x0, rng.standard_normal(2), [0.0]])
    T = np.linalg.qr(rng.standard_normal((n + 3, n + 3)))[0]
    return BilinearSSM(
        T.T @ A @ T, T.T @ N @ T, T.T @ B, C @ T, model.D,
        K=T.T @ K, Re=model.Re, x0=T.T @ x0, dt=model.dt,
    )  # fmt: skip


def loop(model, u, x0=None, e=None):
    """Return outputs (T, p) and states (T + 1, n) of the recurrence, one step at a time."""
    x = [np.array(model.x0 if x0 is None else x0)]
    y = []
    for t, ut in enumerate(u):
        et = np.zeros(model.n_outputs) if e is None else e[t]
        y.append(model.C @ x[-1] + model.D @ ut + et)
        gated = sum((ut[i] * model.N[i] @ x[-1] for i in range(len(ut))), np.zeros(len(x[-1])))
        x.append(model.A @ x[-1] + gated + model.B @ ut + model.K @ et)
    return np.array(y).reshape(len(u), model.n_outputs), np.array(x)
