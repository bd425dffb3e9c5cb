//! Every guest-physical address and port of the machine, each with its reason.
//!
//! Nothing below 1 MiB belongs to the kernel image: the boot structures live there, in the places
//! Linux's own boot code expects to find free or reclaimable (Linux, Documentation/arch/x86/boot.rst).

/// The page, the unit of every size and address here.
pub const PAGE_SIZE: u64 = 0x1000;

/// Real-mode interrupt vectors, each an offset and a segment.
pub const INTERRUPT_VECTORS: u64 = 0;

/// BIOS data area: word with the port of the first serial line.
pub const BDA_COM1: u64 = 0x400;

/// BIOS data area: word with the segment of [`EBDA`], where scanners for tables start.
pub const BDA_EBDA_SEGMENT: u64 = 0x40E;

/// BIOS data area: word with the KiB of conventional RAM, which ends where [`EBDA`] starts.
pub const BDA_BASE_MEMORY: u64 = 0x413;

/// GDT of the entry state: above the real-mode interrupt vectors and BIOS data area (0..0x500).
pub const GDT: u64 = 0x500;

/// The `boot_params` page ("zero page") that RSI points at on entry.
pub const BOOT_PARAMS: u64 = 0x7000;

/// A page left to the guest for its real-mode start-up code: SIPI vector 0x08 starts here.
pub const TRAMPOLINE: u64 = 0x8000;

/// PML4 of the identity map the guest is entered with.
pub const PML4: u64 = 0x9000;

/// Page-directory-pointer table of the identity map.
pub const PDPT: u64 = 0xA000;

/// First of four consecutive page directories: one per GiB, 2 MiB pages.
pub const PAGE_DIRECTORIES: u64 = 0xB000;

/// How many page directories: they map the first 4 GiB, which holds the APIC page and all low RAM.
pub const PAGE_DIRECTORY_COUNT: u64 = 4;

/// The information a multiboot kernel is entered with, where QEMU has it: such a kernel is entered
/// without paging, so the page tables of the other kernels are not there.
pub const MULTIBOOT_INFO: u64 = 0x9000;

/// Room for that structure and what it points at, in bytes: up to the command line.
pub const MULTIBOOT_INFO_SIZE: u64 = COMMAND_LINE - MULTIBOOT_INFO;

/// The kernel command line, NUL-terminated ASCII.
pub const COMMAND_LINE: u64 = 0x2_0000;

/// Room for the command line with its NUL: what Linux keeps of it on x86 (`COMMAND_LINE_SIZE`).
pub const COMMAND_LINE_SIZE: usize = 2048;

/// End of the conventional RAM the guest is told of.
pub const LOW_RAM_END: u64 = EBDA;

/// Extended BIOS data area: the last KiB below the video memory, as on a PC.
pub const EBDA: u64 = 0x9_FC00;

/// What [`EBDA`] takes, in bytes: one KiB, the least its first byte can say.
pub const EBDA_SIZE: u64 = 0x400;

/// Where a PC has its BIOS, and where ACPI's RSDP is looked for (ACPI 6.5, 5.2.5.1); all ACPI tables
/// lie here, RSDP first.
pub const ACPI_TABLES: u64 = 0xE_0000;

/// Room for the ACPI tables, in bytes.
pub const ACPI_TABLES_SIZE: u64 = BIOS_HANDLER - ACPI_TABLES;

/// What every vector of [`INTERRUPT_VECTORS`] leads to: the last page below 1 MiB, where a PC has
/// its BIOS.
pub const BIOS_HANDLER: u64 = 0xF_F000;

/// Start of extended RAM, and the lowest address a kernel image may load at.
pub const HIGH_RAM_START: u64 = 0x10_0000;

/// Start of the hole in RAM for memory-mapped devices; RAM that does not fit below it continues at
/// [`MMIO_HOLE_END`].
pub const MMIO_HOLE: u64 = 0xC000_0000;

/// End of the hole: 4 GiB, because the APICs decode in the last 32 MiB below it.
pub const MMIO_HOLE_END: u64 = 0x1_0000_0000;

/// Last address an initial ramdisk may reach where the kernel's header names none: what every
/// x86-64 Linux names (`INITRD_ADDR_MAX`).
pub const INITRAMFS_ADDRESS_MAX: u64 = 0x7FFF_FFFF;

/// The IOAPIC's registers (82093AA, 3.0): where every PC has the first one.
pub const IOAPIC: u64 = 0xFEC0_0000;

/// The Local APIC's registers after reset (SDM Vol. 3A 12.4.1); a guest may move the page.
pub const APIC_PAGE: u64 = 0xFEE0_0000;

