// The module goes through as it is; the table goes to standard error, or to a file.

// RUN: mase-opt --profile-statistics=tensors=parameters --profile-statistics="tensors=parameters quantiles=0.25 format=csv output=%t.csv" --profile-statistics="tensors=parameters channels=true absolute=true format=csv output=%t.channels" %s 2> %t.err | filecheck %s
// RUN: filecheck %s --check-prefix=TABLE < %t.err
// RUN: filecheck %s --check-prefix=CSV < %t.csv
// RUN: filecheck %s --check-prefix=CHANNELS < %t.channels
// RUN: not mase-opt --profile-statistics="tensors=parameters quantiles=2.0" %s 2>&1 | filecheck %s --check-prefix=BAD

// TABLE: layer {{.*}} min {{.*}} max {{.*}} mean {{.*}} std

// CSV:      layer,operation,tensor,channel,numbers,min,max,mean,std,q0.25
// CSV-NEXT: fc,linear,weight,,4,-3.0,3.0,0.0,2.23606797749979,-1.5

// CHANNELS:      layer,operation,tensor,channel,numbers,min,max,mean,std
// CHANNELS-NEXT: fc,linear,weight,0,2,1.0,3.0,2.0,1.0
// CHANNELS-NEXT: fc,linear,weight,1,2,1.0,3.0,2.0,1.0

// BAD: error: options: quantile 2.0 is not between 0 and 1

// CHECK: mase.linear {{.*}} {layer = "fc"}

func.func @model(%x: tensor<1x2xf32>) -> tensor<1x2xf32> {
  %w = mase.constant <f32, [1.0, 3.0, -1.0, -3.0]> : tensor<2x2xf32>
  %0 = mase.linear %x, %w {layer = "fc"} : (tensor<1x2xf32>, tensor<2x2xf32>) -> tensor<1x2xf32>
  func.return %0 : tensor<1x2xf32>
}
