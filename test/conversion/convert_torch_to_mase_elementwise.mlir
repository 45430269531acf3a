// RUN: mase-opt --convert-torch-to-mase %s | filecheck %s

// Elementwise ops: activations, functions, arithmetic, comparison, logic, casts.

// CHECK-LABEL: func.func @relu
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3xf32>) -> tensor<2x3xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.relu %[[X0]] : (tensor<2x3xf32>) -> tensor<2x3xf32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<2x3xf32>
func.func @relu(%arg0: !torch.vtensor<[2,3],f32>) -> !torch.vtensor<[2,3],f32> {
  %0 = torch.aten.relu %arg0 : !torch.vtensor<[2,3],f32> -> !torch.vtensor<[2,3],f32>
  return %0 : !torch.vtensor<[2,3],f32>
}

// CHECK-LABEL: func.func @relu6
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3xf32>) -> tensor<2x3xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.relu6 %[[X0]] : (tensor<2x3xf32>) -> tensor<2x3xf32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<2x3xf32>
func.func @relu6(%arg0: !torch.vtensor<[2,3],f32>) -> !torch.vtensor<[2,3],f32> {
  %0 = torch.aten.relu6 %arg0 : !torch.vtensor<[2,3],f32> -> !torch.vtensor<[2,3],f32>
  return %0 : !torch.vtensor<[2,3],f32>
}

// CHECK-LABEL: func.func @sigmoid
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3xf32>) -> tensor<2x3xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.sigmoid %[[X0]] : (tensor<2x3xf32>) -> tensor<2x3xf32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<2x3xf32>
func.func @sigmoid(%arg0: !torch.vtensor<[2,3],f32>) -> !torch.vtensor<[2,3],f32> {
  %0 = torch.aten.sigmoid %arg0 : !torch.vtensor<[2,3],f32> -> !torch.vtensor<[2,3],f32>
  return %0 : !torch.vtensor<[2,3],f32>
}

// CHECK-LABEL: func.func @hardsigmoid
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3xf32>) -> tensor<2x3xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.hardsigmoid %[[X0]] : (tensor<2x3xf32>) -> tensor<2x3xf32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<2x3xf32>
func.func @hardsigmoid(%arg0: !torch.vtensor<[2,3],f32>) -> !torch.vtensor<[2,3],f32> {
  %0 = torch.aten.hardsigmoid %arg0 : !torch.vtensor<[2,3],f32> -> !torch.vtensor<[2,3],f32>
  return %0 : !torch.vtensor<[2,3],f32>
}

// CHECK-LABEL: func.func @tanh
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3xf32>) -> tensor<2x3xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.tanh %[[X0]] : (tensor<2x3xf32>) -> tensor<2x3xf32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<2x3xf32>
func.func @tanh(%arg0: !torch.vtensor<[2,3],f32>) -> !torch.vtensor<[2,3],f32> {
  %0 = torch.aten.tanh %arg0 : !torch.vtensor<[2,3],f32> -> !torch.vtensor<[2,3],f32>
  return %0 : !torch.vtensor<[2,3],f32>
}

// CHECK-LABEL: func.func @silu
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3xf32>) -> tensor<2x3xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.silu %[[X0]] : (tensor<2x3xf32>) -> tensor<2x3xf32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<2x3xf32>
func.func @silu(%arg0: !torch.vtensor<[2,3],f32>) -> !torch.vtensor<[2,3],f32> {
  %0 = torch.aten.silu %arg0 : !torch.vtensor<[2,3],f32> -> !torch.vtensor<[2,3],f32>
  return %0 : !torch.vtensor<[2,3],f32>
}

// CHECK-LABEL: func.func @hardswish
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3xf32>) -> tensor<2x3xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.hardswish %[[X0]] : (tensor<2x3xf32>) -> tensor<2x3xf32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<2x3xf32>
func.func @hardswish(%arg0: !torch.vtensor<[2,3],f32>) -> !torch.vtensor<[2,3],f32> {
  %0 = torch.aten.hardswish %arg0 : !torch.vtensor<[2,3],f32> -> !torch.vtensor<[2,3],f32>
  return %0 : !torch.vtensor<[2,3],f32>
}

// CHECK-LABEL: func.func @gelu
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3xf32>) -> tensor<2x3xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.gelu %[[X0]] : (tensor<2x3xf32>) -> tensor<2x3xf32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<2x3xf32>
func.func @gelu(%arg0: !torch.vtensor<[2,3],f32>) -> !torch.vtensor<[2,3],f32> {
  %str = torch.constant.str "none"
  %0 = torch.aten.gelu %arg0, %str : !torch.vtensor<[2,3],f32>, !torch.str -> !torch.vtensor<[2,3],f32>
  return %0 : !torch.vtensor<[2,3],f32>
}

// CHECK-LABEL: func.func @gelu_tanh
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3xf32>) -> tensor<2x3xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.gelu %[[X0]] {approximate = "tanh"} : (tensor<2x3xf32>) -> tensor<2x3xf32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<2x3xf32>
func.func @gelu_tanh(%arg0: !torch.vtensor<[2,3],f32>) -> !torch.vtensor<[2,3],f32> {
  %str = torch.constant.str "tanh"
  %0 = torch.aten.gelu %arg0, %str : !torch.vtensor<[2,3],f32>, !torch.str -> !torch.vtensor<[2,3],f32>
  return %0 : !torch.vtensor<[2,3],f32>
}

// CHECK-LABEL: func.func @leaky_relu
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3xf32>) -> tensor<2x3xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.leaky_relu %[[X0]] {negative_slope = 2.000000e-01 : f64} : (tensor<2x3xf32>) -> tensor<2x3xf32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<2x3xf32>
func.func @leaky_relu(%arg0: !torch.vtensor<[2,3],f32>) -> !torch.vtensor<[2,3],f32> {
  %float2.000000e-01 = torch.constant.float 2.000000e-01
  %0 = torch.aten.leaky_relu %arg0, %float2.000000e-01 : !torch.vtensor<[2,3],f32>, !torch.float -> !torch.vtensor<[2,3],f32>
  return %0 : !torch.vtensor<[2,3],f32>
}

// CHECK-LABEL: func.func @elu
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3xf32>) -> tensor<2x3xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.elu %[[X0]] {alpha = 7.000000e-01 : f64} : (tensor<2x3xf32>) -> tensor<2x3xf32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<2x3xf32>
func.func @elu(%arg0: !torch.vtensor<[2,3],f32>) -> !torch.vtensor<[2,3],f32> {
  %float6.999990e-01 = torch.constant.float 0.69999999999999996
  %int1 = torch.constant.int 1
  %0 = torch.aten.elu %arg0, %float6.999990e-01, %int1, %int1 : !torch.vtensor<[2,3],f32>, !torch.float, !torch.int, !torch.int -> !torch.vtensor<[2,3],f32>
  return %0 : !torch.vtensor<[2,3],f32>
}

// CHECK-LABEL: func.func @selu
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3xf32>) -> tensor<2x3xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.elu %[[X0]] {alpha = 1.6732632423543772 : f64} : (tensor<2x3xf32>) -> tensor<2x3xf32>
// CHECK-NEXT:    %[[V1:.*]] = mase.constant <f32, [1.050701]> : tensor<f32>
// CHECK-NEXT:    %[[V2:.*]] = mase.mul %[[V0]], %[[V1]] : (tensor<2x3xf32>, tensor<f32>) -> tensor<2x3xf32>
// CHECK-NEXT:    func.return %[[V2]] : tensor<2x3xf32>
func.func @selu(%arg0: !torch.vtensor<[2,3],f32>) -> !torch.vtensor<[2,3],f32> {
  %0 = torch.aten.selu %arg0 : !torch.vtensor<[2,3],f32> -> !torch.vtensor<[2,3],f32>
  return %0 : !torch.vtensor<[2,3],f32>
}

