// Printing options are xDSL's; chunks stay apart; locations print when asked for.

// RUN: mase-opt %s --split-input-file | filecheck %s
// RUN: mase-opt %s --split-input-file --print-op-generic | filecheck %s --check-prefix=GENERIC
// RUN: mase-opt %s --split-input-file --print-debuginfo | filecheck %s --check-prefix=LOCATION
// RUN: mase-opt --version | filecheck %s --check-prefix=VERSION
// RUN: MASE_ROUNDTRIP

// VERSION: mase-opt {{[0-9]+\.[0-9]+\.[0-9]+}} (xDSL {{.*}})

// CHECK: func.func @first
// CHECK: // -----
// CHECK: func.func @second

// GENERIC: "func.func"()
// GENERIC-SAME: sym_name = "first"

// LOCATION: func.return loc("{{.*}}printing.mlir":23:3)
// LOCATION: func.return loc("elsewhere.py":3:4)
// LOCATION: func.return loc("{{.*}}printing.mlir":33:3)

func.func @first() {
  func.return
}

func.func @explicit() {
  func.return loc("elsewhere.py":3:4)
}

// -----

func.func @second() {
  func.return
}
