func.func @f(%x: tensor<1x3xf32> {mase.name = "x"}) -> tensor<1x2xf32> {
  %w = mase.constant <f32, [0.5, 0.25, 0.125, -0.25, 0.25, -0.5]> : tensor<2x3xf32>
  %0 = mase.linear %x, %w {layer = "fc1"} : (tensor<1x3xf32>, tensor<2x3xf32>) -> tensor<1x2xf32>
  func.return %0 : tensor<1x2xf32>
}
