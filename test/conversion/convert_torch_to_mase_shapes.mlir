// RUN: mase-opt --convert-torch-to-mase %s | filecheck %s

// Ops that move elements or make constants.

// CHECK-LABEL: func.func @squeeze
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x1x3xf32>) -> tensor<2x3xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.reshape %[[X0]] : tensor<2x1x3xf32> -> tensor<2x3xf32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<2x3xf32>
func.func @squeeze(%arg0: !torch.vtensor<[2,1,3],f32>) -> !torch.vtensor<[2,3],f32> {
  %0 = torch.aten.squeeze %arg0 : !torch.vtensor<[2,1,3],f32> -> !torch.vtensor<[2,3],f32>
  return %0 : !torch.vtensor<[2,3],f32>
}

// CHECK-LABEL: func.func @squeeze_dim
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x1x3xf32>) -> tensor<2x3xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.reshape %[[X0]] : tensor<2x1x3xf32> -> tensor<2x3xf32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<2x3xf32>
func.func @squeeze_dim(%arg0: !torch.vtensor<[2,1,3],f32>) -> !torch.vtensor<[2,3],f32> {
  %int1 = torch.constant.int 1
  %0 = torch.aten.squeeze.dim %arg0, %int1 : !torch.vtensor<[2,1,3],f32>, !torch.int -> !torch.vtensor<[2,3],f32>
  return %0 : !torch.vtensor<[2,3],f32>
}

// CHECK-LABEL: func.func @unsqueeze
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3xf32>) -> tensor<2x3x1xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.reshape %[[X0]] : tensor<2x3xf32> -> tensor<2x3x1xf32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<2x3x1xf32>
func.func @unsqueeze(%arg0: !torch.vtensor<[2,3],f32>) -> !torch.vtensor<[2,3,1],f32> {
  %int-1 = torch.constant.int -1
  %0 = torch.aten.unsqueeze %arg0, %int-1 : !torch.vtensor<[2,3],f32>, !torch.int -> !torch.vtensor<[2,3,1],f32>
  return %0 : !torch.vtensor<[2,3,1],f32>
}

// CHECK-LABEL: func.func @permute
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3x4xf32>) -> tensor<4x2x3xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.transpose %[[X0]] {permutation = array<i64: 2, 0, 1>} : tensor<2x3x4xf32> -> tensor<4x2x3xf32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<4x2x3xf32>
func.func @permute(%arg0: !torch.vtensor<[2,3,4],f32>) -> !torch.vtensor<[4,2,3],f32> {
  %int2 = torch.constant.int 2
  %int0 = torch.constant.int 0
  %int-2 = torch.constant.int -2
  %0 = torch.prim.ListConstruct %int2, %int0, %int-2 : (!torch.int, !torch.int, !torch.int) -> !torch.list<int>
  %1 = torch.aten.permute %arg0, %0 : !torch.vtensor<[2,3,4],f32>, !torch.list<int> -> !torch.vtensor<[4,2,3],f32>
  return %1 : !torch.vtensor<[4,2,3],f32>
}

// CHECK-LABEL: func.func @cat
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3xf32>, %[[X1:.*]]: tensor<2x4xf32>) -> tensor<2x7xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.concat %[[X0]], %[[X1]] {axis = 1 : i64} : (tensor<2x3xf32>, tensor<2x4xf32>) -> tensor<2x7xf32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<2x7xf32>
func.func @cat(%arg0: !torch.vtensor<[2,3],f32>, %arg1: !torch.vtensor<[2,4],f32>) -> !torch.vtensor<[2,7],f32> {
  %int-1 = torch.constant.int -1
  %0 = torch.prim.ListConstruct %arg0, %arg1 : (!torch.vtensor<[2,3],f32>, !torch.vtensor<[2,4],f32>) -> !torch.list<vtensor>
  %1 = torch.aten.cat %0, %int-1 : !torch.list<vtensor>, !torch.int -> !torch.vtensor<[2,7],f32>
  return %1 : !torch.vtensor<[2,7],f32>
}

