// An expected error that stays away and an error nobody expects both fail.

// RUN: not mase-opt %s --split-input-file --verify-diagnostics 2>&1 | filecheck %s

// CHECK: verify_diagnostics_fails.mlir:{{[0-9]+}}:
// CHECK-SAME: error: expected error "never happens" was not produced
// expected-error@+1 {{never happens}}
func.func @fine() {
  func.return
}

// -----

func.func @unexpected() {
  // CHECK: verify_diagnostics_fails.mlir:{{[0-9]+:[0-9]+}}: error: unexpected error: Operation unknown.op is not registered
  "unknown.op"() : () -> ()
  func.return
}

// -----

func.func @other_line() {
  // CHECK: error: unexpected error: Operation unknown.op is not registered
  "unknown.op"() : () -> ()
  // CHECK: expected error "not registered" was not produced
  func.return // expected-error {{not registered}}
}
