"""The errors that a user can do something about."""

__all__ = ["InputError", "InputWarning", "NotFiniteError", "SaturationWarning", "StoreError"]


class InputError(ValueError):
    """Input that cannot be used: the message names what, where, and what to do.

    It is raised before any work is done, so that nothing is left half-written.

    Examples
    --------
    >>> raise InputError("steps=0; give a whole number, at least 1.")
    Traceback (most recent call last):
    spikedrop.errors.InputError: steps=0; give a whole number, at least 1.
    """


class InputWarning(UserWarning):
    """Something about the input that was decided for the user, such as a column left out.

    Examples
    --------
    >>> import warnings
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     warnings.warn("x.csv: a column of row numbers is left out.", InputWarning)
    >>> caught[0].category.__name__
    'InputWarning'
    """


class NotFiniteError(InputError):
    """A sample is NaN or infinite: a value left the range of float32. Nothing of it is kept.

    Examples
    --------
    >>> issubclass(NotFiniteError, InputError)
    True
    """


class SaturationWarning(UserWarning):
    """Neurons are driven beyond the largest activation they can send, and samples are off.

    Examples
    --------
    >>> issubclass(SaturationWarning, UserWarning)
    True
    """


class StoreError(RuntimeError):
    """A store that could not be filled: the disk is full, a file cannot be written, workers died.

    What is finished stays, and the same call resumes from there when the cause is gone.

    Examples
    --------
    >>> issubclass(StoreError, InputError)  # the input is not at fault
    False
    """