// CHECK-LABEL: func.func @celu
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3xf32>) -> tensor<2x3xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.constant <f32, [0.0]> : tensor<f32>
// CHECK-NEXT:    %[[V1:.*]] = mase.maximum %[[V0]], %[[X0]] : (tensor<f32>, tensor<2x3xf32>) -> tensor<2x3xf32>
// CHECK-NEXT:    %[[V2:.*]] = mase.constant <f32, [1.0]> : tensor<f32>
// CHECK-NEXT:    %[[V3:.*]] = mase.div %[[X0]], %[[V2]] : (tensor<2x3xf32>, tensor<f32>) -> tensor<2x3xf32>
// CHECK-NEXT:    %[[V4:.*]] = mase.exp %[[V3]] : (tensor<2x3xf32>) -> tensor<2x3xf32>
// CHECK-NEXT:    %[[V5:.*]] = mase.constant <f32, [1.0]> : tensor<f32>
// CHECK-NEXT:    %[[V6:.*]] = mase.sub %[[V4]], %[[V5]] : (tensor<2x3xf32>, tensor<f32>) -> tensor<2x3xf32>
// CHECK-NEXT:    %[[V7:.*]] = mase.constant <f32, [1.0]> : tensor<f32>
// CHECK-NEXT:    %[[V8:.*]] = mase.mul %[[V6]], %[[V7]] : (tensor<2x3xf32>, tensor<f32>) -> tensor<2x3xf32>
// CHECK-NEXT:    %[[V9:.*]] = mase.minimum %[[V0]], %[[V8]] : (tensor<f32>, tensor<2x3xf32>) -> tensor<2x3xf32>
// CHECK-NEXT:    %[[V10:.*]] = mase.add %[[V1]], %[[V9]] : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>
// CHECK-NEXT:    func.return %[[V10]] : tensor<2x3xf32>
func.func @celu(%arg0: !torch.vtensor<[2,3],f32>) -> !torch.vtensor<[2,3],f32> {
  %float1.000000e00 = torch.constant.float 1.000000e+00
  %0 = torch.vtensor.literal(dense<0.000000e+00> : tensor<f32>) : !torch.vtensor<[],f32>
  %1 = torch.aten.maximum %0, %arg0 : !torch.vtensor<[],f32>, !torch.vtensor<[2,3],f32> -> !torch.vtensor<[2,3],f32>
  %2 = torch.aten.div.Scalar %arg0, %float1.000000e00 : !torch.vtensor<[2,3],f32>, !torch.float -> !torch.vtensor<[2,3],f32>
  %3 = torch.aten.exp %2 : !torch.vtensor<[2,3],f32> -> !torch.vtensor<[2,3],f32>
  %4 = torch.aten.sub.Scalar %3, %float1.000000e00, %float1.000000e00 : !torch.vtensor<[2,3],f32>, !torch.float, !torch.float -> !torch.vtensor<[2,3],f32>
  %5 = torch.aten.mul.Scalar %4, %float1.000000e00 : !torch.vtensor<[2,3],f32>, !torch.float -> !torch.vtensor<[2,3],f32>
  %6 = torch.aten.minimum %0, %5 : !torch.vtensor<[],f32>, !torch.vtensor<[2,3],f32> -> !torch.vtensor<[2,3],f32>
  %7 = torch.aten.add.Tensor %1, %6, %float1.000000e00 : !torch.vtensor<[2,3],f32>, !torch.vtensor<[2,3],f32>, !torch.float -> !torch.vtensor<[2,3],f32>
  return %7 : !torch.vtensor<[2,3],f32>
}

// CHECK-LABEL: func.func @softplus
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3xf32>) -> tensor<2x3xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.softplus %[[X0]] : (tensor<2x3xf32>) -> tensor<2x3xf32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<2x3xf32>
func.func @softplus(%arg0: !torch.vtensor<[2,3],f32>) -> !torch.vtensor<[2,3],f32> {
  %int1 = torch.constant.int 1
  %int20 = torch.constant.int 20
  %0 = torch.aten.softplus %arg0, %int1, %int20 : !torch.vtensor<[2,3],f32>, !torch.int, !torch.int -> !torch.vtensor<[2,3],f32>
  return %0 : !torch.vtensor<[2,3],f32>
}

// CHECK-LABEL: func.func @mish
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3xf32>) -> tensor<2x3xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.softplus %[[X0]] : (tensor<2x3xf32>) -> tensor<2x3xf32>
// CHECK-NEXT:    %[[V1:.*]] = mase.tanh %[[V0]] : (tensor<2x3xf32>) -> tensor<2x3xf32>
// CHECK-NEXT:    %[[V2:.*]] = mase.mul %[[X0]], %[[V1]] : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>
// CHECK-NEXT:    func.return %[[V2]] : tensor<2x3xf32>
func.func @mish(%arg0: !torch.vtensor<[2,3],f32>) -> !torch.vtensor<[2,3],f32> {
  %0 = torch.aten.mish %arg0 : !torch.vtensor<[2,3],f32> -> !torch.vtensor<[2,3],f32>
  return %0 : !torch.vtensor<[2,3],f32>
}

// CHECK-LABEL: func.func @hardtanh
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3xf32>) -> tensor<2x3xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.constant <f32, [-0.5]> : tensor<f32>
// CHECK-NEXT:    %[[V1:.*]] = mase.maximum %[[X0]], %[[V0]] : (tensor<2x3xf32>, tensor<f32>) -> tensor<2x3xf32>
// CHECK-NEXT:    %[[V2:.*]] = mase.constant <f32, [0.7]> : tensor<f32>
// CHECK-NEXT:    %[[V3:.*]] = mase.minimum %[[V1]], %[[V2]] : (tensor<2x3xf32>, tensor<f32>) -> tensor<2x3xf32>
// CHECK-NEXT:    func.return %[[V3]] : tensor<2x3xf32>
func.func @hardtanh(%arg0: !torch.vtensor<[2,3],f32>) -> !torch.vtensor<[2,3],f32> {
  %float-5.000000e-01 = torch.constant.float -5.000000e-01
  %float6.999990e-01 = torch.constant.float 0.69999999999999996
  %0 = torch.aten.hardtanh %arg0, %float-5.000000e-01, %float6.999990e-01 : !torch.vtensor<[2,3],f32>, !torch.float, !torch.float -> !torch.vtensor<[2,3],f32>
  return %0 : !torch.vtensor<[2,3],f32>
}

// CHECK-LABEL: func.func @hardtanh_relu6
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3xf32>) -> tensor<2x3xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.relu6 %[[X0]] : (tensor<2x3xf32>) -> tensor<2x3xf32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<2x3xf32>
func.func @hardtanh_relu6(%arg0: !torch.vtensor<[2,3],f32>) -> !torch.vtensor<[2,3],f32> {
  %float0.000000e00 = torch.constant.float 0.000000e+00
  %float6.000000e00 = torch.constant.float 6.000000e+00
  %0 = torch.aten.hardtanh %arg0, %float0.000000e00, %float6.000000e00 : !torch.vtensor<[2,3],f32>, !torch.float, !torch.float -> !torch.vtensor<[2,3],f32>
  return %0 : !torch.vtensor<[2,3],f32>
}

// CHECK-LABEL: func.func @clamp
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3xf32>) -> tensor<2x3xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.constant <f32, [-0.3]> : tensor<f32>
// CHECK-NEXT:    %[[V1:.*]] = mase.maximum %[[X0]], %[[V0]] : (tensor<2x3xf32>, tensor<f32>) -> tensor<2x3xf32>
// CHECK-NEXT:    %[[V2:.*]] = mase.constant <f32, [0.4]> : tensor<f32>
// CHECK-NEXT:    %[[V3:.*]] = mase.minimum %[[V1]], %[[V2]] : (tensor<2x3xf32>, tensor<f32>) -> tensor<2x3xf32>
// CHECK-NEXT:    func.return %[[V3]] : tensor<2x3xf32>
func.func @clamp(%arg0: !torch.vtensor<[2,3],f32>) -> !torch.vtensor<[2,3],f32> {
  %float-3.000000e-01 = torch.constant.float -3.000000e-01
  %float4.000000e-01 = torch.constant.float 4.000000e-01
  %0 = torch.aten.clamp %arg0, %float-3.000000e-01, %float4.000000e-01 : !torch.vtensor<[2,3],f32>, !torch.float, !torch.float -> !torch.vtensor<[2,3],f32>
  return %0 : !torch.vtensor<[2,3],f32>
}

// CHECK-LABEL: func.func @clamp_low
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3xf32>) -> tensor<2x3xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.constant <f32, [-0.3]> : tensor<f32>
// CHECK-NEXT:    %[[V1:.*]] = mase.maximum %[[X0]], %[[V0]] : (tensor<2x3xf32>, tensor<f32>) -> tensor<2x3xf32>
// CHECK-NEXT:    func.return %[[V1]] : tensor<2x3xf32>
func.func @clamp_low(%arg0: !torch.vtensor<[2,3],f32>) -> !torch.vtensor<[2,3],f32> {
  %float-3.000000e-01 = torch.constant.float -3.000000e-01
  %none = torch.constant.none
  %0 = torch.aten.clamp %arg0, %float-3.000000e-01, %none : !torch.vtensor<[2,3],f32>, !torch.float, !torch.none -> !torch.vtensor<[2,3],f32>
  return %0 : !torch.vtensor<[2,3],f32>
}

// CHECK-LABEL: func.func @clamp_relu
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3xf32>) -> tensor<2x3xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.relu %[[X0]] : (tensor<2x3xf32>) -> tensor<2x3xf32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<2x3xf32>
func.func @clamp_relu(%arg0: !torch.vtensor<[2,3],f32>) -> !torch.vtensor<[2,3],f32> {
  %int0 = torch.constant.int 0
  %none = torch.constant.none
  %0 = torch.aten.clamp %arg0, %int0, %none : !torch.vtensor<[2,3],f32>, !torch.int, !torch.none -> !torch.vtensor<[2,3],f32>
  return %0 : !torch.vtensor<[2,3],f32>
}

// CHECK-LABEL: func.func @clamp_tensor
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3xf32>, %[[X1:.*]]: tensor<3xf32>, %[[X2:.*]]: tensor<3xf32>) -> tensor<2x3xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.maximum %[[X0]], %[[X1]] : (tensor<2x3xf32>, tensor<3xf32>) -> tensor<2x3xf32>
// CHECK-NEXT:    %[[V1:.*]] = mase.minimum %[[V0]], %[[X2]] : (tensor<2x3xf32>, tensor<3xf32>) -> tensor<2x3xf32>
// CHECK-NEXT:    func.return %[[V1]] : tensor<2x3xf32>
func.func @clamp_tensor(%arg0: !torch.vtensor<[2,3],f32>, %arg1: !torch.vtensor<[3],f32>, %arg2: !torch.vtensor<[3],f32>) -> !torch.vtensor<[2,3],f32> {
  %0 = torch.aten.clamp.Tensor %arg0, %arg1, %arg2 : !torch.vtensor<[2,3],f32>, !torch.vtensor<[3],f32>, !torch.vtensor<[3],f32> -> !torch.vtensor<[2,3],f32>
  return %0 : !torch.vtensor<[2,3],f32>
}

