//! The list. Sources are functions of arch/x86/kvm/lapic.c in Linux 6.18 unless said otherwise.

use super::{Deviation, Whose, evidence, registers, routing};

/// The name of the deviation that a [`Model`](crate::differential::Model) is told of.
pub(in crate::differential) const IN_SERVICE: &str = "in service";

/// All of them.
pub const DEVIATIONS: &[Deviation] = &[
    Deviation::new(
        "version",
        Whose::Kvm,
        [
            "Ours has seven LVT entries and no EOI-broadcast suppression. KVM has six unless \
             KVM_X86_SETUP_MCE gave the processor CMCI, and with a split irqchip it advertises \
             suppression (bit 24), which it does not honour.",
            "kvm_apic_set_version; lapic.md 1.2 Version, T39",
        ],
        evidence::version,
    )
    .tolerated(registers::version),
    Deviation::new(
        "cmci",
        Whose::Kvm,
        [
            "Without CMCI the entry at 0x2F0 does not exist in KVM: #GP in x2APIC mode, in xAPIC \
             mode writes vanish and reads leave the destination as it was.",
            "kvm_lapic_lvt_supported; lapic.md 1.2 LVT CMCI",
        ],
        evidence::cmci,
    )
    .tolerated(registers::cmci),
    Deviation::new(
        "error status",
        Whose::Kvm,
        [
            "The ESR collects errors and shows them at a write; KVM finds none and reads 0.",
            "kvm_lapic_reg_write, APIC_ESR; lapic.md T37",
        ],
        evidence::error_status,
    )
    .tolerated(registers::error_status),
    Deviation::new(
        "error interrupt",
        Whose::Kvm,
        [
            "An error fires the LVT error entry; in KVM nothing ever does.",
            "lapic.c has no use of APIC_LVTERR but to store it; lapic.md 1.2",
        ],
        evidence::error_interrupt,
    )
    .avoided(registers::unmasks_error_entry),
    Deviation::new(
        "illegal vectors",
        Whose::Kvm,
        [
            "Vectors 0 to 15 are errors and never set an IRR bit; KVM sets IRR[15:0], and \
             delivers none of them.",
            "__apic_accept_irq; lapic.md T36",
        ],
        evidence::illegal_vectors,
    )
    .tolerated(registers::illegal_vectors),
    Deviation::new(
        "level-triggered IPI",
        Whose::Kvm,
        [
            "IPIs are edge-triggered whatever the ICR says; KVM sets the TMR bit as for a level \
             interrupt.",
            "__apic_accept_irq; lapic.md 1.5",
        ],
        evidence::level_triggered,
    )
    .tolerated(registers::level_triggered),
    Deviation::new(
        IN_SERVICE,
        Whose::Kvm,
        [
            "An interrupt that is taken is in service until its EOI. The KVM of kvm_pvm (Linux \
             6.18.44) never sets its ISR bit: nothing nests, and EOI has nothing to end.",
            "observed; kvm_apic_ack_interrupt sets the bit in every other KVM",
        ],
        evidence::in_service,
    )
    .on_some_hosts()
    .avoided(registers::stays_in_service),
    Deviation::new(
        "LVT read-only bits",
        Whose::Kvm,
        [
            "Delivery status and remote IRR are read-only; KVM stores what is written to them.",
            "LVT_MASK and LINT_MASK; lapic.md 1.2",
        ],
        evidence::lvt_read_only,
    )
    .tolerated(registers::lvt_read_only),
    Deviation::new(
        "LINT0 at reset",
        Whose::Kvm,
        [
            "All LVT entries are masked after power-up; KVM gives the bootstrap processor LINT0 \
             = ExtINT, unmasked, for old firmware.",
            "kvm_lapic_reset, KVM_X86_QUIRK_LINT0_REENABLED; lapic.md 1.6",
        ],
        evidence::lint0_at_reset,
    )
    .tolerated(registers::lint0_at_reset),
    Deviation::new(
        "SVR bit 12",
        Whose::Kvm,
        [
            "EOI-broadcast suppression exists only where the version register says so: not in \
             ours. KVM advertises it here, and stores it.",
            "kvm_lapic_reg_write, APIC_SPIV; lapic.md T39",
        ],
        evidence::svr_bit_12,
    )
    .tolerated(registers::svr_bit_12),
    Deviation::new(
        "x2APIC reserved bits",
        Whose::Kvm,
        [
            "Reserved bits of TPR, SVR, LVT and divide configuration take #GP in x2APIC mode; \
             KVM drops them and writes the rest.",
            "kvm_lapic_reg_write; lapic.md T40",
        ],
        evidence::reserved_bits,
    )
    .tolerated(registers::reserved_bits)
    .avoided(registers::reserved_bits_beside_a_change),
    Deviation::new(
        "x2APIC EOI value",
        Whose::Kvm,
        [
            "EOI takes 0 alone, else #GP; KVM takes any 32-bit value.",
            "kvm_lapic_reg_write, APIC_EOI; lapic.md T40",
        ],
        evidence::eoi_value,
    )
    .tolerated(registers::eoi_value)
    .avoided(registers::eoi_value_that_ends),
    Deviation::new(
        "holes of the page",
        Whose::Kvm,
        [
            "Reads of a hole or of a write-only register are undefined and ours are 0; KVM leaves \
             what its emulator had in the buffer.",
            "apic_mmio_read ignores the result of kvm_lapic_reg_read; lapic.md 1.3",
        ],
        evidence::hole,
    )
    .tolerated(registers::hole),
    Deviation::new(
        "reads beyond 4 bytes",
        Whose::Nobody,
        [
            "Reads that are not inside the 32 bits of a register are undefined. Ours give the \
             bytes that exist and zeros; KVM leaves what its emulator had in the buffer.",
            "kvm_lapic_reg_read; lapic.md 1.3",
        ],
        evidence::beyond_four_bytes,
    )
    .tolerated(registers::beyond_four_bytes),
    Deviation::new(
        "registers across disabling",
        Whose::Kvm,
        [
            "Disabling by IA32_APIC_BASE loses all state, and the next enabling finds that of \
             power-up; KVM keeps every register but the ID.",
            "__kvm_apic_set_base; lapic.md 1.1",
        ],
        evidence::disabling,
    )
    .avoided(registers::disables_in_use)
    .mended(registers::initialise_when_enabled),
    Deviation::new(
        "ICR across a mode change",
        Whose::Nobody,
        [
            "Bits 63:32 of the ICR after entering x2APIC mode are not architecturally defined. \
             Ours keep the xAPIC destination; KVM has what its 64-bit register last held there.",
            "kvm_x2apic_icr_read; SDM, x2APIC state transitions",
        ],
        evidence::icr_across_modes,
    )
    .mended(registers::command_after_mode_change),
    Deviation::new(
        "CR8 of the same class",
        Whose::UserSpace,
        [
            "A MOV to CR8 clears TPR[3:0] even if the class stays; without an irqchip KVM shows \
             the class alone, at exits, so such a move is not seen, nor are several that end where \
             they began without an exit between.",
            "kvm_set_cr8 (x86.c); lapic.md T17",
        ],
        evidence::cr8_same_class,
    )
    .mended(registers::task_priority_after_cr8),
    Deviation::new(
        "masked expiry",
        Whose::Kvm,
        [
            "An expiry of the masked timer is lost; KVM keeps one, and fires it on unmasking.",
            "apic_has_pending_timer, kvm_inject_apic_timer_irqs; lapic.md T42",
        ],
        evidence::masked_expiry,
    )
    .avoided(registers::unmasks_expired_timer),
    Deviation::new(
        "reserved timer mode",
        Whose::Nobody,
        [
            "Mode 11b of the timer is reserved. In ours nothing counts in it, as in TSC-deadline \
             mode; KVM keeps the initial count that is there or is written, and what runs.",
            "apic_update_lvtt, kvm_lapic_reg_write, APIC_TMICT",
        ],
        evidence::reserved_timer_mode,
    )
    .avoided(registers::counts_in_reserved_mode),
    Deviation::new(
        "reserved timer mode in x2APIC mode",
        Whose::Kvm,
        [
            "A WRMSR of a reserved value takes #GP; KVM stores mode 11b as any other.",
            "kvm_lapic_reg_write, APIC_LVTT; lapic.md T40",
        ],
        evidence::reserved_timer_mode_by_msr,
    )
    .avoided(registers::enters_reserved_mode_by_msr),
    Deviation::new(
        "divisor after expiry",
        Whose::Kvm,
        [
            "A one-shot that has expired stays expired; KVM starts it again with nothing left \
             when the divisor changes, and it fires a second time.",
            "kvm_lapic_reg_write, APIC_TDCR, and start_sw_period",
        ],
        evidence::divisor_after_expiry,
    )
    .avoided(registers::changes_divisor_of_expired_timer),
    Deviation::new(
        "lowest priority in x2APIC mode",
        Whose::Kvm,
        [
            "Not supported there: redirectable-IPI error; KVM delivers it.",
            "__apic_accept_irq; lapic.md 1.5",
        ],
        evidence::lowest_priority_x2apic,
    )
    .avoided(routing::lowest_priority_x2apic),
    Deviation::new(
        "lowest priority to everybody",
        Whose::Nobody,
        [
            "A physical lowest-priority broadcast is not supported. Ours goes to one; KVM makes \
             it fixed, by the destination field even under a shorthand.",
            "__kvm_irq_delivery_to_apic; lapic.md 1.5",
        ],
        evidence::lowest_priority_broadcast,
    )
    .avoided(routing::lowest_priority_broadcast),
    Deviation::new(
        "lowest priority among absent APICs",
        Whose::Kvm,
        [
            "One of the APICs that the address names gets it; KVM chooses among the bits of the \
             address, and drops it if the bit is nobody's.",
            "kvm_apic_map_get_dest_lapic",
        ],
        evidence::lowest_priority_absent,
    )
    .avoided(routing::lowest_priority_of_several),
    Deviation::new(
        "aliased IDs",
        Whose::Kvm,
        [
            "Every APIC with the ID gets it; with 32-bit IDs KVM knows only the first.",
            "kvm_recalculate_phys_map; lapic.md 1.5",
        ],
        evidence::aliases,
    )
    .avoided(routing::aliases),
    Deviation::new(
        "broadcast across modes",
        Whose::Kvm,
        [
            "The sender's mode makes all ones a broadcast; KVM asks the receiver's.",
            "kvm_apic_broadcast; lapic.md T48",
        ],
        evidence::broadcast_across_modes,
    )
    .avoided(routing::broadcast_across_modes),
    Deviation::new(
        "logical x2APIC address to an xAPIC ID",
        Whose::Kvm,
        [
            "An APIC in xAPIC mode matches by its LDR; if no such APIC has one, KVM takes the \
             address as bits of physical IDs for all.",
            "kvm_apic_map_get_logical_dest, KVM_APIC_MODE_X2APIC",
        ],
        evidence::x2apic_map,
    )
    .avoided(routing::x2apic_map_in_mixed_modes),
    Deviation::new(
        "wide cluster address",
        Whose::Kvm,
        [
            "A cluster of an x2APIC sender's address beyond 15 is no xAPIC cluster; KVM takes its \
             lowest four bits.",
            "kvm_apic_map_get_logical_dest, KVM_APIC_MODE_XAPIC_CLUSTER",
        ],
        evidence::wide_cluster,
    )
    .avoided(routing::wide_cluster),
    Deviation::new(
        "cluster 15",
        Whose::Kvm,
        [
            "Cluster 15 in a logical address means every cluster; to KVM it is one.",
            "kvm_apic_match_logical_addr; lapic.md 1.5",
        ],
        evidence::cluster_15,
    )
    .avoided(routing::cluster_15),
    Deviation::new(
        "unknown destination format",
        Whose::Kvm,
        [
            "Formats but flat and cluster match nothing; KVM's map takes every one but flat as \
             cluster, though its slow path does not.",
            "kvm_recalculate_logical_map",
        ],
        evidence::unknown_format,
    )
    .avoided(routing::unknown_format),
    Deviation::new(
        "logical NMI or INIT to a software-disabled APIC",
        Whose::Kvm,
        [
            "A software-disabled APIC still takes NMI, INIT and SMI however they are addressed; \
             KVM's map has no logical address for it.",
            "kvm_recalculate_logical_map; lapic.md T46",
        ],
        evidence::logical_nmi,
    )
    .avoided(routing::logical_signal_to_disabled),
];
