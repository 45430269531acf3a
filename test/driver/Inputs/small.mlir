func.func @f(%x: tensor<1x2xf32>) -> tensor<1x2xf32> {
  %w = mase.constant <f32, [0.7, 0.2, 0.5, 0.5]> : tensor<2x2xf32>
  %0 = mase.linear %x, %w {layer = "fc"}
    : (tensor<1x2xf32>, tensor<2x2xf32>) -> tensor<1x2xf32>
  %1 = mase.sigmoid %0 {layer = "act"} : (tensor<1x2xf32>) -> tensor<1x2xf32>
  func.return %1 : tensor<1x2xf32>
}
