//! The offset of a vCPU's time-stamp counter, which `kvm-ioctls` 0.25 can set and not read.
#![expect(unsafe_code, reason = "a raw ioctl")]

use kvm_bindings::{KVM_VCPU_TSC_CTRL, KVM_VCPU_TSC_OFFSET, KVMIO, kvm_device_attr};
use kvm_ioctls::VcpuFd;
use vmm_sys_util::ioctl::ioctl_with_ref;
use vmm_sys_util::ioctl_iow_nr;

ioctl_iow_nr!(KVM_GET_DEVICE_ATTR, KVMIO, 0xE2, kvm_device_attr);

/// What the guest's TSC is ahead of the host's, modulo 2^64; the guest can change it itself by
/// writing IA32_TSC or IA32_TSC_ADJUST.
///
/// # Errors
/// ENXIO or EINVAL from a KVM without the attribute (Linux before 5.16).
pub fn tsc_offset(vcpu: &VcpuFd) -> Result<u64, kvm_ioctls::Error> {
    let mut offset = 0u64;
    let attribute = kvm_device_attr {
        group: KVM_VCPU_TSC_CTRL,
        attr: u64::from(KVM_VCPU_TSC_OFFSET),
        addr: &raw mut offset as u64,
        flags: 0,
    };
    // SAFETY: the descriptor is a vCPU's; the kernel reads the attribute and writes eight bytes to
    // `offset`, and both outlive the call.
    match unsafe { ioctl_with_ref(vcpu, KVM_GET_DEVICE_ATTR(), &attribute) } {
        0 => Ok(offset),
        _ => Err(kvm_ioctls::Error::last()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kvm::host::tests::host;
    use crate::kvm::{ApicModel, create_vm};

    #[test]
    fn the_guests_counter_is_the_hosts_and_the_offset() {
        use crate::observe::Tsc;
        use kvm_bindings::{Msrs, kvm_msr_entry};
        let vm = create_vm(&host(), ApicModel::Userspace).unwrap();
        let vcpu = vm.create_vcpu(0).unwrap();
        let entry = kvm_msr_entry {
            index: 0x10,
            ..kvm_msr_entry::default()
        };
        let mut msrs = Msrs::from_entries(&[entry]).unwrap();
        let before = Tsc::now();
        assert_eq!(vcpu.get_msrs(&mut msrs).unwrap(), 1);
        let after = Tsc::now();
        let host = msrs.as_slice()[0]
            .data
            .wrapping_sub(tsc_offset(&vcpu).unwrap());
        assert!(
            (before.0..=after.0).contains(&host),
            "{before:?} {host} {after:?}"
        );
    }
}