// CHECK-LABEL: func.func @prelu
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3x4xf32>, %[[X1:.*]]: tensor<3xf32>) -> tensor<2x3x4xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.reshape %[[X1]] : tensor<3xf32> -> tensor<3x1xf32>
// CHECK-NEXT:    %[[V1:.*]] = mase.constant <f32, [0.0]> : tensor<f32>
// CHECK-NEXT:    %[[V2:.*]] = mase.compare %[[X0]], %[[V1]] {predicate = "lt"} : (tensor<2x3x4xf32>, tensor<f32>) -> tensor<2x3x4xi1>
// CHECK-NEXT:    %[[V3:.*]] = mase.mul %[[X0]], %[[V0]] : (tensor<2x3x4xf32>, tensor<3x1xf32>) -> tensor<2x3x4xf32>
// CHECK-NEXT:    %[[V4:.*]] = mase.select %[[V2]], %[[V3]], %[[X0]] : (tensor<2x3x4xi1>, tensor<2x3x4xf32>, tensor<2x3x4xf32>) -> tensor<2x3x4xf32>
// CHECK-NEXT:    func.return %[[V4]] : tensor<2x3x4xf32>
func.func @prelu(%arg0: !torch.vtensor<[2,3,4],f32>, %arg1: !torch.vtensor<[3],f32>) -> !torch.vtensor<[2,3,4],f32> {
  %0 = torch.aten.prelu %arg0, %arg1 : !torch.vtensor<[2,3,4],f32>, !torch.vtensor<[3],f32> -> !torch.vtensor<[2,3,4],f32>
  return %0 : !torch.vtensor<[2,3,4],f32>
}

// CHECK-LABEL: func.func @neg
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3xf32>) -> tensor<2x3xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.neg %[[X0]] : (tensor<2x3xf32>) -> tensor<2x3xf32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<2x3xf32>
func.func @neg(%arg0: !torch.vtensor<[2,3],f32>) -> !torch.vtensor<[2,3],f32> {
  %0 = torch.aten.neg %arg0 : !torch.vtensor<[2,3],f32> -> !torch.vtensor<[2,3],f32>
  return %0 : !torch.vtensor<[2,3],f32>
}

// CHECK-LABEL: func.func @abs
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3xf32>) -> tensor<2x3xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.abs %[[X0]] : (tensor<2x3xf32>) -> tensor<2x3xf32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<2x3xf32>
func.func @abs(%arg0: !torch.vtensor<[2,3],f32>) -> !torch.vtensor<[2,3],f32> {
  %0 = torch.aten.abs %arg0 : !torch.vtensor<[2,3],f32> -> !torch.vtensor<[2,3],f32>
  return %0 : !torch.vtensor<[2,3],f32>
}

// CHECK-LABEL: func.func @log
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3xf32>) -> tensor<2x3xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.log %[[X0]] : (tensor<2x3xf32>) -> tensor<2x3xf32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<2x3xf32>
func.func @log(%arg0: !torch.vtensor<[2,3],f32>) -> !torch.vtensor<[2,3],f32> {
  %0 = torch.aten.log %arg0 : !torch.vtensor<[2,3],f32> -> !torch.vtensor<[2,3],f32>
  return %0 : !torch.vtensor<[2,3],f32>
}

// CHECK-LABEL: func.func @sqrt
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3xf32>) -> tensor<2x3xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.sqrt %[[X0]] : (tensor<2x3xf32>) -> tensor<2x3xf32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<2x3xf32>
func.func @sqrt(%arg0: !torch.vtensor<[2,3],f32>) -> !torch.vtensor<[2,3],f32> {
  %0 = torch.aten.sqrt %arg0 : !torch.vtensor<[2,3],f32> -> !torch.vtensor<[2,3],f32>
  return %0 : !torch.vtensor<[2,3],f32>
}

// CHECK-LABEL: func.func @rsqrt
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3xf32>) -> tensor<2x3xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.rsqrt %[[X0]] : (tensor<2x3xf32>) -> tensor<2x3xf32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<2x3xf32>
func.func @rsqrt(%arg0: !torch.vtensor<[2,3],f32>) -> !torch.vtensor<[2,3],f32> {
  %0 = torch.aten.rsqrt %arg0 : !torch.vtensor<[2,3],f32> -> !torch.vtensor<[2,3],f32>
  return %0 : !torch.vtensor<[2,3],f32>
}

// CHECK-LABEL: func.func @reciprocal
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3xf32>) -> tensor<2x3xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.reciprocal %[[X0]] : (tensor<2x3xf32>) -> tensor<2x3xf32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<2x3xf32>
func.func @reciprocal(%arg0: !torch.vtensor<[2,3],f32>) -> !torch.vtensor<[2,3],f32> {
  %0 = torch.aten.reciprocal %arg0 : !torch.vtensor<[2,3],f32> -> !torch.vtensor<[2,3],f32>
  return %0 : !torch.vtensor<[2,3],f32>
}

// CHECK-LABEL: func.func @erf
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3xf32>) -> tensor<2x3xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.erf %[[X0]] : (tensor<2x3xf32>) -> tensor<2x3xf32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<2x3xf32>
func.func @erf(%arg0: !torch.vtensor<[2,3],f32>) -> !torch.vtensor<[2,3],f32> {
  %0 = torch.aten.erf %arg0 : !torch.vtensor<[2,3],f32> -> !torch.vtensor<[2,3],f32>
  return %0 : !torch.vtensor<[2,3],f32>
}

// CHECK-LABEL: func.func @sin
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3xf32>) -> tensor<2x3xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.sin %[[X0]] : (tensor<2x3xf32>) -> tensor<2x3xf32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<2x3xf32>
func.func @sin(%arg0: !torch.vtensor<[2,3],f32>) -> !torch.vtensor<[2,3],f32> {
  %0 = torch.aten.sin %arg0 : !torch.vtensor<[2,3],f32> -> !torch.vtensor<[2,3],f32>
  return %0 : !torch.vtensor<[2,3],f32>
}

// CHECK-LABEL: func.func @cos
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3xf32>) -> tensor<2x3xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.cos %[[X0]] : (tensor<2x3xf32>) -> tensor<2x3xf32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<2x3xf32>
func.func @cos(%arg0: !torch.vtensor<[2,3],f32>) -> !torch.vtensor<[2,3],f32> {
  %0 = torch.aten.cos %arg0 : !torch.vtensor<[2,3],f32> -> !torch.vtensor<[2,3],f32>
  return %0 : !torch.vtensor<[2,3],f32>
}

// CHECK-LABEL: func.func @floor
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3xf32>) -> tensor<2x3xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.floor %[[X0]] : (tensor<2x3xf32>) -> tensor<2x3xf32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<2x3xf32>
func.func @floor(%arg0: !torch.vtensor<[2,3],f32>) -> !torch.vtensor<[2,3],f32> {
  %0 = torch.aten.floor %arg0 : !torch.vtensor<[2,3],f32> -> !torch.vtensor<[2,3],f32>
  return %0 : !torch.vtensor<[2,3],f32>
}

// CHECK-LABEL: func.func @square
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3xf32>) -> tensor<2x3xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.mul %[[X0]], %[[X0]] : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<2x3xf32>
func.func @square(%arg0: !torch.vtensor<[2,3],f32>) -> !torch.vtensor<[2,3],f32> {
  %0 = torch.aten.mul.Tensor %arg0, %arg0 : !torch.vtensor<[2,3],f32>, !torch.vtensor<[2,3],f32> -> !torch.vtensor<[2,3],f32>
  return %0 : !torch.vtensor<[2,3],f32>
}

// CHECK-LABEL: func.func @add_alpha
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3xf32>, %[[X1:.*]]: tensor<3xf32>) -> tensor<2x3xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.constant <f32, [2.5]> : tensor<f32>
// CHECK-NEXT:    %[[V1:.*]] = mase.mul %[[X1]], %[[V0]] : (tensor<3xf32>, tensor<f32>) -> tensor<3xf32>
// CHECK-NEXT:    %[[V2:.*]] = mase.add %[[X0]], %[[V1]] : (tensor<2x3xf32>, tensor<3xf32>) -> tensor<2x3xf32>
// CHECK-NEXT:    func.return %[[V2]] : tensor<2x3xf32>
func.func @add_alpha(%arg0: !torch.vtensor<[2,3],f32>, %arg1: !torch.vtensor<[3],f32>) -> !torch.vtensor<[2,3],f32> {
  %float2.500000e00 = torch.constant.float 2.500000e+00
  %0 = torch.aten.add.Tensor %arg0, %arg1, %float2.500000e00 : !torch.vtensor<[2,3],f32>, !torch.vtensor<[3],f32>, !torch.float -> !torch.vtensor<[2,3],f32>
  return %0 : !torch.vtensor<[2,3],f32>
}

