"""Dynamic textures: three measured clips, and speed and memory against the usual routes.

Run ``python benchmarks/dynamic_textures.py``; with ``speed``, the second part alone. The clips
are read from the folder ``video`` in the directory named by STOCHASTIC_REALIZATION_DATA (needs
PyAV); without it the first part is skipped.
First halves train, second halves test; PSNR in decibels against 255. Peers do the same closed
form, the way it is usually written: frames in a float32 matrix, scikit-learn's randomized SVD, or
numpy's full SVD; synthesis frame by frame in float64. CPU seconds on one thread, all in one run;
memory is the peak of what numpy allocates.
"""

import os
import sys
import tempfile
import time
import tracemalloc
from functools import partial
from pathlib import Path

import numpy as np
import scipy
from threadpoolctl import threadpool_limits
from timing import cpu_seconds

from identification.dynamic_texture import (
    FrameSource,
    change_speed,
    evaluate,
    learn,
    read_video,
    synthesize,
)
from realization import NumericalWarning, poles, simulate, to_covariance

CLIPS = {"stream": ("stream-of-water.mp4", 2), "fountain": ("fountain_6486110.avi", 1)}
CLIPS |= {"fire": ("fire_pot.avi", 4)}
ORDERS = (10, 20, 30, 50, "auto")


def decibels(error):
    return 20 * np.log10(255) - 10 * np.log10(error)


def read_clips():
    """Return the clips as arrays, the large ones averaged over squares of pixels."""
    folder = Path(os.environ.get("STOCHASTIC_REALIZATION_DATA", "nowhere")) / "video"
    if not folder.is_dir():
        return {}
    return {
        name: np.concatenate([averaged(b, step) for b in read_video(folder / file).blocks(16)])
        for name, (file, step) in CLIPS.items()
    }


