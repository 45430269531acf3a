"""The one exception that a user's mistake ends in."""


class UserError(Exception):
    """
    A mistake of the user's: bad input, bad option, missing tool.

    The message says where, what and what would work; drivers print it as
    `error: …` and exit with 1.
    """
