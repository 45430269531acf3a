func.func @half(%x: !torch.vtensor<[2,4],f16>) -> !torch.vtensor<[2,4],f16> {
  %0 = torch.aten.relu %x : !torch.vtensor<[2,4],f16> -> !torch.vtensor<[2,4],f16>
  return %0 : !torch.vtensor<[2,4],f16>
}
