"""Samples on disk: large jobs that can be killed, resumed, spread over a cluster, and read lazily.

    sample_to_store -> a Zarr folder -> open_samples -> labelled samples, read when used
                                     -> summarize    -> mean, sd, quantiles, scores, block by block

`layout` says what a store looks like, `work` what is asked of it, `run` fills it, `cluster` does
so with Dask.
"""

from spikedrop.store.local import local_client
from spikedrop.store.reading import open_samples, to_inference_data
from spikedrop.store.run import sample_to_store
from spikedrop.store.summaries import summarize

__all__ = ["local_client", "open_samples", "sample_to_store", "summarize", "to_inference_data"]