// CHECK-LABEL: func.func @slice
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x7xf32>) -> tensor<2x3xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.slice %[[X0]] {starts = array<i64: 0, 1>, stops = array<i64: 2, 6>, strides = array<i64: 1, 2>} : tensor<2x7xf32> -> tensor<2x3xf32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<2x3xf32>
func.func @slice(%arg0: !torch.vtensor<[2,7],f32>) -> !torch.vtensor<[2,3],f32> {
  %int1 = torch.constant.int 1
  %int-1 = torch.constant.int -1
  %int2 = torch.constant.int 2
  %0 = torch.aten.slice.Tensor %arg0, %int1, %int1, %int-1, %int2 : !torch.vtensor<[2,7],f32>, !torch.int, !torch.int, !torch.int, !torch.int -> !torch.vtensor<[2,3],f32>
  return %0 : !torch.vtensor<[2,3],f32>
}

// CHECK-LABEL: func.func @slice_beyond
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x7xf32>) -> tensor<2x3xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.slice %[[X0]] {starts = array<i64: 0, 4>, stops = array<i64: 2, 7>, strides = array<i64: 1, 1>} : tensor<2x7xf32> -> tensor<2x3xf32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<2x3xf32>
func.func @slice_beyond(%arg0: !torch.vtensor<[2,7],f32>) -> !torch.vtensor<[2,3],f32> {
  %int1 = torch.constant.int 1
  %int-3 = torch.constant.int -3
  %int100 = torch.constant.int 100
  %0 = torch.aten.slice.Tensor %arg0, %int1, %int-3, %int100, %int1 : !torch.vtensor<[2,7],f32>, !torch.int, !torch.int, !torch.int, !torch.int -> !torch.vtensor<[2,3],f32>
  return %0 : !torch.vtensor<[2,3],f32>
}

// CHECK-LABEL: func.func @slice_scatter
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x7xf32>, %[[X1:.*]]: tensor<2x3xf32>) -> tensor<2x7xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.slice %[[X0]] {starts = array<i64: 0, 0>, stops = array<i64: 2, 2>, strides = array<i64: 1, 1>} : tensor<2x7xf32> -> tensor<2x2xf32>
// CHECK-NEXT:    %[[V1:.*]] = mase.slice %[[X0]] {starts = array<i64: 0, 5>, stops = array<i64: 2, 7>, strides = array<i64: 1, 1>} : tensor<2x7xf32> -> tensor<2x2xf32>
// CHECK-NEXT:    %[[V2:.*]] = mase.concat %[[V0]], %[[X1]], %[[V1]] {axis = 1 : i64} : (tensor<2x2xf32>, tensor<2x3xf32>, tensor<2x2xf32>) -> tensor<2x7xf32>
// CHECK-NEXT:    func.return %[[V2]] : tensor<2x7xf32>
func.func @slice_scatter(%arg0: !torch.vtensor<[2,7],f32>, %arg1: !torch.vtensor<[2,3],f32>) -> !torch.vtensor<[2,7],f32> {
  %int1 = torch.constant.int 1
  %int2 = torch.constant.int 2
  %int5 = torch.constant.int 5
  %0 = torch.aten.slice_scatter %arg0, %arg1, %int1, %int2, %int5, %int1 : !torch.vtensor<[2,7],f32>, !torch.vtensor<[2,3],f32>, !torch.int, !torch.int, !torch.int, !torch.int -> !torch.vtensor<[2,7],f32>
  return %0 : !torch.vtensor<[2,7],f32>
}

