func.func @nan(%x: !torch.vtensor<[1,2],f32>) -> !torch.vtensor<[1,1],f32> {
  %none = torch.constant.none
  %0 = torch.vtensor.literal(dense_resource<fc.weight> : tensor<1x2xf32>) : !torch.vtensor<[1,2],f32>
  %1 = torch.aten.linear %x, %0, %none : !torch.vtensor<[1,2],f32>, !torch.vtensor<[1,2],f32>, !torch.none -> !torch.vtensor<[1,1],f32>
  return %1 : !torch.vtensor<[1,1],f32>
}

{-#
  dialect_resources: {
    builtin: {
      fc.weight: "0x040000000000803F0000C07F"
    }
  }
#-}
