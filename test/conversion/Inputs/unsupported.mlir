func.func @unsupported(%x: !torch.vtensor<[2,4],f32>, %v: !torch.vtensor<[4],f32>) -> !torch.vtensor<[2,4],f32> {
  %false = torch.constant.bool false
  %true = torch.constant.bool true
  %eps = torch.constant.float 1.0e-05
  %cubic = torch.constant.str "cubic"
  %0 = torch.aten.erfinv %x {mase.layer = "a", mase.source = "model.py:3"} : !torch.vtensor<[2,4],f32> -> !torch.vtensor<[2,4],f32>
  %1 = torch.aten.erfinv %0 {mase.layer = "b"} : !torch.vtensor<[2,4],f32> -> !torch.vtensor<[2,4],f32>
  %2 = torch.operator "torch.mylib.blur"(%1) : (!torch.vtensor<[2,4],f32>) -> !torch.vtensor<[2,4],f32>
  %3 = torch.aten.gelu %x, %cubic : !torch.vtensor<[2,4],f32>, !torch.str -> !torch.vtensor<[2,4],f32>
  %4 = torch.aten.batch_norm %x, %v, %v, %v, %v, %true, %eps, %eps, %false {mase.layer = "bn"} : !torch.vtensor<[2,4],f32>, !torch.vtensor<[4],f32>, !torch.vtensor<[4],f32>, !torch.vtensor<[4],f32>, !torch.vtensor<[4],f32>, !torch.bool, !torch.float, !torch.float, !torch.bool -> !torch.vtensor<[2,4],f32>
  %5 = torch.aten.mul.Tensor %2, %3 : !torch.vtensor<[2,4],f32>, !torch.vtensor<[2,4],f32> -> !torch.vtensor<[2,4],f32>
  %6 = torch.aten.mul.Tensor %5, %4 : !torch.vtensor<[2,4],f32>, !torch.vtensor<[2,4],f32> -> !torch.vtensor<[2,4],f32>
  return %6 : !torch.vtensor<[2,4],f32>
}
