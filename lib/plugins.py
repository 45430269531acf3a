"""
What installed packages define, but only when it is asked for.

A package's universe names its dialects by functions that import them. Whatever else
stands in their modules (formats, rules, kernels, circuits) is known from then on; so
who does not find a name asks here before giving up.
"""

from collections.abc import Callable

PENDING: list[Callable[[], object]] = []
"""What makes the dialects of packages, none of them called yet."""


def load_pending() -> bool:
    """Define all that is pending; whether there was anything."""
    found = bool(PENDING)
    while PENDING:
        PENDING.pop(0)()
    return found
