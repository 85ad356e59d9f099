"""Errors a user can mend: each says what was wrong, where, and what to do next.

The command line prints them as one line and exits with `exit_code`; anything else is a bug and
keeps its traceback.
"""


class AnonbenchError(Exception):
    """A problem with what the user gave us. `exit_code` is 2 for usage, 3 for data and weights (docs/run.md)."""

    exit_code = 3


class UsageError(AnonbenchError):
    """The command itself is wrong: an unknown name, an impossible combination of options."""

    exit_code = 2


class UnfitError(UsageError):
    """A model or data that a protocol cannot serve: a comparison goes on with the others."""


class DataError(AnonbenchError):
    """Input data is missing, unreadable or breaks its format. The message names the file."""


class WeightsError(AnonbenchError):
    """A weight file is absent or is not the file that its registry entry describes."""


class CardError(AnonbenchError):
    """A card or a record breaks its schema. The message names the file and the key."""

    exit_code = 2


class CacheError(AnonbenchError):
    """The cache folder cannot be read or written."""
