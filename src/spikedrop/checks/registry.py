"""One rule for all that users can register: a name of their own, which may be registered again."""

from __future__ import annotations

from collections.abc import Collection
from typing import TypeVar

from spikedrop.errors import InputError

__all__ = ["register"]

V = TypeVar("V")


def register(
    registry: dict[str, V], shipped: Collection[str], name: object, value: V, what: str
) -> V:
    """Make `value` known by `name`; what the package ships is not replaced.

    So a name that is shipped means the same in every process and every store.

    Parameters
    ----------
    registry : dict
        Where it is looked up.
    shipped : collection of str
        Names that are taken.
    name : str
        A name that is not shipped; it may be registered again.
    value : object
        What is registered.
    what : str
        What messages call it, such as ``neuron``.

    Returns
    -------
    object
        `value`.

    Raises
    ------
    InputError
        If the name is empty, not a string, or shipped.

    Examples
    --------
    >>> known = {"radix": 1}
    >>> register(known, {"radix"}, "mine", 2, "neuron"), known["mine"]
    (2, 2)
    >>> register(known, {"radix"}, "radix", 3, "neuron")
    Traceback (most recent call last):
    spikedrop.errors.InputError: name='radix': give the neuron a name of its own, other than
    'radix'.
    """
    if not isinstance(name, str) or not name or name in shipped:
        taken = ", ".join(map(repr, sorted(shipped)))
        raise InputError(f"name={name!r}: give the {what} a name of its own, other than {taken}.")
    registry[name] = value
    return value
