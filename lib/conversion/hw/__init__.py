"""Hardware templates: importing this package registers all of them."""

from mase_opt.lib.conversion.hw import (
    elementwise as elementwise,
)
from mase_opt.lib.conversion.hw import (
    linear as linear,
)
from mase_opt.lib.conversion.hw import (
    shape as shape,
)
