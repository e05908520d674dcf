"""Figures of large jobs: they show what the store and the table hold."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from spikedrop.store import sample_to_store
from spikedrop.study.cost import scale_table
from spikedrop.study.figures import scale as figures
from tests.store_jobs import JOB, NETWORK, X


@pytest.fixture
def ax():
    figure, ax = plt.subplots()
    yield ax
    plt.close(figure)


def test_the_grid_marks_the_chunks_that_are_missing(tmp_path, ax):
    sample_to_store(tmp_path / "a", NETWORK, X[:100], chunk=25, **JOB)
    (tmp_path / "a" / "samples" / "c.0.2.0").unlink()
    assert figures.chunk_grid(tmp_path / "a", ax) is ax
    hatched = [patch.get_hatch() is not None for patch in ax.patches]
    assert hatched == [False, False, True, False]
    assert sum(patch.get_width() for patch in ax.patches) == 100


def test_hours_have_a_line_a_number_of_workers(ax):
    table = scale_table(1000.0, workers=[1, 7])
    assert figures.hours_of_jobs(table, ax) is ax
    one, seven = (line.get_ydata() for line in ax.lines[:2])
    np.testing.assert_allclose(one, np.array([1e6, 1e9, 1e12]) / 3.6e6)
    np.testing.assert_allclose(one, 7 * np.asarray(seven))
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["1 worker", "7 workers"]
