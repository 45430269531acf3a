// RUN: mase-opt %s > %t.mlir
// RUN: filecheck %s < %t.mlir
// RUN: mase-opt %t.mlir | filecheck %s
// RUN: mase-opt --print-op-generic %t.mlir | mase-opt - | filecheck %s

// What torch-mlir prints in custom form is generic form here; literals become
// #mase.dense data; names of layers stay.

// CHECK-LABEL: func.func @types
// CHECK-SAME:    (%{{.*}}: !torch.vtensor<[2,3],f32> {mase.name = "x"}, %{{.*}}: !torch.vtensor<[],si64>, %{{.*}}: !torch.vtensor<[?,4],i1>)
func.func @types(%x: !torch.vtensor<[2,3],f32> {mase.name = "x"}, %y: !torch.vtensor<[],si64>, %z: !torch.vtensor<[?,4],i1>) -> !torch.vtensor<[2,3],f32> {
  return %x : !torch.vtensor<[2,3],f32>
}

// CHECK-LABEL: func.func @ops
func.func @ops(%x: !torch.vtensor<[1,4],f32>) -> !torch.vtensor<[1,20],f32> {
  // CHECK-DAG: "torch.constant.int"() <{value = 1 : i64}> : () -> !torch.int
  %int1 = torch.constant.int 1
  // CHECK-DAG: "torch.constant.bool"() <{value = false}> : () -> !torch.bool
  %false = torch.constant.bool false
  // CHECK-DAG: "torch.constant.float"() <{value = 2.500000e-01 : f64}> : () -> !torch.float
  %slope = torch.constant.float 2.5e-01
  // CHECK-DAG: "torch.constant.str"() <{value = "tanh"}> : () -> !torch.str
  %tanh = torch.constant.str "tanh"
  // CHECK-DAG: "torch.constant.none"() : () -> !torch.none
  %none = torch.constant.none
  // CHECK-DAG: "torch.constant.device"() <{value = "cpu"}> : () -> !torch.Device
  %cpu = torch.constant.device "cpu"
  // CHECK-DAG: "torch.vtensor.literal"() <{value = #mase.dense<f32, [1.0, 2.0, -3.0, 0.5]>}> : () -> !torch.vtensor<[4],f32>
  %w = torch.vtensor.literal(dense<[1.0, 2.0, -3.0, 0.5]> : tensor<4xf32>) : !torch.vtensor<[4],f32>
  // CHECK-DAG: "torch.vtensor.literal"() <{value = #mase.dense<f32, big_{{[0-9a-f]*}}>}> : () -> !torch.vtensor<[20],f32>
  %b = torch.vtensor.literal(dense_resource<big> : tensor<20xf32>) : !torch.vtensor<[20],f32>
  // CHECK: "torch.aten.mul.Tensor"(%{{.*}}, %{{.*}}) {mase.layer = "a.0"} : (!torch.vtensor<[1,4],f32>, !torch.vtensor<[4],f32>) -> !torch.vtensor<[1,4],f32>
  %0 = torch.aten.mul.Tensor %x, %w {mase.layer = "a.0"} : !torch.vtensor<[1,4],f32>, !torch.vtensor<[4],f32> -> !torch.vtensor<[1,4],f32>
  // CHECK: "torch.aten.leaky_relu"
  %1 = torch.aten.leaky_relu %0, %slope : !torch.vtensor<[1,4],f32>, !torch.float -> !torch.vtensor<[1,4],f32>
  // CHECK: "torch.aten.gelu"
  %2 = torch.aten.gelu %1, %tanh : !torch.vtensor<[1,4],f32>, !torch.str -> !torch.vtensor<[1,4],f32>
  // CHECK: "torch.aten.softmax.int"
  %3 = torch.aten.softmax.int %2, %int1, %none : !torch.vtensor<[1,4],f32>, !torch.int, !torch.none -> !torch.vtensor<[1,4],f32>
  %int0 = torch.constant.int 0
  %int5 = torch.constant.int 5
  // CHECK: "torch.aten.arange.start_step"
  %4 = torch.aten.arange.start_step %int0, %int5, %int1, %none, %none, %cpu, %false : !torch.int, !torch.int, !torch.int, !torch.none, !torch.none, !torch.Device, !torch.bool -> !torch.vtensor<[5],si64>
  // CHECK: "torch.prim.ListConstruct"(%{{.*}}, %{{.*}}) : (!torch.int, !torch.int) -> !torch.list<int>
  %shape = torch.prim.ListConstruct %int5, %int1 : (!torch.int, !torch.int) -> !torch.list<int>
  %5 = torch.aten.view %4, %shape : !torch.vtensor<[5],si64>, !torch.list<int> -> !torch.vtensor<[5,1],si64>
  %6 = torch.aten.mul.Tensor %5, %3 : !torch.vtensor<[5,1],si64>, !torch.vtensor<[1,4],f32> -> !torch.vtensor<[5,4],f32>
  %int20 = torch.constant.int 20
  %flat = torch.prim.ListConstruct %int1, %int20 : (!torch.int, !torch.int) -> !torch.list<int>
  %7 = torch.aten.view %6, %flat : !torch.vtensor<[5,4],f32>, !torch.list<int> -> !torch.vtensor<[1,20],f32>
  %8 = torch.aten.add.Tensor %7, %b, %int1 : !torch.vtensor<[1,20],f32>, !torch.vtensor<[20],f32>, !torch.int -> !torch.vtensor<[1,20],f32>
  // CHECK: "torch.operator"(%{{.*}}) <{name = "torch.mylib.op"}> : (!torch.vtensor<[1,20],f32>) -> !torch.vtensor<[1,20],f32>
  %9 = torch.operator "torch.mylib.op"(%8) : (!torch.vtensor<[1,20],f32>) -> !torch.vtensor<[1,20],f32>
  return %9 : !torch.vtensor<[1,20],f32>
}

// CHECK: big_{{[0-9a-f]*}}: "0x080000000000803f00000040

{-#
  dialect_resources: {
    builtin: {
      big: "0x040000000000803F000000400000404000008040000080BF000000C0000040C0000080C00000803F000000400000404000008040000080BF000000C0000040C0000080C00000803F000000400000404000008040"
    }
  }
#-}
