//! What a vCPU's CPUID says.
//!
//! KVM's supported table describes a VM with an in-kernel APIC and all paravirtual shortcuts. This
//! recipe takes out what does not work, or what would hide an IPI, without one, and gives each
//! vCPU its own APIC id. Machines with KVM's APIC get the same table, so that guests can be
//! compared. Leaves are those of SDM Vol. 2A, "CPUID"; 0x4000_00xx are Linux,
//! Documentation/virt/kvm/x86/cpuid.rst.

mod topology;

use kvm_bindings::{CpuId, KVM_CPUID_FLAG_SIGNIFCANT_INDEX, kvm_cpuid_entry2};

use crate::layout::APIC_TIMER_KHZ;

const FEATURES: u32 = 0x1;
const MWAIT: u32 = 0x5;
const THERMAL_AND_POWER: u32 = 0x6;
const CLOCK: u32 = 0x15;
const KVM_SIGNATURE: u32 = 0x4000_0000;
const KVM_FEATURES: u32 = 0x4000_0001;
/// EAX = TSC, EBX = APIC timer, both in kHz: a convention of several hypervisors.
const TIMING: u32 = 0x4000_0010;
const AMD_FEATURES: u32 = 0x8000_0001;
const AMD_SIZES: u32 = 0x8000_0008;

/// 1:ECX. A guest that sleeps in MWAIT is woken without a reschedule IPI.
const MONITOR: u32 = 1 << 3;
const X2APIC: u32 = 1 << 21;
const TSC_DEADLINE: u32 = 1 << 24;
const HYPERVISOR: u32 = 1 << 31;
/// 1:EDX.
const APIC: u32 = 1 << 9;
/// 6:EAX: the APIC timer never stops, so Linux needs no broadcast timer.
const ARAT: u32 = 1 << 2;
/// 0x8000_0001:ECX: AMD's APIC registers from offset 0x400, which nobody here has.
const EXTENDED_APIC: u32 = 1 << 3;
/// 0x8000_0008:EBX. Broadcast TLB invalidation: shootdowns without an IPI.
const INVLPGB: u32 = 1 << 3;
/// 0x4000_0001:EAX: kvmclock by old and new MSRs, and its promise to be stable. The other bits
/// need an APIC in the kernel or hide IPIs.
const CLOCK_SOURCES: u32 = 1 | 1 << 3 | 1 << 24;

/// "KVMKVMKVM\0\0\0" in EBX, ECX, EDX: with it Linux uses x2APIC without interrupt remapping.
const SIGNATURE: [u32; 3] = [0x4B4D_564B, 0x564B_4D56, 0x4D];

/// The table has more leaves than KVM takes.
#[derive(Debug, thiserror::Error)]
#[error("this host's CPUID has too many leaves for KVM_SET_CPUID2")]
pub struct CpuidError;

/// What all vCPUs of a machine have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recipe {
    /// Number of vCPUs: one package, one thread a core, APIC ids from 0.
    pub vcpu_count: u32,
    /// Whether the timer offers TSC-deadline mode: only if a probe saw the MSR's write exit.
    pub tsc_deadline: bool,
    /// Clock of the guest's TSC in kHz (KVM_GET_TSC_KHZ); 0 when unknown, then it is not told.
    pub tsc_khz: u32,
}

impl Recipe {
    /// The table of the vCPU with that APIC id, from what the host supports.
    ///
    /// KVM itself keeps 1:EDX.APIC in step with IA32_APIC_BASE.
    ///
    /// # Errors
    /// [`CpuidError`] when adding leaves makes the table too long.
    pub fn cpuid_for(&self, supported: &CpuId, apic_id: u32) -> Result<CpuId, CpuidError> {
        let mut table = Table(supported.as_slice().to_vec());
        self.set_features(&mut table);
        self.set_clocks(&mut table);
        set_paravirtual(&mut table);
        topology::set(&mut table, apic_id, self.vcpu_count);
        CpuId::from_entries(&table.0).map_err(|_too_many| CpuidError)
    }

