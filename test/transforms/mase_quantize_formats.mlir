// Formats other than fixed point, by options.

// RUN: mase-opt --quantize="format=mxint8 accumulator=fixed<32,20>" %s | filecheck %s --check-prefix=BLOCK
// RUN: mase-opt --quantize="format=fp8_e4m3 bias-format=bf16" %s | filecheck %s --check-prefix=FLOAT
// RUN: mase-opt --quantize="format=int8 method=minmax" %s | filecheck %s --check-prefix=SCALED
// RUN: mase-opt --quantize="data-format=ternary weight-format=scaled<binary,auto,axis=0>" %s | filecheck %s --check-prefix=SIGNS
// RUN: mase-opt --quantize="weight-format=int4_g128 masters=true" %s | filecheck %s --check-prefix=MASTERS

// Settings by type.
// RUN: mase-opt --quantize=config=%S/../../configs/digits_formats.toml %s | filecheck %s --check-prefix=CONFIG

// Masters and casts fold into what is quantized without them.
// RUN: mase-opt --quantize="format=mxfp4_e2m1 masters=true" --canonicalize %s > %t.masters.mlir
// RUN: mase-opt --quantize="format=mxfp4_e2m1" --canonicalize %s > %t.codes.mlir
// RUN: diff %t.masters.mlir %t.codes.mlir

// CONFIG-LABEL: func.func @cnn(%x: tensor<1x2x2x2x!mase.fixed<8, 6>>
// CONFIG:        mase.conv2d %x, {{.*}} tensor<2x2x1x1x!mase.scaled<!mase.fixed<4, 0>, #mase.dense<f32, {{.*}}>, axis = 0>>
// CONFIG-NOT:    accumulator
// CONFIG-SAME:   -> tensor<1x2x2x2x!mase.ufixed<8, 6>>
// CONFIG:        %[[Q:.*]] = mase.cast {{.*}} -> tensor<1x8x!mase.block<!mase.minifloat<4, 3, fn>, e8m0, [16]>>
// CONFIG-NEXT:   mase.linear %[[Q]], {{.*}} {layer = "fc", accumulator = !mase.fixed<32, 20>} : {{.*}} tensor<3x8x!mase.block<!mase.minifloat<2, 1, finite>, e8m0, [16]>>) -> tensor<1x3x!mase.fixed<16, 12>>

// Factors are in blocks: along channels in a convolution, along the last dimension in a
// linear layer. Results are in wide fixed point, and so are biases.

// BLOCK-LABEL: func.func @cnn(%x: tensor<1x2x2x2x!mase.fixed<16, 14>>
// BLOCK-SAME:      -> tensor<1x3x!mase.fixed<16, 12>>
// BLOCK-DAG:     %[[W1:.*]] = mase.constant <i8, [64, -64, 64, 64]> {scales = #mase.dense<ui8, [126, 125]>} : tensor<2x2x1x1x!mase.block<!mase.fixed<8, 6>, e8m0, [32, 1, 1]>>
// BLOCK-DAG:     %[[B1:.*]] = mase.constant <i16, [16384, -8192]> : tensor<2x!mase.fixed<16, 14>>
// BLOCK-DAG:     %[[X:.*]] = mase.cast %x : {{.*}} -> tensor<1x2x2x2x!mase.block<!mase.fixed<8, 6>, e8m0, [32, 1, 1]>>
// BLOCK:         %[[Y:.*]] = mase.conv2d %[[X]], %[[W1]], %[[B1]] {{{.*}}accumulator = !mase.fixed<32, 20>{{.*}}} : {{.*}} -> tensor<1x2x2x2x!mase.ufixed<16, 14>>
// BLOCK-NEXT:    %[[R:.*]] = mase.relu %[[Y]] {{.*}} -> tensor<1x2x2x2x!mase.ufixed<16, 14>>
// BLOCK-NEXT:    %[[F:.*]] = mase.reshape %[[R]] : {{.*}} -> tensor<1x8x!mase.ufixed<16, 14>>
// BLOCK-NEXT:    %[[Q:.*]] = mase.cast %[[F]] : {{.*}} -> tensor<1x8x!mase.block<!mase.fixed<8, 6>, e8m0, [32]>>
// BLOCK-NEXT:    mase.linear %[[Q]], {{.*}} tensor<3x8x!mase.block<!mase.fixed<8, 6>, e8m0, [32]>>) -> tensor<1x3x!mase.fixed<16, 12>>

// Small floats are formats of results, too.

// FLOAT-LABEL: func.func @cnn(%x: tensor<1x2x2x2x!mase.minifloat<4, 3, fn>>
// FLOAT-DAG:     mase.constant <ui8, [48, 176, 40, 40]> : tensor<2x2x1x1x!mase.minifloat<4, 3, fn>>
// FLOAT-DAG:     mase.constant <ui16, [16256, 48896]> : tensor<2x!mase.minifloat<8, 7, ieee>>
// FLOAT-NOT:     mase.cast
// FLOAT:         mase.linear {{.*}} -> tensor<1x3x!mase.minifloat<4, 3, fn>>

