// The list of formats: families, then sizes, ranges and steps of those with a name.

// RUN: mase-opt --list-formats | filecheck %s

// CHECK:      formats
// CHECK-NEXT:   fixed<W, F>
// CHECK:        block<element, scale, [shape]>
// CHECK:      name {{ *}}bits {{ *}}lowest {{ *}}highest {{ *}}smallest step {{ *}}is
// CHECK:      fp8_e4m3 {{ *}}8 {{ *}}-448 {{ *}}448 {{ *}}0.00195312 {{ *}}minifloat<4, 3, fn>
// CHECK:      mxint8 {{ *}}8.25 {{ *}}-3.37624e+38 {{ *}}3.37624e+38 {{.*}}block<fixed<8, 6>, e8m0, [32]>
// CHECK:      int4_g128 {{ *}}4.25 {{ *}}-8 · scale
