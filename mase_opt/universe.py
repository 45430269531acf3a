"""Registration of mase-opt's dialects and passes, found through `xdsl.universe`."""

from xdsl.ir import Dialect
from xdsl.universe import Universe


def _mase() -> Dialect:
    from mase_opt.dialects.mase import Mase

    return Mase


UNIVERSE = Universe(all_dialects={"mase": _mase}, all_passes={})