/// One page with the identity map KVM uses on VMX hosts that cannot run real mode natively
/// (KVM_SET_IDENTITY_MAP_ADDR); KVM's own default, named so that the e820 map can reserve it.
pub const KVM_IDENTITY_MAP: u64 = 0xFFFB_C000;

/// Three pages for the task-state segment of the same hosts (KVM_SET_TSS_ADDR), directly above.
pub const KVM_TSS: u64 = 0xFFFB_D000;

/// What [`KVM_IDENTITY_MAP`] and [`KVM_TSS`] take together, in bytes.
pub const KVM_RESERVED_SIZE: u64 = 4 * PAGE_SIZE;

/// COM1, first of eight ports: text for people.
pub const SERIAL_PORT: u16 = 0x3F8;

/// Interrupt of COM1, edge-triggered, active high, as on the ISA bus.
pub const SERIAL_IRQ: u8 = 4;

/// Index and data port of the real-time clock and its CMOS memory.
pub const RTC_PORT: u16 = 0x70;

/// ACPI PM1a event block: status and enable, 16 bits each. The PM ports are where QEMU's PC has
/// them, because bare-metal kernels write to 0x604 to power off without reading a table.
pub const PM1_EVENT_PORT: u16 = 0x600;

/// ACPI PM1a control: SLP_TYP in bits 12:10, SLP_EN in bit 13.
pub const PM1_CONTROL_PORT: u16 = 0x604;

/// ACPI PM timer: 32 bits at 3.579545 MHz.
pub const PM_TIMER_PORT: u16 = 0x608;

/// SLP_TYP of S5, soft off: 0, so that the word 0x2000 at [`PM1_CONTROL_PORT`] is a power-off.
pub const S5_SLEEP_TYPE: u8 = 0;

/// Reset control register, as of Intel's PIIX and ICH; [`RESET_VALUE`] resets.
pub const RESET_PORT: u16 = 0xCF9;

/// What resets at [`RESET_PORT`]: a hard reset (bit 1) of the processors (bit 2).
pub const RESET_VALUE: u8 = 6;

/// ACPI's system control interrupt, level-triggered, active high.
pub const SCI_IRQ: u8 = 9;

/// IOAPIC pin of the PIT, ISA interrupt 0: on every PC pin 0 belongs to the PIC.
pub const PIT_GSI: u8 = 2;

/// The guest's marker channel: lines that open and close measured phases, and end the run.
pub const MARKER_PORT: u16 = 0x700;

/// One page that is the marker channel too, for guests whose user space has no ports: any byte
/// written anywhere in it is a byte for the channel.
pub const MARKER_PAGE: u64 = 0xFEB0_0000;

/// Clock of the Local APIC timer in kHz before the divider: 1 GHz, as KVM's in-kernel APIC
/// (`APIC_BUS_CYCLE_NS` = 1), so that a guest sees the same timer on both.
pub const APIC_TIMER_KHZ: u32 = 1_000_000;

/// The 8259 pair: command and data port each.
pub const PIC_MASTER_PORT: u16 = 0x20;
/// See [`PIC_MASTER_PORT`].
pub const PIC_SLAVE_PORT: u16 = 0xA0;
/// The pair's edge/level control registers, as of the EISA bus.
pub const ELCR_PORT: u16 = 0x4D0;

/// The 8254: three counts and a control word.
pub const PIT_PORT: u16 = 0x40;
/// Gate and output of the 8254's third channel.
pub const SYSTEM_CONTROL_PORT: u16 = 0x61;

/// The keyboard controller's command port, of which there is no more than its reset line.
pub const KEYBOARD_COMMAND_PORT: u16 = 0x64;
/// System control port A, whose lowest bit resets.
pub const FAST_RESET_PORT: u16 = 0x92;

/// QEMU's isa-debug-exit, where its users put it by custom.
pub const DEBUG_EXIT_PORT: u16 = 0xF4;

/// QEMU's fw_cfg: selector, 16 bits wide, and data.
pub const FW_CFG_PORT: u16 = 0x510;

/// QEMU's pc-testdev: a 32-bit latch.
pub const TESTDEV_LATCH_PORT: u16 = 0xE0;
/// QEMU's pc-testdev: flushes its page of memory.
pub const TESTDEV_FLUSH_PORT: u16 = 0xE4;
/// QEMU's pc-testdev: the latch by bytes.
pub const TESTDEV_BYTE_PORT: u16 = 0xE8;
/// QEMU's pc-testdev: one port for each interrupt line.
pub const TESTDEV_LINE_PORT: u16 = 0x2000;
/// QEMU's pc-testdev: its memory.
pub const TESTDEV_MEMORY: u64 = 0xFF00_0000;
