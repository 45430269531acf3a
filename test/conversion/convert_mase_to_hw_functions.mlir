// RUN: not mase-opt %s --convert-mase-to-hw 2>&1 | filecheck %s

// CHECK: error: expected one function, found a, b: one function is one circuit

func.func @a(%x: tensor<!mase.fixed<8, 4>>) -> tensor<!mase.fixed<8, 4>> {
  func.return %x : tensor<!mase.fixed<8, 4>>
}
func.func @b(%x: tensor<!mase.fixed<8, 4>>) -> tensor<!mase.fixed<8, 4>> {
  func.return %x : tensor<!mase.fixed<8, 4>>
}
