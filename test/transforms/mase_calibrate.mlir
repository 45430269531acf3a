// RUN: %python -c "import numpy as np; np.savez('%t.npz', x=np.array([[-1, 2], [3, 0.5]]))"
// RUN: mase-opt --calibrate=data=%t.npz %s > %t.mlir
// RUN: filecheck %s < %t.mlir
// RUN: %python %S/Inputs/extremes.py %t.mlir | filecheck %s --check-prefix=EXTREMES
// RUN: mase-opt --calibrate="data=%t.npz channels=true" %s > %t.channels.mlir
// RUN: filecheck %s --check-prefix=CHANNELS < %t.channels.mlir
// RUN: mase-opt %t.channels.mlir | filecheck %s --check-prefix=CHANNELS
// RUN: mase-opt --calibrate %s 2>&1 >/dev/null | filecheck %s --check-prefix=RANDOM

// CHECK:      func.func @f(%arg0: tensor<1x2xf32> {mase.name = "x", mase.calibration = #mase.calibration<#mase.dense<f32, calibration_{{[0-9a-f]*}}>>})
// CHECK-NEXT:   %[[C:.*]] = mase.constant <f32, [0.25]>
// CHECK-NEXT:   mase.mul %arg0, %[[C]] {mase.calibration = {{.*}}, layer = "half"}
// CHECK-NEXT:   mase.relu {{.*}} {mase.calibration = {{.*}}}
// CHECK-NEXT:   mase.argmax %{{[0-9a-z]*}} {axis = 1 : i64} :

// EXTREMES:      argument -1.0 3.0
// EXTREMES-NEXT: mase.mul -0.25 0.75
// EXTREMES-NEXT: mase.relu 0.0 0.75

// CHANNELS: mase.relu {{.*}} {mase.calibration = #mase.calibration<#mase.dense<f32, calibration_{{[0-9a-f]*}}>, axis = 1, #mase.dense<f32, channels_{{[0-9a-f]*}}>>}

// RANDOM: warning: no calibration data: using 256 inputs from a normal distribution (seed 0); give samples with data=FILE.npz

func.func @f(%arg0: tensor<1x2xf32> {mase.name = "x"}) -> tensor<1xi64> {
  %c = mase.constant <f32, [0.25]> : tensor<1xf32>
  %0 = mase.mul %arg0, %c {layer = "half"} : (tensor<1x2xf32>, tensor<1xf32>) -> tensor<1x2xf32>
  %1 = mase.relu %0 : (tensor<1x2xf32>) -> tensor<1x2xf32>
  %2 = mase.argmax %1 {axis = 1 : i64} : (tensor<1x2xf32>) -> tensor<1xi64>
  func.return %2 : tensor<1xi64>
}
