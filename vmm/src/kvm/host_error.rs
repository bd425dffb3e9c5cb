//! The ways in which there is no usable KVM, each with its way out.

use std::io;
use std::path::Path;

use kvm_bindings::KVM_API_VERSION;

/// Why there is no usable KVM.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The device is absent, or nothing is behind it.
    #[error(
        "{path} is not there: load the kvm modules (modprobe kvm_intel or kvm_amd), \
         or run on a machine with hardware virtualisation"
    )]
    Missing {
        /// The device.
        path: String,
    },
    /// It is there and not ours to use.
    #[error(
        "no permission to open {path}: add yourself to the group kvm \
         (sudo usermod -aG kvm $USER) and log in again"
    )]
    NoPermission {
        /// The device.
        path: String,
    },
    /// Any other refusal.
    #[error("{path} cannot be opened: check that it is the KVM device and works")]
    Open {
        /// The device.
        path: String,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The file is not the KVM device.
    #[error(
        "{path} is not a KVM device: remove it and load the kvm modules (modprobe kvm_intel or kvm_amd)"
    )]
    NotKvm {
        /// The device.
        path: String,
    },
    /// A KVM from before 2007, or not Linux's.
    #[error(
        "{path} speaks KVM API version {found}, and only version {KVM_API_VERSION} is known: \
         use a Linux kernel of 2.6.22 or later"
    )]
    ApiVersion {
        /// The device.
        path: String,
        /// What it answered.
        found: i32,
    },
    /// A KVM too old for us.
    #[error("this host's KVM lacks {names}: use Linux 5.10 or later")]
    MissingCapability {
        /// The kernel's names without `KVM_CAP_`, separated by commas.
        names: String,
    },
    /// KVM_GET_SUPPORTED_CPUID failed.
    #[error("KVM does not tell what CPUID it supports")]
    SupportedCpuid {
        /// KVM's answer.
        #[source]
        source: kvm_ioctls::Error,
    },
}

impl HostError {
    /// What a refusal to open the device means.
    pub(super) fn refused(path: &Path, errno: i32) -> Self {
        let path = path.display().to_string();
        match errno {
            // The last two: a device node with no driver behind it.
            libc::ENOENT | libc::ENOTDIR | libc::ENODEV | libc::ENXIO => Self::Missing { path },
            libc::EACCES | libc::EPERM => Self::NoPermission { path },
            errno => Self::Open {
                path,
                source: io::Error::from_raw_os_error(errno),
            },
        }
    }
}
