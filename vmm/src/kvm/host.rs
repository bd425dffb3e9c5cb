//! Opening the KVM device, and telling apart the ways in which that fails.

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use kvm_bindings::{CpuId, KVM_API_VERSION, KVM_MAX_CPUID_ENTRIES};
use kvm_ioctls::Kvm;

use super::capability::{self, Capability, Need};

/// Where the kernel offers KVM.
const DEVICE: &str = "/dev/kvm";

/// A KVM that can run our machines.
#[derive(Debug)]
pub struct Host {
    kvm: Kvm,
    capabilities: Vec<Capability>,
}

/// Why there is no usable KVM.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The device is absent, or nothing is behind it.
    #[error(
        "{path} is not there: load the kvm modules (modprobe kvm_intel or kvm_amd), or run on a machine with hardware virtualisation"
    )]
    Missing {
        /// The device.
        path: String,
    },
    /// It is there and not ours to use.
    #[error(
        "no permission to open {path}: add yourself to the group kvm (sudo usermod -aG kvm $USER) and log in again"
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
    #[error("{path} is not a KVM device: it does not answer KVM_GET_API_VERSION")]
    NotKvm {
        /// The device.
        path: String,
    },
    /// A KVM from before 2007, or not Linux's.
    #[error(
        "{path} speaks KVM API version {found}, and only version {KVM_API_VERSION} is known: use a Linux kernel of 2.6.22 or later"
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

impl Host {
    /// Opens `/dev/kvm` and asks it for every known capability.
    ///
    /// # Errors
    /// Every variant but the last: all are about the machine this runs on, and none is transient.
    pub fn open() -> Result<Self, HostError> {
        Self::open_path(Path::new(DEVICE))
    }

    /// The same for a KVM device at another path.
    ///
    /// # Errors
    /// As [`Host::open`].
    pub fn open_path(path: &Path) -> Result<Self, HostError> {
        let name = || path.display().to_string();
        let device = CString::new(path.as_os_str().as_bytes())
            .map_err(|_nul| HostError::Missing { path: name() })?;
        let kvm = Kvm::new_with_path(&device).map_err(|e| refused(path, e.errno()))?;
        match u32::try_from(kvm.get_api_version()) {
            Ok(KVM_API_VERSION) => {}
            Ok(_) => {
                return Err(HostError::ApiVersion {
                    path: name(),
                    found: kvm.get_api_version(),
                });
            }
            Err(_negative) => return Err(HostError::NotKvm { path: name() }),
        }
        let host = Self {
            capabilities: capability::check_all(&kvm),
            kvm,
        };
        host.require(Need::Always)?;
        Ok(host)
    }

    /// The open device.
    pub fn kvm(&self) -> &Kvm {
        &self.kvm
    }

    /// All known capabilities with this host's answers.
    pub fn capabilities(&self) -> &[Capability] {
        &self.capabilities
    }

    /// The answer for one capability by the kernel's name without `KVM_CAP_`, 0 when not known.
    pub fn capability(&self, name: &str) -> i32 {
        self.capabilities
            .iter()
            .find(|c| c.name == name)
            .map_or(0, |c| c.value)
    }

    /// The greatest number of vCPUs a machine can have here.
    pub fn max_vcpus(&self) -> usize {
        self.kvm.get_max_vcpus()
    }

    /// CPUID as KVM would have it, which is not yet what a machine gets: see
    /// [`Recipe`](super::Recipe).
    ///
    /// # Errors
    /// [`HostError::SupportedCpuid`].
    pub fn supported_cpuid(&self) -> Result<CpuId, HostError> {
        self.kvm
            .get_supported_cpuid(KVM_MAX_CPUID_ENTRIES)
            .map_err(|source| HostError::SupportedCpuid { source })
    }

    /// That every capability with that need is present.
    ///
    /// # Errors
    /// [`HostError::MissingCapability`] with all that are not.
    pub fn require(&self, need: Need) -> Result<(), HostError> {
        let lacking: Vec<_> = self
            .capabilities
            .iter()
            .filter(|c| c.need == need && !c.present())
            .map(|c| c.name)
            .collect();
        if lacking.is_empty() {
            return Ok(());
        }
        Err(HostError::MissingCapability {
            names: lacking.join(", "),
        })
    }
}

fn refused(path: &Path, errno: i32) -> HostError {
    let path = PathBuf::from(path).display().to_string();
    match errno {
        // The last two: a device node with no driver behind it.
        libc::ENOENT | libc::ENOTDIR | libc::ENODEV | libc::ENXIO => HostError::Missing { path },
        libc::EACCES | libc::EPERM => HostError::NoPermission { path },
        errno => HostError::Open {
            path,
            source: io::Error::from_raw_os_error(errno),
        },
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The host of a test that needs KVM: without one the test fails, it does not pass unseen.
    pub(crate) fn host() -> Host {
        Host::open().unwrap_or_else(|error| panic!("not run: {error}"))
    }

    #[test]
    fn a_host_has_all_that_both_machines_need() {
        let host = host();
        host.require(Need::UserspaceApic).unwrap();
        host.require(Need::KernelApic).unwrap();
        assert!(host.max_vcpus() >= 64);
        assert_eq!(host.capability("NO_SUCH_CAPABILITY"), 0);
    }

    #[test]
    fn a_missing_capability_is_named() {
        let mut host = host();
        for capability in &mut host.capabilities {
            if capability.name.starts_with("X86_MSR") || capability.name == "USER_NMI" {
                capability.value = 0;
            }
        }
        host.require(Need::Always).unwrap();
        let error = host.require(Need::UserspaceApic).unwrap_err();
        assert_eq!(
            error.to_string(),
            "this host's KVM lacks USER_NMI, X86_MSR_FILTER: use Linux 5.10 or later"
        );
    }

    #[test]
    fn a_path_without_kvm_is_told_from_one_without_permission() {
        let open = |path: &str| Host::open_path(Path::new(path)).unwrap_err();
        assert!(matches!(
            open("/dev/no-kvm-here"),
            HostError::Missing { .. }
        ));
        assert!(matches!(open("/dev/null"), HostError::NotKvm { .. }));
        assert!(matches!(open("/"), HostError::Open { .. }));
        let device = Path::new(DEVICE);
        assert!(matches!(
            refused(device, libc::EACCES),
            HostError::NoPermission { .. }
        ));
        assert!(matches!(
            refused(device, libc::ENXIO),
            HostError::Missing { .. }
        ));
    }
}
