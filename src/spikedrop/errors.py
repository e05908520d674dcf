"""The errors that a user can do something about."""


class InputError(ValueError):
    """Input that cannot be used: the message names what, where, and what to do.

    It is raised before any work is done, so that nothing is left half-written.
    """


class InputWarning(UserWarning):
    """Something about the input that was decided for the user, such as a column left out."""


class NotFiniteError(InputError):
    """A sample is NaN or infinite: a value left the range of float32. Nothing of it is kept."""


class SaturationWarning(UserWarning):
    """Neurons are driven beyond the largest activation they can send, and samples are off."""


class StoreError(RuntimeError):
    """A store that could not be filled: the disk is full, a file cannot be written, workers died.

    What is finished stays, and the same call resumes from there when the cause is gone.
    """
