// RUN: mase-opt --convert-torch-to-mase %s | filecheck %s

// Layers, pools and reductions.

// CHECK-LABEL: func.func @linear
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3xf32>, %[[X1:.*]]: tensor<4x3xf32>, %[[X2:.*]]: tensor<4xf32>) -> tensor<2x4xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.linear %[[X0]], %[[X1]], %[[X2]] : (tensor<2x3xf32>, tensor<4x3xf32>, tensor<4xf32>) -> tensor<2x4xf32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<2x4xf32>
func.func @linear(%arg0: !torch.vtensor<[2,3],f32>, %arg1: !torch.vtensor<[4,3],f32>, %arg2: !torch.vtensor<[4],f32>) -> !torch.vtensor<[2,4],f32> {
  %0 = torch.aten.linear %arg0, %arg1, %arg2 : !torch.vtensor<[2,3],f32>, !torch.vtensor<[4,3],f32>, !torch.vtensor<[4],f32> -> !torch.vtensor<[2,4],f32>
  return %0 : !torch.vtensor<[2,4],f32>
}

// CHECK-LABEL: func.func @linear_no_bias
// CHECK-SAME:    (%[[X0:.*]]: tensor<5x2x3xf32>, %[[X1:.*]]: tensor<4x3xf32>) -> tensor<5x2x4xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.linear %[[X0]], %[[X1]] : (tensor<5x2x3xf32>, tensor<4x3xf32>) -> tensor<5x2x4xf32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<5x2x4xf32>
func.func @linear_no_bias(%arg0: !torch.vtensor<[5,2,3],f32>, %arg1: !torch.vtensor<[4,3],f32>) -> !torch.vtensor<[5,2,4],f32> {
  %none = torch.constant.none
  %0 = torch.aten.linear %arg0, %arg1, %none : !torch.vtensor<[5,2,3],f32>, !torch.vtensor<[4,3],f32>, !torch.none -> !torch.vtensor<[5,2,4],f32>
  return %0 : !torch.vtensor<[5,2,4],f32>
}

// CHECK-LABEL: func.func @addmm
// CHECK-SAME:    (%[[X0:.*]]: tensor<4xf32>, %[[X1:.*]]: tensor<2x3xf32>, %[[X2:.*]]: tensor<3x4xf32>) -> tensor<2x4xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.transpose %[[X2]] {permutation = array<i64: 1, 0>} : tensor<3x4xf32> -> tensor<4x3xf32>
// CHECK-NEXT:    %[[V1:.*]] = mase.linear %[[X1]], %[[V0]], %[[X0]] : (tensor<2x3xf32>, tensor<4x3xf32>, tensor<4xf32>) -> tensor<2x4xf32>
// CHECK-NEXT:    func.return %[[V1]] : tensor<2x4xf32>
func.func @addmm(%arg0: !torch.vtensor<[4],f32>, %arg1: !torch.vtensor<[2,3],f32>, %arg2: !torch.vtensor<[3,4],f32>) -> !torch.vtensor<[2,4],f32> {
  %int1 = torch.constant.int 1
  %0 = torch.aten.addmm %arg0, %arg1, %arg2, %int1, %int1 : !torch.vtensor<[4],f32>, !torch.vtensor<[2,3],f32>, !torch.vtensor<[3,4],f32>, !torch.int, !torch.int -> !torch.vtensor<[2,4],f32>
  return %0 : !torch.vtensor<[2,4],f32>
}

// CHECK-LABEL: func.func @mm
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3xf32>, %[[X1:.*]]: tensor<3x4xf32>) -> tensor<2x4xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.matmul %[[X0]], %[[X1]] : (tensor<2x3xf32>, tensor<3x4xf32>) -> tensor<2x4xf32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<2x4xf32>
func.func @mm(%arg0: !torch.vtensor<[2,3],f32>, %arg1: !torch.vtensor<[3,4],f32>) -> !torch.vtensor<[2,4],f32> {
  %0 = torch.aten.mm %arg0, %arg1 : !torch.vtensor<[2,3],f32>, !torch.vtensor<[3,4],f32> -> !torch.vtensor<[2,4],f32>
  return %0 : !torch.vtensor<[2,4],f32>
}

// CHECK-LABEL: func.func @mm_bias
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3xf32>) -> tensor<2x4xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.constant <f32, [0.0, 4.0, 8.0, 1.0, 5.0, 9.0, 2.0, 6.0, 10.0, 3.0, 7.0, 11.0]> : tensor<4x3xf32>
// CHECK-NEXT:    %[[V1:.*]] = mase.constant <f32, [0.0, 1.0, 2.0, 3.0]> : tensor<4xf32>
// CHECK-NEXT:    %[[V2:.*]] = mase.linear %[[X0]], %[[V0]], %[[V1]] : (tensor<2x3xf32>, tensor<4x3xf32>, tensor<4xf32>) -> tensor<2x4xf32>
// CHECK-NEXT:    func.return %[[V2]] : tensor<2x4xf32>
func.func @mm_bias(%arg0: !torch.vtensor<[2,3],f32>) -> !torch.vtensor<[2,4],f32> {
  %int0 = torch.constant.int 0
  %int1 = torch.constant.int 1
  %float4.000000e00 = torch.constant.float 4.000000e+00
  %int4 = torch.constant.int 4
  %int3 = torch.constant.int 3
  %false = torch.constant.bool false
  %float1.200000e01 = torch.constant.float 1.200000e+01
  %none = torch.constant.none
  %cpu = torch.constant.device "cpu"
  %0 = torch.aten.arange.start_step %int0, %float1.200000e01, %int1, %none, %none, %cpu, %false : !torch.int, !torch.float, !torch.int, !torch.none, !torch.none, !torch.Device, !torch.bool -> !torch.vtensor<[12],f32>
  %1 = torch.prim.ListConstruct %int3, %int4 : (!torch.int, !torch.int) -> !torch.list<int>
  %2 = torch.aten.view %0, %1 : !torch.vtensor<[12],f32>, !torch.list<int> -> !torch.vtensor<[3,4],f32>
  %3 = torch.aten.mm %arg0, %2 : !torch.vtensor<[2,3],f32>, !torch.vtensor<[3,4],f32> -> !torch.vtensor<[2,4],f32>
  %cpu_0 = torch.constant.device "cpu"
  %4 = torch.aten.arange.start_step %int0, %float4.000000e00, %int1, %none, %none, %cpu_0, %false : !torch.int, !torch.float, !torch.int, !torch.none, !torch.none, !torch.Device, !torch.bool -> !torch.vtensor<[4],f32>
  %5 = torch.aten.add.Tensor %3, %4, %int1 : !torch.vtensor<[2,4],f32>, !torch.vtensor<[4],f32>, !torch.int -> !torch.vtensor<[2,4],f32>
  return %5 : !torch.vtensor<[2,4],f32>
}

// CHECK-LABEL: func.func @bmm
// CHECK-SAME:    (%[[X0:.*]]: tensor<5x2x3xf32>, %[[X1:.*]]: tensor<5x3x4xf32>) -> tensor<5x2x4xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.matmul %[[X0]], %[[X1]] : (tensor<5x2x3xf32>, tensor<5x3x4xf32>) -> tensor<5x2x4xf32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<5x2x4xf32>
func.func @bmm(%arg0: !torch.vtensor<[5,2,3],f32>, %arg1: !torch.vtensor<[5,3,4],f32>) -> !torch.vtensor<[5,2,4],f32> {
  %0 = torch.aten.bmm %arg0, %arg1 : !torch.vtensor<[5,2,3],f32>, !torch.vtensor<[5,3,4],f32> -> !torch.vtensor<[5,2,4],f32>
  return %0 : !torch.vtensor<[5,2,4],f32>
}

// CHECK-LABEL: func.func @mv
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3xf32>, %[[X1:.*]]: tensor<3xf32>) -> tensor<2xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.reshape %[[X1]] : tensor<3xf32> -> tensor<3x1xf32>
// CHECK-NEXT:    %[[V1:.*]] = mase.matmul %[[X0]], %[[V0]] : (tensor<2x3xf32>, tensor<3x1xf32>) -> tensor<2x1xf32>
// CHECK-NEXT:    %[[V2:.*]] = mase.reshape %[[V1]] : tensor<2x1xf32> -> tensor<2xf32>
// CHECK-NEXT:    func.return %[[V2]] : tensor<2xf32>
func.func @mv(%arg0: !torch.vtensor<[2,3],f32>, %arg1: !torch.vtensor<[3],f32>) -> !torch.vtensor<[2],f32> {
  %0 = torch.aten.matmul %arg0, %arg1 : !torch.vtensor<[2,3],f32>, !torch.vtensor<[3],f32> -> !torch.vtensor<[2],f32>
  return %0 : !torch.vtensor<[2],f32>
}

// CHECK-LABEL: func.func @matmul_vector
// CHECK-SAME:    (%[[X0:.*]]: tensor<3xf32>, %[[X1:.*]]: tensor<5x3x4xf32>) -> tensor<5x4xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.reshape %[[X0]] : tensor<3xf32> -> tensor<1x3xf32>
// CHECK-NEXT:    %[[V1:.*]] = mase.matmul %[[V0]], %[[X1]] : (tensor<1x3xf32>, tensor<5x3x4xf32>) -> tensor<5x1x4xf32>
// CHECK-NEXT:    %[[V2:.*]] = mase.reshape %[[V1]] : tensor<5x1x4xf32> -> tensor<5x4xf32>
// CHECK-NEXT:    func.return %[[V2]] : tensor<5x4xf32>
func.func @matmul_vector(%arg0: !torch.vtensor<[3],f32>, %arg1: !torch.vtensor<[5,3,4],f32>) -> !torch.vtensor<[5,4],f32> {
  %0 = torch.aten.matmul %arg0, %arg1 : !torch.vtensor<[3],f32>, !torch.vtensor<[5,3,4],f32> -> !torch.vtensor<[5,4],f32>
  return %0 : !torch.vtensor<[5,4],f32>
}

