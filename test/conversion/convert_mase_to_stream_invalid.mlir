// RUN: mase-opt %s --convert-mase-to-stream --split-input-file --verify-diagnostics > %t.out
// RUN: not mase-opt %s --convert-mase-to-stream="max-logic-depth=-1" 2>&1 | filecheck %s --check-prefix=DEPTH

// DEPTH: error: {{.*}}max-logic-depth is -1, expected at least 0

// expected-error@below {{mase.sigmoid act: no process}}
func.func @none(%x: tensor<1x4x!mase.fixed<8, 4>>) -> tensor<1x4x!mase.fixed<8, 4>> {
  %0 = mase.sigmoid %x {layer = "act"} : (tensor<1x4x!mase.fixed<8, 4>>) -> tensor<1x4x!mase.fixed<8, 4>>
  func.return %0 : tensor<1x4x!mase.fixed<8, 4>>
}

// -----

// expected-error@below {{mase.softmax act: no circuit of its own: make it explicit}}
func.func @whole(%x: tensor<1x4x!mase.fixed<8, 4>>) -> tensor<1x4x!mase.fixed<8, 4>> {
  %0 = mase.softmax %x {axis = 1 : i64, layer = "act"} : (tensor<1x4x!mase.fixed<8, 4>>) -> tensor<1x4x!mase.fixed<8, 4>>
  func.return %0 : tensor<1x4x!mase.fixed<8, 4>>
}

// -----

// expected-error@below {{argument 1 is not used: leave it out}}
func.func @unused(%x: tensor<1x4x!mase.fixed<8, 4>>, %y: tensor<1x4x!mase.fixed<8, 4>>) -> tensor<1x4x!mase.fixed<8, 4>> {
  %0 = mase.relu %x : (tensor<1x4x!mase.fixed<8, 4>>) -> tensor<1x4x!mase.fixed<8, 4>>
  func.return %0 : tensor<1x4x!mase.fixed<8, 4>>
}

// -----

func.func @irregular(%x: tensor<8x1x!mase.fixed<8, 4>>) -> tensor<5x1x!mase.fixed<8, 4>> {
  %i = mase.constant <i64, [0, 1, 3, 7, 6]> : tensor<5xi64>
  %g = mase.gather %x, %i {axis = 0 : i64} : (tensor<8x1x!mase.fixed<8, 4>>, tensor<5xi64>) -> tensor<5x1x!mase.fixed<8, 4>>
  // expected-error@below {{no process for mase.relu act: the elements of its operand of shape 5x1 follow each other in no loops: take them from regular places, as slices and strides do}}
  %0 = mase.relu %g {layer = "act"} : (tensor<5x1x!mase.fixed<8, 4>>) -> tensor<5x1x!mase.fixed<8, 4>>
  func.return %0 : tensor<5x1x!mase.fixed<8, 4>>
}

// -----

func.func @computed(%x: tensor<1x8x!mase.fixed<8, 4>>, %i: tensor<5xi64>) -> tensor<1x5x!mase.fixed<8, 4>> {
  // expected-error@below {{no process for mase.gather rows: the index is}}
  %0 = mase.gather %x, %i {axis = 1 : i64, layer = "rows"} : (tensor<1x8x!mase.fixed<8, 4>>, tensor<5xi64>) -> tensor<1x5x!mase.fixed<8, 4>>
  func.return %0 : tensor<1x5x!mase.fixed<8, 4>>
}