// CHECK-LABEL: func.func @add_mixed
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3xf32>, %[[X1:.*]]: tensor<3xi64>) -> tensor<2x3xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.cast %[[X1]] : (tensor<3xi64>) -> tensor<3xf32>
// CHECK-NEXT:    %[[V1:.*]] = mase.add %[[X0]], %[[V0]] : (tensor<2x3xf32>, tensor<3xf32>) -> tensor<2x3xf32>
// CHECK-NEXT:    func.return %[[V1]] : tensor<2x3xf32>
func.func @add_mixed(%arg0: !torch.vtensor<[2,3],f32>, %arg1: !torch.vtensor<[3],si64>) -> !torch.vtensor<[2,3],f32> {
  %int1 = torch.constant.int 1
  %0 = torch.aten.add.Tensor %arg0, %arg1, %int1 : !torch.vtensor<[2,3],f32>, !torch.vtensor<[3],si64>, !torch.int -> !torch.vtensor<[2,3],f32>
  return %0 : !torch.vtensor<[2,3],f32>
}

// CHECK-LABEL: func.func @add_scalar
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3xf32>) -> tensor<2x3xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.constant <f32, [1.5]> : tensor<f32>
// CHECK-NEXT:    %[[V1:.*]] = mase.add %[[X0]], %[[V0]] : (tensor<2x3xf32>, tensor<f32>) -> tensor<2x3xf32>
// CHECK-NEXT:    func.return %[[V1]] : tensor<2x3xf32>
func.func @add_scalar(%arg0: !torch.vtensor<[2,3],f32>) -> !torch.vtensor<[2,3],f32> {
  %float1.500000e00 = torch.constant.float 1.500000e+00
  %int1 = torch.constant.int 1
  %0 = torch.aten.add.Scalar %arg0, %float1.500000e00, %int1 : !torch.vtensor<[2,3],f32>, !torch.float, !torch.int -> !torch.vtensor<[2,3],f32>
  return %0 : !torch.vtensor<[2,3],f32>
}

// CHECK-LABEL: func.func @sub
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3xf32>, %[[X1:.*]]: tensor<3xf32>) -> tensor<2x3xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.sub %[[X0]], %[[X1]] : (tensor<2x3xf32>, tensor<3xf32>) -> tensor<2x3xf32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<2x3xf32>
func.func @sub(%arg0: !torch.vtensor<[2,3],f32>, %arg1: !torch.vtensor<[3],f32>) -> !torch.vtensor<[2,3],f32> {
  %int1 = torch.constant.int 1
  %0 = torch.aten.sub.Tensor %arg0, %arg1, %int1 : !torch.vtensor<[2,3],f32>, !torch.vtensor<[3],f32>, !torch.int -> !torch.vtensor<[2,3],f32>
  return %0 : !torch.vtensor<[2,3],f32>
}

// CHECK-LABEL: func.func @rsub
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3xf32>) -> tensor<2x3xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.constant <f32, [2.5]> : tensor<f32>
// CHECK-NEXT:    %[[V1:.*]] = mase.sub %[[V0]], %[[X0]] : (tensor<f32>, tensor<2x3xf32>) -> tensor<2x3xf32>
// CHECK-NEXT:    func.return %[[V1]] : tensor<2x3xf32>
func.func @rsub(%arg0: !torch.vtensor<[2,3],f32>) -> !torch.vtensor<[2,3],f32> {
  %float2.500000e00 = torch.constant.float 2.500000e+00
  %int1 = torch.constant.int 1
  %0 = torch.aten.rsub.Scalar %arg0, %float2.500000e00, %int1 : !torch.vtensor<[2,3],f32>, !torch.float, !torch.int -> !torch.vtensor<[2,3],f32>
  return %0 : !torch.vtensor<[2,3],f32>
}

// CHECK-LABEL: func.func @rsub_alpha
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3xf32>) -> tensor<2x3xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.constant <f32, [2.5]> : tensor<f32>
// CHECK-NEXT:    %[[V1:.*]] = mase.constant <f32, [3.0]> : tensor<f32>
// CHECK-NEXT:    %[[V2:.*]] = mase.mul %[[X0]], %[[V1]] : (tensor<2x3xf32>, tensor<f32>) -> tensor<2x3xf32>
// CHECK-NEXT:    %[[V3:.*]] = mase.sub %[[V0]], %[[V2]] : (tensor<f32>, tensor<2x3xf32>) -> tensor<2x3xf32>
// CHECK-NEXT:    func.return %[[V3]] : tensor<2x3xf32>
func.func @rsub_alpha(%arg0: !torch.vtensor<[2,3],f32>) -> !torch.vtensor<[2,3],f32> {
  %float2.500000e00 = torch.constant.float 2.500000e+00
  %int3 = torch.constant.int 3
  %0 = torch.aten.rsub.Scalar %arg0, %float2.500000e00, %int3 : !torch.vtensor<[2,3],f32>, !torch.float, !torch.int -> !torch.vtensor<[2,3],f32>
  return %0 : !torch.vtensor<[2,3],f32>
}

// CHECK-LABEL: func.func @div
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3xf32>, %[[X1:.*]]: tensor<3xf32>) -> tensor<2x3xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.div %[[X0]], %[[X1]] : (tensor<2x3xf32>, tensor<3xf32>) -> tensor<2x3xf32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<2x3xf32>
func.func @div(%arg0: !torch.vtensor<[2,3],f32>, %arg1: !torch.vtensor<[3],f32>) -> !torch.vtensor<[2,3],f32> {
  %0 = torch.aten.div.Tensor %arg0, %arg1 : !torch.vtensor<[2,3],f32>, !torch.vtensor<[3],f32> -> !torch.vtensor<[2,3],f32>
  return %0 : !torch.vtensor<[2,3],f32>
}

// CHECK-LABEL: func.func @div_floor
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3xf32>, %[[X1:.*]]: tensor<3xf32>) -> tensor<2x3xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.cast %[[X0]] : (tensor<2x3xf32>) -> tensor<2x3xf64>
// CHECK-NEXT:    %[[V1:.*]] = mase.cast %[[X1]] : (tensor<3xf32>) -> tensor<3xf64>
// CHECK-NEXT:    %[[V2:.*]] = mase.div %[[V0]], %[[V1]] : (tensor<2x3xf64>, tensor<3xf64>) -> tensor<2x3xf64>
// CHECK-NEXT:    %[[V3:.*]] = mase.floor %[[V2]] : (tensor<2x3xf64>) -> tensor<2x3xf64>
// CHECK-NEXT:    %[[V4:.*]] = mase.cast %[[V3]] : (tensor<2x3xf64>) -> tensor<2x3xf32>
// CHECK-NEXT:    func.return %[[V4]] : tensor<2x3xf32>
func.func @div_floor(%arg0: !torch.vtensor<[2,3],f32>, %arg1: !torch.vtensor<[3],f32>) -> !torch.vtensor<[2,3],f32> {
  %str = torch.constant.str "floor"
  %0 = torch.aten.div.Tensor_mode %arg0, %arg1, %str : !torch.vtensor<[2,3],f32>, !torch.vtensor<[3],f32>, !torch.str -> !torch.vtensor<[2,3],f32>
  return %0 : !torch.vtensor<[2,3],f32>
}

