"""A Dask cluster of processes on this machine."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

from joblib import cpu_count

from spikedrop.checks.arguments import whole_number
from spikedrop.errors import InputError

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["local_client"]


@contextlib.contextmanager
def local_client(workers: int) -> Iterator[Client]:
    """Start worker processes on this machine, for `sample_to_store`, and end them afterwards.

    They share the processor's cores: each computes with its part of the threads. A script that
    calls this needs ``if __name__ == "__main__":`` around what it does, because the processes
    import it anew.

    Parameters
    ----------
    workers : int
        Processes, at least one.

    Yields
    ------
    distributed.Client
        Of the workers; both are closed afterwards.

    Raises
    ------
    InputError
        If `workers` is not a positive whole number, or Dask is not installed.

    Examples
    --------
    >>> with local_client(0) as client:
    ...     pass
    Traceback (most recent call last):
    spikedrop.errors.InputError: workers=0; give a whole number, at least 1.
    """
    workers = whole_number("workers", workers, least=1)
    try:
        from distributed import Client, LocalCluster
    except ImportError:
        raise InputError("Dask is needed: pip install 'spikedrop[cluster]'.") from None
    threads = str(max(1, cpu_count() // workers))
    names = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "NUMBA_NUM_THREADS")
    with (
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            dashboard_address=None,
            scheduler_kwargs={"dashboard_address": ":0"},  # any free port, or it warns of 8787
            memory_limit=None,  # memory_gb bounds what a chunk takes
            silence_logs=logging.CRITICAL,
            env=dict.fromkeys(names, threads),
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client