// CHECK-LABEL: func.func @unbind
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3xf32>) -> (tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) {
// CHECK-NEXT:    %[[V0:.*]] = mase.slice %[[X0]] {starts = array<i64: 0, 0>, stops = array<i64: 2, 1>, strides = array<i64: 1, 1>} : tensor<2x3xf32> -> tensor<2x1xf32>
// CHECK-NEXT:    %[[V1:.*]] = mase.reshape %[[V0]] : tensor<2x1xf32> -> tensor<2xf32>
// CHECK-NEXT:    %[[V2:.*]] = mase.slice %[[X0]] {starts = array<i64: 0, 1>, stops = array<i64: 2, 2>, strides = array<i64: 1, 1>} : tensor<2x3xf32> -> tensor<2x1xf32>
// CHECK-NEXT:    %[[V3:.*]] = mase.reshape %[[V2]] : tensor<2x1xf32> -> tensor<2xf32>
// CHECK-NEXT:    %[[V4:.*]] = mase.slice %[[X0]] {starts = array<i64: 0, 2>, stops = array<i64: 2, 3>, strides = array<i64: 1, 1>} : tensor<2x3xf32> -> tensor<2x1xf32>
// CHECK-NEXT:    %[[V5:.*]] = mase.reshape %[[V4]] : tensor<2x1xf32> -> tensor<2xf32>
// CHECK-NEXT:    func.return %[[V1]], %[[V3]], %[[V5]] : tensor<2xf32>, tensor<2xf32>, tensor<2xf32>
func.func @unbind(%arg0: !torch.vtensor<[2,3],f32>) -> (!torch.vtensor<[2],f32>, !torch.vtensor<[2],f32>, !torch.vtensor<[2],f32>) {
  %int2 = torch.constant.int 2
  %int0 = torch.constant.int 0
  %int1 = torch.constant.int 1
  %0 = torch.aten.select.int %arg0, %int1, %int0 : !torch.vtensor<[2,3],f32>, !torch.int, !torch.int -> !torch.vtensor<[2],f32>
  %1 = torch.aten.select.int %arg0, %int1, %int1 : !torch.vtensor<[2,3],f32>, !torch.int, !torch.int -> !torch.vtensor<[2],f32>
  %2 = torch.aten.select.int %arg0, %int1, %int2 : !torch.vtensor<[2,3],f32>, !torch.int, !torch.int -> !torch.vtensor<[2],f32>
  return %0, %1, %2 : !torch.vtensor<[2],f32>, !torch.vtensor<[2],f32>, !torch.vtensor<[2],f32>
}

// CHECK-LABEL: func.func @pad
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3xf32>) -> tensor<5x6xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.pad %[[X0]] {low = array<i64: 0, 1>, high = array<i64: 3, 2>, value = 1.500000e+00 : f64} : tensor<2x3xf32> -> tensor<5x6xf32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<5x6xf32>
func.func @pad(%arg0: !torch.vtensor<[2,3],f32>) -> !torch.vtensor<[5,6],f32> {
  %float1.500000e00 = torch.constant.float 1.500000e+00
  %int1 = torch.constant.int 1
  %int2 = torch.constant.int 2
  %int0 = torch.constant.int 0
  %int3 = torch.constant.int 3
  %0 = torch.prim.ListConstruct %int1, %int2, %int0, %int3 : (!torch.int, !torch.int, !torch.int, !torch.int) -> !torch.list<int>
  %1 = torch.aten.constant_pad_nd %arg0, %0, %float1.500000e00 : !torch.vtensor<[2,3],f32>, !torch.list<int>, !torch.float -> !torch.vtensor<[5,6],f32>
  return %1 : !torch.vtensor<[5,6],f32>
}