// CHECK-LABEL: func.func @conv1d
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3x8xf32>, %[[X1:.*]]: tensor<4x3x3xf32>, %[[X2:.*]]: tensor<4xf32>) -> tensor<2x4x4xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.conv1d %[[X0]], %[[X1]], %[[X2]] {strides = array<i64: 2>, padding = array<i64: 1>, dilation = array<i64: 1>} : (tensor<2x3x8xf32>, tensor<4x3x3xf32>, tensor<4xf32>) -> tensor<2x4x4xf32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<2x4x4xf32>
func.func @conv1d(%arg0: !torch.vtensor<[2,3,8],f32>, %arg1: !torch.vtensor<[4,3,3],f32>, %arg2: !torch.vtensor<[4],f32>) -> !torch.vtensor<[2,4,4],f32> {
  %false = torch.constant.bool false
  %int1 = torch.constant.int 1
  %int2 = torch.constant.int 2
  %0 = torch.prim.ListConstruct %int2 : (!torch.int) -> !torch.list<int>
  %1 = torch.prim.ListConstruct %int1 : (!torch.int) -> !torch.list<int>
  %2 = torch.prim.ListConstruct %int1 : (!torch.int) -> !torch.list<int>
  %3 = torch.prim.ListConstruct  : () -> !torch.list<int>
  %4 = torch.aten.convolution %arg0, %arg1, %arg2, %0, %1, %2, %false, %3, %int1 : !torch.vtensor<[2,3,8],f32>, !torch.vtensor<[4,3,3],f32>, !torch.vtensor<[4],f32>, !torch.list<int>, !torch.list<int>, !torch.list<int>, !torch.bool, !torch.list<int>, !torch.int -> !torch.vtensor<[2,4,4],f32>
  return %4 : !torch.vtensor<[2,4,4],f32>
}

// CHECK-LABEL: func.func @conv2d
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x4x8x9xf32>, %[[X1:.*]]: tensor<6x2x3x3xf32>, %[[X2:.*]]: tensor<6xf32>) -> tensor<2x6x4x9xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.conv2d %[[X0]], %[[X1]], %[[X2]] {strides = array<i64: 2, 1>, padding = array<i64: 1, 2>, dilation = array<i64: 1, 2>, groups = 2 : i64} : (tensor<2x4x8x9xf32>, tensor<6x2x3x3xf32>, tensor<6xf32>) -> tensor<2x6x4x9xf32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<2x6x4x9xf32>
func.func @conv2d(%arg0: !torch.vtensor<[2,4,8,9],f32>, %arg1: !torch.vtensor<[6,2,3,3],f32>, %arg2: !torch.vtensor<[6],f32>) -> !torch.vtensor<[2,6,4,9],f32> {
  %false = torch.constant.bool false
  %int2 = torch.constant.int 2
  %int1 = torch.constant.int 1
  %0 = torch.prim.ListConstruct %int2, %int1 : (!torch.int, !torch.int) -> !torch.list<int>
  %1 = torch.prim.ListConstruct %int1, %int2 : (!torch.int, !torch.int) -> !torch.list<int>
  %2 = torch.prim.ListConstruct %int1, %int2 : (!torch.int, !torch.int) -> !torch.list<int>
  %3 = torch.prim.ListConstruct  : () -> !torch.list<int>
  %4 = torch.aten.convolution %arg0, %arg1, %arg2, %0, %1, %2, %false, %3, %int2 : !torch.vtensor<[2,4,8,9],f32>, !torch.vtensor<[6,2,3,3],f32>, !torch.vtensor<[6],f32>, !torch.list<int>, !torch.list<int>, !torch.list<int>, !torch.bool, !torch.list<int>, !torch.int -> !torch.vtensor<[2,6,4,9],f32>
  return %4 : !torch.vtensor<[2,6,4,9],f32>
}

// CHECK-LABEL: func.func @conv2d_same
// CHECK-SAME:    (%[[X0:.*]]: tensor<1x2x6x6xf32>, %[[X1:.*]]: tensor<3x2x3x3xf32>) -> tensor<1x3x6x6xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.conv2d %[[X0]], %[[X1]] {strides = array<i64: 1, 1>, padding = array<i64: 1, 1>, dilation = array<i64: 1, 1>} : (tensor<1x2x6x6xf32>, tensor<3x2x3x3xf32>) -> tensor<1x3x6x6xf32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<1x3x6x6xf32>
func.func @conv2d_same(%arg0: !torch.vtensor<[1,2,6,6],f32>, %arg1: !torch.vtensor<[3,2,3,3],f32>) -> !torch.vtensor<[1,3,6,6],f32> {
  %str = torch.constant.str "same"
  %none = torch.constant.none
  %int1 = torch.constant.int 1
  %0 = torch.prim.ListConstruct %int1, %int1 : (!torch.int, !torch.int) -> !torch.list<int>
  %1 = torch.prim.ListConstruct %int1, %int1 : (!torch.int, !torch.int) -> !torch.list<int>
  %2 = torch.aten.conv2d.padding %arg0, %arg1, %none, %0, %str, %1, %int1 : !torch.vtensor<[1,2,6,6],f32>, !torch.vtensor<[3,2,3,3],f32>, !torch.none, !torch.list<int>, !torch.str, !torch.list<int>, !torch.int -> !torch.vtensor<[1,3,6,6],f32>
  return %2 : !torch.vtensor<[1,3,6,6],f32>
}

// CHECK-LABEL: func.func @conv2d_same_even
// CHECK-SAME:    (%[[X0:.*]]: tensor<1x2x6x6xf32>, %[[X1:.*]]: tensor<3x2x2x2xf32>) -> tensor<1x3x6x6xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.pad %[[X0]] {low = array<i64: 0, 0, 0, 0>, high = array<i64: 0, 0, 1, 1>, value = 0.000000e+00 : f64} : tensor<1x2x6x6xf32> -> tensor<1x2x7x7xf32>
// CHECK-NEXT:    %[[V1:.*]] = mase.conv2d %[[V0]], %[[X1]] {strides = array<i64: 1, 1>, padding = array<i64: 0, 0>, dilation = array<i64: 1, 1>} : (tensor<1x2x7x7xf32>, tensor<3x2x2x2xf32>) -> tensor<1x3x6x6xf32>
// CHECK-NEXT:    func.return %[[V1]] : tensor<1x3x6x6xf32>
func.func @conv2d_same_even(%arg0: !torch.vtensor<[1,2,6,6],f32>, %arg1: !torch.vtensor<[3,2,2,2],f32>) -> !torch.vtensor<[1,3,6,6],f32> {
  %str = torch.constant.str "same"
  %none = torch.constant.none
  %int1 = torch.constant.int 1
  %0 = torch.prim.ListConstruct %int1, %int1 : (!torch.int, !torch.int) -> !torch.list<int>
  %1 = torch.prim.ListConstruct %int1, %int1 : (!torch.int, !torch.int) -> !torch.list<int>
  %2 = torch.aten.conv2d.padding %arg0, %arg1, %none, %0, %str, %1, %int1 : !torch.vtensor<[1,2,6,6],f32>, !torch.vtensor<[3,2,2,2],f32>, !torch.none, !torch.list<int>, !torch.str, !torch.list<int>, !torch.int -> !torch.vtensor<[1,3,6,6],f32>
  return %2 : !torch.vtensor<[1,3,6,6],f32>
}

// CHECK-LABEL: func.func @conv2d_unbatched
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x6x6xf32>, %[[X1:.*]]: tensor<3x2x3x3xf32>) -> tensor<3x4x4xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.reshape %[[X0]] : tensor<2x6x6xf32> -> tensor<1x2x6x6xf32>
// CHECK-NEXT:    %[[V1:.*]] = mase.conv2d %[[V0]], %[[X1]] {strides = array<i64: 1, 1>, padding = array<i64: 0, 0>, dilation = array<i64: 1, 1>} : (tensor<1x2x6x6xf32>, tensor<3x2x3x3xf32>) -> tensor<1x3x4x4xf32>
// CHECK-NEXT:    %[[V2:.*]] = mase.reshape %[[V1]] : tensor<1x3x4x4xf32> -> tensor<3x4x4xf32>
// CHECK-NEXT:    func.return %[[V2]] : tensor<3x4x4xf32>
func.func @conv2d_unbatched(%arg0: !torch.vtensor<[2,6,6],f32>, %arg1: !torch.vtensor<[3,2,3,3],f32>) -> !torch.vtensor<[3,4,4],f32> {
  %false = torch.constant.bool false
  %int0 = torch.constant.int 0
  %none = torch.constant.none
  %int1 = torch.constant.int 1
  %0 = torch.prim.ListConstruct %int1, %int1 : (!torch.int, !torch.int) -> !torch.list<int>
  %1 = torch.prim.ListConstruct %int0, %int0 : (!torch.int, !torch.int) -> !torch.list<int>
  %2 = torch.prim.ListConstruct %int1, %int1 : (!torch.int, !torch.int) -> !torch.list<int>
  %3 = torch.prim.ListConstruct  : () -> !torch.list<int>
  %4 = torch.aten.convolution %arg0, %arg1, %none, %0, %1, %2, %false, %3, %int1 : !torch.vtensor<[2,6,6],f32>, !torch.vtensor<[3,2,3,3],f32>, !torch.none, !torch.list<int>, !torch.list<int>, !torch.list<int>, !torch.bool, !torch.list<int>, !torch.int -> !torch.vtensor<[3,4,4],f32>
  return %4 : !torch.vtensor<[3,4,4],f32>
}

// CHECK-LABEL: func.func @conv1d_same
// CHECK-SAME:    (%[[X0:.*]]: tensor<1x2x9xf32>, %[[X1:.*]]: tensor<3x2x4xf32>) -> tensor<1x3x9xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.conv1d %[[X0]], %[[X1]] {strides = array<i64: 1>, padding = array<i64: 3>, dilation = array<i64: 2>} : (tensor<1x2x9xf32>, tensor<3x2x4xf32>) -> tensor<1x3x9xf32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<1x3x9xf32>
func.func @conv1d_same(%arg0: !torch.vtensor<[1,2,9],f32>, %arg1: !torch.vtensor<[3,2,4],f32>) -> !torch.vtensor<[1,3,9],f32> {
  %int2 = torch.constant.int 2
  %str = torch.constant.str "same"
  %none = torch.constant.none
  %int1 = torch.constant.int 1
  %0 = torch.prim.ListConstruct %int1 : (!torch.int) -> !torch.list<int>
  %1 = torch.prim.ListConstruct %int2 : (!torch.int) -> !torch.list<int>
  %2 = torch.aten.conv1d.padding %arg0, %arg1, %none, %0, %str, %1, %int1 : !torch.vtensor<[1,2,9],f32>, !torch.vtensor<[3,2,4],f32>, !torch.none, !torch.list<int>, !torch.str, !torch.list<int>, !torch.int -> !torch.vtensor<[1,3,9],f32>
  return %2 : !torch.vtensor<[1,3,9],f32>
}

