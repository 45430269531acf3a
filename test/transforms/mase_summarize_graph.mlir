// The module goes through as it is; the table goes to standard error, or to a file.

// RUN: mase-opt --summarize-graph --summarize-graph="format=csv output=%t.csv" --summarize-graph="by=type format=csv output=%t.type" %s 2> %t.err | filecheck %s
// RUN: filecheck %s --check-prefix=TABLE < %t.err
// RUN: filecheck %s --check-prefix=CSV < %t.csv
// RUN: filecheck %s --check-prefix=TYPE < %t.type
// RUN: not mase-opt --summarize-graph=by=kind %s 2>&1 | filecheck %s --check-prefix=BAD

// TABLE: node {{.*}} operation

// CSV:      node,operation,layer,reads,shape,format,bits
// CSV-NEXT: x,input,,,1x2,"fixed<8, 4>",16
// CSV-NEXT: data,constant,,,2x2,"fixed<4, 2>",16
// CSV-NEXT: fc,linear,fc,"x, data",1x2,"fixed<16, 8>",32

// TYPE:      operation,nodes,formats,elements,bits
// TYPE-NEXT: input,1,"fixed<8, 4>",2,16
// TYPE-NEXT: constant,1,"fixed<4, 2>",4,16
// TYPE-NEXT: linear,1,"fixed<16, 8>",2,32
// TYPE-NEXT: total,3,,8,64

// BAD: error: options: by is 'kind', expected one of node, type

// CHECK: mase.linear {{.*}} {layer = "fc"}

func.func @model(%x: tensor<1x2x!mase.fixed<8, 4>> {mase.name = "x"}) -> tensor<1x2x!mase.fixed<16, 8>> {
  %w = mase.constant <i8, [1, 2, 3, 4]> : tensor<2x2x!mase.fixed<4, 2>>
  %0 = mase.linear %x, %w {layer = "fc"} : (tensor<1x2x!mase.fixed<8, 4>>, tensor<2x2x!mase.fixed<4, 2>>) -> tensor<1x2x!mase.fixed<16, 8>>
  func.return %0 : tensor<1x2x!mase.fixed<16, 8>>
}