// CHECK-LABEL: func.func @pad_cut
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3xf32>) -> tensor<2x4xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.slice %[[X0]] {starts = array<i64: 0, 1>, stops = array<i64: 2, 3>, strides = array<i64: 1, 1>} : tensor<2x3xf32> -> tensor<2x2xf32>
// CHECK-NEXT:    %[[V1:.*]] = mase.pad %[[V0]] {low = array<i64: 0, 0>, high = array<i64: 0, 2>, value = 0.000000e+00 : f64} : tensor<2x2xf32> -> tensor<2x4xf32>
// CHECK-NEXT:    func.return %[[V1]] : tensor<2x4xf32>
func.func @pad_cut(%arg0: !torch.vtensor<[2,3],f32>) -> !torch.vtensor<[2,4],f32> {
  %float0.000000e00 = torch.constant.float 0.000000e+00
  %int-1 = torch.constant.int -1
  %int2 = torch.constant.int 2
  %0 = torch.prim.ListConstruct %int-1, %int2 : (!torch.int, !torch.int) -> !torch.list<int>
  %1 = torch.aten.constant_pad_nd %arg0, %0, %float0.000000e00 : !torch.vtensor<[2,3],f32>, !torch.list<int>, !torch.float -> !torch.vtensor<[2,4],f32>
  return %1 : !torch.vtensor<[2,4],f32>
}

// CHECK-LABEL: func.func @index_select
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3x4xf32>, %[[X1:.*]]: tensor<2xi64>) -> tensor<2x2x4xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.gather %[[X0]], %[[X1]] {axis = 1 : i64} : (tensor<2x3x4xf32>, tensor<2xi64>) -> tensor<2x2x4xf32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<2x2x4xf32>
func.func @index_select(%arg0: !torch.vtensor<[2,3,4],f32>, %arg1: !torch.vtensor<[2],si64>) -> !torch.vtensor<[2,2,4],f32> {
  %int1 = torch.constant.int 1
  %0 = torch.aten.index_select %arg0, %int1, %arg1 : !torch.vtensor<[2,3,4],f32>, !torch.int, !torch.vtensor<[2],si64> -> !torch.vtensor<[2,2,4],f32>
  return %0 : !torch.vtensor<[2,2,4],f32>
}

// CHECK-LABEL: func.func @index
// CHECK-SAME:    (%[[X0:.*]]: tensor<4x3xf32>, %[[X1:.*]]: tensor<2x3xi64>) -> tensor<2x3x3xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.gather %[[X0]], %[[X1]] {axis = 0 : i64} : (tensor<4x3xf32>, tensor<2x3xi64>) -> tensor<2x3x3xf32>
// CHECK-NEXT:    func.return %[[V0]] : tensor<2x3x3xf32>
func.func @index(%arg0: !torch.vtensor<[4,3],f32>, %arg1: !torch.vtensor<[2,3],si64>) -> !torch.vtensor<[2,3,3],f32> {
  %0 = torch.prim.ListConstruct %arg1 : (!torch.vtensor<[2,3],si64>) -> !torch.list<vtensor>
  %1 = torch.aten.index.Tensor_hacked_twin %arg0, %0 : !torch.vtensor<[4,3],f32>, !torch.list<vtensor> -> !torch.vtensor<[2,3,3],f32>
  return %1 : !torch.vtensor<[2,3,3],f32>
}