// CHECK-LABEL: func.func @conv_transpose2d
// CHECK-SAME:    (%[[X0:.*]]: tensor<1x4x3x3xf32>, %[[X1:.*]]: tensor<4x3x3x3xf32>, %[[X2:.*]]: tensor<6xf32>) -> tensor<1x6x6x6xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.conv_transpose2d %[[X0]], %[[X1]], %[[X2]] {strides = array<i64: 2, 2>, padding = array<i64: 1, 1>, output_padding = array<i64: 1, 1>, dilation = array<i64: 1, 1>, groups = 2 : i64} : (tensor<1x4x3x3xf32>, tensor<4x3x3x3xf32>, tensor<6xf32>) -> tensor<1x6x6x6xf32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<1x6x6x6xf32>
func.func @conv_transpose2d(%arg0: !torch.vtensor<[1,4,3,3],f32>, %arg1: !torch.vtensor<[4,3,3,3],f32>, %arg2: !torch.vtensor<[6],f32>) -> !torch.vtensor<[1,6,6,6],f32> {
  %true = torch.constant.bool true
  %int1 = torch.constant.int 1
  %int2 = torch.constant.int 2
  %0 = torch.prim.ListConstruct %int2, %int2 : (!torch.int, !torch.int) -> !torch.list<int>
  %1 = torch.prim.ListConstruct %int1, %int1 : (!torch.int, !torch.int) -> !torch.list<int>
  %2 = torch.prim.ListConstruct %int1, %int1 : (!torch.int, !torch.int) -> !torch.list<int>
  %3 = torch.prim.ListConstruct %int1, %int1 : (!torch.int, !torch.int) -> !torch.list<int>
  %4 = torch.aten.convolution %arg0, %arg1, %arg2, %0, %1, %3, %true, %2, %int2 : !torch.vtensor<[1,4,3,3],f32>, !torch.vtensor<[4,3,3,3],f32>, !torch.vtensor<[6],f32>, !torch.list<int>, !torch.list<int>, !torch.list<int>, !torch.bool, !torch.list<int>, !torch.int -> !torch.vtensor<[1,6,6,6],f32>
  return %4 : !torch.vtensor<[1,6,6,6],f32>
}

// CHECK-LABEL: func.func @embedding
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3xi64>, %[[X1:.*]]: tensor<5x4xf32>) -> tensor<2x3x4xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.embedding %[[X1]], %[[X0]] : (tensor<5x4xf32>, tensor<2x3xi64>) -> tensor<2x3x4xf32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<2x3x4xf32>
func.func @embedding(%arg0: !torch.vtensor<[2,3],si64>, %arg1: !torch.vtensor<[5,4],f32>) -> !torch.vtensor<[2,3,4],f32> {
  %int-1 = torch.constant.int -1
  %false = torch.constant.bool false
  %0 = torch.aten.embedding %arg1, %arg0, %int-1, %false, %false : !torch.vtensor<[5,4],f32>, !torch.vtensor<[2,3],si64>, !torch.int, !torch.bool, !torch.bool -> !torch.vtensor<[2,3,4],f32>
  return %0 : !torch.vtensor<[2,3,4],f32>
}

// CHECK-LABEL: func.func @batch_norm
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3x4x4xf32>, %[[X1:.*]]: tensor<3xf32>, %[[X2:.*]]: tensor<3xf32>, %[[X3:.*]]: tensor<3xf32>, %[[X4:.*]]: tensor<3xf32>) -> tensor<2x3x4x4xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.batch_norm %[[X0]], %[[X1]], %[[X2]], %[[X3]], %[[X4]] {eps = 1.000000e-05 : f64} : (tensor<2x3x4x4xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>) -> tensor<2x3x4x4xf32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<2x3x4x4xf32>
func.func @batch_norm(%arg0: !torch.vtensor<[2,3,4,4],f32>, %arg1: !torch.vtensor<[3],f32>, %arg2: !torch.vtensor<[3],f32>, %arg3: !torch.vtensor<[3],f32>, %arg4: !torch.vtensor<[3],f32>) -> !torch.vtensor<[2,3,4,4],f32> {
  %false = torch.constant.bool false
  %float1.000000e-01 = torch.constant.float 1.000000e-01
  %float1.000000e-05 = torch.constant.float 1.000000e-05
  %0 = torch.aten.batch_norm %arg0, %arg3, %arg4, %arg1, %arg2, %false, %float1.000000e-01, %float1.000000e-05, %false : !torch.vtensor<[2,3,4,4],f32>, !torch.vtensor<[3],f32>, !torch.vtensor<[3],f32>, !torch.vtensor<[3],f32>, !torch.vtensor<[3],f32>, !torch.bool, !torch.float, !torch.float, !torch.bool -> !torch.vtensor<[2,3,4,4],f32>
  return %0 : !torch.vtensor<[2,3,4,4],f32>
}

// CHECK-LABEL: func.func @batch_norm_plain
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3xf32>, %[[X1:.*]]: tensor<3xf32>, %[[X2:.*]]: tensor<3xf32>) -> tensor<2x3xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.constant <f32, [1.0, 1.0, 1.0]> : tensor<3xf32>
// CHECK-NEXT:    %[[V1:.*]] = mase.constant <f32, [0.0, 0.0, 0.0]> : tensor<3xf32>
// CHECK-NEXT:    %[[V2:.*]] = mase.batch_norm %[[X0]], %[[X1]], %[[X2]], %[[V0]], %[[V1]] {eps = 1.000000e-03 : f64} : (tensor<2x3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>) -> tensor<2x3xf32>
// CHECK-NEXT:    func.return %[[V2]] : tensor<2x3xf32>
func.func @batch_norm_plain(%arg0: !torch.vtensor<[2,3],f32>, %arg1: !torch.vtensor<[3],f32>, %arg2: !torch.vtensor<[3],f32>) -> !torch.vtensor<[2,3],f32> {
  %none = torch.constant.none
  %false = torch.constant.bool false
  %float1.000000e-01 = torch.constant.float 1.000000e-01
  %float1.000000e-03 = torch.constant.float 1.000000e-03
  %0 = torch.aten.batch_norm %arg0, %none, %none, %arg1, %arg2, %false, %float1.000000e-01, %float1.000000e-03, %false : !torch.vtensor<[2,3],f32>, !torch.none, !torch.none, !torch.vtensor<[3],f32>, !torch.vtensor<[3],f32>, !torch.bool, !torch.float, !torch.float, !torch.bool -> !torch.vtensor<[2,3],f32>
  return %0 : !torch.vtensor<[2,3],f32>
}

// CHECK-LABEL: func.func @native_batch_norm
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3x4xf32>, %[[X1:.*]]: tensor<3xf32>, %[[X2:.*]]: tensor<3xf32>, %[[X3:.*]]: tensor<3xf32>, %[[X4:.*]]: tensor<3xf32>) -> tensor<2x3x4xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.batch_norm %[[X0]], %[[X3]], %[[X4]], %[[X1]], %[[X2]] {eps = 1.000000e-05 : f64} : (tensor<2x3x4xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>) -> tensor<2x3x4xf32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<2x3x4xf32>
func.func @native_batch_norm(%arg0: !torch.vtensor<[2,3,4],f32>, %arg1: !torch.vtensor<[3],f32>, %arg2: !torch.vtensor<[3],f32>, %arg3: !torch.vtensor<[3],f32>, %arg4: !torch.vtensor<[3],f32>) -> !torch.vtensor<[2,3,4],f32> {
  %false = torch.constant.bool false
  %float1.000000e-01 = torch.constant.float 1.000000e-01
  %float1.000000e-05 = torch.constant.float 1.000000e-05
  %result0, %result1, %result2 = torch.aten.native_batch_norm %arg0, %arg1, %arg2, %arg3, %arg4, %false, %float1.000000e-01, %float1.000000e-05 : !torch.vtensor<[2,3,4],f32>, !torch.vtensor<[3],f32>, !torch.vtensor<[3],f32>, !torch.vtensor<[3],f32>, !torch.vtensor<[3],f32>, !torch.bool, !torch.float, !torch.float -> !torch.vtensor<[2,3,4],f32>, !torch.vtensor<[0],f32>, !torch.vtensor<[0],f32>
  return %result0 : !torch.vtensor<[2,3,4],f32>
}

// CHECK-LABEL: func.func @layer_norm
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3x4xf32>, %[[X1:.*]]: tensor<3x4xf32>, %[[X2:.*]]: tensor<3x4xf32>) -> tensor<2x3x4xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.layer_norm %[[X0]] : tensor<2x3x4xf32> weight %[[X1]] : tensor<3x4xf32> bias %[[X2]] : tensor<3x4xf32> {rank = 2 : i64, eps = 1.000000e-05 : f64} -> tensor<2x3x4xf32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<2x3x4xf32>
func.func @layer_norm(%arg0: !torch.vtensor<[2,3,4],f32>, %arg1: !torch.vtensor<[3,4],f32>, %arg2: !torch.vtensor<[3,4],f32>) -> !torch.vtensor<[2,3,4],f32> {
  %false = torch.constant.bool false
  %float1.000000e-05 = torch.constant.float 1.000000e-05
  %int3 = torch.constant.int 3
  %int4 = torch.constant.int 4
  %0 = torch.prim.ListConstruct %int3, %int4 : (!torch.int, !torch.int) -> !torch.list<int>
  %1 = torch.aten.layer_norm %arg0, %0, %arg1, %arg2, %float1.000000e-05, %false : !torch.vtensor<[2,3,4],f32>, !torch.list<int>, !torch.vtensor<[3,4],f32>, !torch.vtensor<[3,4],f32>, !torch.float, !torch.bool -> !torch.vtensor<[2,3,4],f32>
  return %1 : !torch.vtensor<[2,3,4],f32>
}