// CHECK-LABEL: func.func @floor_divide_scalar
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3xi64>) -> tensor<2x3xi64> {
// CHECK-NEXT:    %[[V0:.*]] = mase.constant <i64, [3]> : tensor<i64>
// CHECK-NEXT:    %[[V1:.*]] = mase.div %[[X0]], %[[V0]] {rounding = #mase.rounding<floor, wrap>} : (tensor<2x3xi64>, tensor<i64>) -> tensor<2x3xi64>
// CHECK-NEXT:    func.return %[[V1]] : tensor<2x3xi64>
func.func @floor_divide_scalar(%arg0: !torch.vtensor<[2,3],si64>) -> !torch.vtensor<[2,3],si64> {
  %int3 = torch.constant.int 3
  %str = torch.constant.str "floor"
  %0 = torch.aten.div.Scalar_mode %arg0, %int3, %str : !torch.vtensor<[2,3],si64>, !torch.int, !torch.str -> !torch.vtensor<[2,3],si64>
  return %0 : !torch.vtensor<[2,3],si64>
}

// CHECK-LABEL: func.func @remainder
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3xf32>, %[[X1:.*]]: tensor<3xf32>) -> tensor<2x3xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.cast %[[X0]] : (tensor<2x3xf32>) -> tensor<2x3xf64>
// CHECK-NEXT:    %[[V1:.*]] = mase.cast %[[X1]] : (tensor<3xf32>) -> tensor<3xf64>
// CHECK-NEXT:    %[[V2:.*]] = mase.constant <f64, [0.0]> : tensor<f64>
// CHECK-NEXT:    %[[V3:.*]] = mase.div %[[V0]], %[[V1]] : (tensor<2x3xf64>, tensor<3xf64>) -> tensor<2x3xf64>
// CHECK-NEXT:    %[[V4:.*]] = mase.constant <f64, [0.0]> : tensor<f64>
// CHECK-NEXT:    %[[V5:.*]] = mase.compare %[[V3]], %[[V4]] {predicate = "lt"} : (tensor<2x3xf64>, tensor<f64>) -> tensor<2x3xi1>
// CHECK-NEXT:    %[[V6:.*]] = mase.abs %[[V3]] : (tensor<2x3xf64>) -> tensor<2x3xf64>
// CHECK-NEXT:    %[[V7:.*]] = mase.floor %[[V6]] : (tensor<2x3xf64>) -> tensor<2x3xf64>
// CHECK-NEXT:    %[[V8:.*]] = mase.neg %[[V7]] : (tensor<2x3xf64>) -> tensor<2x3xf64>
// CHECK-NEXT:    %[[V9:.*]] = mase.select %[[V5]], %[[V8]], %[[V7]] : (tensor<2x3xi1>, tensor<2x3xf64>, tensor<2x3xf64>) -> tensor<2x3xf64>
// CHECK-NEXT:    %[[V10:.*]] = mase.mul %[[V9]], %[[V1]] : (tensor<2x3xf64>, tensor<3xf64>) -> tensor<2x3xf64>
// CHECK-NEXT:    %[[V11:.*]] = mase.compare %[[V9]], %[[V2]] {predicate = "eq"} : (tensor<2x3xf64>, tensor<f64>) -> tensor<2x3xi1>
// CHECK-NEXT:    %[[V12:.*]] = mase.select %[[V11]], %[[V2]], %[[V10]] : (tensor<2x3xi1>, tensor<f64>, tensor<2x3xf64>) -> tensor<2x3xf64>
// CHECK-NEXT:    %[[V13:.*]] = mase.sub %[[V0]], %[[V12]] : (tensor<2x3xf64>, tensor<2x3xf64>) -> tensor<2x3xf64>
// CHECK-NEXT:    %[[V14:.*]] = mase.compare %[[V13]], %[[V2]] {predicate = "lt"} : (tensor<2x3xf64>, tensor<f64>) -> tensor<2x3xi1>
// CHECK-NEXT:    %[[V15:.*]] = mase.compare %[[V1]], %[[V2]] {predicate = "lt"} : (tensor<3xf64>, tensor<f64>) -> tensor<3xi1>
// CHECK-NEXT:    %[[V16:.*]] = mase.xor %[[V14]], %[[V15]] : (tensor<2x3xi1>, tensor<3xi1>) -> tensor<2x3xi1>
// CHECK-NEXT:    %[[V17:.*]] = mase.compare %[[V13]], %[[V2]] {predicate = "ne"} : (tensor<2x3xf64>, tensor<f64>) -> tensor<2x3xi1>
// CHECK-NEXT:    %[[V18:.*]] = mase.and %[[V16]], %[[V17]] : (tensor<2x3xi1>, tensor<2x3xi1>) -> tensor<2x3xi1>
// CHECK-NEXT:    %[[V19:.*]] = mase.add %[[V13]], %[[V1]] : (tensor<2x3xf64>, tensor<3xf64>) -> tensor<2x3xf64>
// CHECK-NEXT:    %[[V20:.*]] = mase.select %[[V18]], %[[V19]], %[[V13]] : (tensor<2x3xi1>, tensor<2x3xf64>, tensor<2x3xf64>) -> tensor<2x3xf64>
// CHECK-NEXT:    %[[V21:.*]] = mase.cast %[[V20]] : (tensor<2x3xf64>) -> tensor<2x3xf32>
// CHECK-NEXT:    func.return %[[V21]] : tensor<2x3xf32>
func.func @remainder(%arg0: !torch.vtensor<[2,3],f32>, %arg1: !torch.vtensor<[3],f32>) -> !torch.vtensor<[2,3],f32> {
  %0 = torch.aten.remainder.Tensor %arg0, %arg1 : !torch.vtensor<[2,3],f32>, !torch.vtensor<[3],f32> -> !torch.vtensor<[2,3],f32>
  return %0 : !torch.vtensor<[2,3],f32>
}

// CHECK-LABEL: func.func @remainder_scalar
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3xi64>) -> tensor<2x3xi64> {
// CHECK-NEXT:    %[[V0:.*]] = mase.constant <i64, [3]> : tensor<i64>
// CHECK-NEXT:    %[[V1:.*]] = mase.div %[[X0]], %[[V0]] {rounding = #mase.rounding<floor, wrap>} : (tensor<2x3xi64>, tensor<i64>) -> tensor<2x3xi64>
// CHECK-NEXT:    %[[V2:.*]] = mase.mul %[[V1]], %[[V0]] {rounding = #mase.rounding<zero, wrap>} : (tensor<2x3xi64>, tensor<i64>) -> tensor<2x3xi64>
// CHECK-NEXT:    %[[V3:.*]] = mase.sub %[[X0]], %[[V2]] {rounding = #mase.rounding<zero, wrap>} : (tensor<2x3xi64>, tensor<2x3xi64>) -> tensor<2x3xi64>
// CHECK-NEXT:    func.return %[[V3]] : tensor<2x3xi64>
func.func @remainder_scalar(%arg0: !torch.vtensor<[2,3],si64>) -> !torch.vtensor<[2,3],si64> {
  %int3 = torch.constant.int 3
  %0 = torch.aten.remainder.Scalar %arg0, %int3 : !torch.vtensor<[2,3],si64>, !torch.int -> !torch.vtensor<[2,3],si64>
  return %0 : !torch.vtensor<[2,3],si64>
}

// CHECK-LABEL: func.func @pow_2
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3xf32>) -> tensor<2x3xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.mul %[[X0]], %[[X0]] : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<2x3xf32>
func.func @pow_2(%arg0: !torch.vtensor<[2,3],f32>) -> !torch.vtensor<[2,3],f32> {
  %int2 = torch.constant.int 2
  %0 = torch.aten.pow.Tensor_Scalar %arg0, %int2 : !torch.vtensor<[2,3],f32>, !torch.int -> !torch.vtensor<[2,3],f32>
  return %0 : !torch.vtensor<[2,3],f32>
}

// CHECK-LABEL: func.func @pow_half
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3xf32>) -> tensor<2x3xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.sqrt %[[X0]] : (tensor<2x3xf32>) -> tensor<2x3xf32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<2x3xf32>
func.func @pow_half(%arg0: !torch.vtensor<[2,3],f32>) -> !torch.vtensor<[2,3],f32> {
  %float5.000000e-01 = torch.constant.float 5.000000e-01
  %0 = torch.aten.pow.Tensor_Scalar %arg0, %float5.000000e-01 : !torch.vtensor<[2,3],f32>, !torch.float -> !torch.vtensor<[2,3],f32>
  return %0 : !torch.vtensor<[2,3],f32>
}

// CHECK-LABEL: func.func @pow_other
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3xf32>) -> tensor<2x3xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.constant <f32, [1.7]> : tensor<f32>
// CHECK-NEXT:    %[[V1:.*]] = mase.pow %[[X0]], %[[V0]] : (tensor<2x3xf32>, tensor<f32>) -> tensor<2x3xf32>
// CHECK-NEXT:    func.return %[[V1]] : tensor<2x3xf32>
func.func @pow_other(%arg0: !torch.vtensor<[2,3],f32>) -> !torch.vtensor<[2,3],f32> {
  %float1.700000e00 = torch.constant.float 1.700000e+00
  %0 = torch.aten.pow.Tensor_Scalar %arg0, %float1.700000e00 : !torch.vtensor<[2,3],f32>, !torch.float -> !torch.vtensor<[2,3],f32>
  return %0 : !torch.vtensor<[2,3],f32>
}

// CHECK-LABEL: func.func @pow_tensor
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3xf32>, %[[X1:.*]]: tensor<3xf32>) -> tensor<2x3xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.pow %[[X0]], %[[X1]] : (tensor<2x3xf32>, tensor<3xf32>) -> tensor<2x3xf32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<2x3xf32>
func.func @pow_tensor(%arg0: !torch.vtensor<[2,3],f32>, %arg1: !torch.vtensor<[3],f32>) -> !torch.vtensor<[2,3],f32> {
  %0 = torch.aten.pow.Tensor_Tensor %arg0, %arg1 : !torch.vtensor<[2,3],f32>, !torch.vtensor<[3],f32> -> !torch.vtensor<[2,3],f32>
  return %0 : !torch.vtensor<[2,3],f32>
}

// CHECK-LABEL: func.func @pow_scalar
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3xf32>) -> tensor<2x3xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.constant <f32, [2.0]> : tensor<f32>
// CHECK-NEXT:    %[[V1:.*]] = mase.pow %[[V0]], %[[X0]] : (tensor<f32>, tensor<2x3xf32>) -> tensor<2x3xf32>
// CHECK-NEXT:    func.return %[[V1]] : tensor<2x3xf32>
func.func @pow_scalar(%arg0: !torch.vtensor<[2,3],f32>) -> !torch.vtensor<[2,3],f32> {
  %float2.000000e00 = torch.constant.float 2.000000e+00
  %0 = torch.aten.pow.Scalar %float2.000000e00, %arg0 : !torch.float, !torch.vtensor<[2,3],f32> -> !torch.vtensor<[2,3],f32>
  return %0 : !torch.vtensor<[2,3],f32>
}