// CHECK-LABEL: func.func @index_two
// CHECK-SAME:    (%[[X0:.*]]: tensor<4x3x5xf32>, %[[X1:.*]]: tensor<2xi64>, %[[X2:.*]]: tensor<2xi64>) -> tensor<2x5xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.constant <i64, [2]> : tensor<i64>
// CHECK-NEXT:    %[[V1:.*]] = mase.sub %[[X2]], %[[V0]] {rounding = #mase.rounding<zero, wrap>} : (tensor<2xi64>, tensor<i64>) -> tensor<2xi64>
// CHECK-NEXT:    %[[V2:.*]] = mase.constant <i64, [0]> : tensor<i64>
// CHECK-NEXT:    %[[V3:.*]] = mase.constant <i64, [4]> : tensor<i64>
// CHECK-NEXT:    %[[V4:.*]] = mase.compare %[[X1]], %[[V2]] {predicate = "lt"} : (tensor<2xi64>, tensor<i64>) -> tensor<2xi1>
// CHECK-NEXT:    %[[V5:.*]] = mase.add %[[X1]], %[[V3]] {rounding = #mase.rounding<zero, wrap>} : (tensor<2xi64>, tensor<i64>) -> tensor<2xi64>
// CHECK-NEXT:    %[[V6:.*]] = mase.select %[[V4]], %[[V5]], %[[X1]] : (tensor<2xi1>, tensor<2xi64>, tensor<2xi64>) -> tensor<2xi64>
// CHECK-NEXT:    %[[V7:.*]] = mase.constant <i64, [3]> : tensor<i64>
// CHECK-NEXT:    %[[V8:.*]] = mase.mul %[[V6]], %[[V7]] {rounding = #mase.rounding<zero, wrap>} : (tensor<2xi64>, tensor<i64>) -> tensor<2xi64>
// CHECK-NEXT:    %[[V9:.*]] = mase.constant <i64, [0]> : tensor<i64>
// CHECK-NEXT:    %[[V10:.*]] = mase.constant <i64, [3]> : tensor<i64>
// CHECK-NEXT:    %[[V11:.*]] = mase.compare %[[V1]], %[[V9]] {predicate = "lt"} : (tensor<2xi64>, tensor<i64>) -> tensor<2xi1>
// CHECK-NEXT:    %[[V12:.*]] = mase.add %[[V1]], %[[V10]] {rounding = #mase.rounding<zero, wrap>} : (tensor<2xi64>, tensor<i64>) -> tensor<2xi64>
// CHECK-NEXT:    %[[V13:.*]] = mase.select %[[V11]], %[[V12]], %[[V1]] : (tensor<2xi1>, tensor<2xi64>, tensor<2xi64>) -> tensor<2xi64>
// CHECK-NEXT:    %[[V14:.*]] = mase.add %[[V8]], %[[V13]] {rounding = #mase.rounding<zero, wrap>} : (tensor<2xi64>, tensor<2xi64>) -> tensor<2xi64>
// CHECK-NEXT:    %[[V15:.*]] = mase.reshape %[[X0]] : tensor<4x3x5xf32> -> tensor<12x5xf32>
// CHECK-NEXT:    %[[V16:.*]] = mase.gather %[[V15]], %[[V14]] {axis = 0 : i64} : (tensor<12x5xf32>, tensor<2xi64>) -> tensor<2x5xf32>
// CHECK-NEXT:    func.return %[[V16]] : tensor<2x5xf32>
func.func @index_two(%arg0: !torch.vtensor<[4,3,5],f32>, %arg1: !torch.vtensor<[2],si64>, %arg2: !torch.vtensor<[2],si64>) -> !torch.vtensor<[2,5],f32> {
  %int2 = torch.constant.int 2
  %int1 = torch.constant.int 1
  %0 = torch.aten.sub.Scalar %arg2, %int2, %int1 : !torch.vtensor<[2],si64>, !torch.int, !torch.int -> !torch.vtensor<[2],si64>
  %1 = torch.prim.ListConstruct %arg1, %0 : (!torch.vtensor<[2],si64>, !torch.vtensor<[2],si64>) -> !torch.list<vtensor>
  %2 = torch.aten.index.Tensor_hacked_twin %arg0, %1 : !torch.vtensor<[4,3,5],f32>, !torch.list<vtensor> -> !torch.vtensor<[2,5],f32>
  return %2 : !torch.vtensor<[2,5],f32>
}

