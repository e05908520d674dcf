"""Fingerprint of code that users register: another program must not resume its samples."""

from __future__ import annotations

import functools
import hashlib
import inspect
from collections.abc import Iterator
from types import CodeType, FunctionType

import numpy as np

__all__: list[str] = []


def of_code(thing: object) -> str:
    """Fingerprint (SHA-256) of a function or a class: its code, and the values that it holds.

    Of a class, its methods and constants and those of its bases outside of this package; of a
    function, its code, constants, defaults and the variables that it closes over. What it calls
    elsewhere is not looked at, and another version of Python compiles to other code.

    >>> def times(k):
    ...     return lambda x: k * x
    >>> of_code(times(2)) == of_code(times(2)), of_code(times(2)) == of_code(times(3))
    (True, False)
    """
    whole = hashlib.sha256()
    for part in _parts(thing, set()):
        whole.update(part + b";")
    return whole.hexdigest()


def _parts(thing: object, seen: set[int]) -> Iterator[bytes]:
    """Yield bytes that are equal in every process for equal code and values."""
    if id(thing) in seen:
        return
    if isinstance(thing, functools.partial):
        yield from _parts((thing.func, thing.args, dict(thing.keywords)), seen)
    elif isinstance(thing, staticmethod | classmethod):
        yield from _parts(thing.__func__, seen)
    elif isinstance(thing, property):
        yield from _parts((thing.fget, thing.fset), seen)
    elif isinstance(thing, FunctionType):
        seen.add(id(thing))
        function = inspect.unwrap(thing)
        cells = [cell.cell_contents for cell in function.__closure__ or ()]
        held = (function.__code__, function.__defaults__, function.__kwdefaults__, cells)
        yield from _parts(held, seen)
    elif isinstance(thing, CodeType):
        yield thing.co_code
        yield from _parts((thing.co_names, thing.co_varnames, thing.co_consts), seen)
    elif isinstance(thing, type):
        seen.add(id(thing))
        for base in thing.__mro__:
            if base.__module__.split(".")[0] not in ("builtins", "abc", "spikedrop", "typing"):
                own = {k: v for k, v in vars(base).items() if not k.startswith("__") or callable(v)}
                yield from _parts(own, seen)
    elif isinstance(thing, dict):
        yield from _parts(sorted(thing.items(), key=lambda item: str(item[0])), seen)
    elif isinstance(thing, tuple | list):
        yield f"{len(thing)}".encode()
        for part in thing:
            yield from _parts(part, seen)
    elif isinstance(thing, frozenset | set):
        yield from sorted(b"".join(_parts(part, seen)) for part in thing)
    elif isinstance(thing, np.ndarray):
        yield f"{thing.dtype.str}{thing.shape}".encode() + np.ascontiguousarray(thing).tobytes()
    elif isinstance(thing, str | bytes | int | float | complex | None.__class__):
        yield repr(thing).encode()
    else:  # an object of another class: what it is, not where it lies
        yield f"{type(thing).__module__}.{type(thing).__qualname__}".encode()