// CHECK-LABEL: func.func @eq
// CHECK-SAME:    (%[[X0:.*]]: tensor<4x5xi64>, %[[X1:.*]]: tensor<5xi64>) -> tensor<4x5xi1> {
// CHECK-NEXT:    %[[V0:.*]] = mase.compare %[[X0]], %[[X1]] {predicate = "eq"} : (tensor<4x5xi64>, tensor<5xi64>) -> tensor<4x5xi1>
// CHECK-NEXT:    func.return %[[V0]] : tensor<4x5xi1>
func.func @eq(%arg0: !torch.vtensor<[4,5],si64>, %arg1: !torch.vtensor<[5],si64>) -> !torch.vtensor<[4,5],i1> {
  %0 = torch.aten.eq.Tensor %arg0, %arg1 : !torch.vtensor<[4,5],si64>, !torch.vtensor<[5],si64> -> !torch.vtensor<[4,5],i1>
  return %0 : !torch.vtensor<[4,5],i1>
}

// CHECK-LABEL: func.func @ne
// CHECK-SAME:    (%[[X0:.*]]: tensor<4x5xi64>, %[[X1:.*]]: tensor<5xi64>) -> tensor<4x5xi1> {
// CHECK-NEXT:    %[[V0:.*]] = mase.compare %[[X0]], %[[X1]] {predicate = "ne"} : (tensor<4x5xi64>, tensor<5xi64>) -> tensor<4x5xi1>
// CHECK-NEXT:    func.return %[[V0]] : tensor<4x5xi1>
func.func @ne(%arg0: !torch.vtensor<[4,5],si64>, %arg1: !torch.vtensor<[5],si64>) -> !torch.vtensor<[4,5],i1> {
  %0 = torch.aten.ne.Tensor %arg0, %arg1 : !torch.vtensor<[4,5],si64>, !torch.vtensor<[5],si64> -> !torch.vtensor<[4,5],i1>
  return %0 : !torch.vtensor<[4,5],i1>
}

// CHECK-LABEL: func.func @lt
// CHECK-SAME:    (%[[X0:.*]]: tensor<4x5xi64>, %[[X1:.*]]: tensor<5xi64>) -> tensor<4x5xi1> {
// CHECK-NEXT:    %[[V0:.*]] = mase.compare %[[X0]], %[[X1]] {predicate = "lt"} : (tensor<4x5xi64>, tensor<5xi64>) -> tensor<4x5xi1>
// CHECK-NEXT:    func.return %[[V0]] : tensor<4x5xi1>
func.func @lt(%arg0: !torch.vtensor<[4,5],si64>, %arg1: !torch.vtensor<[5],si64>) -> !torch.vtensor<[4,5],i1> {
  %0 = torch.aten.lt.Tensor %arg0, %arg1 : !torch.vtensor<[4,5],si64>, !torch.vtensor<[5],si64> -> !torch.vtensor<[4,5],i1>
  return %0 : !torch.vtensor<[4,5],i1>
}

// CHECK-LABEL: func.func @le
// CHECK-SAME:    (%[[X0:.*]]: tensor<4x5xi64>, %[[X1:.*]]: tensor<5xi64>) -> tensor<4x5xi1> {
// CHECK-NEXT:    %[[V0:.*]] = mase.compare %[[X0]], %[[X1]] {predicate = "le"} : (tensor<4x5xi64>, tensor<5xi64>) -> tensor<4x5xi1>
// CHECK-NEXT:    func.return %[[V0]] : tensor<4x5xi1>
func.func @le(%arg0: !torch.vtensor<[4,5],si64>, %arg1: !torch.vtensor<[5],si64>) -> !torch.vtensor<[4,5],i1> {
  %0 = torch.aten.le.Tensor %arg0, %arg1 : !torch.vtensor<[4,5],si64>, !torch.vtensor<[5],si64> -> !torch.vtensor<[4,5],i1>
  return %0 : !torch.vtensor<[4,5],i1>
}

// CHECK-LABEL: func.func @gt
// CHECK-SAME:    (%[[X0:.*]]: tensor<4x5xi64>, %[[X1:.*]]: tensor<5xi64>) -> tensor<4x5xi1> {
// CHECK-NEXT:    %[[V0:.*]] = mase.compare %[[X0]], %[[X1]] {predicate = "gt"} : (tensor<4x5xi64>, tensor<5xi64>) -> tensor<4x5xi1>
// CHECK-NEXT:    func.return %[[V0]] : tensor<4x5xi1>
func.func @gt(%arg0: !torch.vtensor<[4,5],si64>, %arg1: !torch.vtensor<[5],si64>) -> !torch.vtensor<[4,5],i1> {
  %0 = torch.aten.gt.Tensor %arg0, %arg1 : !torch.vtensor<[4,5],si64>, !torch.vtensor<[5],si64> -> !torch.vtensor<[4,5],i1>
  return %0 : !torch.vtensor<[4,5],i1>
}

// CHECK-LABEL: func.func @ge
// CHECK-SAME:    (%[[X0:.*]]: tensor<4x5xi64>, %[[X1:.*]]: tensor<5xi64>) -> tensor<4x5xi1> {
// CHECK-NEXT:    %[[V0:.*]] = mase.compare %[[X0]], %[[X1]] {predicate = "ge"} : (tensor<4x5xi64>, tensor<5xi64>) -> tensor<4x5xi1>
// CHECK-NEXT:    func.return %[[V0]] : tensor<4x5xi1>
func.func @ge(%arg0: !torch.vtensor<[4,5],si64>, %arg1: !torch.vtensor<[5],si64>) -> !torch.vtensor<[4,5],i1> {
  %0 = torch.aten.ge.Tensor %arg0, %arg1 : !torch.vtensor<[4,5],si64>, !torch.vtensor<[5],si64> -> !torch.vtensor<[4,5],i1>
  return %0 : !torch.vtensor<[4,5],i1>
}

// CHECK-LABEL: func.func @eq_scalar
// CHECK-SAME:    (%[[X0:.*]]: tensor<4x5xi64>) -> tensor<4x5xi1> {
// CHECK-NEXT:    %[[V0:.*]] = mase.constant <i64, [2]> : tensor<i64>
// CHECK-NEXT:    %[[V1:.*]] = mase.compare %[[X0]], %[[V0]] {predicate = "eq"} : (tensor<4x5xi64>, tensor<i64>) -> tensor<4x5xi1>
// CHECK-NEXT:    func.return %[[V1]] : tensor<4x5xi1>
func.func @eq_scalar(%arg0: !torch.vtensor<[4,5],si64>) -> !torch.vtensor<[4,5],i1> {
  %int2 = torch.constant.int 2
  %0 = torch.aten.eq.Scalar %arg0, %int2 : !torch.vtensor<[4,5],si64>, !torch.int -> !torch.vtensor<[4,5],i1>
  return %0 : !torch.vtensor<[4,5],i1>
}

// CHECK-LABEL: func.func @ne_scalar
// CHECK-SAME:    (%[[X0:.*]]: tensor<4x5xi64>) -> tensor<4x5xi1> {
// CHECK-NEXT:    %[[V0:.*]] = mase.constant <i64, [2]> : tensor<i64>
// CHECK-NEXT:    %[[V1:.*]] = mase.compare %[[X0]], %[[V0]] {predicate = "ne"} : (tensor<4x5xi64>, tensor<i64>) -> tensor<4x5xi1>
// CHECK-NEXT:    func.return %[[V1]] : tensor<4x5xi1>
func.func @ne_scalar(%arg0: !torch.vtensor<[4,5],si64>) -> !torch.vtensor<[4,5],i1> {
  %int2 = torch.constant.int 2
  %0 = torch.aten.ne.Scalar %arg0, %int2 : !torch.vtensor<[4,5],si64>, !torch.int -> !torch.vtensor<[4,5],i1>
  return %0 : !torch.vtensor<[4,5],i1>
}

// CHECK-LABEL: func.func @lt_scalar
// CHECK-SAME:    (%[[X0:.*]]: tensor<4x5xi64>) -> tensor<4x5xi1> {
// CHECK-NEXT:    %[[V0:.*]] = mase.constant <i64, [2]> : tensor<i64>
// CHECK-NEXT:    %[[V1:.*]] = mase.compare %[[X0]], %[[V0]] {predicate = "lt"} : (tensor<4x5xi64>, tensor<i64>) -> tensor<4x5xi1>
// CHECK-NEXT:    func.return %[[V1]] : tensor<4x5xi1>
func.func @lt_scalar(%arg0: !torch.vtensor<[4,5],si64>) -> !torch.vtensor<[4,5],i1> {
  %int2 = torch.constant.int 2
  %0 = torch.aten.lt.Scalar %arg0, %int2 : !torch.vtensor<[4,5],si64>, !torch.int -> !torch.vtensor<[4,5],i1>
  return %0 : !torch.vtensor<[4,5],i1>
}

// CHECK-LABEL: func.func @le_scalar
// CHECK-SAME:    (%[[X0:.*]]: tensor<4x5xi64>) -> tensor<4x5xi1> {
// CHECK-NEXT:    %[[V0:.*]] = mase.constant <i64, [2]> : tensor<i64>
// CHECK-NEXT:    %[[V1:.*]] = mase.compare %[[X0]], %[[V0]] {predicate = "le"} : (tensor<4x5xi64>, tensor<i64>) -> tensor<4x5xi1>
// CHECK-NEXT:    func.return %[[V1]] : tensor<4x5xi1>
func.func @le_scalar(%arg0: !torch.vtensor<[4,5],si64>) -> !torch.vtensor<[4,5],i1> {
  %int2 = torch.constant.int 2
  %0 = torch.aten.le.Scalar %arg0, %int2 : !torch.vtensor<[4,5],si64>, !torch.int -> !torch.vtensor<[4,5],i1>
  return %0 : !torch.vtensor<[4,5],i1>
}

