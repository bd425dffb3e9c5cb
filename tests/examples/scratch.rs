//! Scratch.
use tests::differential::*;
use vmm::kvm::ApicModel;
fn main() {
    let bench = Bench::new().unwrap();
    let p = 0xfee00000u32;
    let w = |o: u32, v: u64| Operation { processor: 0, action: Action::WritePage(p + o, 4, v) };
    let r = |o: u32| Operation { processor: 0, action: Action::ReadPage(p + o, 4) };
    let a = |action| Operation { processor: 0, action };
    let m = |o: u32, v: u64| Operation { processor: 0, action: Action::WriteMsr(0x800+ o, v) };
    let n = |o: u32| Operation { processor: 0, action: Action::ReadMsr(0x800+ o) };
    let script = vec![
        w(0xf0, 0x1ff), w(0x80, 0), w(0x310, 0), w(0x350,0x10000),
        w(0x300, 0xC055), r(0x220), r(0x120),
        a(Action::Window(End::Leave)), r(0x220), r(0x120), r(0xa0), r(0x1a0),
        w(0x80, 0x35), w(0x300, 0x4065),
        a(Action::Window(End::Leave)), r(0x230), r(0x130), r(0xa0),
        w(0xb0, 0),
        a(Action::WriteMsr(0x1b, 0xfee00d00)), m(0x30, 0x4085), n(0x24), n(0x14),
        a(Action::Window(End::Leave)), n(0x24), n(0x14), n(0xa),
    ];
    for apic in [ApicModel::Userspace, ApicModel::Kernel] {
        let answers = bench.run(&script, 2, apic).unwrap();
        println!("{apic:?}");
        for (op, o) in script.iter().zip(&answers.outcomes) { println!("  {op}: {o}"); }
    }
}
