from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

def solve(
    weights: NDArray[np.int64],
    bounds: NDArray[np.int64],
    depths: NDArray[np.int32],
    max_depth: int,
    effort: int,
    threads: int,
    progress: Callable[[int, int], None],
) -> tuple[NDArray[np.int32], NDArray[np.int32]]: ...