// CHECK-LABEL: func.func @layer_norm_plain
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3x4xf32>) -> tensor<2x3x4xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.layer_norm %[[X0]] : tensor<2x3x4xf32> {rank = 1 : i64, eps = 1.000000e-05 : f64} -> tensor<2x3x4xf32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<2x3x4xf32>
func.func @layer_norm_plain(%arg0: !torch.vtensor<[2,3,4],f32>) -> !torch.vtensor<[2,3,4],f32> {
  %false = torch.constant.bool false
  %float1.000000e-05 = torch.constant.float 1.000000e-05
  %none = torch.constant.none
  %int4 = torch.constant.int 4
  %0 = torch.prim.ListConstruct %int4 : (!torch.int) -> !torch.list<int>
  %1 = torch.aten.layer_norm %arg0, %0, %none, %none, %float1.000000e-05, %false : !torch.vtensor<[2,3,4],f32>, !torch.list<int>, !torch.none, !torch.none, !torch.float, !torch.bool -> !torch.vtensor<[2,3,4],f32>
  return %1 : !torch.vtensor<[2,3,4],f32>
}

// CHECK-LABEL: func.func @native_layer_norm
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3x4xf32>, %[[X1:.*]]: tensor<4xf32>) -> tensor<2x3x4xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.layer_norm %[[X0]] : tensor<2x3x4xf32> weight %[[X1]] : tensor<4xf32> {rank = 1 : i64, eps = 1.000000e-05 : f64} -> tensor<2x3x4xf32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<2x3x4xf32>
func.func @native_layer_norm(%arg0: !torch.vtensor<[2,3,4],f32>, %arg1: !torch.vtensor<[4],f32>) -> !torch.vtensor<[2,3,4],f32> {
  %float1.000000e-05 = torch.constant.float 1.000000e-05
  %none = torch.constant.none
  %int4 = torch.constant.int 4
  %0 = torch.prim.ListConstruct %int4 : (!torch.int) -> !torch.list<int>
  %result0, %result1, %result2 = torch.aten.native_layer_norm %arg0, %0, %arg1, %none, %float1.000000e-05 : !torch.vtensor<[2,3,4],f32>, !torch.list<int>, !torch.vtensor<[4],f32>, !torch.none, !torch.float -> !torch.vtensor<[2,3,4],f32>, !torch.vtensor<[2,3,1],f32>, !torch.vtensor<[2,3,1],f32>
  return %result0 : !torch.vtensor<[2,3,4],f32>
}

// CHECK-LABEL: func.func @group_norm
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x4x3x3xf32>, %[[X1:.*]]: tensor<4xf32>, %[[X2:.*]]: tensor<4xf32>) -> tensor<2x4x3x3xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.group_norm %[[X0]] : tensor<2x4x3x3xf32> weight %[[X1]] : tensor<4xf32> bias %[[X2]] : tensor<4xf32> {groups = 2 : i64, eps = 1.000000e-05 : f64} -> tensor<2x4x3x3xf32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<2x4x3x3xf32>
func.func @group_norm(%arg0: !torch.vtensor<[2,4,3,3],f32>, %arg1: !torch.vtensor<[4],f32>, %arg2: !torch.vtensor<[4],f32>) -> !torch.vtensor<[2,4,3,3],f32> {
  %int2 = torch.constant.int 2
  %float1.000000e-05 = torch.constant.float 1.000000e-05
  %false = torch.constant.bool false
  %0 = torch.aten.group_norm %arg0, %int2, %arg1, %arg2, %float1.000000e-05, %false : !torch.vtensor<[2,4,3,3],f32>, !torch.int, !torch.vtensor<[4],f32>, !torch.vtensor<[4],f32>, !torch.float, !torch.bool -> !torch.vtensor<[2,4,3,3],f32>
  return %0 : !torch.vtensor<[2,4,3,3],f32>
}

// CHECK-LABEL: func.func @instance_norm
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x4x3x3xf32>) -> tensor<2x4x3x3xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.group_norm %[[X0]] : tensor<2x4x3x3xf32> {groups = 4 : i64, eps = 1.000000e-05 : f64} -> tensor<2x4x3x3xf32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<2x4x3x3xf32>
func.func @instance_norm(%arg0: !torch.vtensor<[2,4,3,3],f32>) -> !torch.vtensor<[2,4,3,3],f32> {
  %none = torch.constant.none
  %true = torch.constant.bool true
  %float1.000000e-01 = torch.constant.float 1.000000e-01
  %float1.000000e-05 = torch.constant.float 1.000000e-05
  %false = torch.constant.bool false
  %0 = torch.aten.instance_norm %arg0, %none, %none, %none, %none, %true, %float1.000000e-01, %float1.000000e-05, %false : !torch.vtensor<[2,4,3,3],f32>, !torch.none, !torch.none, !torch.none, !torch.none, !torch.bool, !torch.float, !torch.float, !torch.bool -> !torch.vtensor<[2,4,3,3],f32>
  return %0 : !torch.vtensor<[2,4,3,3],f32>
}

// CHECK-LABEL: func.func @instance_norm_running
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x4x3x3xf32>, %[[X1:.*]]: tensor<4xf32>, %[[X2:.*]]: tensor<4xf32>) -> tensor<2x4x3x3xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.constant <f32, [1.0, 1.0, 1.0, 1.0]> : tensor<4xf32>
// CHECK-NEXT:    %[[V1:.*]] = mase.constant <f32, [0.0, 0.0, 0.0, 0.0]> : tensor<4xf32>
// CHECK-NEXT:    %[[V2:.*]] = mase.batch_norm %[[X0]], %[[X1]], %[[X2]], %[[V0]], %[[V1]] {eps = 1.000000e-05 : f64} : (tensor<2x4x3x3xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<2x4x3x3xf32>
// CHECK-NEXT:    func.return %[[V2]] : tensor<2x4x3x3xf32>
func.func @instance_norm_running(%arg0: !torch.vtensor<[2,4,3,3],f32>, %arg1: !torch.vtensor<[4],f32>, %arg2: !torch.vtensor<[4],f32>) -> !torch.vtensor<[2,4,3,3],f32> {
  %none = torch.constant.none
  %false = torch.constant.bool false
  %float1.000000e-01 = torch.constant.float 1.000000e-01
  %float1.000000e-05 = torch.constant.float 1.000000e-05
  %0 = torch.aten.instance_norm %arg0, %none, %none, %arg1, %arg2, %false, %float1.000000e-01, %float1.000000e-05, %false : !torch.vtensor<[2,4,3,3],f32>, !torch.none, !torch.none, !torch.vtensor<[4],f32>, !torch.vtensor<[4],f32>, !torch.bool, !torch.float, !torch.float, !torch.bool -> !torch.vtensor<[2,4,3,3],f32>
  return %0 : !torch.vtensor<[2,4,3,3],f32>
}

// CHECK-LABEL: func.func @rms_norm
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3x4xf32>, %[[X1:.*]]: tensor<4xf32>) -> tensor<2x3x4xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.mul %[[X0]], %[[X0]] : (tensor<2x3x4xf32>, tensor<2x3x4xf32>) -> tensor<2x3x4xf32>
// CHECK-NEXT:    %[[V1:.*]] = mase.reduce %[[V0]] {keepdims = true, kind = "mean", axes = array<i64: 2>} : (tensor<2x3x4xf32>) -> tensor<2x3x1xf32>
// CHECK-NEXT:    %[[V2:.*]] = mase.constant <f32, [1.0e-05]> : tensor<f32>
// CHECK-NEXT:    %[[V3:.*]] = mase.add %[[V1]], %[[V2]] : (tensor<2x3x1xf32>, tensor<f32>) -> tensor<2x3x1xf32>
// CHECK-NEXT:    %[[V4:.*]] = mase.rsqrt %[[V3]] : (tensor<2x3x1xf32>) -> tensor<2x3x1xf32>
// CHECK-NEXT:    %[[V5:.*]] = mase.mul %[[X0]], %[[V4]] : (tensor<2x3x4xf32>, tensor<2x3x1xf32>) -> tensor<2x3x4xf32>
// CHECK-NEXT:    %[[V6:.*]] = mase.mul %[[V5]], %[[X1]] : (tensor<2x3x4xf32>, tensor<4xf32>) -> tensor<2x3x4xf32>
// CHECK-NEXT:    func.return %[[V6]] : tensor<2x3x4xf32>
func.func @rms_norm(%arg0: !torch.vtensor<[2,3,4],f32>, %arg1: !torch.vtensor<[4],f32>) -> !torch.vtensor<[2,3,4],f32> {
  %float1.000000e-05 = torch.constant.float 1.000000e-05
  %int4 = torch.constant.int 4
  %0 = torch.prim.ListConstruct %int4 : (!torch.int) -> !torch.list<int>
  %1 = torch.aten.rms_norm %arg0, %0, %arg1, %float1.000000e-05 : !torch.vtensor<[2,3,4],f32>, !torch.list<int>, !torch.vtensor<[4],f32>, !torch.float -> !torch.vtensor<[2,3,4],f32>
  return %1 : !torch.vtensor<[2,3,4],f32>
}

// CHECK-LABEL: func.func @softmax
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3x4xf32>) -> tensor<2x3x4xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.softmax %[[X0]] {axis = 1 : i64} : (tensor<2x3x4xf32>) -> tensor<2x3x4xf32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<2x3x4xf32>
func.func @softmax(%arg0: !torch.vtensor<[2,3,4],f32>) -> !torch.vtensor<[2,3,4],f32> {
  %int1 = torch.constant.int 1
  %none = torch.constant.none
  %0 = torch.aten.softmax.int %arg0, %int1, %none : !torch.vtensor<[2,3,4],f32>, !torch.int, !torch.none -> !torch.vtensor<[2,3,4],f32>
  return %0 : !torch.vtensor<[2,3,4],f32>
}

// CHECK-LABEL: func.func @softmax_native
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3x4xf32>) -> tensor<2x3x4xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.softmax %[[X0]] {axis = 2 : i64} : (tensor<2x3x4xf32>) -> tensor<2x3x4xf32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<2x3x4xf32>
func.func @softmax_native(%arg0: !torch.vtensor<[2,3,4],f32>) -> !torch.vtensor<[2,3,4],f32> {
  %int-1 = torch.constant.int -1
  %false = torch.constant.bool false
  %0 = torch.aten._softmax %arg0, %int-1, %false : !torch.vtensor<[2,3,4],f32>, !torch.int, !torch.bool -> !torch.vtensor<[2,3,4],f32>
  return %0 : !torch.vtensor<[2,3,4],f32>
}