    fn set_features(&self, table: &mut Table) {
        if let Some(leaf) = table.find(FEATURES) {
            leaf.ecx |= X2APIC | HYPERVISOR;
            leaf.ecx &= !(MONITOR | TSC_DEADLINE);
            leaf.ecx |= if self.tsc_deadline { TSC_DEADLINE } else { 0 };
            leaf.edx |= APIC;
        }
        if let Some(leaf) = table.find(MWAIT) {
            (leaf.eax, leaf.ebx, leaf.ecx, leaf.edx) = (0, 0, 0, 0);
        }
        if table.max_basic() >= THERMAL_AND_POWER {
            table.leaf(THERMAL_AND_POWER, None).eax |= ARAT;
        }
        if let Some(leaf) = table.find(AMD_FEATURES) {
            leaf.ecx &= !EXTENDED_APIC;
        }
        if let Some(leaf) = table.find(AMD_SIZES) {
            leaf.ebx &= !INVLPGB;
        }
    }

    /// Leaf 0x15 in a form whose crystal is the APIC timer's clock, as Linux takes it, and whose
    /// ratio gives the TSC's exactly.
    fn set_clocks(&self, table: &mut Table) {
        if table.max_basic() >= CLOCK {
            let leaf = table.leaf(CLOCK, None);
            (leaf.eax, leaf.ebx, leaf.ecx, leaf.edx) = if self.tsc_khz == 0 {
                (0, 0, APIC_TIMER_KHZ * 1000, 0)
            } else {
                (APIC_TIMER_KHZ, self.tsc_khz, APIC_TIMER_KHZ * 1000, 0)
            };
        }
        let leaf = table.leaf(TIMING, None);
        (leaf.eax, leaf.ebx, leaf.ecx, leaf.edx) = (self.tsc_khz, APIC_TIMER_KHZ, 0, 0);
    }
}

fn set_paravirtual(table: &mut Table) {
    let leaf = table.leaf(KVM_SIGNATURE, None);
    leaf.eax = leaf.eax.max(TIMING);
    [leaf.ebx, leaf.ecx, leaf.edx] = SIGNATURE;
    let leaf = table.leaf(KVM_FEATURES, None);
    leaf.eax &= CLOCK_SOURCES;
    // Hints, all about features that are now gone.
    leaf.edx = 0;
}

/// A CPUID table under construction.
struct Table(Vec<kvm_cpuid_entry2>);

impl Table {
    /// The greatest basic leaf.
    fn max_basic(&self) -> u32 {
        self.0
            .iter()
            .find(|entry| entry.function == 0)
            .map_or(0, |entry| entry.eax)
    }

    /// The first entry of a leaf, if the host has it.
    fn find(&mut self, function: u32) -> Option<&mut kvm_cpuid_entry2> {
        self.0.iter_mut().find(|entry| entry.function == function)
    }

    /// An entry, added with zeroes if the host has none; `index` for leaves that have subleaves.
    fn leaf(&mut self, function: u32, index: Option<u32>) -> &mut kvm_cpuid_entry2 {
        let same = |entry: &kvm_cpuid_entry2| {
            entry.function == function && index.is_none_or(|index| entry.index == index)
        };
        let position = self.0.iter().position(same).unwrap_or_else(|| {
            self.0.push(kvm_cpuid_entry2 {
                function,
                index: index.unwrap_or(0),
                flags: if index.is_some() {
                    KVM_CPUID_FLAG_SIGNIFCANT_INDEX
                } else {
                    0
                },
                ..Default::default()
            });
            self.0.len() - 1
        });
        &mut self.0[position]
    }

    /// Takes out all entries of a leaf.
    fn remove(&mut self, function: u32) {
        self.0.retain(|entry| entry.function != function);
    }
}

#[cfg(test)]
mod tests;
