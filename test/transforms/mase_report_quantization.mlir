// The module goes through as it is; the page is a file.

// RUN: mase-opt --quantize=samples=4 --report-quantization="reference=%s samples=4 output=%t.html" %s | filecheck %s --check-prefix=IR
// RUN: filecheck %s < %t.html
// RUN: not mase-opt --report-quantization="reference=%S/mase_summarize_graph.mlir output=%t.html" %s 2>&1 | filecheck %s --check-prefix=OTHER

// IR: mase.relu {{.*}} -> tensor<1x4x!mase.ufixed

// CHECK: <h1>Quantization of model</h1>
// CHECK: <section id="layers">
// CHECK: <section id="graph">
// CHECK: 8 bit

// OTHER: error: {{.*}}the reference '{{.*}}mase_summarize_graph.mlir' takes other inputs than the model

func.func @model(%x: tensor<1x4xf32>) -> tensor<1x4xf32> {
  %0 = mase.relu %x {layer = "act"} : (tensor<1x4xf32>) -> tensor<1x4xf32>
  func.return %0 : tensor<1x4xf32>
}
