"""Unknown names: which valid name was probably meant."""

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(name: str, valid: Iterable[str]) -> str:
    """`; did you mean 'x'?` with the nearest of `valid`, or nothing if none is near."""
    near = get_close_matches(name, list(valid), n=1, cutoff=0.6)
    return f"; did you mean '{near[0]}'?" if near else ""
