//! Opening the KVM device and asking what it can do.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use kvm_bindings::{CpuId, KVM_API_VERSION, KVM_MAX_CPUID_ENTRIES};
use kvm_ioctls::Kvm;

use super::HostError;
use super::capability::{self, Capability, Need};

/// Where the kernel offers KVM.
const DEVICE: &str = "/dev/kvm";

/// A KVM that can run our machines.
#[derive(Debug)]
pub struct Host {
    kvm: Kvm,
    capabilities: Vec<Capability>,
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
        let kvm = Kvm::new_with_path(&device).map_err(|e| HostError::refused(path, e.errno()))?;
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
            HostError::refused(device, libc::EACCES),
            HostError::NoPermission { .. }
        ));
        assert!(matches!(
            HostError::refused(device, libc::ENXIO),
            HostError::Missing { .. }
        ));
    }
}
