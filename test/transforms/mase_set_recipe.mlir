// RUN: mase-opt --set-recipe="width=6 config=%S/Inputs/recipe.toml" %s | filecheck %s
// RUN: mase-opt --set-recipe=config=%S/Inputs/recipe.toml %s | mase-opt --quantize=samples=4 - | filecheck %s --check-prefix=CODES
// RUN: not mase-opt --set-recipe=width=6 --quantize=width=5 %s 2>&1 | filecheck %s --check-prefix=OTHER
// RUN: not mase-opt --set-recipe=format=mxin8 %s 2>&1 | filecheck %s --check-prefix=WRONG

func.func @f(%x: tensor<1x2xf32>) -> tensor<1x2xf32> {
  %w = mase.constant <f32, [0.7, 0.2, 0.5, 0.5]> : tensor<2x2xf32>
  %0 = mase.linear %x, %w {layer = "body.fc"}
    : (tensor<1x2xf32>, tensor<2x2xf32>) -> tensor<1x2xf32>
  func.return %0 : tensor<1x2xf32>
}

// CHECK: attributes {mase.recipe = {width = 6 : i64, rounding = "floor", by = "name", layers = {{\[\["}}body.fc", {weight = "fixed<3, 1>"}]]}}
// CODES: attributes {mase.recipe = {width = 5 : i64, rounding = "floor", by = "name", layers = {{\[\["}}body.fc", {weight = "fixed<3, 1>"}]]}}
// CODES: mase.linear
// CODES-SAME: {layer = "body.fc", rounding = #mase.rounding<floor, saturate>}
// CODES-SAME: (tensor<1x2x!mase.fixed<5, 3>>, tensor<2x2x!mase.fixed<3, 1>>)
// OTHER: error: options: data format is 'fixed<5, auto>', but 'fixed<6, auto>' is decided on already
// WRONG: error: options: format: unknown format 'mxin8' in 'mxin8'
