"""The whole record as one Gaussian vector: what every filter, smoother and forecast must equal."""

import numpy as np

from realization import GaussianSSM, InnovationSSM
from realization.internal import initial_moments


class JointGaussian:
    """Mean and covariance of (x_0, ..., x_T, y_0, ..., y_{T-1}), built by substitution.

    Every vector is ``mean + map @ sources`` with the sources (x_0 - m_0, w_0, v_0, w_1, ...).
    """

    def __init__(self, model, T, u):
        n, p = model.n_states, model.n_outputs
        if isinstance(model, InnovationSSM):
            F = np.vstack([model.K, np.eye(p)])
            joint, m0, P0 = F @ model.Re @ F.T, model.x0, np.zeros((n, n))
        else:
            assert isinstance(model, GaussianSSM)
            joint = np.block([[model.Q, model.S], [model.S.T, model.R]])
            m0, P0 = initial_moments(model)
        N = n + T * (n + p)
        self.covariance = np.zeros((N, N))
        self.covariance[:n, :n] = P0
        self.x_map, self.y_map = np.zeros((T + 1, n, N)), np.zeros((T, p, N))
        self.x_mean, self.y_mean = np.zeros((T + 1, n)), np.zeros((T, p))
        self.x_map[0, :, :n], self.x_mean[0] = np.eye(n), m0
        for t in range(T):
            a = n + t * (n + p)
            self.covariance[a : a + n + p, a : a + n + p] = joint
            self.y_map[t] = model.C @ self.x_map[t]
            self.y_map[t][:, a + n : a + n + p] += np.eye(p)
            self.x_map[t + 1] = model.A @ self.x_map[t]
            self.x_map[t + 1][:, a : a + n] += np.eye(n)
            self.y_mean[t] = model.C @ self.x_mean[t] + model.D @ u[t]
            self.x_mean[t + 1] = model.A @ self.x_mean[t] + model.B @ u[t]

    def given(self, y, until):
        """Return a function (map, mean) -> (mean, covariance) given y[:until], NaN left out."""
        seen = ~np.isnan(y)
        seen[until:] = False
        H, e = self.y_map[seen], (y - self.y_mean)[seen]
        G = self.covariance @ H.T
        S = H @ G

        def condition(rows, mean):
            gain = np.linalg.solve(S, G.T @ rows.T).T
            return mean + gain @ e, rows @ self.covariance @ rows.T - gain @ G.T @ rows.T

        return condition

    def log_density(self, y):
        """Return the log density of the entries of y that are not NaN."""
        seen = ~np.isnan(y)
        H, e = self.y_map[seen], (y - self.y_mean)[seen]
        S = H @ self.covariance @ H.T
        quadratic = e @ np.linalg.solve(S, e)
        return -0.5 * (len(e) * np.log(2 * np.pi) + np.linalg.slogdet(S)[1] + quadratic)


def random_gaussian(rng, n, m, p, *, singular=False):
    """Return a GaussianSSM with S != 0, inputs and a nonstationary start.

    With `singular`, the state noise, its correlation and P0 have rank one.
    """
    F = rng.standard_normal((n + p, n + p))
    G = rng.standard_normal((n, n))
    if singular:
        F[:n, 1:], G[:, 1:] = 0.0, 0.0
    joint = F @ F.T
    return GaussianSSM(
        0.7 * rng.standard_normal((n, n)),
        rng.standard_normal((p, n)),
        joint[:n, :n],
        joint[n:, n:] + 0.5 * np.eye(p),
        joint[:n, n:],
        B=rng.standard_normal((n, m)),
        D=rng.standard_normal((p, m)),
        m0=rng.standard_normal(n),
        P0=G @ G.T,
    )


def with_gaps(rng, y):
    """Return a copy of y with a third of its entries and one whole row missing."""
    y = y.copy()
    y[rng.random(y.shape) < 1 / 3] = np.nan
    if len(y):
        y[rng.integers(len(y))] = np.nan
    return y
