"""
Can a pendulum be a bilinear system?
====================================

A pendulum is nonlinear, but its powers obey linear equations with the torque as a factor: Carleman
lifting turns any polynomial system into a bilinear one, exact up to the powers that are dropped.
How many powers does it take, and how far does it reach?
"""

# %%
# A polynomial pendulum, exactly
# ------------------------------
# The sine is no polynomial. With :math:`s = \sin\theta`, :math:`c = \cos\theta - 1` and the speed
# :math:`\omega` as states it need not be:
#
# .. math::
#
#     \dot s = \omega + c\,\omega, \qquad \dot c = -s\,\omega, \qquad
#     \dot\omega = -s - b\,\omega + u.
#
# A vector field is the list of its matrices by Kronecker power; the torque enters by a constant.

import matplotlib.pyplot as plt
import numpy as np
import scipy

import realization

friction = 0.4
linear = np.array([[0.0, 0.0, 1.0], [0.0, 0.0, 0.0], [-1.0, 0.0, -friction]])
quadratic = np.zeros((3, 3, 3))
quadratic[0, 1, 2] = 1.0  # c omega
quadratic[1, 0, 2] = -1.0  # -s omega
drift = [np.zeros(3), linear, quadratic.reshape(3, 9)]
torque = [[0.0, 0.0, 1.0]]

# %%
# Lift it
# -------
# The torque is held over each interval, so the bilinear model takes exact steps: one matrix
# exponential for each value of the torque.

interval, steps = 0.1, 120
u = np.repeat(np.sign(np.sin(np.arange(steps // 10) * 0.9 + 0.5)), 10)
degrees = (1, 2, 3, 4, 5, 6, 8)
amplitudes = (0.15, 0.3, 0.6)


def pendulum(amplitude):
    """Return the angle at the sample times, by a precise integrator."""
    state, path = np.zeros(2), []
    for torque_now in amplitude * u:
        path.append(state[0])
        state = scipy.integrate.solve_ivp(
            lambda t, x, v=torque_now: (x[1], -np.sin(x[0]) - friction * x[1] + v),
            (0.0, interval),
            state,
            rtol=1e-11,
            atol=1e-12,
        ).y[:, -1]
    return np.array(path)


angles = {amplitude: pendulum(amplitude) for amplitude in amplitudes}
truth = {amplitude: np.sin(angle) for amplitude, angle in angles.items()}
lifted, errors = {}, np.empty((len(amplitudes), len(degrees)))
for j, degree in enumerate(degrees):
    model = realization.carleman([drift, torque], degree, basis="monomial")
    for i, amplitude in enumerate(amplitudes):
        y = realization.simulate(model, amplitude * u, dt=interval).y[:, 0]
        lifted[amplitude, degree] = y
        errors[i, j] = np.abs(y - truth[amplitude]).max() / np.abs(truth[amplitude]).max()
    print(f"degree {degree}: {model.n_states} states")

# %%
# How far it reaches
# ------------------
# Degree one is the linear pendulum. For small swings each further power gains a factor; for wide
# swings the dropped powers are as large as the kept ones, and more of them do harm.

figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 3.4), layout="constrained")
time, wide = interval * np.arange(steps), amplitudes[1]
left.plot(time, truth[wide], color="0.7", lw=4, label="pendulum")
for degree, style in ((1, ":"), (2, "--"), (4, "-")):
    left.plot(time, lifted[wide, degree], style, lw=1.2, label=f"degree {degree}")
left.set(xlabel="time", ylabel=r"$\sin\theta$", title=f"torque ±{wide}")
left.legend(fontsize="small", ncols=2)
for amplitude, row in zip(amplitudes, errors, strict=True):
    largest = np.degrees(np.abs(angles[amplitude]).max())
    right.semilogy(degrees, row, "o-", label=f"torque ±{amplitude}: up to {largest:.0f}°")
right.set(xlabel="degree", ylabel="largest error, relative", title="powers kept")
right.legend(fontsize="small")
plt.show()

# %%
# Let go, not pushed: the lifted state of a start that is not rest is that of its powers.

model = realization.carleman([drift, torque], 8, basis="monomial")
start = realization.carleman_state([np.sin(0.3), np.cos(0.3) - 1, 0.0], 8, basis="monomial")
swing = realization.simulate(model, np.zeros((steps, 1)), x0=start, dt=interval).y[:, 0]
later = scipy.integrate.solve_ivp(
    lambda t, x: (x[1], -np.sin(x[0]) - friction * x[1]), (0, time[-1]), (0.3, 0.0), rtol=1e-10
).y[0, -1]
print(f"released at 17 degrees, error at the end {abs(swing[-1] - np.sin(later)):.0e}")

# %%
# The answer
# ----------
# Yes, for swings of some twenty degrees, with a few powers; for swings of a hundred, no.

print("relative errors at degree 1 and 8:", ", ".join(f"{e[0]:.1e} -> {e[-1]:.1e}" for e in errors))
assert errors[0, -1] < 1e-3 * errors[0, 0]
assert np.all(np.diff(np.log(errors[0])) < 0)
assert errors[2, -1] > errors[2, 0] > 1
