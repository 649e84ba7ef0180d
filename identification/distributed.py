"""Records on many machines: the sufficient statistic of each where it lies, joined in a tree.

Built on Dask and on whatever runs its tasks: threads, processes, a cluster. Only the triangular
factors travel, and their size does not depend on the number of samples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from realization.internal import as_integer, counted, outputs_and_inputs

from .data import Experiments
from .hankel_factor import HankelFactor

__all__ = ["hankel_factor"]

BRANCHES = 8  # factors that one task joins

# A factor, and where the channels that it has were first seen.
Found = tuple[HankelFactor, str]


def hankel_factor(
    chunks: Any,
    inputs: Any = None,
    *,
    past: int,
    future: int,
    load: Callable[[Any], Any] | None = None,
) -> HankelFactor:
    r"""Reduce records that Dask holds, or that its workers can read, to one factor.

    Every chunk is its own experiment: rows never span two chunks.

    Parameters
    ----------
    chunks : dask.array.Array, dask.bag.Bag or list
        A Dask array (T, p) of outputs, whose chunks in time are the chunks; a bag, whose elements
        are; or a list, whose items are (``dask.delayed`` objects, or whatever `load` takes). A
        chunk is outputs (T, p), a tuple ``(y, u)``, or ``Experiments``.
    inputs : dask.array.Array, optional
        Inputs (T, m), if `chunks` is a Dask array; chunked alike in time.
    past : int
        Number of past samples.
    future : int
        Number of future samples.
    load : callable, optional
        Turns an item into a chunk, on the worker: a path into the record that is in the file. So
        the samples never pass through the calling process. Default: items are chunks.

    Returns
    -------
    HankelFactor
        What ``merge`` of the chunks' factors gives; for ``subspace_id(factor=...)`` and
        ``select_order``.

    Raises
    ------
    ImportError
        If Dask is not installed.
    TypeError
        If `chunks` is none of these, or a chunk holds no real numbers.
    ValueError
        If there is no chunk, no chunk has past + future samples, channels differ between chunks,
        or a sample is not finite; the message says in which chunk.

    See Also
    --------
    identification.HankelFactor : The same on one machine, from pieces that continue each other.

    Notes
    -----
    Dask's default scheduler runs the tasks: threads, or the cluster of the ``Client`` that was
    opened last; ``with dask.config.set(scheduler="processes")`` chooses another. Each chunk costs
    what ``HankelFactor`` costs, on the worker that has it; then :math:`d^2` numbers travel, d = 1 +
    (past + future)(m + p), and are joined eight at a time, O(d^3) operations each. A worker that is
    lost in the middle is Dask's to replace: its chunks are read and reduced again.

    A chunk of T samples gives T - past - future + 1 rows (none if it is shorter). For all rows of a
    record that continues from chunk to chunk, let each begin with the last past + future - 1
    samples of the one before.

    Examples
    --------
    >>> import numpy as np
    >>> import dask.array
    >>> from identification import HankelFactor
    >>> from identification.distributed import hankel_factor
    >>> y = np.random.default_rng(0).standard_normal((600, 2))
    >>> far = hankel_factor(dask.array.from_array(y, chunks=(200, 2)), past=5, future=5)
    >>> near = HankelFactor(2, 0, past=5, future=5).update(y[:200])
    >>> for part in (y[200:400], y[400:]):
    ...     near = near.merge(HankelFactor(2, 0, past=5, future=5).update(part))
    >>> bool(np.allclose(far.R.T @ far.R, near.R.T @ near.R))
    True
    """
    past, future = as_integer("past", past, minimum=1), as_integer("future", future, minimum=2)
    dask = _dask()
    parts, where = _parts(chunks, inputs)
    reduce, join = dask.delayed(_part_factor), dask.delayed(_joined)
    found = [reduce(part, where, k, past, future, load) for k, part in enumerate(parts)]
    total = joined_in_tree(join, found).compute() if found else None
    if total is None:
        raise ValueError("`chunks` must hold at least one chunk; it is empty.")
    factor, _ = total
    if factor.n_columns == 0:
        raise ValueError(
            f"no chunk has past + future = {past + future} samples, and rows never span two: make "
            f"larger chunks or shorter horizons ({counted(factor.n_samples, 'sample')} in all)."
        )
    return factor


def joined_in_tree(join: Callable[[list[Any]], Any], items: list[Any]) -> Any:
    """Return the join of all items (one at least), eight at a time."""
    while len(items) > 1:
        items = [join(items[k : k + BRANCHES]) for k in range(0, len(items), BRANCHES)]
    return items[0]


def _dask() -> Any:
    """Return Dask."""
    try:
        import dask
    except ImportError:
        raise ImportError(
            'distributed data need Dask: pip install "stochastic-realization[distributed]". On one '
            "machine, HankelFactor takes a record piece by piece."
        ) from None
    return dask


def _parts(chunks: Any, inputs: Any) -> tuple[list[Any], str]:
    """Return lazy lists of chunks, one a task, and how to call number k of list number `part`."""
    import dask.array
    import dask.bag
    from dask.base import is_dask_collection

    if inputs is not None and not isinstance(chunks, dask.array.Array):
        raise TypeError(
            f"`inputs` goes with a Dask array of outputs; `chunks` is a {type(chunks).__name__}. "
            "Let its items be tuples (y, u)."
        )
    if isinstance(chunks, dask.array.Array):
        return _array_parts(chunks, inputs), "chunk {part}"
    if isinstance(chunks, dask.bag.Bag):
        return chunks.to_delayed(), "element {k} of partition {part}"
    refused = isinstance(chunks, (str, bytes, Path, dict)) or hasattr(chunks, "ndim")
    if refused or is_dask_collection(chunks) or not isinstance(chunks, Iterable):
        raise TypeError(
            "`chunks` must be a Dask array, a Dask bag or a list of experiments; got "
            f"{type(chunks).__name__}."
        )
    return [[chunk] for chunk in chunks], "chunk {part}"


def _array_parts(outputs: Any, inputs: Any) -> list[Any]:
    """Return the blocks of a Dask array in time, with those of the inputs."""
    columns = [_time_blocks("chunks", outputs)]
    if inputs is None:
        return [[block] for block in columns[0]]
    if not hasattr(inputs, "to_delayed"):
        raise TypeError(f"`inputs` must be a Dask array; got {type(inputs).__name__}.")
    columns.append(_time_blocks("inputs", inputs))
    if len(columns[1]) != len(columns[0]):
        raise ValueError(
            "`inputs` must be chunked in time like the outputs; got "
            f"{len(columns[1])} and {len(columns[0])} chunks. Use inputs.rechunk({{0: "
            "outputs.chunks[0]})."
        )
    return [[pair] for pair in zip(*columns, strict=True)]


def _time_blocks(name: str, array: Any) -> list[Any]:
    """Return the delayed blocks of a signal (T,) or (T, channels), all channels in each."""
    if array.ndim not in (1, 2):
        raise ValueError(f"`{name}` must have shape (T, channels); got {array.shape}.")
    if array.ndim == 2:
        array = array.rechunk({1: -1})
    return array.to_delayed().ravel().tolist()


def _part_factor(
    part: Iterable[Any],
    where: str,
    number: int,
    past: int,
    future: int,
    load: Callable[[Any], Any] | None,
) -> Found | None:
    """Return the factor of the chunks of one task, None if there are none."""
    found = []
    for k, chunk in enumerate(part):
        place = where.format(part=number, k=k)
        try:
            record = chunk if load is None else load(chunk)
            if isinstance(record, (str, Path)):
                raise TypeError(
                    f"{str(record)!r} is a path; pass load=, a function that reads it (for tables, "
                    "functools.partial(Experiments.from_file, y=..., u=...))."
                )
            pair = record if isinstance(record, tuple) and len(record) == 2 else (record, None)
            data = Experiments.from_data(*pair)
        except (TypeError, ValueError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"{place}: {error}") from error
        factor = HankelFactor.from_experiments(data, past=past, future=future)
        found.append((factor, place))
    return _joined(found)


def _joined(found: Iterable[Found | None]) -> Found | None:
    """Return the merged factor of those that there are."""
    total = None
    for pair in found:
        if pair is None or total is None:
            total = total or pair
            continue
        (factor, first), (other, place) = total, pair
        mine, theirs = ((f.n_outputs, f.n_inputs) for f in (factor, other))
        if mine != theirs:
            raise ValueError(
                f"every chunk must have the same channels; {first} has "
                f"{outputs_and_inputs(*mine)}, {place} has {theirs[0]} and {theirs[1]}."
            )
        total = factor.merge(other), first
    return total
