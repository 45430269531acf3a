"""The one exception that a user's mistake ends in."""


class UserError(Exception):
    """
    A mistake of the user's: bad input, bad option, missing tool.

    The message says where, what and what would work; drivers print it as
    `error: …` and exit with 1.
    """


def is_of_call(error: TypeError) -> bool:
    """
    Whether a function could not be called with the arguments it was given.

    Asked where the call stands; a `TypeError` from inside the function is another one.
    """
    return error.__traceback__ is None or error.__traceback__.tb_next is None
