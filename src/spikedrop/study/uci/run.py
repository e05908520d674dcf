"""All splits of one set: in parallel, each kept in a file as soon as it is done."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, cpu_count, delayed
from tqdm import tqdm

from spikedrop.errors import InputError
from spikedrop.files.records import Recorded, read_record, recorded_rows, write_json
from spikedrop.study.uci.protocol import Protocol, run_split
from spikedrop.study.uci.reading import RegressionSet

__all__ = ["run_set", "split_results", "summaries", "summary"]

VERSION = 1  # of the protocol's program: results of another are not taken up
SCORES = ("rmse", "log_likelihood", "seconds")


def run_set(
    data: RegressionSet,
    protocol: Protocol,
    *,
    work: str | Path,
    splits: int | None = None,
    jobs: int = -1,
    progress: bool | None = None,
) -> list[dict[str, Any]]:
    r"""Run the splits of a set and average their scores.

    Parameters
    ----------
    data : RegressionSet
        From `read_set`.
    protocol : Protocol
    work : path
        Folder where the result of each split is kept, under a name that follows from the data, the
        splits and the protocol; what lies there already is not computed again.
    splits : int, optional
        Only so many, from the first; by default all.
    jobs : int, default -1
        Splits at a time, one process and one thread each; -1 for one per core.
    progress : bool, optional
        Show a bar; by default where a terminal watches.

    Returns
    -------
    list of dict
        Two, for ``network`` ``ann`` and ``snn``, each with ``set``, ``network``, ``layers`` (hidden
        layers), ``rmse`` (unit of the target, lower is better), ``log_likelihood`` (nats per
        observation, higher is better), their standard errors ``rmse_se`` and
        ``log_likelihood_se``, the number of ``splits``, and ``seconds`` of one core, added over
        splits: for the ANN training and sampling, for the SNN only sampling. The one of the SNN
        has ``..._difference`` as well, SNN less ANN, with ``..._difference_se``: the standard error
        of the *paired* difference, because both networks saw the same splits.

        .. math:: \mathrm{se} = s / \sqrt{n}

        with s the standard deviation over the n splits (divisor n - 1; 0 for one split).

    Raises
    ------
    InputError
        If `splits` or `jobs` cannot be used, or `work` cannot be written to.

    Examples
    --------
    >>> import tempfile
    >>> rng = np.random.default_rng(0)
    >>> x, rows = rng.normal(size=(60, 2)), np.arange(60)
    >>> data = RegressionSet("mine", x, x.sum(axis=1), (rows[:50],), (rows[50:],), (0.05,), 5)
    >>> small = {"layers": 1, "more_rates": (), "decays": (0.01,), "folds": 2, "train_steps": 20}
    >>> protocol = Protocol(**small, validation_draws=5, draws=10, steps=20)
    >>> with tempfile.TemporaryDirectory() as work:
    ...     rows = run_set(data, protocol, work=work, jobs=1, progress=False)
    >>> [row["network"] for row in rows]
    ['ann', 'snn']
    """
    results = split_results(data, protocol, work=work, splits=splits, jobs=jobs, progress=progress)
    return summaries(data.name, protocol.layers, results)


def split_results(
    data: RegressionSet,
    protocol: Protocol,
    *,
    work: str | Path,
    splits: int | None = None,
    jobs: int = -1,
    progress: bool | None = None,
) -> list[dict[str, Any]]:
    """Run the splits of a set, or read the results that are kept.

    Parameters
    ----------
    data, protocol, work, splits, jobs, progress : see `run_set`

    Returns
    -------
    list of dict
        What `run_split` returns, in the order of the splits.

    Raises
    ------
    InputError
        If `splits` or `jobs` cannot be used, or `work` cannot be written to.

    Examples
    --------
    >>> import tempfile
    >>> rng = np.random.default_rng(0)
    >>> x, rows = rng.normal(size=(60, 2)), np.arange(60)
    >>> data = RegressionSet("mine", x, x.sum(axis=1), (rows[:50],), (rows[50:],), (0.05,), 5)
    >>> small = {"layers": 1, "more_rates": (), "decays": (0.01,), "folds": 2, "train_steps": 20}
    >>> protocol = Protocol(**small, validation_draws=5, draws=10, steps=20)
    >>> with tempfile.TemporaryDirectory() as work:
    ...     results = split_results(data, protocol, work=work, jobs=1, progress=False)
    >>> len(results), results[0]["rate"]
    (1, 0.05)
    """
    count = len(data.train) if splits is None else splits
    if not 1 <= count <= len(data.train):
        raise InputError(f"splits={splits}: {data.name} has {len(data.train)}.")
    if jobs < 1 and jobs != -1:
        raise InputError(f"jobs={jobs}: run at least one split at a time, or -1 for one a core.")
    key = json.dumps([VERSION, data.digest, asdict(protocol)], sort_keys=True)
    folder = Path(work) / hashlib.sha256(key.encode()).hexdigest()[:16]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made ({error.strerror}).") from None
    kept = [folder / f"split_{i:02d}.json" for i in range(count)]
    results = {i: result for i, file in enumerate(kept) if (result := _kept(file)) is not None}
    waiting = [i for i in range(count) if i not in results]
    hidden = None if progress is None else not progress
    with tqdm(
        total=count, initial=len(results), desc=data.name, unit="split", disable=hidden
    ) as bar:
        for i, result in _run(data, protocol, waiting, kept, jobs):
            results[i] = result
            bar.update()
    return [results[i] for i in range(count)]


def read_recorded(file: str | Path | None = None) -> Recorded:
    """Read a recorded run.

    Parameters
    ----------
    file : path, optional
        What ``python -m benchmarks.uci`` wrote; by default the one that comes with the package.

    Returns
    -------
    Recorded
        Its rows are as `run_set` returns them, both networks of a run after one another.

    Raises
    ------
    InputError
        If `file` is not such a file.

    Examples
    --------
    >>> sorted({row["network"] for row in read_recorded().rows})
    ['ann', 'snn']
    """
    shipped, command = "study/uci/recorded.json", "python -m benchmarks.uci"
    return read_record(file, shipped, recorded_rows, what="a recorded run", command=command)


def summary(
    name: str, network: str, results: Sequence[dict[str, dict[str, float]]]
) -> dict[str, Any]:
    """Average one network's scores over splits.

    Parameters
    ----------
    name : str
        Of the set.
    network : {"ann", "snn"}
        Which scores.
    results : sequence of dict
        As `split_results` returns them.

    Returns
    -------
    dict
        As `run_set` returns them, without ``layers`` and differences.

    Examples
    --------
    >>> split = [{"ann": {"rmse": r, "log_likelihood": -r, "seconds": 1.0}} for r in (1.0, 3.0)]
    >>> row = summary("mine", "ann", split)
    >>> row["rmse"], row["rmse_se"], row["seconds"]  # s is the square root of 2
    (2.0, 1.0, 2.0)
    """
    row: dict[str, object] = {"set": name, "network": network}
    for key in ("rmse", "log_likelihood"):
        row |= _averaged(key, [result[network][key] for result in results])
    seconds = sum(result[network]["seconds"] for result in results)
    return {**row, "splits": len(results), "seconds": seconds}


def _averaged(key: str, values: Sequence[float]) -> dict[str, float]:
    """Mean, and its standard error (0 for one split), under ``key`` and ``key_se``."""
    error = np.std(values, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else 0.0
    return {key: float(np.mean(values)), f"{key}_se": round(float(error), 12)}


def summaries(
    name: str, layers: int, results: Sequence[dict[str, dict[str, float]]]
) -> list[dict[str, Any]]:
    """Average both networks' scores over splits, and their paired differences.

    Parameters
    ----------
    name : str
        Of the set.
    layers : int
        Hidden layers.
    results : sequence of dict
        As `split_results` returns them.

    Returns
    -------
    list of dict
        As `run_set` returns them.

    Examples
    --------
    Two splits whose differences are 1 and 3: the standard error is 1, though RMSE itself varies by
    100 from split to split.

    >>> scores = [(1.0, 2.0), (101.0, 104.0)]
    >>> splits = [{network: {"rmse": r, "log_likelihood": -r, "seconds": 1.0}
    ...     for network, r in zip(("ann", "snn"), pair)} for pair in scores]
    >>> ann, snn = summaries("mine", 2, splits)
    >>> snn["rmse_difference"], snn["rmse_difference_se"], ann["rmse_se"], ann["layers"]
    (2.0, 1.0, 50.0, 2)
    """
    rows = [summary(name, network, results) for network in ("ann", "snn")]
    for row in rows:
        row["layers"] = layers
    for key in ("rmse", "log_likelihood"):
        apart = [result["snn"][key] - result["ann"][key] for result in results]
        rows[1] |= _averaged(f"{key}_difference", apart)
    return rows


def _kept(file: Path) -> dict[str, object] | None:
    """Return a split's result if its file is there and whole."""
    try:
        result = json.loads(file.read_text(encoding="utf-8"))
        finite = all(np.isfinite(result[n][key]) for n in ("ann", "snn") for key in SCORES)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return result if finite else None


def _run(
    data: RegressionSet, protocol: Protocol, waiting: list[int], kept: list[Path], jobs: int
) -> Iterator[tuple[int, dict[str, object]]]:
    """Run the waiting splits; yield each with its number when it is done."""
    tasks = [delayed(_run_and_keep)(data, i, protocol, kept[i]) for i in waiting]
    jobs = min(cpu_count() if jobs == -1 else jobs, len(tasks))
    if jobs <= 1:
        yield from (function(*args) for function, args, _ in tasks)
    else:
        yield from Parallel(n_jobs=jobs, return_as="generator_unordered")(tasks)


def _run_and_keep(
    data: RegressionSet, split: int, protocol: Protocol, file: Path
) -> tuple[int, dict[str, Any]]:
    # Read when TensorFlow starts, in a worker here; programs this small only wait for each other.
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
    os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
    result = run_split(data, split, protocol)
    write_json(file, result)
    return split, result