// CHECK-LABEL: func.func @gt_scalar
// CHECK-SAME:    (%[[X0:.*]]: tensor<4x5xi64>) -> tensor<4x5xi1> {
// CHECK-NEXT:    %[[V0:.*]] = mase.constant <i64, [2]> : tensor<i64>
// CHECK-NEXT:    %[[V1:.*]] = mase.compare %[[X0]], %[[V0]] {predicate = "gt"} : (tensor<4x5xi64>, tensor<i64>) -> tensor<4x5xi1>
// CHECK-NEXT:    func.return %[[V1]] : tensor<4x5xi1>
func.func @gt_scalar(%arg0: !torch.vtensor<[4,5],si64>) -> !torch.vtensor<[4,5],i1> {
  %int2 = torch.constant.int 2
  %0 = torch.aten.gt.Scalar %arg0, %int2 : !torch.vtensor<[4,5],si64>, !torch.int -> !torch.vtensor<[4,5],i1>
  return %0 : !torch.vtensor<[4,5],i1>
}

// CHECK-LABEL: func.func @ge_scalar
// CHECK-SAME:    (%[[X0:.*]]: tensor<4x5xi64>) -> tensor<4x5xi1> {
// CHECK-NEXT:    %[[V0:.*]] = mase.constant <i64, [2]> : tensor<i64>
// CHECK-NEXT:    %[[V1:.*]] = mase.compare %[[X0]], %[[V0]] {predicate = "ge"} : (tensor<4x5xi64>, tensor<i64>) -> tensor<4x5xi1>
// CHECK-NEXT:    func.return %[[V1]] : tensor<4x5xi1>
func.func @ge_scalar(%arg0: !torch.vtensor<[4,5],si64>) -> !torch.vtensor<[4,5],i1> {
  %int2 = torch.constant.int 2
  %0 = torch.aten.ge.Scalar %arg0, %int2 : !torch.vtensor<[4,5],si64>, !torch.int -> !torch.vtensor<[4,5],i1>
  return %0 : !torch.vtensor<[4,5],i1>
}

// CHECK-LABEL: func.func @lt_fraction
// CHECK-SAME:    (%[[X0:.*]]: tensor<4x5xi64>) -> tensor<4x5xi1> {
// CHECK-NEXT:    %[[V0:.*]] = mase.constant <f32, [1.5]> : tensor<f32>
// CHECK-NEXT:    %[[V1:.*]] = mase.compare %[[X0]], %[[V0]] {predicate = "lt"} : (tensor<4x5xi64>, tensor<f32>) -> tensor<4x5xi1>
// CHECK-NEXT:    func.return %[[V1]] : tensor<4x5xi1>
func.func @lt_fraction(%arg0: !torch.vtensor<[4,5],si64>) -> !torch.vtensor<[4,5],i1> {
  %float1.500000e00 = torch.constant.float 1.500000e+00
  %0 = torch.aten.lt.Scalar %arg0, %float1.500000e00 : !torch.vtensor<[4,5],si64>, !torch.float -> !torch.vtensor<[4,5],i1>
  return %0 : !torch.vtensor<[4,5],i1>
}

// CHECK-LABEL: func.func @logical_and
// CHECK-SAME:    (%[[X0:.*]]: tensor<4x5xi64>, %[[X1:.*]]: tensor<5xi1>) -> tensor<4x5xi1> {
// CHECK-NEXT:    %[[V0:.*]] = mase.constant <i64, [0]> : tensor<i64>
// CHECK-NEXT:    %[[V1:.*]] = mase.compare %[[X0]], %[[V0]] {predicate = "ne"} : (tensor<4x5xi64>, tensor<i64>) -> tensor<4x5xi1>
// CHECK-NEXT:    %[[V2:.*]] = mase.and %[[V1]], %[[X1]] : (tensor<4x5xi1>, tensor<5xi1>) -> tensor<4x5xi1>
// CHECK-NEXT:    func.return %[[V2]] : tensor<4x5xi1>
func.func @logical_and(%arg0: !torch.vtensor<[4,5],si64>, %arg1: !torch.vtensor<[5],i1>) -> !torch.vtensor<[4,5],i1> {
  %0 = torch.aten.logical_and %arg0, %arg1 : !torch.vtensor<[4,5],si64>, !torch.vtensor<[5],i1> -> !torch.vtensor<[4,5],i1>
  return %0 : !torch.vtensor<[4,5],i1>
}

// CHECK-LABEL: func.func @logical_or
// CHECK-SAME:    (%[[X0:.*]]: tensor<4x5xi64>, %[[X1:.*]]: tensor<5xi1>) -> tensor<4x5xi1> {
// CHECK-NEXT:    %[[V0:.*]] = mase.constant <i64, [0]> : tensor<i64>
// CHECK-NEXT:    %[[V1:.*]] = mase.compare %[[X0]], %[[V0]] {predicate = "ne"} : (tensor<4x5xi64>, tensor<i64>) -> tensor<4x5xi1>
// CHECK-NEXT:    %[[V2:.*]] = mase.or %[[V1]], %[[X1]] : (tensor<4x5xi1>, tensor<5xi1>) -> tensor<4x5xi1>
// CHECK-NEXT:    func.return %[[V2]] : tensor<4x5xi1>
func.func @logical_or(%arg0: !torch.vtensor<[4,5],si64>, %arg1: !torch.vtensor<[5],i1>) -> !torch.vtensor<[4,5],i1> {
  %0 = torch.aten.logical_or %arg0, %arg1 : !torch.vtensor<[4,5],si64>, !torch.vtensor<[5],i1> -> !torch.vtensor<[4,5],i1>
  return %0 : !torch.vtensor<[4,5],i1>
}

// CHECK-LABEL: func.func @logical_xor
// CHECK-SAME:    (%[[X0:.*]]: tensor<4x5xi64>, %[[X1:.*]]: tensor<5xi1>) -> tensor<4x5xi1> {
// CHECK-NEXT:    %[[V0:.*]] = mase.constant <i64, [0]> : tensor<i64>
// CHECK-NEXT:    %[[V1:.*]] = mase.compare %[[X0]], %[[V0]] {predicate = "ne"} : (tensor<4x5xi64>, tensor<i64>) -> tensor<4x5xi1>
// CHECK-NEXT:    %[[V2:.*]] = mase.xor %[[V1]], %[[X1]] : (tensor<4x5xi1>, tensor<5xi1>) -> tensor<4x5xi1>
// CHECK-NEXT:    func.return %[[V2]] : tensor<4x5xi1>
func.func @logical_xor(%arg0: !torch.vtensor<[4,5],si64>, %arg1: !torch.vtensor<[5],i1>) -> !torch.vtensor<[4,5],i1> {
  %0 = torch.aten.logical_xor %arg0, %arg1 : !torch.vtensor<[4,5],si64>, !torch.vtensor<[5],i1> -> !torch.vtensor<[4,5],i1>
  return %0 : !torch.vtensor<[4,5],i1>
}

// CHECK-LABEL: func.func @logical_not
// CHECK-SAME:    (%[[X0:.*]]: tensor<4x5xi64>) -> tensor<4x5xi1> {
// CHECK-NEXT:    %[[V0:.*]] = mase.constant <i64, [0]> : tensor<i64>
// CHECK-NEXT:    %[[V1:.*]] = mase.compare %[[X0]], %[[V0]] {predicate = "eq"} : (tensor<4x5xi64>, tensor<i64>) -> tensor<4x5xi1>
// CHECK-NEXT:    func.return %[[V1]] : tensor<4x5xi1>
func.func @logical_not(%arg0: !torch.vtensor<[4,5],si64>) -> !torch.vtensor<[4,5],i1> {
  %0 = torch.aten.logical_not %arg0 : !torch.vtensor<[4,5],si64> -> !torch.vtensor<[4,5],i1>
  return %0 : !torch.vtensor<[4,5],i1>
}

// CHECK-LABEL: func.func @logical_not_mask
// CHECK-SAME:    (%[[X0:.*]]: tensor<4x5xi1>) -> tensor<4x5xi1> {
// CHECK-NEXT:    %[[V0:.*]] = mase.constant <i1, [true]> : tensor<i1>
// CHECK-NEXT:    %[[V1:.*]] = mase.xor %[[X0]], %[[V0]] : (tensor<4x5xi1>, tensor<i1>) -> tensor<4x5xi1>
// CHECK-NEXT:    func.return %[[V1]] : tensor<4x5xi1>
func.func @logical_not_mask(%arg0: !torch.vtensor<[4,5],i1>) -> !torch.vtensor<[4,5],i1> {
  %0 = torch.aten.logical_not %arg0 : !torch.vtensor<[4,5],i1> -> !torch.vtensor<[4,5],i1>
  return %0 : !torch.vtensor<[4,5],i1>
}