// CHECK-LABEL: func.func @log_softmax
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3x4xf32>) -> tensor<2x3x4xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.constant <f32, [100.0]> : tensor<f32>
// CHECK-NEXT:    %[[V1:.*]] = mase.mul %[[X0]], %[[V0]] : (tensor<2x3x4xf32>, tensor<f32>) -> tensor<2x3x4xf32>
// CHECK-NEXT:    %[[V2:.*]] = mase.reduce %[[V1]] {keepdims = true, kind = "max", axes = array<i64: 2>} : (tensor<2x3x4xf32>) -> tensor<2x3x1xf32>
// CHECK-NEXT:    %[[V3:.*]] = mase.sub %[[V1]], %[[V2]] : (tensor<2x3x4xf32>, tensor<2x3x1xf32>) -> tensor<2x3x4xf32>
// CHECK-NEXT:    %[[V4:.*]] = mase.exp %[[V3]] : (tensor<2x3x4xf32>) -> tensor<2x3x4xf32>
// CHECK-NEXT:    %[[V5:.*]] = mase.reduce %[[V4]] {keepdims = true, kind = "sum", axes = array<i64: 2>} : (tensor<2x3x4xf32>) -> tensor<2x3x1xf32>
// CHECK-NEXT:    %[[V6:.*]] = mase.log %[[V5]] : (tensor<2x3x1xf32>) -> tensor<2x3x1xf32>
// CHECK-NEXT:    %[[V7:.*]] = mase.sub %[[V3]], %[[V6]] : (tensor<2x3x4xf32>, tensor<2x3x1xf32>) -> tensor<2x3x4xf32>
// CHECK-NEXT:    func.return %[[V7]] : tensor<2x3x4xf32>
func.func @log_softmax(%arg0: !torch.vtensor<[2,3,4],f32>) -> !torch.vtensor<[2,3,4],f32> {
  %none = torch.constant.none
  %int-1 = torch.constant.int -1
  %int100 = torch.constant.int 100
  %0 = torch.aten.mul.Scalar %arg0, %int100 : !torch.vtensor<[2,3,4],f32>, !torch.int -> !torch.vtensor<[2,3,4],f32>
  %1 = torch.aten.log_softmax.int %0, %int-1, %none : !torch.vtensor<[2,3,4],f32>, !torch.int, !torch.none -> !torch.vtensor<[2,3,4],f32>
  return %1 : !torch.vtensor<[2,3,4],f32>
}

// CHECK-LABEL: func.func @log_softmax_native
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3x4xf32>) -> tensor<2x3x4xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.reduce %[[X0]] {keepdims = true, kind = "max", axes = array<i64: 2>} : (tensor<2x3x4xf32>) -> tensor<2x3x1xf32>
// CHECK-NEXT:    %[[V1:.*]] = mase.sub %[[X0]], %[[V0]] : (tensor<2x3x4xf32>, tensor<2x3x1xf32>) -> tensor<2x3x4xf32>
// CHECK-NEXT:    %[[V2:.*]] = mase.exp %[[V1]] : (tensor<2x3x4xf32>) -> tensor<2x3x4xf32>
// CHECK-NEXT:    %[[V3:.*]] = mase.reduce %[[V2]] {keepdims = true, kind = "sum", axes = array<i64: 2>} : (tensor<2x3x4xf32>) -> tensor<2x3x1xf32>
// CHECK-NEXT:    %[[V4:.*]] = mase.log %[[V3]] : (tensor<2x3x1xf32>) -> tensor<2x3x1xf32>
// CHECK-NEXT:    %[[V5:.*]] = mase.sub %[[V1]], %[[V4]] : (tensor<2x3x4xf32>, tensor<2x3x1xf32>) -> tensor<2x3x4xf32>
// CHECK-NEXT:    func.return %[[V5]] : tensor<2x3x4xf32>
func.func @log_softmax_native(%arg0: !torch.vtensor<[2,3,4],f32>) -> !torch.vtensor<[2,3,4],f32> {
  %none = torch.constant.none
  %float1.000000e00 = torch.constant.float 1.000000e+00
  %int-1 = torch.constant.int -1
  %true = torch.constant.bool true
  %values, %indices = torch.aten.max.dim %arg0, %int-1, %true : !torch.vtensor<[2,3,4],f32>, !torch.int, !torch.bool -> !torch.vtensor<[2,3,1],f32>, !torch.vtensor<[2,3,1],si64>
  %0 = torch.aten.sub.Tensor %arg0, %values, %float1.000000e00 : !torch.vtensor<[2,3,4],f32>, !torch.vtensor<[2,3,1],f32>, !torch.float -> !torch.vtensor<[2,3,4],f32>
  %1 = torch.aten.exp %0 : !torch.vtensor<[2,3,4],f32> -> !torch.vtensor<[2,3,4],f32>
  %2 = torch.prim.ListConstruct %int-1 : (!torch.int) -> !torch.list<int>
  %3 = torch.aten.sum.dim_IntList %1, %2, %true, %none : !torch.vtensor<[2,3,4],f32>, !torch.list<int>, !torch.bool, !torch.none -> !torch.vtensor<[2,3,1],f32>
  %4 = torch.aten.log %3 : !torch.vtensor<[2,3,1],f32> -> !torch.vtensor<[2,3,1],f32>
  %5 = torch.aten.sub.Tensor %0, %4, %float1.000000e00 : !torch.vtensor<[2,3,4],f32>, !torch.vtensor<[2,3,1],f32>, !torch.float -> !torch.vtensor<[2,3,4],f32>
  return %5 : !torch.vtensor<[2,3,4],f32>
}

// CHECK-LABEL: func.func @attention
// CHECK-SAME:    (%[[X0:.*]]: tensor<1x2x5x4xf32>, %[[X1:.*]]: tensor<1x2x6x4xf32>, %[[X2:.*]]: tensor<1x2x6x3xf32>) -> tensor<1x2x5x3xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.attention %[[X0]], %[[X1]], %[[X2]] {scale = 5.000000e-01 : f64} : (tensor<1x2x5x4xf32>, tensor<1x2x6x4xf32>, tensor<1x2x6x3xf32>) -> tensor<1x2x5x3xf32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<1x2x5x3xf32>
func.func @attention(%arg0: !torch.vtensor<[1,2,5,4],f32>, %arg1: !torch.vtensor<[1,2,6,4],f32>, %arg2: !torch.vtensor<[1,2,6,3],f32>) -> !torch.vtensor<[1,2,5,3],f32> {
  %none = torch.constant.none
  %float0.000000e00 = torch.constant.float 0.000000e+00
  %false = torch.constant.bool false
  %0 = torch.aten.scaled_dot_product_attention %arg0, %arg1, %arg2, %none, %float0.000000e00, %false, %none, %false : !torch.vtensor<[1,2,5,4],f32>, !torch.vtensor<[1,2,6,4],f32>, !torch.vtensor<[1,2,6,3],f32>, !torch.none, !torch.float, !torch.bool, !torch.none, !torch.bool -> !torch.vtensor<[1,2,5,3],f32>
  return %0 : !torch.vtensor<[1,2,5,3],f32>
}

// CHECK-LABEL: func.func @attention_mask
// CHECK-SAME:    (%[[X0:.*]]: tensor<1x2x5x4xf32>, %[[X1:.*]]: tensor<1x2x6x4xf32>, %[[X2:.*]]: tensor<1x2x6x3xf32>, %[[X3:.*]]: tensor<5x6xf32>) -> tensor<1x2x5x3xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.attention %[[X0]], %[[X1]], %[[X2]] mask %[[X3]] {scale = 5.000000e-01 : f64} : (tensor<1x2x5x4xf32>, tensor<1x2x6x4xf32>, tensor<1x2x6x3xf32>, tensor<5x6xf32>) -> tensor<1x2x5x3xf32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<1x2x5x3xf32>
func.func @attention_mask(%arg0: !torch.vtensor<[1,2,5,4],f32>, %arg1: !torch.vtensor<[1,2,6,4],f32>, %arg2: !torch.vtensor<[1,2,6,3],f32>, %arg3: !torch.vtensor<[5,6],f32>) -> !torch.vtensor<[1,2,5,3],f32> {
  %float0.000000e00 = torch.constant.float 0.000000e+00
  %false = torch.constant.bool false
  %none = torch.constant.none
  %0 = torch.aten.scaled_dot_product_attention %arg0, %arg1, %arg2, %arg3, %float0.000000e00, %false, %none, %false : !torch.vtensor<[1,2,5,4],f32>, !torch.vtensor<[1,2,6,4],f32>, !torch.vtensor<[1,2,6,3],f32>, !torch.vtensor<[5,6],f32>, !torch.float, !torch.bool, !torch.none, !torch.bool -> !torch.vtensor<[1,2,5,3],f32>
  return %0 : !torch.vtensor<[1,2,5,3],f32>
}

// CHECK-LABEL: func.func @attention_causal
// CHECK-SAME:    (%[[X0:.*]]: tensor<1x2x5x4xf32>, %[[X1:.*]]: tensor<1x2x6x4xf32>, %[[X2:.*]]: tensor<1x2x6x3xf32>) -> tensor<1x2x5x3xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.attention %[[X0]], %[[X1]], %[[X2]] {scale = 3.000000e-01 : f64, causal = true} : (tensor<1x2x5x4xf32>, tensor<1x2x6x4xf32>, tensor<1x2x6x3xf32>) -> tensor<1x2x5x3xf32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<1x2x5x3xf32>
func.func @attention_causal(%arg0: !torch.vtensor<[1,2,5,4],f32>, %arg1: !torch.vtensor<[1,2,6,4],f32>, %arg2: !torch.vtensor<[1,2,6,3],f32>) -> !torch.vtensor<[1,2,5,3],f32> {
  %none = torch.constant.none
  %float0.000000e00 = torch.constant.float 0.000000e+00
  %true = torch.constant.bool true
  %float3.000000e-01 = torch.constant.float 3.000000e-01
  %false = torch.constant.bool false
  %0 = torch.aten.scaled_dot_product_attention %arg0, %arg1, %arg2, %none, %float0.000000e00, %true, %float3.000000e-01, %false : !torch.vtensor<[1,2,5,4],f32>, !torch.vtensor<[1,2,6,4],f32>, !torch.vtensor<[1,2,6,3],f32>, !torch.none, !torch.float, !torch.bool, !torch.float, !torch.bool -> !torch.vtensor<[1,2,5,3],f32>
  return %0 : !torch.vtensor<[1,2,5,3],f32>
}