def averaged(block, step):
    """Return frames whose pixels are means over squares."""
    b, height, width, channels = block.shape
    squares = block.reshape(b, height // step, step, width // step, step, channels)
    return np.rint(squares.mean(axis=(2, 4))).astype(np.uint8)


def optimal_errors(train):
    """Return the mean squared errors of the best projections, by number of basis images."""
    rows = train.reshape(len(train), -1).astype(float)
    rows -= rows.mean(axis=0)
    values = np.linalg.eigvalsh(rows @ rows.T)[::-1]
    return (values.sum() - np.cumsum(values)) / rows.size


def predictions(name, clip):
    """Print reconstruction and prediction, beside the best projection and persistence."""
    half = len(clip) // 2
    best = optimal_errors(clip[:half])
    print(
        f"\n{name}, {half} training frames {clip.shape[1]} x {clip.shape[2]} x 3\n"
        f"{'order':>6} {'train':>7} {'optimal':>8} {'test':>7} | {'plain':>6} {'carry 1':>8} "
        f"{'here':>6} {'carry':>6} {'persist.':>9} | {'rho LS':>7} {'rho':>7} {'reverse':>8} "
        f"{'error +':>8} {'var.':>6} {'P off':>6}"
    )
    for order in ORDERS:
        if order != "auto" and order > half - 3:
            continue
        texture = learn(clip[:half], order)
        n, info = texture.n_states, texture.info
        test, train = evaluate(texture, clip[half:]), evaluate(texture, clip[:half])
        full = fully_carried(texture, clip[half:])
        label = f"{n}" if order != "auto" else f"auto {n}"
        print(
            f"{label:>6} {train.reconstruction_psnr:7.2f} {decibels(best[n - 1]):8.2f} "
            f"{test.reconstruction_psnr:7.2f} | {test.plain_psnr:6.2f} {full:8.2f} "
            f"{test.one_step_psnr:6.2f} {texture.carry:6.2f} {test.persistence_psnr:9.2f} | "
            f"{info['spectral radius of least squares']:7.4f} {test.spectral_radius:7.4f} "
            f"{test.reverse_spectral_radius:8.4f} {info['growth of the one-step error']:8.3%} "
            f"{train.covariance_ratio:6.3f} "
            f"{info['relative distance of the stationary covariance']:6.2f}"
        )


def fully_carried(texture, clip):
    """Return the one-step PSNR with the whole remainder carried on, y(t) + U (A - I) x(t)."""
    y = clip.reshape(len(clip), -1) - texture.mean
    x = y @ texture.basis
    move = (x[:-1] @ (texture.model.A - np.eye(texture.n_states)).T).astype(np.float32)
    return decibels(np.mean((y[1:] - y[:-1] - move @ texture.basis.T) ** 2, dtype=float))


def films(name, clip):
    """Print variances of films of 2000 frames, and what edits of the speed do."""
    import warnings

    texture = learn(clip[: len(clip) // 2], 20)
    law = to_covariance(texture.model).Lambda0
    ratios = [variance_of_film(texture, seed) / np.trace(law) for seed in range(5)]
    print(f"\n{name}: variance of 2000-frame films over the clip's, five seeds: ", end="")
    print(" ".join(f"{ratio:.2f}" for ratio in ratios))
    pole = oscillation(texture.model)
    for speed in (2, 0.5, -1, 1.3):
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always", NumericalWarning)
            model = change_speed(texture, speed).model
        moved = peak(model, pole ** abs(speed))
        change = np.linalg.norm(to_covariance(model).Lambda0 - law) / np.linalg.norm(law)
        print(
            f"  speed {speed:4}: peak of the oscillation at {np.angle(pole):.3f} rad moves by "
            f"{moved / peak(texture.model, pole):5.3f}, covariance changes by {change:.1e}"
            f"{', of a neighbour' if said else ''}"
        )


def variance_of_film(texture, seed):
    """Return the total variance, in the basis, of a film of 2000 frames."""
    film = synthesize(texture, 2000, rng=seed)
    z = [(f.reshape(len(f), -1) - texture.mean) @ texture.basis for f in np.split(film, 50)]
    return np.sum(np.square(z, dtype=float)) / 2000


def oscillation(model):
    """Return the pole of largest modulus that oscillates, and still does so at twice the speed."""
    turning = [p for p in poles(model) if 0.1 < np.angle(p) < 1.5]
    return max(turning, key=abs)


def peak(model, pole):
    """Return where the spectrum of a mode peaks in a simulation, in radians a frame."""
    z = simulate(model, steps=400_000, noise=True, rng=0).y
    x = np.linalg.solve(model.C, z.T)
    values, vectors = np.linalg.eig(model.A.T)
    mode = vectors[:, np.argmin(np.abs(values - pole))] @ x
    return abs(np.angle(np.sum(mode[1:] * mode[:-1].conj())))


def streamed(clip):
    """Print the angle between the basis of frames in memory and of frames in a stream."""
    train = clip[: len(clip) // 2]
    rows = train.reshape(len(train), -1).astype(float)
    rows -= rows.mean(axis=0)
    exact = np.linalg.svd(rows.T, full_matrices=False)[0][:, :20]
    basis = learn(iter(train), 20).basis
    angle = scipy.linalg.subspace_angles(basis.astype(float), exact).max()
    seconds = cpu_seconds({"learn": partial(learn, train, 20)})["learn"]
    print(f"\nfountain, 20 states: streamed against SVD in double precision, angle {angle:.1e}")
    print(f"learning it takes {seconds:.2f} s (goal 2 s)")


def usual_route(clip, order, decomposition):
    """Return mean, basis, A and Q of the closed form as it is usually written."""
    Y = clip.reshape(len(clip), -1).astype(np.float32).T
    mean = Y.mean(axis=1, keepdims=True)
    U, s, Vt = decomposition(Y - mean, order)
    X = s[:, None] * Vt
    A = X[:, 1:] @ np.linalg.pinv(X[:, :-1])
    V = X[:, 1:] - A @ X[:, :-1]
    return mean, U, A, V @ V.T / (V.shape[1] - 1)


def randomized(Y, order):
    from sklearn.utils.extmath import randomized_svd

    return randomized_svd(Y, order, n_iter=2, random_state=0)


def full_svd(Y, order):
    U, s, Vt = np.linalg.svd(Y, full_matrices=False)
    return U[:, :order], s[:order], Vt[:order]


def peak_memory(function):
    """Return the result and the peak of traced memory in megabytes."""
    tracemalloc.start()
    result = function()
    megabytes = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    return result, megabytes


def synthetic_clip(frames, height, width):
    """Return a clip like foliage: many directions that fall off slowly."""
    rng = np.random.default_rng(0)
    pixels = height * width * 3
    paths = rng.standard_normal((frames, 80)).astype(np.float32)
    for t in range(1, frames):
        paths[t] = 0.9 * paths[t - 1] + 0.44 * paths[t]
    paths *= (20 * np.arange(1, 81) ** -0.7).astype(np.float32)
    clip = np.empty((frames, pixels), dtype=np.uint8)
    for part in np.array_split(np.arange(pixels), 16):
        y = 128 + paths @ rng.standard_normal((80, part.size), dtype=np.float32)
        y += 5 * rng.standard_normal(y.shape, dtype=np.float32)
        clip[:, part] = np.clip(np.rint(y), 0, 255)
    return clip.reshape(frames, height, width, 3)


def identification():
    """Print time, memory and error of learning 256 frames 240 x 320 with 50 states."""
    clip = synthetic_clip(256, 240, 320)
    calls = {
        "here": partial(learn, clip, 50),
        "scikit-learn randomized SVD": partial(usual_route, clip, 50, randomized),
        "numpy full SVD, float32": partial(usual_route, clip, 50, full_svd),
    }
    print(f"\n{'256 RGB frames 240 x 320, 50 states':36} {'s':>6} {'MB':>6} {'PSNR':>7}")
    seconds = cpu_seconds({k: v for k, v in calls.items() if "full" not in k}, repeats=5)
    seconds |= cpu_seconds({k: v for k, v in calls.items() if "full" in k}, repeats=1)
    rows = clip.reshape(256, -1)
    for name, call in calls.items():
        result, megabytes = peak_memory(call)
        mean, basis = (result.mean, result.basis) if name == "here" else (result[0], result[1])
        Y = rows[::8] - mean.ravel()
        error = np.mean((Y - (Y @ basis) @ basis.T) ** 2)
        print(f"{name:36} {seconds[name]:6.2f} {megabytes:6.0f} {decibels(error):7.2f}")
    peer = "scikit-learn randomized SVD"
    print(f"faster than scikit-learn {seconds[peer] / seconds['here']:.1f}x (goal 2.5x)")


def frame_by_frame(mean, basis, A, L, frames):
    """Return a film made frame by frame, in double precision."""
    rng = np.random.default_rng(0)
    x = np.zeros(len(A))
    film = np.empty((frames, mean.size), dtype=np.uint8)
    for t in range(frames):
        film[t] = np.clip(np.rint(mean + basis @ x), 0, 255)
        x = A @ x + L @ rng.standard_normal(len(A))
    return film


def synthesis(clip):
    """Print the speed of films of 352 x 288, without and with encoding."""
    for order in (20, 50):
        texture = learn(clip, order)
        mean, basis = texture.mean.astype(float), texture.basis.astype(float)
        L = np.linalg.cholesky(texture.model.Q)
        loop = partial(frame_by_frame, mean, basis, texture.model.A, L, 100)
        seconds = cpu_seconds(
            {"here": partial(synthesize, texture, 320, rng=0), "loop": loop}, repeats=5
        )
        here, there = 320 / seconds["here"], 100 / seconds["loop"]
        print(
            f"films 288 x 352 x 3, {order} states: {here:.0f} frames per second (goal 200), "
            f"frame by frame in float64 {there:.0f}: {here / there:.1f}x (goal 5x)"
        )
    with tempfile.TemporaryDirectory() as folder, threadpool_limits(1):
        start = time.perf_counter()
        synthesize(texture, 100, rng=0, out=Path(folder) / "film.mp4")
        rate = 100 / (time.perf_counter() - start)
    print(f"with H.264 {rate:.0f} frames per second, wall (goal 25)")


def full_hd():
    """Print the memory of learning 1080p in a stream."""
    shape, frames, order = (1080, 1920, 3), 64, 50

    def stream(size):
        rng = np.random.default_rng(0)
        base = rng.integers(0, 200, (8, *shape), dtype=np.uint8)
        weights = np.abs(rng.standard_normal((frames, 8)))
        weights /= weights.sum(axis=1, keepdims=True)
        for first in range(0, frames, size):
            block = np.empty((min(size, frames - first), *shape), dtype=np.uint8)
            for frame, w in zip(block, weights[first : first + size], strict=False):
                frame[:] = 128
                for image, share in zip(base, w, strict=True):
                    frame += (image >> 3) * np.uint8(8 * share)
                frame += rng.integers(0, 4, shape, dtype=np.uint8)
            yield block

    source = FrameSource(shape, 25.0, np.dtype(np.uint8), frames, stream)
    start = time.perf_counter()
    texture, megabytes = peak_memory(partial(learn, source, order))
    seconds = time.perf_counter() - start
    block = 16
    allowed = texture.mean.size * (order + 2 * block) * 4 / 1e6 + 300
    print(
        f"\n1080p, {frames} frames, 50 states: peak {megabytes:.0f} MB (allowed, block of {block}: "
        f"{allowed:.0f} MB), {seconds:.0f} s with making the frames; basis images alone "
        f"{texture.basis.nbytes / 1e6:.0f} MB"
    )


def main():
    """Print everything, or only what needs no clips."""
    with threadpool_limits(1):
        clips = {} if "speed" in sys.argv[1:] else read_clips()
        if not clips:
            print("measured clips skipped: set STOCHASTIC_REALIZATION_DATA to see them")
        for task in (predictions, films):
            for name, clip in clips.items():
                task(name, clip)
        fountain = clips.get("fountain", synthetic_clip(250, 288, 352))
        streamed(fountain)
        identification()
        synthesis(fountain)
        full_hd()


if __name__ == "__main__":
    main()
