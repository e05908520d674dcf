"""A fixed set of masks: its error is that of so many draws."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from spikedrop.errors import InputError
from spikedrop.network import Layer, Network
from spikedrop.sampling.ann import sample_ann
from spikedrop.study.figures.chip import error_against_members
from spikedrop.study.members import members_table


def wide(units=400):
    """One output that sums many dropped units: by the central limit theorem nearly normal."""
    weights = np.ones((1, units), "float32")
    hidden = Layer("h", weights, np.zeros(units, "float32"), 0.5)
    return Network.chain((hidden,), Layer("y", weights.T / units, np.zeros(1, "float32")))


def test_errors_are_those_of_normal_draws():
    """400 sets: the standard error of a mean is below 4 %, so 15 % is more than 3 of them."""
    table = members_table(wide(), [[1.0]], seed=0, members=(4, 16, 64), sets=400, reference=4000)
    for name in ("mean error", "sd error"):
        np.testing.assert_allclose(table[name][1:], table[f"{name} expected"][1:], rtol=0.15)
        np.testing.assert_allclose(table[name][:1], table[f"{name} expected"][:1], rtol=0.3)


def test_a_set_is_the_stored_masks_of_the_network():
    """One set by hand, from a network that stores its masks; draws of it repeat after K."""
    network, x = wide(7), [[1.0], [2.0]]
    table = members_table(network, x, seed=3, members=(5,), sets=1, reference=60)
    endless = sample_ann(network, x, draws=60, seed=3).values
    stored = sample_ann(network.with_dropout(stored_masks=5), x, draws=10, seed=4).values
    np.testing.assert_array_equal(stored[:5], stored[5:])
    mean, sd = endless.mean(0), endless.std(0, ddof=1)
    wanted = (np.abs(stored[:5].mean(0) - mean) / sd).mean()
    assert table["mean error"][0] == pytest.approx(wanted, rel=1e-5)
    own = members_table(network.with_dropout(stored_masks=2), x, seed=3, members=(5,), sets=1,
                        reference=60)  # fmt: skip
    assert own.equals(table)


@pytest.mark.parametrize("sizes", [{"members": (1,)}, {"sets": 0}, {"reference": 100}])
def test_sizes_that_say_nothing_are_refused(sizes):
    with pytest.raises(InputError, match="give a whole number, at least"):
        members_table(wide(4), [[1.0]], seed=0, **sizes)


def test_an_output_without_spread_is_refused():
    with pytest.raises(InputError, match="not at all"):
        members_table(wide(4), [[0.0]], seed=0, members=(2,), reference=20)


def test_the_figure_draws_what_the_table_says():
    table = members_table(wide(20), [[1.0]], seed=0, members=(2, 4), sets=2, reference=40)
    ax = error_against_members(table)
    assert list(ax.lines[0].get_ydata()) == list(table["mean error"])
    assert list(ax.lines[2].get_ydata()) == list(table["sd error"])
    assert ax.get_xlabel() and ax.get_ylabel()
    plt.close(ax.figure)
