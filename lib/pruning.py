"""Which of many scores are the lowest: exact counts, whatever ties there are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.floating]
"""Importances, at least 0; of any shape."""
Mask = NDArray[np.bool_]
CHUNK = 1 << 18
"""Groups that are sorted at a time: their order takes 8 bytes per score."""


def lowest(scores: Sequence[Scores], count: int) -> list[Mask]:
    """
    Masks of the `count` lowest of all scores together; of equal ones the first.

    Takes memory for one more copy of the scores.
    """
    if count == 0:
        return [np.zeros(s.shape, np.bool_) for s in scores]
    everything = np.concatenate([s.reshape(-1) for s in scores])
    everything.partition(count - 1)
    limit = everything[count - 1]
    below = int(np.count_nonzero(everything[:count] < limit))
    del everything
    masks = [s < limit for s in scores]
    equal = count - below
    for mask, s in zip(masks, scores, strict=True):
        ties = np.flatnonzero(s == limit)[:equal]
        mask.reshape(-1)[ties] = True
        equal -= len(ties)
    return masks


def all_but_highest(scores: Scores, keep: int, group: int) -> Mask:
    """
    A mask that leaves `keep` of each `group` scores along the last axis, the highest.

    Of equal scores the last stay; of a shorter rest `keep` stay, too.
    """
    *leading, length = scores.shape
    # What is not there is the lowest.
    padded = np.pad(
        scores, [(0, 0)] * len(leading) + [(0, -length % group)], constant_values=-1
    )
    groups = padded.reshape(padded.size // group, group)
    mask = np.zeros(groups.shape, np.bool_)
    drop = group - keep
    for start in range(0, len(groups), CHUNK):
        part = slice(start, start + CHUNK)
        order = np.argsort(groups[part], axis=1, kind="stable")[:, :drop]
        np.put_along_axis(mask[part], order, True, axis=1)
    return mask.reshape(padded.shape)[..., :length]
