func.func @main(%x: tensor<1x2x!mase.fixed<8, 4>>) -> tensor<1x3x!mase.fixed<8, 3>> {
  %w = mase.constant <i8, [5, 7, 10, 14, 5, 8]> : tensor<3x2x!mase.fixed<8, 3>>
  %b = mase.constant <i8, [0, 4, -3]> : tensor<3x!mase.fixed<8, 5>>
  %y = mase.linear %x, %w, %b {layer = "fc"} : (tensor<1x2x!mase.fixed<8, 4>>, tensor<3x2x!mase.fixed<8, 3>>, tensor<3x!mase.fixed<8, 5>>) -> tensor<1x3x!mase.fixed<8, 3>>
  func.return %y : tensor<1x3x!mase.fixed<8, 3>>
}