// CHECK-LABEL: func.func @gather
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x4xf32>, %[[X1:.*]]: tensor<2x6xi64>) -> tensor<2x6xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.constant <i64, [0, 0, 0, 0, 0, 0, 4, 4, 4, 4, 4, 4]> : tensor<2x6xi64>
// CHECK-NEXT:    %[[V1:.*]] = mase.add %[[X1]], %[[V0]] {rounding = #mase.rounding<zero, wrap>} : (tensor<2x6xi64>, tensor<2x6xi64>) -> tensor<2x6xi64>
// CHECK-NEXT:    %[[V2:.*]] = mase.reshape %[[X0]] : tensor<2x4xf32> -> tensor<8xf32>
// CHECK-NEXT:    %[[V3:.*]] = mase.gather %[[V2]], %[[V1]] {axis = 0 : i64} : (tensor<8xf32>, tensor<2x6xi64>) -> tensor<2x6xf32>
// CHECK-NEXT:    func.return %[[V3]] : tensor<2x6xf32>
func.func @gather(%arg0: !torch.vtensor<[2,4],f32>, %arg1: !torch.vtensor<[2,6],si64>) -> !torch.vtensor<[2,6],f32> {
  %int1 = torch.constant.int 1
  %false = torch.constant.bool false
  %0 = torch.aten.gather %arg0, %int1, %arg1, %false : !torch.vtensor<[2,4],f32>, !torch.int, !torch.vtensor<[2,6],si64>, !torch.bool -> !torch.vtensor<[2,6],f32>
  return %0 : !torch.vtensor<[2,6],f32>
}

// CHECK-LABEL: func.func @flip
// CHECK-SAME:    (%[[X0:.*]]: tensor<2x3xf32>) -> tensor<2x3xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.constant <i64, [1, 0]> : tensor<2xi64>
// CHECK-NEXT:    %[[V1:.*]] = mase.gather %[[X0]], %[[V0]] {axis = 0 : i64} : (tensor<2x3xf32>, tensor<2xi64>) -> tensor<2x3xf32>
// CHECK-NEXT:    %[[V2:.*]] = mase.constant <i64, [2, 1, 0]> : tensor<3xi64>
// CHECK-NEXT:    %[[V3:.*]] = mase.gather %[[V1]], %[[V2]] {axis = 1 : i64} : (tensor<2x3xf32>, tensor<3xi64>) -> tensor<2x3xf32>
// CHECK-NEXT:    func.return %[[V3]] : tensor<2x3xf32>
func.func @flip(%arg0: !torch.vtensor<[2,3],f32>) -> !torch.vtensor<[2,3],f32> {
  %int0 = torch.constant.int 0
  %int1 = torch.constant.int 1
  %0 = torch.prim.ListConstruct %int0, %int1 : (!torch.int, !torch.int) -> !torch.list<int>
  %1 = torch.aten.flip %arg0, %0 : !torch.vtensor<[2,3],f32>, !torch.list<int> -> !torch.vtensor<[2,3],f32>
  return %1 : !torch.vtensor<[2,3],f32>
}

// CHECK-LABEL: func.func @roll
// CHECK-SAME:    (%[[X0:.*]]: tensor<3x5xf32>) -> tensor<3x5xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.slice %[[X0]] {starts = array<i64: 2, 0>, stops = array<i64: 3, 5>, strides = array<i64: 1, 1>} : tensor<3x5xf32> -> tensor<1x5xf32>
// CHECK-NEXT:    %[[V1:.*]] = mase.slice %[[X0]] {starts = array<i64: 0, 0>, stops = array<i64: 2, 5>, strides = array<i64: 1, 1>} : tensor<3x5xf32> -> tensor<2x5xf32>
// CHECK-NEXT:    %[[V2:.*]] = mase.concat %[[V0]], %[[V1]] {axis = 0 : i64} : (tensor<1x5xf32>, tensor<2x5xf32>) -> tensor<3x5xf32>
// CHECK-NEXT:    %[[V3:.*]] = mase.slice %[[V2]] {starts = array<i64: 0, 2>, stops = array<i64: 3, 5>, strides = array<i64: 1, 1>} : tensor<3x5xf32> -> tensor<3x3xf32>
// CHECK-NEXT:    %[[V4:.*]] = mase.slice %[[V2]] {starts = array<i64: 0, 0>, stops = array<i64: 3, 2>, strides = array<i64: 1, 1>} : tensor<3x5xf32> -> tensor<3x2xf32>
// CHECK-NEXT:    %[[V5:.*]] = mase.concat %[[V3]], %[[V4]] {axis = 1 : i64} : (tensor<3x3xf32>, tensor<3x2xf32>) -> tensor<3x5xf32>
// CHECK-NEXT:    func.return %[[V5]] : tensor<3x5xf32>
func.func @roll(%arg0: !torch.vtensor<[3,5],f32>) -> !torch.vtensor<[3,5],f32> {
  %int0 = torch.constant.int 0
  %int1 = torch.constant.int 1
  %int-2 = torch.constant.int -2
  %0 = torch.prim.ListConstruct %int1, %int-2 : (!torch.int, !torch.int) -> !torch.list<int>
  %1 = torch.prim.ListConstruct %int0, %int1 : (!torch.int, !torch.int) -> !torch.list<int>
  %2 = torch.aten.roll %arg0, %0, %1 : !torch.vtensor<[3,5],f32>, !torch.list<int>, !torch.list<int> -> !torch.vtensor<[3,5],f32>
  return %2 : !torch.vtensor<[3,5],f32>
}

