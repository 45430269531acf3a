// RUN: mase-opt %s --convert-mase-to-hw=max-logic-depth=0 | filecheck %s

// A table is one module; element 0 of the array comes last. Negative codes follow
// the positive ones.

func.func @net(%x: tensor<2x!mase.fixed<2, 0>>) -> tensor<2x!mase.ufixed<4, 4>> {
  %t = mase.constant <ui8, [8, 12, 1, 4]> : tensor<4x!mase.ufixed<4, 4>>
  %0 = mase.lookup %x, %t {layer = "act"}
    : (tensor<2x!mase.fixed<2, 0>>, tensor<4x!mase.ufixed<4, 4>>)
    -> tensor<2x!mase.ufixed<4, 4>>
  func.return %0 : tensor<2x!mase.ufixed<4, 4>>
}

// CHECK-LABEL: hw.module private @act_table(in %in: i2, out out: i4)
// CHECK-DAG:     %[[C8:.*]] = hw.constant -8 : i4
// CHECK-DAG:     %[[C12:.*]] = hw.constant -4 : i4
// CHECK-DAG:     %[[C1:.*]] = hw.constant 1 : i4
// CHECK-DAG:     %[[C4:.*]] = hw.constant 4 : i4
// CHECK:         %[[A:.*]] = hw.array_create %[[C4]], %[[C1]], %[[C12]], %[[C8]] : i4
// CHECK:         hw.array_get %[[A]][%in] : !hw.array<4xi4>, i2
// CHECK-LABEL: hw.module private @act(in %in: i4, out out: i8)
// CHECK:         hw.instance "table_0" @act_table
// CHECK:         hw.instance "table_1" @act_table
