func.func @dynamic(%x: !torch.vtensor<[2,?],f32> {mase.name = "x"}) -> !torch.vtensor<[2,?],f32> {
  %0 = torch.aten.relu %x : !torch.vtensor<[2,?],f32> -> !torch.vtensor<[2,?],f32>
  return %0 : !torch.vtensor<[2,?],f32>
}