// CHECK-LABEL: func.func @attention_grouped
// CHECK-SAME:    (%[[X0:.*]]: tensor<1x4x5x4xf32>, %[[X1:.*]]: tensor<1x2x6x4xf32>, %[[X2:.*]]: tensor<1x2x6x4xf32>) -> tensor<1x4x5x4xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.reshape %[[X1]] : tensor<1x2x6x4xf32> -> tensor<1x2x1x6x4xf32>
// CHECK-NEXT:    %[[V1:.*]] = mase.broadcast %[[V0]] : tensor<1x2x1x6x4xf32> -> tensor<1x2x2x6x4xf32>
// CHECK-NEXT:    %[[V2:.*]] = mase.reshape %[[V1]] : tensor<1x2x2x6x4xf32> -> tensor<1x4x6x4xf32>
// CHECK-NEXT:    %[[V3:.*]] = mase.reshape %[[X2]] : tensor<1x2x6x4xf32> -> tensor<1x2x1x6x4xf32>
// CHECK-NEXT:    %[[V4:.*]] = mase.broadcast %[[V3]] : tensor<1x2x1x6x4xf32> -> tensor<1x2x2x6x4xf32>
// CHECK-NEXT:    %[[V5:.*]] = mase.reshape %[[V4]] : tensor<1x2x2x6x4xf32> -> tensor<1x4x6x4xf32>
// CHECK-NEXT:    %[[V6:.*]] = mase.attention %[[X0]], %[[V2]], %[[V5]] {scale = 5.000000e-01 : f64} : (tensor<1x4x5x4xf32>, tensor<1x4x6x4xf32>, tensor<1x4x6x4xf32>) -> tensor<1x4x5x4xf32>
// CHECK-NEXT:    func.return %[[V6]] : tensor<1x4x5x4xf32>
func.func @attention_grouped(%arg0: !torch.vtensor<[1,4,5,4],f32>, %arg1: !torch.vtensor<[1,2,6,4],f32>, %arg2: !torch.vtensor<[1,2,6,4],f32>) -> !torch.vtensor<[1,4,5,4],f32> {
  %none = torch.constant.none
  %float0.000000e00 = torch.constant.float 0.000000e+00
  %false = torch.constant.bool false
  %true = torch.constant.bool true
  %0 = torch.aten.scaled_dot_product_attention %arg0, %arg1, %arg2, %none, %float0.000000e00, %false, %none, %true : !torch.vtensor<[1,4,5,4],f32>, !torch.vtensor<[1,2,6,4],f32>, !torch.vtensor<[1,2,6,4],f32>, !torch.none, !torch.float, !torch.bool, !torch.none, !torch.bool -> !torch.vtensor<[1,4,5,4],f32>
  return %0 : !torch.vtensor<[1,4,5,4],f32>
}

// CHECK-LABEL: func.func @max_pool1d
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3x8xf32>) -> tensor<2x3x4xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.max_pool %[[X0]] {kernel = array<i64: 2>, strides = array<i64: 2>, padding = array<i64: 0>, dilation = array<i64: 1>} : (tensor<2x3x8xf32>) -> tensor<2x3x4xf32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<2x3x4xf32>
func.func @max_pool1d(%arg0: !torch.vtensor<[2,3,8],f32>) -> !torch.vtensor<[2,3,4],f32> {
  %false = torch.constant.bool false
  %int1 = torch.constant.int 1
  %int0 = torch.constant.int 0
  %int2 = torch.constant.int 2
  %0 = torch.prim.ListConstruct %int2 : (!torch.int) -> !torch.list<int>
  %1 = torch.prim.ListConstruct  : () -> !torch.list<int>
  %2 = torch.prim.ListConstruct %int0 : (!torch.int) -> !torch.list<int>
  %3 = torch.prim.ListConstruct %int1 : (!torch.int) -> !torch.list<int>
  %4 = torch.aten.max_pool1d %arg0, %0, %1, %2, %3, %false : !torch.vtensor<[2,3,8],f32>, !torch.list<int>, !torch.list<int>, !torch.list<int>, !torch.list<int>, !torch.bool -> !torch.vtensor<[2,3,4],f32>
  return %4 : !torch.vtensor<[2,3,4],f32>
}

// CHECK-LABEL: func.func @max_pool2d
// CHECK-SAME:    (%[[X0:.*]]: tensor<1x2x9x9xf32>) -> tensor<1x2x4x4xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.max_pool %[[X0]] {ceil_mode = true, kernel = array<i64: 3, 3>, strides = array<i64: 2, 2>, padding = array<i64: 1, 1>, dilation = array<i64: 2, 2>} : (tensor<1x2x9x9xf32>) -> tensor<1x2x4x4xf32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<1x2x4x4xf32>
func.func @max_pool2d(%arg0: !torch.vtensor<[1,2,9,9],f32>) -> !torch.vtensor<[1,2,4,4],f32> {
  %true = torch.constant.bool true
  %int1 = torch.constant.int 1
  %int2 = torch.constant.int 2
  %int3 = torch.constant.int 3
  %0 = torch.prim.ListConstruct %int3, %int3 : (!torch.int, !torch.int) -> !torch.list<int>
  %1 = torch.prim.ListConstruct %int2, %int2 : (!torch.int, !torch.int) -> !torch.list<int>
  %2 = torch.prim.ListConstruct %int1, %int1 : (!torch.int, !torch.int) -> !torch.list<int>
  %3 = torch.prim.ListConstruct %int2, %int2 : (!torch.int, !torch.int) -> !torch.list<int>
  %4 = torch.aten.max_pool2d %arg0, %0, %1, %2, %3, %true : !torch.vtensor<[1,2,9,9],f32>, !torch.list<int>, !torch.list<int>, !torch.list<int>, !torch.list<int>, !torch.bool -> !torch.vtensor<[1,2,4,4],f32>
  return %4 : !torch.vtensor<[1,2,4,4],f32>
}

// CHECK-LABEL: func.func @avg_pool1d
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3x8xf32>) -> tensor<2x3x4xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.avg_pool %[[X0]] {kernel = array<i64: 3>, strides = array<i64: 2>, padding = array<i64: 1>, dilation = array<i64: 1>} : (tensor<2x3x8xf32>) -> tensor<2x3x4xf32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<2x3x4xf32>
func.func @avg_pool1d(%arg0: !torch.vtensor<[2,3,8],f32>) -> !torch.vtensor<[2,3,4],f32> {
  %true = torch.constant.bool true
  %false = torch.constant.bool false
  %int1 = torch.constant.int 1
  %int2 = torch.constant.int 2
  %int3 = torch.constant.int 3
  %0 = torch.prim.ListConstruct %int3 : (!torch.int) -> !torch.list<int>
  %1 = torch.prim.ListConstruct %int2 : (!torch.int) -> !torch.list<int>
  %2 = torch.prim.ListConstruct %int1 : (!torch.int) -> !torch.list<int>
  %3 = torch.aten.avg_pool1d %arg0, %0, %1, %2, %false, %true : !torch.vtensor<[2,3,8],f32>, !torch.list<int>, !torch.list<int>, !torch.list<int>, !torch.bool, !torch.bool -> !torch.vtensor<[2,3,4],f32>
  return %3 : !torch.vtensor<[2,3,4],f32>
}

// CHECK-LABEL: func.func @avg_pool2d
// CHECK-SAME:    (%[[X0:.*]]: tensor<1x2x8x9xf32>) -> tensor<1x2x5x5xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.avg_pool %[[X0]] {count_include_pad = false, ceil_mode = true, kernel = array<i64: 3, 2>, strides = array<i64: 2, 2>, padding = array<i64: 1, 1>, dilation = array<i64: 1, 1>} : (tensor<1x2x8x9xf32>) -> tensor<1x2x5x5xf32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<1x2x5x5xf32>
func.func @avg_pool2d(%arg0: !torch.vtensor<[1,2,8,9],f32>) -> !torch.vtensor<[1,2,5,5],f32> {
  %none = torch.constant.none
  %false = torch.constant.bool false
  %true = torch.constant.bool true
  %int1 = torch.constant.int 1
  %int3 = torch.constant.int 3
  %int2 = torch.constant.int 2
  %0 = torch.prim.ListConstruct %int3, %int2 : (!torch.int, !torch.int) -> !torch.list<int>
  %1 = torch.prim.ListConstruct %int2, %int2 : (!torch.int, !torch.int) -> !torch.list<int>
  %2 = torch.prim.ListConstruct %int1, %int1 : (!torch.int, !torch.int) -> !torch.list<int>
  %3 = torch.aten.avg_pool2d %arg0, %0, %1, %2, %true, %false, %none : !torch.vtensor<[1,2,8,9],f32>, !torch.list<int>, !torch.list<int>, !torch.list<int>, !torch.bool, !torch.bool, !torch.none -> !torch.vtensor<[1,2,5,5],f32>
  return %3 : !torch.vtensor<[1,2,5,5],f32>
}

