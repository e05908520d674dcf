"""The one error for input that cannot be used."""


class InputError(ValueError):
    """Input that cannot be used: the message names what, where, and what to do.

    It is raised before any work is done, so that nothing is left half-written.
    """
