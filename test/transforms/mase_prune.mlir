// RUN: mase-opt --prune=format=csv %s 2> %t.err | filecheck %s --check-prefixes=CHECK,HALF
// RUN: filecheck %s --check-prefix=REPORT < %t.err
// RUN: mase-opt --prune="granularity=2:4 output=%t.txt" %s | filecheck %s --check-prefixes=CHECK,PATTERN
// RUN: grep -q "total .* 10 .* 4 .* 40.00%" %t.txt
// RUN: mase-opt --prune="granularity=channel norm=l1 layers=fc format=json output=%t.json" %s | filecheck %s --check-prefixes=CHECK,CHANNEL
// RUN: %python -c "import json; assert json.load(open('%t.json'))['total']['zeros'] == 5"
// RUN: mase-opt --prune="scope=global sparsity=0.25" %s 2> /dev/null | filecheck %s --check-prefixes=CHECK,GLOBAL

// The report, as CSV: exact halves of both.
// REPORT:      layer,operation,weight,shape,size,zeros,sparsity
// REPORT-NEXT: wte,embedding,data,3x2,6,3,0.5
// REPORT-NEXT: fc,linear,data,2x5,10,5,0.5
// REPORT-NEXT: total,,,,16,8,0.5

// CHECK-LABEL: func.func @model
// Of equal magnitudes, the first go.
// HALF:       mase.constant <f32, [0.0, 0.0, 3.0, 0.0, 1.0, -4.0]> : tensor<3x2xf32>
// HALF:       mase.constant <f32, [0.5, 0.0, -2.0, 0.0, 0.0, 0.75, 0.0, -1.0, 0.5, 0.0]> : tensor<2x5xf32>
// Two of each four in a row, and of the fifth alone all.
// PATTERN:    mase.constant <f32, [1.0, -1.0, 3.0, 1.0, 1.0, -4.0]>
// PATTERN:    mase.constant <f32, [0.5, 0.0, -2.0, 0.0, 0.25, 0.75, 0.0, -1.0, 0.0, 0.25]>
// The second row has the lower mean.
// CHANNEL:    mase.constant <f32, [1.0, -1.0, 3.0, 1.0, 1.0, -4.0]>
// CHANNEL:    mase.constant <f32, [0.5, 0.125, -2.0, 0.25, 0.25, 0.0, 0.0, 0.0, 0.0, 0.0]>
// GLOBAL:     mase.constant <f32, [1.0, -1.0, 3.0, 1.0, 1.0, -4.0]>
// GLOBAL:     mase.constant <f32, [0.5, 0.0, -2.0, 0.0, 0.0, 0.75, 0.0, -1.0, 0.5, 0.25]>
// Biases stay.
// CHECK:      mase.constant <f32, [0.01, 0.02]> : tensor<2xf32>
// CHECK-NOT:  mase.calibration
func.func @model(%i: tensor<5x1xi64>, %x: tensor<1x5xf32> {mase.calibration = #mase.calibration<#mase.dense<f32, [-1.0, 0.0, 1.0]>>}) -> (tensor<5x1x2xf32>, tensor<1x2xf32>) {
  %t = mase.constant <f32, [1.0, -1.0, 3.0, 1.0, 1.0, -4.0]> : tensor<3x2xf32>
  %w = mase.constant <f32, [0.5, 0.125, -2.0, 0.25, 0.25, 0.75, 0.125, -1.0, 0.5, 0.25]> : tensor<2x5xf32>
  %b = mase.constant <f32, [0.01, 0.02]> : tensor<2xf32>
  %0 = mase.embedding %t, %i {layer = "wte"} : (tensor<3x2xf32>, tensor<5x1xi64>) -> tensor<5x1x2xf32>
  %1 = mase.linear %x, %w, %b {layer = "fc", mase.calibration = #mase.calibration<#mase.dense<f32, [-1.0, 0.0, 1.0]>>} : (tensor<1x5xf32>, tensor<2x5xf32>, tensor<2xf32>) -> tensor<1x2xf32>
  func.return %0, %1 : tensor<5x1x2xf32>, tensor<1x2xf32>
}
