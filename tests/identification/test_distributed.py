from __future__ import annotations

import builtins
import os
import signal
from functools import partial

import numpy as np
import pytest

from identification import Experiments, HankelFactor, select_order, subspace_id
from identification.distributed import BRANCHES, hankel_factor
from realization import InnovationSSM, markov_parameters, simulate

dask = pytest.importorskip("dask")
pytest.importorskip("distributed")
import dask.array as da  # noqa: E402
import dask.bag as db  # noqa: E402

PAST, FUTURE = 6, 5
HORIZONS = {"past": PAST, "future": FUTURE}
LENGTHS = (700, 400, 11, 500, 600, 450, 3, 800, 520, 610)  # more than a branch; one too short


@pytest.fixture(scope="module")
def records():
    """Return experiments (y, u) of one plant: two outputs, one input."""
    rng = np.random.default_rng(0)
    A = np.array([[0.9, 0.3, 0.0], [-0.3, 0.9, 0.2], [0.0, 0.0, 0.6]])
    C, K = np.array([[1.0, 0.0, 1.0], [0.0, 1.0, -1.0]]), np.full((3, 2), 0.2)
    plant = InnovationSSM(A, C, K, 0.1 * np.eye(2), B=np.array([[0.5], [1.0], [1.0]]))
    inputs = [rng.standard_normal((T, 1)) for T in LENGTHS]
    return [(5.0 + simulate(plant, u, noise=True, rng=rng).y, u) for u in inputs]


@pytest.fixture(scope="module")
def local(records):
    """Return their factor, made here."""
    return joined(records)


@pytest.fixture
def files(records, tmp_path):
    """Return an .npz file for each experiment."""
    paths = [tmp_path / f"{k}.npz" for k in range(len(records))]
    for path, (y, u) in zip(paths, records, strict=True):
        np.savez(path, level=y, valve=u)
    return paths


@pytest.fixture(scope="module")
def cluster():
    """Return the client of two worker processes."""
    from distributed import Client, LocalCluster

    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with LocalCluster(**options) as started, Client(started) as client:
        yield client


read = partial(Experiments.from_file, y="level", u="valve")


def joined(records) -> HankelFactor:
    """Return the factor of separate experiments, merged one by one."""
    total = HankelFactor(records[0][0].shape[1], 1, **HORIZONS)
    for y, u in records:
        total = total.merge(HankelFactor(y.shape[1], 1, **HORIZONS).update(y, u))
    return total


def check_same(found: HankelFactor, wanted: HankelFactor) -> None:
    """Compare triangular factors, whose rows may have another sign, to 1e-10."""
    assert found.n_samples == wanted.n_samples
    assert found.n_columns == wanted.n_columns
    signs = np.where(np.diag(found.R) * np.diag(wanted.R) < 0, -1.0, 1.0)[:, np.newaxis]
    error = np.abs(found.R - signs * wanted.R) / np.linalg.norm(wanted.R, axis=0)
    assert error.max() < 1e-10


@pytest.mark.parametrize("scheduler", ["synchronous", "threads"])
def test_delayed_experiments(records, local, scheduler):
    chunks = [dask.delayed(lambda pair: pair, pure=False)(pair) for pair in records]
    assert len(chunks) > BRANCHES
    with dask.config.set(scheduler=scheduler):
        check_same(hankel_factor(chunks, **HORIZONS), local)
        check_same(hankel_factor(records, **HORIZONS), local)
        check_same(hankel_factor([Experiments.from_data(*r) for r in records], **HORIZONS), local)


@pytest.mark.parametrize("partitions", [1, 3, len(LENGTHS)])
def test_bags(records, local, partitions):
    bag = db.from_sequence(records, npartitions=partitions)
    with dask.config.set(scheduler="synchronous"):
        check_same(hankel_factor(bag, **HORIZONS), local)
        long = bag.filter(lambda pair: len(pair[0]) > 650)  # leaves partitions empty
        check_same(hankel_factor(long, **HORIZONS), joined([records[0], records[7]]))


