// Errors must be those that the comments expect, chunk by chunk.

// RUN: mase-opt %s --split-input-file --verify-diagnostics

func.func @same_line(%a: i32) {
  %b = arith.addi %a, %a : i64 // expected-error {{operand is used with type i64}}
  func.return
}

// -----

func.func @next_line(%a: i32) {
  // expected-error@+1 {{Operation nothing.at_all is not registered}}
  "nothing.at_all"(%a) : (i32) -> ()
  func.return
}

// -----

func.func @below(%a: i32) -> i32 {
  // expected-error@below {{Expected arguments to have the same types as the function output types}}
  func.return
}

// -----

func.func @no_error() {
  func.return
}

// -----

func.func @above() {
  "unknown.op"() : () -> ()
  // expected-error@above {{not registered}}
  func.return
}
