"""How codes of each format become exact numbers on wires, and sums become codes."""

from importlib import import_module

for _name in ("fixed", "binary", "ternary", "minifloat", "log"):
    import_module(f"{__name__}.{_name}")