def test_files(files, local):
    with dask.config.set(scheduler="synchronous"):
        check_same(hankel_factor(files, **HORIZONS, load=read), local)
        bag = db.from_sequence(files, npartitions=4)
        check_same(hankel_factor(bag, **HORIZONS, load=read), local)
        check_same(hankel_factor(iter(files), **HORIZONS, load=read), local)


def test_parquet(records, local, tmp_path):
    pytest.importorskip("pyarrow")
    pd = pytest.importorskip("pandas")
    paths = [tmp_path / f"{k}.parquet" for k in range(len(records))]
    for path, (y, u) in zip(paths, records, strict=True):
        pd.DataFrame({"a": y[:, 0], "b": y[:, 1], "u": u[:, 0]}).to_parquet(path)
    load = partial(Experiments.from_file, y=("a", "b"), u="u")
    with dask.config.set(scheduler="synchronous"):
        check_same(hankel_factor(paths, **HORIZONS, load=load), local)


def test_zarr(records, tmp_path):
    pytest.importorskip("zarr")
    y = records[0][0]
    da.from_array(y, chunks=(200, 2)).to_zarr(str(tmp_path / "y.zarr"))
    stored = da.from_zarr(str(tmp_path / "y.zarr"))
    parts = [Experiments.from_data(part) for part in np.split(y, range(200, len(y), 200))]
    with dask.config.set(scheduler="synchronous"):
        check_same(hankel_factor(stored, **HORIZONS), hankel_factor(parts, **HORIZONS))


@pytest.mark.parametrize("columns", [1, 2])
def test_arrays_are_one_experiment_a_chunk(records, columns):
    y, u = records[0]
    parts = [(y[k : k + 250], u[k : k + 250]) for k in range(0, len(y), 250)]
    outputs, inputs = da.from_array(y, chunks=(250, columns)), da.from_array(u, chunks=(250, 1))
    with dask.config.set(scheduler="synchronous"):
        check_same(hankel_factor(outputs, inputs, **HORIZONS), joined(parts))
        check_same(hankel_factor(outputs, inputs[:, 0], **HORIZONS), joined(parts))
        unknown = da.concatenate([outputs[outputs[:, 0] > -np.inf][:, :1]])
        alone = hankel_factor(unknown, **HORIZONS)
    assert (alone.n_outputs, alone.n_inputs, alone.n_samples) == (1, 0, len(y))


def test_pieces_that_overlap_give_the_whole_record(records):
    y, u = records[7]
    overlap = PAST + FUTURE - 1
    parts = [(y[k : k + 300 + overlap], u[k : k + 300 + overlap]) for k in range(0, len(y), 300)]
    with dask.config.set(scheduler="synchronous"):
        found = hankel_factor(parts, **HORIZONS)
    whole = joined([(y, u)])
    assert found.n_columns == whole.n_columns
    np.testing.assert_allclose(found.R.T @ found.R, whole.R.T @ whole.R, atol=1e-9)


@pytest.mark.slow
def test_two_processes(files, local):
    with dask.config.set(scheduler="processes", num_workers=2):
        check_same(hankel_factor(files, **HORIZONS, load=read), local)


@pytest.mark.slow
def test_two_workers_read_the_files(cluster, files, records, local):
    def traced(path):
        path.with_suffix(f".{os.getpid()}").touch()
        return read(path)

    found = hankel_factor(files, **HORIZONS, load=traced)
    check_same(found, local)
    folder = files[0].parent
    readers = {path.suffix for path in folder.iterdir()} - {".npz"}
    assert len(readers) == 2
    assert f".{os.getpid()}" not in readers
    here, there = (
        markov_parameters(subspace_id(factor=f, order=3).model, 20) for f in (local, found)
    )
    assert np.abs(here - there).max() < 1e-9 * np.abs(here).max()
    assert select_order(found) == select_order(local)


