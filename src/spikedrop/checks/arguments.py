"""Checks of arguments, which all public functions share: a value that can be used, or `InputError`.

Each takes the argument's name and value and returns the value as a plain Python object.
"""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np

from spikedrop.errors import InputError

__all__: list[str] = []

T = TypeVar("T")
W = TypeVar("W", bound=str)
SEEDS = 2**64  # of the key of Philox


def whole_number(name: str, value: Any, *, least: int = 0, below: int | None = None) -> int:
    """Return a whole number, Python's or NumPy's, from `least` to below `below`.

    >>> whole_number("steps", np.int16(10))
    10
    >>> whole_number("steps", 2.5)
    Traceback (most recent call last):
    spikedrop.errors.InputError: steps=2.5; give a whole number, at least 0.
    """
    try:
        number = None if isinstance(value, bool | np.bool_) else operator.index(value)
    except TypeError:
        number = None
    if number is None or number < least or (below is not None and number >= below):
        most = "" if below is None else f" and below {_power(below)}"
        raise InputError(f"{name}={_shown(value)}; give a whole number, at least {least}{most}.")
    return number


def real_number(
    name: str,
    value: object,
    *,
    above: float = -math.inf,
    least: float = -math.inf,
    below: float = math.inf,
    most: float = math.inf,
) -> float:
    """Return a finite number, Python's or NumPy's, in a range.

    >>> real_number("rate_hz", 250, above=0)
    250.0
    >>> real_number("rate_hz", "250", above=0)
    Traceback (most recent call last):
    spikedrop.errors.InputError: rate_hz='250'; give a finite number, above 0.
    """
    if isinstance(value, Fraction):
        value = float(value)
    try:
        array = np.asarray(value)
    except (TypeError, ValueError):  # lists of different lengths
        array = np.empty((0,))
    number = float(array) if array.ndim == 0 and array.dtype.kind in "fiu" else math.nan
    if not (
        math.isfinite(number)
        and number > above
        and number >= least
        and number < below
        and number <= most
    ):
        limits = (("above", above), ("at least", least), ("below", below), ("at most", most))
        words = " and ".join(f"{word} {limit:g}" for word, limit in limits if math.isfinite(limit))
        raise InputError(
            f"{name}={_shown(value)}; give a finite number{', ' if words else ''}{words}."
        )
    return number


def one_of(name: str, value: Any, allowed: Sequence[W]) -> W:
    """Return a word that is allowed.

    >>> one_of("scope", "draws", ("draw", "row"))
    Traceback (most recent call last):
    spikedrop.errors.InputError: scope='draws'; use 'draw', 'row'.
    """
    if not isinstance(value, str) or value not in allowed:
        raise InputError(f"{name}={_shown(value)}; use {', '.join(map(repr, allowed))}.")
    return cast(W, str(value))


def yes_or_no(name: str, value: object) -> bool:
    """Return True or False.

    >>> yes_or_no("progress", "no")
    Traceback (most recent call last):
    spikedrop.errors.InputError: progress='no'; give True or False.
    """
    if not isinstance(value, bool | np.bool_):
        raise InputError(f"{name}={_shown(value)}; give True or False.")
    return bool(value)


def of_type(name: str, value: object, kind: type[T], source: str) -> T:
    """Return an object of a class; `source` says where to get one.

    >>> of_type("x", 3, str, "a file")
    Traceback (most recent call last):
    spikedrop.errors.InputError: x is of type int; expected str, from a file.
    """
    if not isinstance(value, kind):
        raise InputError(
            f"{name} is of type {type(value).__name__}; expected {kind.__name__}, from {source}."
        )
    return value


def path_of(name: str, value: object) -> Path:
    """Return a path.

    >>> path_of("path", None)
    Traceback (most recent call last):
    spikedrop.errors.InputError: path=None; give a path, as text or a pathlib.Path.
    """
    if not isinstance(value, str | os.PathLike) or isinstance(os.fspath(value), bytes):
        raise InputError(f"{name}={_shown(value)}; give a path, as text or a pathlib.Path.")
    if not os.fspath(value) or "\0" in os.fspath(value):
        raise InputError(f"{name}={_shown(value)}; give a path that can be a name of a file.")
    return Path(value)


def seed_of(value: object) -> int:
    """Return a seed of masks.

    >>> seed_of(True)
    Traceback (most recent call last):
    spikedrop.errors.InputError: seed=True; give a whole number, at least 0 and below 2**64.
    """
    return whole_number("seed", value, below=SEEDS)


def _power(number: int) -> str:
    power = number.bit_length() - 1
    return f"2**{power}" if power > 20 and number == 2**power else str(number)


def _shown(value: object) -> str:
    """Return a value in one short line."""
    words = " ".join(repr(value).split())
    return words if len(words) <= 60 else f"{words[:57]}..."