// CHECK-LABEL: func.func @roll_flat
// CHECK-SAME:    (%[[X0:.*]]: tensor<3x5xf32>) -> tensor<3x5xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.reshape %[[X0]] : tensor<3x5xf32> -> tensor<15xf32>
// CHECK-NEXT:    %[[V1:.*]] = mase.slice %[[V0]] {starts = array<i64: 11>, stops = array<i64: 15>, strides = array<i64: 1>} : tensor<15xf32> -> tensor<4xf32>
// CHECK-NEXT:    %[[V2:.*]] = mase.slice %[[V0]] {starts = array<i64: 0>, stops = array<i64: 11>, strides = array<i64: 1>} : tensor<15xf32> -> tensor<11xf32>
// CHECK-NEXT:    %[[V3:.*]] = mase.concat %[[V1]], %[[V2]] {axis = 0 : i64} : (tensor<4xf32>, tensor<11xf32>) -> tensor<15xf32>
// CHECK-NEXT:    %[[V4:.*]] = mase.reshape %[[V3]] : tensor<15xf32> -> tensor<3x5xf32>
// CHECK-NEXT:    func.return %[[V4]] : tensor<3x5xf32>
func.func @roll_flat(%arg0: !torch.vtensor<[3,5],f32>) -> !torch.vtensor<[3,5],f32> {
  %int4 = torch.constant.int 4
  %0 = torch.prim.ListConstruct %int4 : (!torch.int) -> !torch.list<int>
  %1 = torch.prim.ListConstruct  : () -> !torch.list<int>
  %2 = torch.aten.roll %arg0, %0, %1 : !torch.vtensor<[3,5],f32>, !torch.list<int>, !torch.list<int> -> !torch.vtensor<[3,5],f32>
  return %2 : !torch.vtensor<[3,5],f32>
}

// CHECK-LABEL: func.func @tril
// CHECK-SAME:    (%[[X0:.*]]: tensor<4x5xf32>) -> tensor<4x5xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.constant <f32, [0.0]> : tensor<f32>
// CHECK-NEXT:    %[[V1:.*]] = mase.constant <i1, data_6663352709d1> : tensor<4x5xi1>
// CHECK-NEXT:    %[[V2:.*]] = mase.select %[[V1]], %[[X0]], %[[V0]] : (tensor<4x5xi1>, tensor<4x5xf32>, tensor<f32>) -> tensor<4x5xf32>
// CHECK-NEXT:    func.return %[[V2]] : tensor<4x5xf32>
func.func @tril(%arg0: !torch.vtensor<[4,5],f32>) -> !torch.vtensor<[4,5],f32> {
  %int1 = torch.constant.int 1
  %0 = torch.aten.tril %arg0, %int1 : !torch.vtensor<[4,5],f32>, !torch.int -> !torch.vtensor<[4,5],f32>
  return %0 : !torch.vtensor<[4,5],f32>
}