@pytest.mark.slow
def test_a_killed_worker_changes_nothing(cluster, files, local):
    fatal = files[6]  # the last to be reduced but three: the worker dies with factors in its hands

    def load(path):
        record = read(path)
        seen = fatal.with_suffix(".seen")
        with path.with_suffix(".count").open("a") as count:
            count.write("x")
        if path == fatal and not seen.exists():
            seen.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return record

    before = set(cluster.scheduler_info()["workers"])
    check_same(hankel_factor(files, **HORIZONS, load=load), local)
    assert len(fatal.with_suffix(".count").read_text()) == 2
    cluster.wait_for_workers(2, timeout=30)
    assert set(cluster.scheduler_info()["workers"]) != before


def test_bad_chunks_are_named(records, files, tmp_path):
    y, u = records[0]
    hole = y.copy()
    hole[33, 1] = np.nan
    with dask.config.set(scheduler="synchronous"):
        with pytest.raises(ValueError, match=r"^chunk 2: `y` has a missing value .* index 33"):
            hankel_factor([(y, u), (y, u), (hole, u)], **HORIZONS)
        stretches = da.from_array(np.vstack([y, hole]), chunks=(len(y), 2))
        with pytest.raises(ValueError, match=r"^chunk 1: `y` has a missing value"):
            hankel_factor(stretches, **HORIZONS)
        bag = db.from_sequence([(y, u), (y, u), (hole, u), (y, u)], npartitions=2)
        with pytest.raises(ValueError, match=r"^element 0 of partition 1: `y` has a missing"):
            hankel_factor(bag, **HORIZONS)
        with pytest.raises(TypeError, match=r"chunk 1: .* real"):
            hankel_factor([(y, u), (y + 0j, u)], **HORIZONS)
        with pytest.raises(ValueError, match=r"chunk 0: .* same number of samples"):
            hankel_factor([(y, u[1:])], **HORIZONS)
        with pytest.raises(
            ValueError, match="chunk 8 has 2 outputs and 1 input, chunk 9 has 1 and 1"
        ):
            hankel_factor([*[(y, u)] * 9, (y[:, :1], u)], **HORIZONS)
        with pytest.raises(TypeError, match=r"chunk 0: .*0.npz' is a path; pass load="):
            hankel_factor(files[:1], **HORIZONS)
        with pytest.raises(FileNotFoundError):
            hankel_factor([tmp_path / "none.npz"], **HORIZONS, load=read)


def test_wrong_calls(records):
    y, u = records[0]
    array = da.from_array(y, chunks=(100, 2))
    for nothing in ([], db.from_sequence([1, 2]).filter(lambda _: False)):
        with pytest.raises(ValueError, match="at least one chunk"):
            hankel_factor(nothing, **HORIZONS)
    for wrong in (y, "y.npz", 3, dask.delayed((y, u)), {"y": y}):
        with pytest.raises(TypeError, match="must be a Dask array, a Dask bag or a list"):
            hankel_factor(wrong, **HORIZONS)
    with pytest.raises(TypeError, match="`inputs` goes with a Dask array"):
        hankel_factor([(y, u)], array, **HORIZONS)
    with pytest.raises(TypeError, match="`inputs` must be a Dask array; got ndarray"):
        hankel_factor(array, u, **HORIZONS)
    with pytest.raises(ValueError, match="chunked in time like the outputs; got 1 and 7 chunks"):
        hankel_factor(array, da.from_array(u, chunks=(700, 1)), **HORIZONS)
    with pytest.raises(ValueError, match=r"`chunks` must have shape \(T, channels\)"):
        hankel_factor(array[None], **HORIZONS)
    with pytest.raises(ValueError, match=r"no chunk has past \+ future = 11 samples"):
        hankel_factor([y[:10], y[10:14]], **HORIZONS)
    with pytest.raises(ValueError, match="`future` must be at least 2"):
        hankel_factor([y], past=1, future=1)


def test_dask_is_asked_for(monkeypatch):
    found = builtins.__import__

    def without_dask(name, *args, **kwargs):
        if name.split(".")[0] == "dask":
            raise ImportError(name)
        return found(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_dask)
    with pytest.raises(ImportError, match=r'pip install "stochastic-realization\[distributed\]"'):
        hankel_factor([], **HORIZONS)