// CHECK-LABEL: func.func @avg_pool2d_divisor
// CHECK-SAME:    (%[[X0:.*]]: tensor<1x2x8x8xf32>) -> tensor<1x2x4x4xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.constant <f32, [1.3333334]> : tensor<f32>
// CHECK-NEXT:    %[[V1:.*]] = mase.avg_pool %[[X0]] {kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, padding = array<i64: 0, 0>, dilation = array<i64: 1, 1>} : (tensor<1x2x8x8xf32>) -> tensor<1x2x4x4xf32>
// CHECK-NEXT:    %[[V2:.*]] = mase.mul %[[V1]], %[[V0]] : (tensor<1x2x4x4xf32>, tensor<f32>) -> tensor<1x2x4x4xf32>
// CHECK-NEXT:    func.return %[[V2]] : tensor<1x2x4x4xf32>
func.func @avg_pool2d_divisor(%arg0: !torch.vtensor<[1,2,8,8],f32>) -> !torch.vtensor<[1,2,4,4],f32> {
  %int3 = torch.constant.int 3
  %true = torch.constant.bool true
  %false = torch.constant.bool false
  %int0 = torch.constant.int 0
  %int2 = torch.constant.int 2
  %0 = torch.prim.ListConstruct %int2, %int2 : (!torch.int, !torch.int) -> !torch.list<int>
  %1 = torch.prim.ListConstruct  : () -> !torch.list<int>
  %2 = torch.prim.ListConstruct %int0, %int0 : (!torch.int, !torch.int) -> !torch.list<int>
  %3 = torch.aten.avg_pool2d %arg0, %0, %1, %2, %false, %true, %int3 : !torch.vtensor<[1,2,8,8],f32>, !torch.list<int>, !torch.list<int>, !torch.list<int>, !torch.bool, !torch.bool, !torch.int -> !torch.vtensor<[1,2,4,4],f32>
  return %3 : !torch.vtensor<[1,2,4,4],f32>
}

// CHECK-LABEL: func.func @adaptive_avg_pool1d
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3x7xf32>) -> tensor<2x3x3xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.adaptive_avg_pool %[[X0]] {output_size = array<i64: 3>} : (tensor<2x3x7xf32>) -> tensor<2x3x3xf32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<2x3x3xf32>
func.func @adaptive_avg_pool1d(%arg0: !torch.vtensor<[2,3,7],f32>) -> !torch.vtensor<[2,3,3],f32> {
  %int3 = torch.constant.int 3
  %0 = torch.prim.ListConstruct %int3 : (!torch.int) -> !torch.list<int>
  %1 = torch.aten.adaptive_avg_pool1d %arg0, %0 : !torch.vtensor<[2,3,7],f32>, !torch.list<int> -> !torch.vtensor<[2,3,3],f32>
  return %1 : !torch.vtensor<[2,3,3],f32>
}

// CHECK-LABEL: func.func @adaptive_avg_pool2d
// CHECK-SAME:    (%[[X0:.*]]: tensor<1x2x7x5xf32>) -> tensor<1x2x3x2xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.adaptive_avg_pool %[[X0]] {output_size = array<i64: 3, 2>} : (tensor<1x2x7x5xf32>) -> tensor<1x2x3x2xf32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<1x2x3x2xf32>
func.func @adaptive_avg_pool2d(%arg0: !torch.vtensor<[1,2,7,5],f32>) -> !torch.vtensor<[1,2,3,2],f32> {
  %int3 = torch.constant.int 3
  %int2 = torch.constant.int 2
  %0 = torch.prim.ListConstruct %int3, %int2 : (!torch.int, !torch.int) -> !torch.list<int>
  %1 = torch.aten.adaptive_avg_pool2d %arg0, %0 : !torch.vtensor<[1,2,7,5],f32>, !torch.list<int> -> !torch.vtensor<[1,2,3,2],f32>
  return %1 : !torch.vtensor<[1,2,3,2],f32>
}

// CHECK-LABEL: func.func @adaptive_max_pool2d
// CHECK-SAME:    (%[[X0:.*]]: tensor<1x2x7x5xf32>) -> tensor<1x2x3x2xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.adaptive_max_pool %[[X0]] {output_size = array<i64: 3, 2>} : (tensor<1x2x7x5xf32>) -> tensor<1x2x3x2xf32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<1x2x3x2xf32>
func.func @adaptive_max_pool2d(%arg0: !torch.vtensor<[1,2,7,5],f32>) -> !torch.vtensor<[1,2,3,2],f32> {
  %int3 = torch.constant.int 3
  %int2 = torch.constant.int 2
  %0 = torch.prim.ListConstruct %int3, %int2 : (!torch.int, !torch.int) -> !torch.list<int>
  %result0, %result1 = torch.aten.adaptive_max_pool2d %arg0, %0 : !torch.vtensor<[1,2,7,5],f32>, !torch.list<int> -> !torch.vtensor<[1,2,3,2],f32>, !torch.vtensor<[1,2,3,2],si64>
  return %result0 : !torch.vtensor<[1,2,3,2],f32>
}

// CHECK-LABEL: func.func @upsample_bilinear
// CHECK-SAME:    (%[[X0:.*]]: tensor<1x2x4x5xf32>) -> tensor<1x2x7x9xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.constant <f32, data_bb8424d382b0> : tensor<5x9xf32>
// CHECK-NEXT:    %[[V1:.*]] = mase.matmul %[[X0]], %[[V0]] : (tensor<1x2x4x5xf32>, tensor<5x9xf32>) -> tensor<1x2x4x9xf32>
// CHECK-NEXT:    %[[V2:.*]] = mase.constant <f32, data_0a3ee7ee2149> : tensor<7x4xf32>
// CHECK-NEXT:    %[[V3:.*]] = mase.matmul %[[V2]], %[[V1]] : (tensor<7x4xf32>, tensor<1x2x4x9xf32>) -> tensor<1x2x7x9xf32>
// CHECK-NEXT:    func.return %[[V3]] : tensor<1x2x7x9xf32>
func.func @upsample_bilinear(%arg0: !torch.vtensor<[1,2,4,5],f32>) -> !torch.vtensor<[1,2,7,9],f32> {
  %none = torch.constant.none
  %false = torch.constant.bool false
  %int7 = torch.constant.int 7
  %int9 = torch.constant.int 9
  %0 = torch.prim.ListConstruct %int7, %int9 : (!torch.int, !torch.int) -> !torch.list<int>
  %1 = torch.aten.upsample_bilinear2d.vec %arg0, %0, %false, %none : !torch.vtensor<[1,2,4,5],f32>, !torch.list<int>, !torch.bool, !torch.none -> !torch.vtensor<[1,2,7,9],f32>
  return %1 : !torch.vtensor<[1,2,7,9],f32>
}

// CHECK-LABEL: func.func @upsample_nearest
// CHECK-SAME:    (%[[X0:.*]]: tensor<1x2x3x4xf32>) -> tensor<1x2x6x8xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.constant <i64, [0, 0, 1, 1, 2, 2]> : tensor<6xi64>
// CHECK-NEXT:    %[[V1:.*]] = mase.gather %[[X0]], %[[V0]] {axis = 2 : i64} : (tensor<1x2x3x4xf32>, tensor<6xi64>) -> tensor<1x2x6x4xf32>
// CHECK-NEXT:    %[[V2:.*]] = mase.constant <i64, [0, 0, 1, 1, 2, 2, 3, 3]> : tensor<8xi64>
// CHECK-NEXT:    %[[V3:.*]] = mase.gather %[[V1]], %[[V2]] {axis = 3 : i64} : (tensor<1x2x6x4xf32>, tensor<8xi64>) -> tensor<1x2x6x8xf32>
// CHECK-NEXT:    func.return %[[V3]] : tensor<1x2x6x8xf32>
func.func @upsample_nearest(%arg0: !torch.vtensor<[1,2,3,4],f32>) -> !torch.vtensor<[1,2,6,8],f32> {
  %false = torch.constant.bool false
  %str = torch.constant.str "nearest"
  %none = torch.constant.none
  %float2.000000e00 = torch.constant.float 2.000000e+00
  %0 = torch.prim.ListConstruct %float2.000000e00, %float2.000000e00 : (!torch.float, !torch.float) -> !torch.list<float>
  %1 = torch.aten.__interpolate.size_list_scale_list %arg0, %none, %0, %str, %none, %none, %false : !torch.vtensor<[1,2,3,4],f32>, !torch.none, !torch.list<float>, !torch.str, !torch.none, !torch.none, !torch.bool -> !torch.vtensor<[1,2,6,8],f32>
  return %1 : !torch.vtensor<[1,2,6,8],f32>
}

// CHECK-LABEL: func.func @mean
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3x4xf32>) -> tensor<f32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.reduce %[[X0]] {kind = "mean", axes = array<i64: 0, 1, 2>} : (tensor<2x3x4xf32>) -> tensor<f32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<f32>
func.func @mean(%arg0: !torch.vtensor<[2,3,4],f32>) -> !torch.vtensor<[],f32> {
  %none = torch.constant.none
  %0 = torch.aten.mean %arg0, %none : !torch.vtensor<[2,3,4],f32>, !torch.none -> !torch.vtensor<[],f32>
  return %0 : !torch.vtensor<[],f32>
}

// CHECK-LABEL: func.func @mean_dim
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3x4xf32>) -> tensor<1x3x1xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.reduce %[[X0]] {keepdims = true, kind = "mean", axes = array<i64: 0, 2>} : (tensor<2x3x4xf32>) -> tensor<1x3x1xf32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<1x3x1xf32>
func.func @mean_dim(%arg0: !torch.vtensor<[2,3,4],f32>) -> !torch.vtensor<[1,3,1],f32> {
  %none = torch.constant.none
  %true = torch.constant.bool true
  %int0 = torch.constant.int 0
  %int-1 = torch.constant.int -1
  %0 = torch.prim.ListConstruct %int0, %int-1 : (!torch.int, !torch.int) -> !torch.list<int>
  %1 = torch.aten.mean.dim %arg0, %0, %true, %none : !torch.vtensor<[2,3,4],f32>, !torch.list<int>, !torch.bool, !torch.none -> !torch.vtensor<[1,3,1],f32>
  return %1 : !torch.vtensor<[1,3,1],f32>
}

// CHECK-LABEL: func.func @sum
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3x4xf32>) -> tensor<f32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.reduce %[[X0]] {kind = "sum", axes = array<i64: 0, 1, 2>} : (tensor<2x3x4xf32>) -> tensor<f32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<f32>
func.func @sum(%arg0: !torch.vtensor<[2,3,4],f32>) -> !torch.vtensor<[],f32> {
  %none = torch.constant.none
  %0 = torch.aten.sum %arg0, %none : !torch.vtensor<[2,3,4],f32>, !torch.none -> !torch.vtensor<[],f32>
  return %0 : !torch.vtensor<[],f32>
}

