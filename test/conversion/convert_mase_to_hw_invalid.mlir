// RUN: mase-opt %s --convert-mase-to-hw --split-input-file --verify-diagnostics > %t.out
// RUN: sed -n '/^func.func @all/,/^}/p' %s > %t.mlir
// RUN: not mase-opt %t.mlir --convert-mase-to-hw 2>&1 | filecheck %s
// RUN: not mase-opt %t.mlir --convert-mase-to-hw="max-logic-depth=0 stall=true" 2>&1 | filecheck %s --check-prefix=STALL
// RUN: not mase-opt %t.mlir --convert-mase-to-hw="max-logic-depth=-1" 2>&1 | filecheck %s --check-prefix=DEPTH
// RUN: not mase-opt %t.mlir --convert-mase-to-hw="max-logic-depth=2 stages=2" 2>&1 | filecheck %s --check-prefix=BOTH

// STALL: error: {{.*}}stall needs registers that hold a result: set max-logic-depth or stages to 1 or more
// DEPTH: error: {{.*}}max-logic-depth is -1, expected at least 0
// BOTH: error: {{.*}}give max-logic-depth or stages, not both

// One error names everything that has no circuit, and what helps.
// CHECK: error: {{.*}}function all cannot become hardware:
// CHECK-NEXT: argument 0: is still f32: quantize it first (mase-quantize)
// CHECK-NEXT: mase.sigmoid act: has no circuit of its own: make it a table (mase-lower-to-lookup)
// CHECK-NEXT: mase.exp wide: has an input of 16 bits: quantize it to at most 12 bits, then make it a table (mase-lower-to-lookup)
// CHECK-NEXT: mase.softmax: no circuit of its own: make it explicit in parts that have one (mase-decompose-normalizations), which comes before mase-quantize
// CHECK-NOT: mase.relu

// expected-error@below {{function all cannot become hardware}}
func.func @all(%f: tensor<2xf32>, %x: tensor<2x!mase.fixed<8, 4>>, %y: tensor<2x!mase.fixed<16, 4>>) -> tensor<2x!mase.fixed<8, 4>> {
  %0 = mase.sigmoid %x {layer = "act"} : (tensor<2x!mase.fixed<8, 4>>) -> tensor<2x!mase.fixed<8, 4>>
  %1 = mase.relu %0 : (tensor<2x!mase.fixed<8, 4>>) -> tensor<2x!mase.fixed<8, 4>>
  %2 = mase.exp %y {layer = "wide"} : (tensor<2x!mase.fixed<16, 4>>) -> tensor<2x!mase.fixed<8, 4>>
  %3 = mase.softmax %1 {axis = 0 : i64} : (tensor<2x!mase.fixed<8, 4>>) -> tensor<2x!mase.fixed<8, 4>>
  %4 = mase.add %2, %3 : (tensor<2x!mase.fixed<8, 4>>, tensor<2x!mase.fixed<8, 4>>) -> tensor<2x!mase.fixed<8, 4>>
  func.return %4 : tensor<2x!mase.fixed<8, 4>>
}

// -----

// expected-error@below {{mase.div ratio: the divisor is not a constant: multiply by a reciprocal, which can be a table (mase-lower-to-lookup)}}
func.func @divide(%x: tensor<2x!mase.fixed<8, 4>>) -> tensor<2x!mase.fixed<8, 4>> {
  %0 = mase.div %x, %x {layer = "ratio"} : (tensor<2x!mase.fixed<8, 4>>, tensor<2x!mase.fixed<8, 4>>) -> tensor<2x!mase.fixed<8, 4>>
  func.return %0 : tensor<2x!mase.fixed<8, 4>>
}

// -----

func.func @overflow(%x: tensor<2x!mase.fixed<8, 4>>) -> tensor<2x!mase.fixed<6, 4>> {
  // expected-error@below {{values between -128 and 127 steps may overflow fixed<6, 4>, and hardware cannot stop with an error: use overflow saturate or wrap}}
  %0 = mase.cast %x {rounding = #mase.rounding<floor, error>} : (tensor<2x!mase.fixed<8, 4>>) -> tensor<2x!mase.fixed<6, 4>>
  func.return %0 : tensor<2x!mase.fixed<6, 4>>
}

// -----

// expected-error@below {{argument 0: dimension 1 of its shape is dynamic (?): import the model with fixed sizes}}
func.func @dynamic(%x: tensor<2x?x!mase.fixed<8, 4>>) -> tensor<2x?x!mase.fixed<8, 4>> {
  func.return %x : tensor<2x?x!mase.fixed<8, 4>>
}

// -----

// expected-error@below {{it takes no input: there is nothing to compute}}
func.func @nothing() {
  func.return
}

// -----

// What a pass would leave alone, the error does not send to it.
// expected-error@below {{mase.sigmoid small: has no circuit from !mase.minifloat<4, 3, fn> to !mase.fixed<8, 4>: quantize both to fixed point, its input to at most 12 bits, then make it a table (mase-lower-to-lookup)}}
func.func @minifloat(%x: tensor<2x!mase.minifloat<4, 3, fn>>) -> tensor<2x!mase.fixed<8, 4>> {
  %0 = mase.sigmoid %x {layer = "small"} : (tensor<2x!mase.minifloat<4, 3, fn>>) -> tensor<2x!mase.fixed<8, 4>>
  func.return %0 : tensor<2x!mase.fixed<8, 4>>
}

// -----

// expected-error@below {{mase.batch_norm: no spatial template: fold it into the layer before it (mase-fold-batch-norm), which comes before mase-quantize}}
func.func @norm(%x: tensor<1x2x!mase.fixed<8, 4>>, %c: tensor<2x!mase.fixed<8, 4>>) -> tensor<1x2x!mase.fixed<8, 4>> {
  %0 = mase.batch_norm %x, %c, %c, %c, %c {eps = 1.0 : f64} : (tensor<1x2x!mase.fixed<8, 4>>, tensor<2x!mase.fixed<8, 4>>, tensor<2x!mase.fixed<8, 4>>, tensor<2x!mase.fixed<8, 4>>, tensor<2x!mase.fixed<8, 4>>) -> tensor<1x2x!mase.fixed<8, 4>>
  func.return %0 : tensor<1x2x!mase.fixed<8, 4>>
}