// CHECK-LABEL: func.func @triu
// CHECK-SAME:    (%[[X0:.*]]: tensor<4x5xf32>) -> tensor<4x5xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.constant <f32, [0.0]> : tensor<f32>
// CHECK-NEXT:    %[[V1:.*]] = mase.constant <i1, data_fc1c111186f9> : tensor<4x5xi1>
// CHECK-NEXT:    %[[V2:.*]] = mase.select %[[V1]], %[[X0]], %[[V0]] : (tensor<4x5xi1>, tensor<4x5xf32>, tensor<f32>) -> tensor<4x5xf32>
// CHECK-NEXT:    func.return %[[V2]] : tensor<4x5xf32>
func.func @triu(%arg0: !torch.vtensor<[4,5],f32>) -> !torch.vtensor<[4,5],f32> {
  %int-1 = torch.constant.int -1
  %0 = torch.aten.triu %arg0, %int-1 : !torch.vtensor<[4,5],f32>, !torch.int -> !torch.vtensor<[4,5],f32>
  return %0 : !torch.vtensor<[4,5],f32>
}

// CHECK-LABEL: func.func @pixel_shuffle
// CHECK-SAME:    (%[[X0:.*]]: tensor<1x8x2x3xf32>) -> tensor<1x2x4x6xf32> {
// CHECK-NEXT:    %[[V0:.*]] = mase.reshape %[[X0]] : tensor<1x8x2x3xf32> -> tensor<1x2x4x2x3xf32>
// CHECK-NEXT:    %[[V1:.*]] = mase.reshape %[[V0]] : tensor<1x2x4x2x3xf32> -> tensor<1x2x2x2x2x3xf32>
// CHECK-NEXT:    %[[V2:.*]] = mase.transpose %[[V1]] {permutation = array<i64: 0, 1, 4, 2, 5, 3>} : tensor<1x2x2x2x2x3xf32> -> tensor<1x2x2x2x3x2xf32>
// CHECK-NEXT:    %[[V3:.*]] = mase.reshape %[[V2]] : tensor<1x2x2x2x3x2xf32> -> tensor<1x2x2x2x6xf32>
// CHECK-NEXT:    %[[V4:.*]] = mase.reshape %[[V3]] : tensor<1x2x2x2x6xf32> -> tensor<1x2x4x6xf32>
// CHECK-NEXT:    func.return %[[V4]] : tensor<1x2x4x6xf32>
func.func @pixel_shuffle(%arg0: !torch.vtensor<[1,8,2,3],f32>) -> !torch.vtensor<[1,2,4,6],f32> {
  %int2 = torch.constant.int 2
  %int0 = torch.constant.int 0
  %int1 = torch.constant.int 1
  %int3 = torch.constant.int 3
  %int4 = torch.constant.int 4
  %int5 = torch.constant.int 5
  %0 = torch.prim.ListConstruct %int0, %int1, %int4, %int2, %int5, %int3 : (!torch.int, !torch.int, !torch.int, !torch.int, !torch.int, !torch.int) -> !torch.list<int>
  %1 = torch.prims.split_dim %arg0, %int1, %int2 : !torch.vtensor<[1,8,2,3],f32>, !torch.int, !torch.int -> !torch.vtensor<[1,2,4,2,3],f32>
  %2 = torch.prims.split_dim %1, %int2, %int2 : !torch.vtensor<[1,2,4,2,3],f32>, !torch.int, !torch.int -> !torch.vtensor<[1,2,2,2,2,3],f32>
  %3 = torch.aten.permute %2, %0 : !torch.vtensor<[1,2,2,2,2,3],f32>, !torch.list<int> -> !torch.vtensor<[1,2,2,2,3,2],f32>
  %4 = torch.prims.collapse %3, %int4, %int5 : !torch.vtensor<[1,2,2,2,3,2],f32>, !torch.int, !torch.int -> !torch.vtensor<[1,2,2,2,6],f32>
  %5 = torch.prims.collapse %4, %int2, %int3 : !torch.vtensor<[1,2,2,2,6],f32>, !torch.int, !torch.int -> !torch.vtensor<[1,2,4,6],f32>
  return %5 : !torch.vtensor<[1,2,4,6],f32>
}
