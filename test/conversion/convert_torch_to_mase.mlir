// RUN: mase-opt --convert-torch-to-mase %s | filecheck %s

// Layers keep their module path, inputs their names; dead ops and constants go.
// CHECK-LABEL: func.func @names
// CHECK-SAME:    (%[[X:.*]]: tensor<1x2xf32> {mase.name = "image"}) -> tensor<1x2xf32> {
// CHECK-NEXT:    %[[W:.*]] = mase.constant <f32, [1.0, 2.0, 3.0, 4.0]> : tensor<2x2xf32>
// CHECK-NEXT:    %[[Y:.*]] = mase.linear %[[X]], %[[W]] {layer = "encoder.0.fc"} :
// CHECK-NEXT:    %[[Z:.*]] = mase.relu %[[Y]] {layer = "act"} :
// CHECK-NEXT:    func.return %[[Z]]
func.func @names(%arg0: !torch.vtensor<[1,2],f32> {mase.name = "image"}) -> !torch.vtensor<[1,2],f32> {
  %none = torch.constant.none
  %0 = torch.vtensor.literal(dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>) : !torch.vtensor<[2,2],f32>
  %1 = torch.aten.linear %arg0, %0, %none {mase.layer = "encoder.0.fc"} : !torch.vtensor<[1,2],f32>, !torch.vtensor<[2,2],f32>, !torch.none -> !torch.vtensor<[1,2],f32>
  %2 = torch.aten.tanh %1 : !torch.vtensor<[1,2],f32> -> !torch.vtensor<[1,2],f32>
  %3 = torch.aten.relu %1 {mase.layer = "act"} : !torch.vtensor<[1,2],f32> -> !torch.vtensor<[1,2],f32>
  return %3 : !torch.vtensor<[1,2],f32>
}

// What depends on no input is computed.
// CHECK-LABEL: func.func @fold
// CHECK-NEXT:    %[[C:.*]] = mase.constant <f32, [4.0, -2.0]> : tensor<2xf32>
// CHECK-NEXT:    %[[Y:.*]] = mase.mul %{{.*}}, %[[C]] :
// CHECK-NEXT:    func.return %[[Y]]
func.func @fold(%arg0: !torch.vtensor<[1,2],f32>) -> !torch.vtensor<[1,2],f32> {
  %int1 = torch.constant.int 1
  %float2 = torch.constant.float 2.0
  %0 = torch.vtensor.literal(dense<[1.5, -1.5]> : tensor<2xf32>) : !torch.vtensor<[2],f32>
  %1 = torch.vtensor.literal(dense<[0.5, 0.5]> : tensor<2xf32>) : !torch.vtensor<[2],f32>
  %2 = torch.aten.add.Tensor %0, %1, %int1 : !torch.vtensor<[2],f32>, !torch.vtensor<[2],f32>, !torch.int -> !torch.vtensor<[2],f32>
  %3 = torch.aten.mul.Scalar %2, %float2 : !torch.vtensor<[2],f32>, !torch.float -> !torch.vtensor<[2],f32>
  %4 = torch.aten.mul.Tensor %arg0, %3 : !torch.vtensor<[1,2],f32>, !torch.vtensor<[2],f32> -> !torch.vtensor<[1,2],f32>
  return %4 : !torch.vtensor<[1,2],f32>
}

// Functions of other dialects stay.
// CHECK-LABEL: func.func @other
// CHECK-NEXT:    func.return
func.func @other(%arg0: tensor<2xf32>) -> tensor<2xf32> {
  return %arg0 : tensor<2xf32>
}

// A second run finds nothing to do.
// RUN: mase-opt --convert-torch-to-mase --convert-torch-to-mase %s | filecheck %s
