"""Sign extension in the text of lowered circuits."""

import pytest

from mase_opt.lib.simulation.sign_extension import fold_sign_extensions

EXTENSION = """module {{
  llvm.func @f(%arg0: i8) -> i12 {{
    %0 = llvm.mlir.constant({bit} : i8) : i8
    %1 = llvm.mlir.constant({place} : i12) : i12
    %2 = llvm.lshr %arg0, %0 : i8
    %3 = llvm.trunc %2 : i8 to i1
    %4 = llvm.sext %3 : i1 to i{copies}
    %5 = llvm.zext %arg0 : i8 to i12
    %6 = llvm.zext %4 : i{copies} to i12
    %7 = llvm.shl %6, %1 : i12
    %8 = llvm.or %{order} : i12
    llvm.return %8 : i12
  }}
}}"""


@pytest.mark.parametrize("order", ["5, %7", "7, %5"])
def test_extension_is_folded(order: str):
    text = EXTENSION.format(bit=7, place=8, copies=4, order=order)
    assert fold_sign_extensions(text) == (
        "module {\n  llvm.func @f(%arg0: i8) -> i12 {\n"
        "    %8 = llvm.sext %arg0 : i8 to i12\n"
        "    llvm.return %8 : i12\n  }\n}"
    )


@pytest.mark.parametrize(
    "change", [{"bit": 6}, {"place": 7}, {"copies": 3}, {"order": "5, %6"}]
)
def test_other_wiring_stays(change: dict[str, object]):
    options = {"bit": 7, "place": 8, "copies": 4, "order": "5, %7"} | change
    text = EXTENSION.format(**options)
    assert "llvm.or" in fold_sign_extensions(text)


def test_extension_by_one_bit():
    text = EXTENSION.format(bit=7, place=8, copies=1, order="5, %7")
    text = text.replace("i12", "i9").replace("%4 = llvm.sext %3 : i1 to i1\n", "\n")
    text = text.replace("llvm.zext %4", "llvm.zext %3")
    assert "%8 = llvm.sext %arg0 : i8 to i9" in fold_sign_extensions(text)


def test_names_of_other_functions_do_not_count():
    text = EXTENSION.format(bit=7, place=8, copies=4, order="5, %7")
    other = """
  llvm.func @g(%5: i12, %7: i12) -> i12 {
    %8 = llvm.or %5, %7 : i12
    llvm.return %8 : i12
  }
}"""
    result = fold_sign_extensions(text[: text.rindex("}")].rstrip() + other)
    assert "%8 = llvm.or %5, %7 : i12" in result
