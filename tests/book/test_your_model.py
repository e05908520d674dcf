"""The chapter on a model of the reader's own: it stays short, and its table of refusals is true."""

import keras
import nbformat
import pytest
from keras import layers as kl

from book.tree import ROOT
from spikedrop.errors import InputError
from spikedrop.network import Network

CELLS = nbformat.read(ROOT / "chapters" / "12_your_model.ipynb", as_version=4).cells
PROSE = "\n".join(cell.source for cell in CELLS if cell.cell_type == "markdown")


class Subclass(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense, self.dropout = kl.Dense(1), kl.Dropout(0.1)

    def call(self, x):
        return self.dropout(self.dense(x))


def stacked(*layers, shape=(4,)):
    return keras.Sequential([keras.Input(shape), *layers, kl.Dense(1)])


def arithmetic():
    x = keras.Input((4,))
    h = kl.Dropout(0.1)(kl.Dense(4, "relu")(x))
    return keras.Model(x, kl.Dense(1)(h * 2 + x))


def subclass():
    model = Subclass()
    model(keras.ops.zeros((1, 4)))
    return model


REFUSED = {
    "`MaxPooling2D`": lambda: stacked(
        kl.MaxPooling2D(), kl.Flatten(), kl.Dropout(0.1), shape=(8, 8, 1)
    ),
    "`LayerNormalization`": lambda: stacked(kl.LayerNormalization(), kl.Dropout(0.1)),
    "`tanh` in a hidden layer": lambda: stacked(kl.Dense(4, "tanh"), kl.Dropout(0.1)),
    "no dropout": lambda: stacked(kl.Dense(4, "relu")),
    "arithmetic on tensors": arithmetic,
    "a subclass of `keras.Model`": subclass,
}


def table():
    """The rows of the chapter's table, without its head."""
    rows = [line.strip("| ").split(" | ") for line in PROSE.splitlines() if line.startswith("|")]
    return dict(rows[2:])


def test_the_table_lists_what_is_tried_here():
    assert list(table()) == list(REFUSED)


@pytest.mark.parametrize("what", REFUSED)
def test_the_error_says_what_the_table_says(what):
    with pytest.raises(InputError) as refused:
        Network.from_keras(REFUSED[what]())
    assert table()[what] in str(refused.value)


def test_at_most_600_words_and_ten_lines_from_the_model_on():
    assert len(PROSE.split()) <= 600
    visible = [c for c in CELLS if c.cell_type == "code" and not c.metadata.get("tags")]
    lines = [line for cell in visible for line in cell.source.splitlines() if line]
    own = [line for line in lines if not line.startswith(("import ", "from "))]
    assert own[0].startswith("model, x, y, rows = ")  # the reader's
    assert len(own) - 1 <= 10
