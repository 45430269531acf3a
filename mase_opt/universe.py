"""Registration of mase-opt's dialects and passes, found through `xdsl.universe`."""

from xdsl.universe import Universe

UNIVERSE = Universe(all_dialects={}, all_passes={})
