// What a failing pass leads to: a message with a place, and after a bug a reproducer.

// RUN: rm -rf %t && mkdir %t && cd %t
// RUN: not mase-opt --load-plugin %S/Inputs/faulty.py --test-refuse %s 2>&1 | filecheck %s --check-prefix=REFUSE
// REFUSE: failing_passes.mlir:{{[0-9]+}}:3: error: 'arith.addi' has no equivalent; use arith.subi
// REFUSE-NEXT: %sum = arith.addi
// REFUSE-NEXT: ^

// RUN: mase-opt --load-plugin %S/Inputs/faulty.py --test-refuse %s --verify-diagnostics

// RUN: not mase-opt --load-plugin=%S/Inputs/faulty.py --dce --test-bug=key=gone --cse %s 2>&1 | filecheck %s --check-prefix=BUG
// A plug-in's mistake is its author's: the message says where it is.
// BUG: failing_passes.mlir: error: pass 'test-bug': plug-in {{.*}}faulty.py:53: KeyError: 'gone'
// BUG-NEXT: note: --debug shows where
// BUG-NOT: this is a bug
// BUG-NEXT: note: reproducer: mase-opt-reproducer-test-bug.mlir, run with: mase-opt
// The reproducer holds what went into the pass, and its command line works.
// RUN: filecheck %s --check-prefix=REPRODUCER < mase-opt-reproducer-test-bug.mlir
// REPRODUCER: reproduce with: mase-opt --load-plugin={{.*}} -p 'test-bug{key="gone"}' mase-opt-reproducer-test-bug.mlir
// REPRODUCER-NOT: value = 7
// REPRODUCER: "arith.addi"
// RUN: sed -n 's/^.*reproduce with: //p' mase-opt-reproducer-test-bug.mlir > again.sh
// RUN: not sh again.sh 2>&1 | filecheck %s --check-prefix=AGAIN
// AGAIN: error: pass 'test-bug': plug-in {{.*}}faulty.py:53: KeyError: 'gone'

// RUN: not mase-opt --load-plugin %S/Inputs/faulty.py --test-invalid %s 2>&1 | filecheck %s --check-prefix=INVALID
// INVALID: error: pass 'test-invalid' of plug-in {{.*}}faulty.py:{{5[67]}} left invalid IR behind:
// INVALID-NOT: this is a bug
// INVALID: reproducer: mase-opt-reproducer-test-invalid.mlir

// A user's mistake leaves none.
// RUN: not mase-opt --load-plugin %S/Inputs/faulty.py --test-config="scale=2 names=a,x.npz,fixed<8,4> fast" %s 2>&1 | filecheck %s --check-prefix=CONFIG
// RUN: not mase-opt --load-plugin %S/Inputs/faulty.py -p 'test-config{scale=2 names="a","x.npz","fixed<8,4>" fast}' %s 2>&1 | filecheck %s --check-prefix=CONFIG
// CONFIG: error: scale 2.0 names ('a', 'x.npz', 'fixed<8,4>') fast True
// RUN: not test -e mase-opt-reproducer-test-config.mlir

// RUN: not mase-opt --load-plugin %S/Inputs/faulty.py --test-config %s 2>&1 | filecheck %s --check-prefix=NEEDS
// NEEDS: error: pass 'test-config' needs the option 'scale'
// RUN: not mase-opt --load-plugin %S/Inputs/faulty.py --test-config=scale=big %s 2>&1 | filecheck %s --check-prefix=TYPE
// TYPE: error: pass 'test-config': option 'scale' wants float, got big
// RUN: not mase-opt --load-plugin %S/Inputs/faulty.py --test-config="scael=1" %s 2>&1 | filecheck %s --check-prefix=TYPO
// TYPO: error: pass 'test-config' has no option 'scael'; did you mean 'scale'? (options: scale, names, fast)

// RUN: mase-opt --load-plugin %S/Inputs/faulty.py --list-passes | filecheck %s --check-prefix=LIST
// LIST: test-bug  (--test-bug)
// LIST-NEXT: Fail with an internal error.
// LIST-NEXT: key: str [missing]  Name of the key that is not there.
// LIST: test-config  (--test-config)
// LIST-NEXT: Reject its options.
// LIST-NEXT: scale: float [required]  A number.
// LIST-NEXT: names: tuple[str, ...] [empty]  Some names.
// LIST-NEXT: fast: bool [false]  Whether to hurry.

func.func @f(%a: i32) -> i32 {
  %unused = arith.constant 7 : i32
  // expected-error@+1 {{has no equivalent}}
  %sum = arith.addi %a, %a : i32
  func.return %sum : i32
}
