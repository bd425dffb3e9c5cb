//! IA32_APIC_BASE as the guest sees it beyond the APIC itself.

use tests::{Vapic, guest, tell};

/// Writes CPUID.1:EDX.APIC, bit 9, into the carry flag; changes RAX to RDX.
macro_rules! test_cpuid_apic {
    () => {
        r"
            mov   eax, 1
            xor   ecx, ecx
            cpuid
            bt    edx, 9
        "
    };
}

#[test]
fn cpuid_follows_the_enable() {
    let guest = guest!(
        cpuid_follows,
        test_cpuid_apic!(),
        "jnc 3f",
        r"
            mov   ecx, 0x1B
            rdmsr
            and   eax, 0xFFFFF7FF
            wrmsr
        ",
        test_cpuid_apic!(),
        "jc 3f",
        r"
            mov   ecx, 0x1B
            rdmsr
            or    eax, 0x800
            wrmsr
        ",
        test_cpuid_apic!(),
        "jnc 3f",
        tell!("exit 0"),
        "2: hlt",
        "jmp 2b",
        "3:",
        tell!("exit 1"),
        "jmp 2b",
    );
    let _ = Vapic::guest(&guest, &["--report", "json"]).run().passed();
}
