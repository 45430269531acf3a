// Pass flags run in the order of the command line and are `-p` in other words.

// RUN: mase-opt --dce %s | filecheck %s --check-prefix=DCE
// RUN: mase-opt -p dce %s | filecheck %s --check-prefix=DCE
// RUN: mase-opt --canonicalize --dce < %s | filecheck %s --check-prefix=DCE
// RUN: mase-opt --print-between-passes --dce --cse %s 2> %t.err > %t.mlir
// RUN: filecheck %s --check-prefix=BETWEEN < %t.err
// RUN: filecheck %s --check-prefix=DCE < %t.mlir

// RUN: not mase-opt --dce -p cse %s 2>&1 | filecheck %s --check-prefix=MIXED

// DCE-NOT: arith.constant 7
// DCE: func.return

// BETWEEN-NOT: func.return
// BETWEEN: IR after dce:

// MIXED: error: -p and pass flags (here --dce) don't mix: write all passes one way

func.func @f(%a: i32) -> i32 {
  %unused = arith.constant 7 : i32
  %zero = arith.constant 0 : i32
  %sum = arith.addi %a, %zero : i32
  func.return %sum : i32
}
