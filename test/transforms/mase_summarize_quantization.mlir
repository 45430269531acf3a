// The module goes through as it is; the table goes to standard error, or to a file.

// RUN: mase-opt --summarize-quantization %s > %t.mlir 2> %t.err
// RUN: mase-opt %s | diff - %t.mlir
// RUN: filecheck %s --check-prefix=TABLE < %t.err
// RUN: mase-opt --summarize-quantization="format=csv output=%t.csv" %s > /dev/null
// RUN: filecheck %s --check-prefix=CSV < %t.csv
// RUN: not mase-opt --summarize-quantization=data=x.npz %s 2>&1 | filecheck %s --check-prefix=DATA

// TABLE: Quantization
// TABLE: layer {{.*}} operation {{.*}} bits per weight
// TABLE-NOT: sqnr
// TABLE: fc {{.*}} linear {{.*}} fixed<8, 4>
// TABLE: total {{.*}} 9.000

// Two short blocks: 8 elements and an exponent of 8 bits each; and a bias of 16 bits.
// CSV:      layer,operation,input,weight,bias,output,accumulator,weights,bits_per_weight,parameter_bits,parameter_bytes,weight_sqnr_db,output_sqnr_db
// CSV-NEXT: fc,linear,"fixed<8, 4>","block<fixed<8, 6>, e8m0, [32]>","fixed<16, 8>","fixed<16, 8>","fixed<32, 16>",16,9.0,176,22,,
// CSV-NEXT: act,relu,"fixed<16, 8>",,,"ufixed<15, 8>",,0,,0,0,,
// CSV-NEXT: total,,,,,,,16,9.0,176,22,,

// DATA: error: pass 'mase-summarize-quantization': data has no meaning without reference=MODEL

func.func @model(%x: tensor<1x8x!mase.fixed<8, 4>>) -> tensor<1x2x!mase.ufixed<15, 8>> {
  %w = mase.constant <i8, [1, 2, 3, 4, 5, 6, 7, 8, -1, -2, -3, -4, -5, -6, -7, -8]> {scales = #mase.dense<ui8, [127, 126]>} : tensor<2x8x!mase.block<!mase.fixed<8, 6>, e8m0, [32]>>
  %b = mase.constant <i16, [1, 2]> : tensor<2x!mase.fixed<16, 8>>
  %0 = mase.linear %x, %w, %b {layer = "fc", accumulator = !mase.fixed<32, 16>} : (tensor<1x8x!mase.fixed<8, 4>>, tensor<2x8x!mase.block<!mase.fixed<8, 6>, e8m0, [32]>>, tensor<2x!mase.fixed<16, 8>>) -> tensor<1x2x!mase.fixed<16, 8>>
  %1 = mase.relu %0 {layer = "act"} : (tensor<1x2x!mase.fixed<16, 8>>) -> tensor<1x2x!mase.ufixed<15, 8>>
  func.return %1 : tensor<1x2x!mase.ufixed<15, 8>>
}
