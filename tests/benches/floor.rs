//! The floor of an IPI round trip on this host: the exits, the wake-up and the injection that a
//! ping to a halted target takes, and nothing else.
//!
//! ```text
//! cargo bench -p tests --bench floor -- --rounds 2000
//! ```
//!
//! Two vCPUs without an in-kernel irqchip, two threads, a few instructions of guest code. The
//! sender's WRMSR to the ICR exits; its thread sets a flag; the target's thread, which spins on the
//! flag since the guest's HLT exited, hands the vector to KVM; the handler counts, and its WRMSR to
//! the EOI register exits. There is no APIC behind these registers, no account, and no sleep.
//!
//! Output: one JSON object with the round trips in TSC cycles, as the guest of `ping` takes them:
//! from before the WRMSR until the sender sees the handler's count.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;

use anyhow::{Context, bail, ensure};
use kvm_ioctls::{VcpuExit, VcpuFd};
use tests::{guest, with_handlers};
use vmm::boot::{self, Kernel};
use vmm::kvm::{ApicModel, Host, Injection, Recipe, create_vm, prepare_vcpu};
use vmm::memory;

/// Rounds unless `--rounds` says otherwise.
const ROUNDS: usize = 2000;
/// The IPI's vector.
const VECTOR: u8 = 0xF1;
/// What the sender says after each round: the cycles it took.
const RESULT_PORT: u16 = 0x701;
const ICR: u32 = 0x830;
const EOI: u32 = 0x80B;

/// What the two threads share.
#[derive(Debug, Default)]
struct Shared {
    /// IPIs sent and not yet injected.
    sent: AtomicU32,
    done: AtomicBool,
}

fn main() -> anyhow::Result<()> {
    let rounds = rounds(std::env::args().skip(1))?;
    let guest = guest!(
        floor,
        r"
            .equ  SEEN, 0x300000           // rounds that the target's handler has counted
            .equ  READY, 0x300040          // rounds that the target is about to halt for
            test  edi, edi
            jnz   30f

            // The sender, for ever; the host ends it.
            xor   ebp, ebp
        20: inc   ebp
        21: pause
            cmp   [READY], ebp
            jb    21b
            rdtsc                          // give the target time to halt: about 50 us
            mov   r8d, eax
        22: rdtsc
            sub   eax, r8d
            cmp   eax, 130000
            jb    22b
            rdtsc
            mov   r8d, eax
            mov   ecx, 0x830
            mov   eax, 0xF1
            mov   edx, 1
            wrmsr
        23: pause
            cmp   [SEEN], ebp
            jb    23b
            rdtsc
            sub   eax, r8d
            mov   edx, 0x701
            out   dx, eax
            jmp   20b

            // The target.
        30:
        ",
        with_handlers!(),
        r"
            lea   rax, [rip + 35f]
            mov   word ptr [0x1000 + 0xF1 * 16], ax
        31: cli
            inc   dword ptr [READY]
            sti
            hlt
            jmp   31b
        35: inc   dword ptr [SEEN]
            xor   eax, eax
            xor   edx, edx
            mov   ecx, 0x80B
            wrmsr
            iretq
        ",
    );
    let file = tempfile::NamedTempFile::new().context("no temporary file")?;
    std::fs::write(file.path(), guest.bytes()).context("the guest cannot be written")?;

    let host = Host::open()?;
    let memory = memory::create(memory::MIN_SIZE)?;
    let vm = create_vm(&host, ApicModel::Userspace)?;
    #[expect(unsafe_code, reason = "KVM is given host memory to map into the guest")]
    // SAFETY: the memory is dropped at the end of `main`, after the threads have been joined.
    unsafe { memory::register(&vm, &memory) }?;
    let image = boot::Image {
        kernel: &Kernel::File(file.path().to_owned()),
        initramfs: None,
        command_line: "",
        vcpus: 2,
    };
    let entry = boot::load(&memory, &image)?;
    let (sender, target) = (vm.create_vcpu(0)?, vm.create_vcpu(1)?);
    let tsc_khz = sender.get_tsc_khz()?;
    let recipe = Recipe {
        vcpu_count: 2,
        tsc_deadline: false,
        tsc_khz,
    };
    let supported = host.supported_cpuid()?;
    for (id, vcpu) in [(0, &sender), (1, &target)] {
        prepare_vcpu(&host, vcpu)?;
        vcpu.set_cpuid2(&recipe.cpuid_for(&supported, id)?)?;
        entry.apply(vcpu)?;
        let mut registers = vcpu.get_regs()?;
        registers.rdi = id.into();
        vcpu.set_regs(&registers)?;
    }

    let shared = Shared::default();
    let injection = Injection::best(&host);
    let cycles = thread::scope(|scope| {
        let target = scope.spawn(|| be_target(target, injection, &shared));
        let cycles = send(sender, rounds, &shared);
        shared.done.store(true, Ordering::Release);
        // A target that failed explains a sender that got no answer.
        target.join().expect("no panic").context("the target")?;
        cycles.context("the sender")
    })?;
    print(cycles, tsc_khz);
    Ok(())
}

/// The number after `--rounds`; cargo's own `--bench` is passed over.
fn rounds(arguments: impl Iterator<Item = String>) -> anyhow::Result<usize> {
    let mut arguments = arguments.skip_while(|argument| argument != "--rounds");
    let Some(_rounds) = arguments.next() else {
        return Ok(ROUNDS);
    };
    let rounds = arguments.next().and_then(|number| number.parse().ok());
    rounds
        .filter(|&rounds| rounds > 0)
        .context("--rounds wants a number")
}

/// Runs the sender; the cycles of each round.
fn send(mut vcpu: VcpuFd, rounds: usize, shared: &Shared) -> anyhow::Result<Vec<u32>> {
    let mut cycles = Vec::with_capacity(rounds);
    while cycles.len() < rounds {
        match vcpu.run()? {
            VcpuExit::X86Wrmsr(exit) if exit.index == ICR => {
                shared.sent.fetch_add(1, Ordering::AcqRel);
            }
            VcpuExit::IoOut(RESULT_PORT, data) => cycles.push(u32::from_le_bytes(data.try_into()?)),
            other => bail!("unexpected exit: {other:?}"),
        }
        ensure!(!shared.done.load(Ordering::Relaxed), "the target is gone");
    }
    Ok(cycles)
}

/// Runs the target until the sender has had enough.
fn be_target(mut vcpu: VcpuFd, injection: Injection, shared: &Shared) -> anyhow::Result<()> {
    injection.prepare(&mut vcpu);
    loop {
        match vcpu.run() {
            Ok(VcpuExit::Hlt) => {}
            Ok(VcpuExit::X86Wrmsr(exit)) if exit.index == EOI => continue,
            other => {
                shared.done.store(true, Ordering::Release);
                bail!("unexpected exit: {other:?}");
            }
        }
        while shared.sent.swap(0, Ordering::AcqRel) == 0 {
            if shared.done.load(Ordering::Acquire) {
                return Ok(());
            }
            std::hint::spin_loop();
        }
        injection.queue(&mut vcpu, VECTOR)?;
    }
}

fn print(mut cycles: Vec<u32>, tsc_khz: u32) {
    cycles.sort_unstable();
    let quantile = |hundredths: usize| cycles[(cycles.len() - 1) * hundredths / 100];
    println!(
        "{}",
        serde_json::json!({
            "rounds": cycles.len(),
            "tsc_khz": tsc_khz,
            "cycles_min": quantile(0),
            "cycles_median": quantile(50),
            "cycles_p99": quantile(99),
        })
    );
}