// Scales of data are from calibration.

// SCALED-LABEL: func.func @cnn(%x: tensor<1x2x2x2x!mase.scaled<!mase.fixed<8, 0>, 0.007874017>>
// SCALED-DAG:    mase.constant <i8, [127, -127, 63, 63]> : tensor<2x2x1x1x!mase.scaled<!mase.fixed<8, 0>, 0.0039370083>>
// SCALED-DAG:    mase.constant <i16, [16384, -8192]> : tensor<2x!mase.fixed<16, 14>>
// SCALED:        mase.linear {{.*}} -> tensor<1x3x!mase.scaled<!mase.fixed<8, 0>, 0.0{{.*}}>>

// Ternary data is cast with one threshold for all samples: 0.7 times the mean magnitude.

// SIGNS-LABEL: func.func @cnn(%x: tensor<1x2x2x2x!mase.fixed<16, 14>>
// SIGNS-DAG:     mase.constant <ui8, [1, 0, 1, 1]> : tensor<2x2x1x1x!mase.scaled<!mase.binary, #mase.dense<f32, [0.5, 0.25]>, axis = 0>>
// SIGNS-DAG:     mase.cast %x {threshold = 3.500000e-01 : f64} : {{.*}} -> tensor<1x2x2x2x!mase.ternary>
// SIGNS:         mase.conv2d {{.*}} -> tensor<1x2x2x2x!mase.ufixed<16, 14>>
// SIGNS:         mase.cast {{.*}} {threshold = {{.*}} : f64} : {{.*}} -> tensor<1x8x!mase.ternary>

// Groups lie along the dimension that is summed over.

// MASTERS-LABEL: func.func @cnn
// MASTERS:       %[[W:.*]] = mase.constant <f32, [0.5, -0.5, 0.25, 0.25]> : tensor<2x2x1x1xf32>
// MASTERS-NEXT:  mase.cast %[[W]] : (tensor<2x2x1x1xf32>) -> tensor<2x2x1x1x!mase.scaled<!mase.fixed<4, 0>, #mase.dense<f32, {{.*}}>, axis = -3, group = 128, grid = [2, 1, 1, 1]>>
// MASTERS:       %[[B:.*]] = mase.constant <f32, [1.0, -0.5]> : tensor<2xf32>
// MASTERS-NEXT:  mase.cast %[[B]] : (tensor<2xf32>) -> tensor<2x!mase.fixed<16, {{.*}}>>
func.func @cnn(%x: tensor<1x2x2x2xf32> {mase.name = "x", mase.calibration = #mase.calibration<#mase.dense<f32, [-1.0, 0.0, 1.0]>>}) -> tensor<1x3xf32> {
  %w1 = mase.constant <f32, [0.5, -0.5, 0.25, 0.25]> : tensor<2x2x1x1xf32>
  %b1 = mase.constant <f32, [1.0, -0.5]> : tensor<2xf32>
  %w2 = mase.constant <f32, dense_w2> : tensor<3x8xf32>
  %0 = mase.conv2d %x, %w1, %b1 {strides = array<i64: 1, 1>, padding = array<i64: 0, 0>, dilation = array<i64: 1, 1>, layer = "conv", mase.calibration = #mase.calibration<#mase.dense<f32, [-1.5, 0.5, 2.0]>>} : (tensor<1x2x2x2xf32>, tensor<2x2x1x1xf32>, tensor<2xf32>) -> tensor<1x2x2x2xf32>
  %1 = mase.relu %0 {layer = "act", mase.calibration = #mase.calibration<#mase.dense<f32, [0.0, 0.5, 2.0]>>} : (tensor<1x2x2x2xf32>) -> tensor<1x2x2x2xf32>
  %2 = mase.reshape %1 {mase.calibration = #mase.calibration<#mase.dense<f32, [0.0, 0.5, 2.0]>>} : tensor<1x2x2x2xf32> -> tensor<1x8xf32>
  %3 = mase.linear %2, %w2 {layer = "fc", mase.calibration = #mase.calibration<#mase.dense<f32, [-4.0, 0.5, 6.0]>>} : (tensor<1x8xf32>, tensor<3x8xf32>) -> tensor<1x3xf32>
  func.return %3 : tensor<1x3xf32>
}

{-#
  dialect_resources: {
    mase: {
      dense_w2: "0x040000000000583f000008bf0000503f0000783f0000e03e000014bf000050be0000983e0000503e00002cbf0000503e0000603f0000d83e0000643f0000003e000040be0000803c00002c3f000028bf0000c8be0000f8be000068bf000030be00007c3f"
    }
  }
#-}