// CHECK-LABEL: func.func @bit_and
// CHECK-SAME:    (%[[X0:.*]]: tensor<4x5xi1>, %[[X1:.*]]: tensor<5xi1>) -> tensor<4x5xi1> {
// CHECK-NEXT:    %[[V0:.*]] = mase.and %[[X0]], %[[X1]] : (tensor<4x5xi1>, tensor<5xi1>) -> tensor<4x5xi1>
// CHECK-NEXT:    func.return %[[V0]] : tensor<4x5xi1>
func.func @bit_and(%arg0: !torch.vtensor<[4,5],i1>, %arg1: !torch.vtensor<[5],i1>) -> !torch.vtensor<[4,5],i1> {
  %0 = torch.aten.__and__.Tensor %arg0, %arg1 : !torch.vtensor<[4,5],i1>, !torch.vtensor<[5],i1> -> !torch.vtensor<[4,5],i1>
  return %0 : !torch.vtensor<[4,5],i1>
}

// CHECK-LABEL: func.func @bit_or
// CHECK-SAME:    (%[[X0:.*]]: tensor<4x5xi1>, %[[X1:.*]]: tensor<5xi1>) -> tensor<4x5xi1> {
// CHECK-NEXT:    %[[V0:.*]] = mase.or %[[X0]], %[[X1]] : (tensor<4x5xi1>, tensor<5xi1>) -> tensor<4x5xi1>
// CHECK-NEXT:    func.return %[[V0]] : tensor<4x5xi1>
func.func @bit_or(%arg0: !torch.vtensor<[4,5],i1>, %arg1: !torch.vtensor<[5],i1>) -> !torch.vtensor<[4,5],i1> {
  %0 = torch.aten.bitwise_or.Tensor %arg0, %arg1 : !torch.vtensor<[4,5],i1>, !torch.vtensor<[5],i1> -> !torch.vtensor<[4,5],i1>
  return %0 : !torch.vtensor<[4,5],i1>
}

// CHECK-LABEL: func.func @bitwise_and
// CHECK-SAME:    (%[[X0:.*]]: tensor<4x5xi64>, %[[X1:.*]]: tensor<5xi64>) -> tensor<4x5xi64> {
// CHECK-NEXT:    %[[V0:.*]] = mase.and %[[X0]], %[[X1]] : (tensor<4x5xi64>, tensor<5xi64>) -> tensor<4x5xi64>
// CHECK-NEXT:    func.return %[[V0]] : tensor<4x5xi64>
func.func @bitwise_and(%arg0: !torch.vtensor<[4,5],si64>, %arg1: !torch.vtensor<[5],si64>) -> !torch.vtensor<[4,5],si64> {
  %0 = torch.aten.bitwise_and.Tensor %arg0, %arg1 : !torch.vtensor<[4,5],si64>, !torch.vtensor<[5],si64> -> !torch.vtensor<[4,5],si64>
  return %0 : !torch.vtensor<[4,5],si64>
}

// CHECK-LABEL: func.func @bitwise_xor
// CHECK-SAME:    (%[[X0:.*]]: tensor<4x5xi64>, %[[X1:.*]]: tensor<5xi64>) -> tensor<4x5xi64> {
// CHECK-NEXT:    %[[V0:.*]] = mase.xor %[[X0]], %[[X1]] : (tensor<4x5xi64>, tensor<5xi64>) -> tensor<4x5xi64>
// CHECK-NEXT:    func.return %[[V0]] : tensor<4x5xi64>
func.func @bitwise_xor(%arg0: !torch.vtensor<[4,5],si64>, %arg1: !torch.vtensor<[5],si64>) -> !torch.vtensor<[4,5],si64> {
  %0 = torch.aten.bitwise_xor.Tensor %arg0, %arg1 : !torch.vtensor<[4,5],si64>, !torch.vtensor<[5],si64> -> !torch.vtensor<[4,5],si64>
  return %0 : !torch.vtensor<[4,5],si64>
}

// CHECK-LABEL: func.func @bitwise_not
// CHECK-SAME:    (%[[X0:.*]]: tensor<4x5xi64>) -> tensor<4x5xi64> {
// CHECK-NEXT:    %[[V0:.*]] = mase.constant <i64, [-1]> : tensor<i64>
// CHECK-NEXT:    %[[V1:.*]] = mase.xor %[[X0]], %[[V0]] : (tensor<4x5xi64>, tensor<i64>) -> tensor<4x5xi64>
// CHECK-NEXT:    func.return %[[V1]] : tensor<4x5xi64>
func.func @bitwise_not(%arg0: !torch.vtensor<[4,5],si64>) -> !torch.vtensor<[4,5],si64> {
  %0 = torch.aten.bitwise_not %arg0 : !torch.vtensor<[4,5],si64> -> !torch.vtensor<[4,5],si64>
  return %0 : !torch.vtensor<[4,5],si64>
}

// CHECK-LABEL: func.func @where
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3xi1>, %[[X1:.*]]: tensor<2x3xf32>, %[[X2:.*]]: tensor<3xf32>) -> tensor<2x3xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.select %[[X0]], %[[X1]], %[[X2]] : (tensor<2x3xi1>, tensor<2x3xf32>, tensor<3xf32>) -> tensor<2x3xf32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<2x3xf32>
func.func @where(%arg0: !torch.vtensor<[2,3],i1>, %arg1: !torch.vtensor<[2,3],f32>, %arg2: !torch.vtensor<[3],f32>) -> !torch.vtensor<[2,3],f32> {
  %0 = torch.aten.where.self %arg0, %arg1, %arg2 : !torch.vtensor<[2,3],i1>, !torch.vtensor<[2,3],f32>, !torch.vtensor<[3],f32> -> !torch.vtensor<[2,3],f32>
  return %0 : !torch.vtensor<[2,3],f32>
}

// CHECK-LABEL: func.func @to_float
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3xi64>) -> tensor<2x3xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.cast %[[X0]] : (tensor<2x3xi64>) -> tensor<2x3xf32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<2x3xf32>
func.func @to_float(%arg0: !torch.vtensor<[2,3],si64>) -> !torch.vtensor<[2,3],f32> {
  %int6 = torch.constant.int 6
  %false = torch.constant.bool false
  %none = torch.constant.none
  %0 = torch.aten.to.dtype %arg0, %int6, %false, %false, %none : !torch.vtensor<[2,3],si64>, !torch.int, !torch.bool, !torch.bool, !torch.none -> !torch.vtensor<[2,3],f32>
  return %0 : !torch.vtensor<[2,3],f32>
}

// CHECK-LABEL: func.func @to_int
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3xf32>) -> tensor<2x3xi64> {
// CHECK-NEXT:    %[[V0:.*]] = mase.cast %[[X0]] {rounding = #mase.rounding<zero, saturate>} : (tensor<2x3xf32>) -> tensor<2x3xi64>
// CHECK-NEXT:    func.return %[[V0]] : tensor<2x3xi64>
func.func @to_int(%arg0: !torch.vtensor<[2,3],f32>) -> !torch.vtensor<[2,3],si64> {
  %int4 = torch.constant.int 4
  %false = torch.constant.bool false
  %none = torch.constant.none
  %0 = torch.aten.to.dtype %arg0, %int4, %false, %false, %none : !torch.vtensor<[2,3],f32>, !torch.int, !torch.bool, !torch.bool, !torch.none -> !torch.vtensor<[2,3],si64>
  return %0 : !torch.vtensor<[2,3],si64>
}

// CHECK-LABEL: func.func @to_bool
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3xi64>) -> tensor<2x3xi1> {
// CHECK-NEXT:    %[[V0:.*]] = mase.constant <i64, [0]> : tensor<i64>
// CHECK-NEXT:    %[[V1:.*]] = mase.compare %[[X0]], %[[V0]] {predicate = "ne"} : (tensor<2x3xi64>, tensor<i64>) -> tensor<2x3xi1>
// CHECK-NEXT:    func.return %[[V1]] : tensor<2x3xi1>
func.func @to_bool(%arg0: !torch.vtensor<[2,3],si64>) -> !torch.vtensor<[2,3],i1> {
  %int11 = torch.constant.int 11
  %false = torch.constant.bool false
  %none = torch.constant.none
  %0 = torch.aten.to.dtype %arg0, %int11, %false, %false, %none : !torch.vtensor<[2,3],si64>, !torch.int, !torch.bool, !torch.bool, !torch.none -> !torch.vtensor<[2,3],i1>
  return %0 : !torch.vtensor<[2,3],i1>
}

// CHECK-LABEL: func.func @contiguous
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3xf32>) -> tensor<3x2xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.transpose %[[X0]] {permutation = array<i64: 1, 0>} : tensor<2x3xf32> -> tensor<3x2xf32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<3x2xf32>
func.func @contiguous(%arg0: !torch.vtensor<[2,3],f32>) -> !torch.vtensor<[3,2],f32> {
  %int0 = torch.constant.int 0
  %int1 = torch.constant.int 1
  %0 = torch.aten.transpose.int %arg0, %int0, %int1 : !torch.vtensor<[2,3],f32>, !torch.int, !torch.int -> !torch.vtensor<[3,2],f32>
  %1 = torch.aten.contiguous %0, %int0 : !torch.vtensor<[3,2],f32>, !torch.int -> !torch.vtensor<[3,2],f32>
  return %1 : !torch.vtensor<[3,2],f32>
}