// CHECK-LABEL: func.func @amax
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3x4xf32>) -> tensor<3xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.reduce %[[X0]] {kind = "max", axes = array<i64: 0, 2>} : (tensor<2x3x4xf32>) -> tensor<3xf32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<3xf32>
func.func @amax(%arg0: !torch.vtensor<[2,3,4],f32>) -> !torch.vtensor<[3],f32> {
  %false = torch.constant.bool false
  %int0 = torch.constant.int 0
  %int2 = torch.constant.int 2
  %0 = torch.prim.ListConstruct %int0, %int2 : (!torch.int, !torch.int) -> !torch.list<int>
  %1 = torch.aten.amax %arg0, %0, %false : !torch.vtensor<[2,3,4],f32>, !torch.list<int>, !torch.bool -> !torch.vtensor<[3],f32>
  return %1 : !torch.vtensor<[3],f32>
}

// CHECK-LABEL: func.func @amin
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3x4xf32>) -> tensor<2x1x4xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.reduce %[[X0]] {keepdims = true, kind = "min", axes = array<i64: 1>} : (tensor<2x3x4xf32>) -> tensor<2x1x4xf32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<2x1x4xf32>
func.func @amin(%arg0: !torch.vtensor<[2,3,4],f32>) -> !torch.vtensor<[2,1,4],f32> {
  %true = torch.constant.bool true
  %int1 = torch.constant.int 1
  %0 = torch.prim.ListConstruct %int1 : (!torch.int) -> !torch.list<int>
  %1 = torch.aten.amin %arg0, %0, %true : !torch.vtensor<[2,3,4],f32>, !torch.list<int>, !torch.bool -> !torch.vtensor<[2,1,4],f32>
  return %1 : !torch.vtensor<[2,1,4],f32>
}

// CHECK-LABEL: func.func @max
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3x4xf32>) -> tensor<f32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.reduce %[[X0]] {kind = "max", axes = array<i64: 0, 1, 2>} : (tensor<2x3x4xf32>) -> tensor<f32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<f32>
func.func @max(%arg0: !torch.vtensor<[2,3,4],f32>) -> !torch.vtensor<[],f32> {
  %0 = torch.aten.max %arg0 : !torch.vtensor<[2,3,4],f32> -> !torch.vtensor<[],f32>
  return %0 : !torch.vtensor<[],f32>
}

// CHECK-LABEL: func.func @min
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3x4xf32>) -> tensor<f32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.reduce %[[X0]] {kind = "min", axes = array<i64: 0, 1, 2>} : (tensor<2x3x4xf32>) -> tensor<f32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<f32>
func.func @min(%arg0: !torch.vtensor<[2,3,4],f32>) -> !torch.vtensor<[],f32> {
  %0 = torch.aten.min %arg0 : !torch.vtensor<[2,3,4],f32> -> !torch.vtensor<[],f32>
  return %0 : !torch.vtensor<[],f32>
}

// CHECK-LABEL: func.func @max_dim
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3x4xf32>) -> (tensor<2x4xf32>, tensor<2x4xi64>) {
// CHECK-NEXT:    %[[V0:.*]] = mase.reduce %[[X0]] {kind = "max", axes = array<i64: 1>} : (tensor<2x3x4xf32>) -> tensor<2x4xf32>
// CHECK-NEXT:    %[[V1:.*]] = mase.argmax %[[X0]] {axis = 1 : i64} : (tensor<2x3x4xf32>) -> tensor<2x4xi64>
// CHECK-NEXT:    func.return %[[V0]], %[[V1]] : tensor<2x4xf32>, tensor<2x4xi64>
func.func @max_dim(%arg0: !torch.vtensor<[2,3,4],f32>) -> (!torch.vtensor<[2,4],f32>, !torch.vtensor<[2,4],si64>) {
  %int1 = torch.constant.int 1
  %false = torch.constant.bool false
  %values, %indices = torch.aten.max.dim %arg0, %int1, %false : !torch.vtensor<[2,3,4],f32>, !torch.int, !torch.bool -> !torch.vtensor<[2,4],f32>, !torch.vtensor<[2,4],si64>
  return %values, %indices : !torch.vtensor<[2,4],f32>, !torch.vtensor<[2,4],si64>
}

// CHECK-LABEL: func.func @min_dim
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3x4xf32>) -> (tensor<2x4xf32>, tensor<2x4xi64>) {
// CHECK-NEXT:    %[[V0:.*]] = mase.reduce %[[X0]] {kind = "min", axes = array<i64: 1>} : (tensor<2x3x4xf32>) -> tensor<2x4xf32>
// CHECK-NEXT:    %[[V1:.*]] = mase.neg %[[X0]] : (tensor<2x3x4xf32>) -> tensor<2x3x4xf32>
// CHECK-NEXT:    %[[V2:.*]] = mase.argmax %[[V1]] {axis = 1 : i64} : (tensor<2x3x4xf32>) -> tensor<2x4xi64>
// CHECK-NEXT:    func.return %[[V0]], %[[V2]] : tensor<2x4xf32>, tensor<2x4xi64>
func.func @min_dim(%arg0: !torch.vtensor<[2,3,4],f32>) -> (!torch.vtensor<[2,4],f32>, !torch.vtensor<[2,4],si64>) {
  %int1 = torch.constant.int 1
  %false = torch.constant.bool false
  %values, %indices = torch.aten.min.dim %arg0, %int1, %false : !torch.vtensor<[2,3,4],f32>, !torch.int, !torch.bool -> !torch.vtensor<[2,4],f32>, !torch.vtensor<[2,4],si64>
  return %values, %indices : !torch.vtensor<[2,4],f32>, !torch.vtensor<[2,4],si64>
}

// CHECK-LABEL: func.func @cumsum
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3x4xf32>) -> tensor<2x3x4xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.constant <f32, [1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0]> : tensor<3x3xf32>
// CHECK-NEXT:    %[[V1:.*]] = mase.transpose %[[X0]] {permutation = array<i64: 0, 2, 1>} : tensor<2x3x4xf32> -> tensor<2x4x3xf32>
// CHECK-NEXT:    %[[V2:.*]] = mase.reshape %[[V1]] : tensor<2x4x3xf32> -> tensor<8x3xf32>
// CHECK-NEXT:    %[[V3:.*]] = mase.matmul %[[V2]], %[[V0]] : (tensor<8x3xf32>, tensor<3x3xf32>) -> tensor<8x3xf32>
// CHECK-NEXT:    %[[V4:.*]] = mase.reshape %[[V3]] : tensor<8x3xf32> -> tensor<2x4x3xf32>
// CHECK-NEXT:    %[[V5:.*]] = mase.transpose %[[V4]] {permutation = array<i64: 0, 2, 1>} : tensor<2x4x3xf32> -> tensor<2x3x4xf32>
// CHECK-NEXT:    func.return %[[V5]] : tensor<2x3x4xf32>
func.func @cumsum(%arg0: !torch.vtensor<[2,3,4],f32>) -> !torch.vtensor<[2,3,4],f32> {
  %int1 = torch.constant.int 1
  %none = torch.constant.none
  %0 = torch.aten.cumsum %arg0, %int1, %none : !torch.vtensor<[2,3,4],f32>, !torch.int, !torch.none -> !torch.vtensor<[2,3,4],f32>
  return %0 : !torch.vtensor<[2,3,4],f32>
}

// CHECK-LABEL: func.func @norm
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3x4xf32>) -> tensor<2x3x4xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.mul %[[X0]], %[[X0]] : (tensor<2x3x4xf32>, tensor<2x3x4xf32>) -> tensor<2x3x4xf32>
// CHECK-NEXT:    %[[V1:.*]] = mase.reduce %[[V0]] {keepdims = true, kind = "sum", axes = array<i64: 1>} : (tensor<2x3x4xf32>) -> tensor<2x1x4xf32>
// CHECK-NEXT:    %[[V2:.*]] = mase.sqrt %[[V1]] : (tensor<2x1x4xf32>) -> tensor<2x1x4xf32>
// CHECK-NEXT:    %[[V3:.*]] = mase.constant <f32, [1.0e-12]> : tensor<f32>
// CHECK-NEXT:    %[[V4:.*]] = mase.maximum %[[V2]], %[[V3]] : (tensor<2x1x4xf32>, tensor<f32>) -> tensor<2x1x4xf32>
// CHECK-NEXT:    %[[V5:.*]] = mase.broadcast %[[V4]] : tensor<2x1x4xf32> -> tensor<2x3x4xf32>
// CHECK-NEXT:    %[[V6:.*]] = mase.div %[[X0]], %[[V5]] : (tensor<2x3x4xf32>, tensor<2x3x4xf32>) -> tensor<2x3x4xf32>
// CHECK-NEXT:    func.return %[[V6]] : tensor<2x3x4xf32>
func.func @norm(%arg0: !torch.vtensor<[2,3,4],f32>) -> !torch.vtensor<[2,3,4],f32> {
  %int4 = torch.constant.int 4
  %int3 = torch.constant.int 3
  %int2 = torch.constant.int 2
  %float9.999990e-13 = torch.constant.float 9.9999999999999998E-13
  %none = torch.constant.none
  %true = torch.constant.bool true
  %float2.000000e00 = torch.constant.float 2.000000e+00
  %int1 = torch.constant.int 1
  %0 = torch.prim.ListConstruct %int1 : (!torch.int) -> !torch.list<int>
  %1 = torch.aten.linalg_vector_norm %arg0, %float2.000000e00, %0, %true, %none : !torch.vtensor<[2,3,4],f32>, !torch.float, !torch.list<int>, !torch.bool, !torch.none -> !torch.vtensor<[2,1,4],f32>
  %2 = torch.aten.clamp %1, %float9.999990e-13, %none : !torch.vtensor<[2,1,4],f32>, !torch.float, !torch.none -> !torch.vtensor<[2,1,4],f32>
  %3 = torch.prim.ListConstruct %int2, %int3, %int4 : (!torch.int, !torch.int, !torch.int) -> !torch.list<int>
  %4 = torch.aten.broadcast_to %2, %3 : !torch.vtensor<[2,1,4],f32>, !torch.list<int> -> !torch.vtensor<[2,3,4],f32>
  %5 = torch.aten.div.Tensor %arg0, %4 : !torch.vtensor<[2,3,4],f32>, !torch.vtensor<[2,3,4],f32> -> !torch.vtensor<[2,3,4],f32>
  return %5 : !torch.vtensor<[2,3,4],f32>
}
