"""Print the first and last quantile of every calibration in a module."""

import sys
from pathlib import Path

from xdsl.context import Context
from xdsl.dialects.builtin import Builtin
from xdsl.dialects.func import Func
from xdsl.parser import Parser

from mase_opt.dialects.mase import Mase
from mase_opt.lib.analysis.calibration import calibration_of
from mase_opt.lib.model_function import model_function

context = Context()
for dialect in (Builtin, Func, Mase):
    context.load_dialect(dialect)
module = Parser(context, Path(sys.argv[1]).read_text()).parse_module()
function = model_function(module)
values = [*function.args, *(v for op in function.body.block.ops for v in op.results)]
for value in values:
    quantiles = calibration_of(value)
    if quantiles is not None:
        name = "argument" if value in function.args else value.owner.name
        print(name, quantiles[0], quantiles[-1])
