//! The report as tables: what was asked, what was seen, and what it means for a machine whose
//! APIC is ours.

use std::fmt;

use comfy_table::{ContentArrangement, Table, presets};

use super::seen::{blocked, cr8, hlt, msr, nmi, sti_hlt, window};
use super::{Answer, BlockedInterrupt, InterruptWindow, Probes, Report, StiHltWindow};
use crate::kvm::{Capability, Need};

/// Columns the tables are folded to.
const WIDTH: u16 = 110;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n", self.host)?;
        writeln!(f, "{}\n", capability_table(&self.capabilities))?;
        write!(f, "{}", self.probes.table())
    }
}

fn table<const COLUMNS: usize>(header: [&str; COLUMNS]) -> Table {
    let mut table = Table::new();
    table
        .load_preset(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(WIDTH)
        .set_header(header);
    table
}

fn capability_table(capabilities: &[Capability]) -> Table {
    let mut table = table(["Capability", "Value", "Needed", "Use"]);
    for capability in capabilities {
        let needed = match (capability.need, capability.present()) {
            (Need::Always, true) => "yes",
            (Need::UserspaceApic, true) => "by --apic userspace",
            (Need::KernelApic, true) => "by --apic kernel",
            (Need::Optional, _) => "no",
            (_, false) => "yes, and MISSING",
        };
        let value = capability.value.to_string();
        table.add_row([capability.name, &value, needed, capability.purpose]);
    }
    table
}

impl Probes {
    fn table(&self) -> Table {
        let mut table = table(["Probe", "Seen", "Meaning"]);
        table
            .add_row(row(
                "x2APIC write (ICR)",
                &self.x2apic_write,
                msr,
                |access| {
                    if access.exits() {
                        "x2APIC IPIs reach us"
                    } else {
                        "run with --apic-mode xapic"
                    }
                },
            ))
            .add_row(row("x2APIC read (ID)", &self.x2apic_read, msr, |access| {
                if access.exits() {
                    "registers are ours"
                } else {
                    "run with --apic-mode xapic"
                }
            }))
            .add_row(row(
                "IA32_APIC_BASE write",
                &self.apic_base_write,
                msr,
                |access| {
                    if access.exits() {
                        "mode changes are seen as they happen"
                    } else {
                        "mode changes are seen only at the next exit"
                    }
                },
            ))
            .add_row(row(
                "IA32_TSC_DEADLINE write",
                &self.tsc_deadline_write,
                msr,
                |access| {
                    if access.exits() {
                        "TSC-deadline mode can be offered"
                    } else {
                        "TSC-deadline mode is hidden, guests use the one-shot count"
                    }
                },
            ))
            .add_row(row("CR8 rise and fall", &self.tpr_exits, cr8, |exits| {
                if exits.on_fall {
                    "an interrupt held back by TPR is injected when it falls"
                } else {
                    "an interrupt held back by TPR waits for the next exit or a timer"
                }
            }))
            .add_row(row(
                "interrupt window",
                &self.interrupt_window,
                window,
                |window| match window {
                    InterruptWindow::Opens {
                        delivered: true,
                        late: 0,
                    } => "exact",
                    InterruptWindow::Opens {
                        delivered: true, ..
                    } => "works, latencies include the delay",
                    InterruptWindow::Opens {
                        delivered: false, ..
                    } => "interrupts cannot be injected",
                    InterruptWindow::WhileBlocked => "readiness is checked at every exit",
                    InterruptWindow::Never => "injection waits for another exit",
                },
            ))
            .add_row(row(
                "window at sti; hlt",
                &self.sti_hlt_window,
                sti_hlt,
                |seen| match seen {
                    StiHltWindow::WindowFirst => "exact",
                    StiHltWindow::HltReady => "injection is tried at HLT exits too",
                    StiHltWindow::HltNotReady => "one more KVM_RUN before an injection",
                },
            ))
            .add_row(row(
                "KVM_INTERRUPT with IF=0",
                &self.blocked_interrupt,
                blocked,
                |seen| match seen {
                    BlockedInterrupt::Held => "KVM would wait, we do not rely on it",
                    BlockedInterrupt::Delivered => "KVM does not guard: IF is checked first",
                    BlockedInterrupt::EntryFails { .. } => "fatal: IF is checked first",
                },
            ))
            .add_row(row("NMI depth", &self.nmi_depth, nmi, |depth| {
                if depth.delivered < 2 {
                    "an NMI sent while another waits is lost"
                } else if depth.before_hlt < 2 {
                    "KVM is asked for a waiting NMI before a sleep"
                } else {
                    "one running and one waiting, as the architecture has it"
                }
            }))
            .add_row(row("HLT", &self.hlt, hlt, |hlt| {
                if hlt.runs_on {
                    "sleeping is ours: a kick must not enter the guest"
                } else {
                    "KVM sleeps on its own"
                }
            }));
        table
    }
}

fn row<T>(
    question: &str,
    answer: &Answer<T>,
    seen: impl Fn(&T) -> String,
    meaning: impl Fn(&T) -> &'static str,
) -> [String; 3] {
    let (seen, meaning) = match answer {
        Answer::Answer(answer) => (seen(answer), meaning(answer)),
        Answer::NoAnswer(reason) => (reason.clone(), "not known: the safe way is taken"),
    };
    [question.to_owned(), seen, meaning.to_owned()]
}
