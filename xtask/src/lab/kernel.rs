//! A Debian kernel as its package has it: the image, and the modules the lab loads.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::archive::in_package;

/// What the lab loads, each after what it needs: the ports that results come by, then KVM.
const MODULES: [&str; 9] = [
    "kernel/drivers/virtio/virtio_ring.ko",
    "kernel/drivers/virtio/virtio.ko",
    "kernel/drivers/virtio/virtio_pci_legacy_dev.ko",
    "kernel/drivers/virtio/virtio_pci_modern_dev.ko",
    "kernel/drivers/virtio/virtio_pci.ko",
    "kernel/drivers/char/virtio_console.ko",
    "kernel/virt/lib/irqbypass.ko",
    "kernel/arch/x86/kvm/kvm.ko",
    "kernel/arch/x86/kvm/kvm-amd.ko",
];

/// A kernel to boot.
#[derive(Debug)]
pub(super) struct Kernel {
    /// Its bzImage.
    pub(super) image: PathBuf,
    /// Those of [`MODULES`] that are not built in, in their order; some kernels compress them.
    pub(super) modules: Vec<PathBuf>,
}

impl Kernel {
    /// The kernel whose package is unpacked in this folder.
    pub(super) fn in_package(folder: &Path) -> anyhow::Result<Self> {
        let boot = folder.join("boot");
        let image = entry(&boot, "vmlinuz-")?;
        let modules = entry(&in_package(folder, "lib/modules"), "")?;
        let built_in = fs::read_to_string(modules.join("modules.builtin"))
            .with_context(|| format!("{} has no modules.builtin", modules.display()))?;
        Ok(Self {
            image,
            modules: to_load(&modules, &built_in)?,
        })
    }
}

/// The one entry of a folder whose name begins so.
fn entry(folder: &Path, prefix: &str) -> anyhow::Result<PathBuf> {
    let entries = fs::read_dir(folder).with_context(|| format!("no {}", folder.display()))?;
    let found = entries
        .flatten()
        .find(|entry| entry.file_name().to_string_lossy().starts_with(prefix));
    let found = found.with_context(|| format!("nothing in {}", folder.display()))?;
    Ok(found.path())
}

fn to_load(folder: &Path, built_in: &str) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for module in MODULES {
        if built_in.lines().any(|line| line == module) {
            continue;
        }
        let plain = folder.join(module);
        let compressed = folder.join(format!("{module}.xz"));
        match [plain, compressed].into_iter().find(|file| file.is_file()) {
            Some(file) => files.push(file),
            None => bail!("{} has no {module}", folder.display()),
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A package with these modules as files, the others built in.
    fn package(files: &[&str], built_in: &[&str]) -> tempfile::TempDir {
        let package = tempfile::tempdir().unwrap();
        let modules = package.path().join("lib/modules/6.0");
        for file in files {
            let file = modules.join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "").unwrap();
        }
        fs::create_dir_all(package.path().join("boot")).unwrap();
        fs::write(package.path().join("boot/System.map-6.0"), "").unwrap();
        fs::write(package.path().join("boot/vmlinuz-6.0"), "").unwrap();
        fs::write(modules.join("modules.builtin"), built_in.join("\n")).unwrap();
        package
    }

    #[test]
    fn modules_in_their_order_without_those_built_in() {
        let files = [
            "kernel/arch/x86/kvm/kvm-amd.ko.xz",
            "kernel/arch/x86/kvm/kvm.ko.xz",
            "kernel/virt/lib/irqbypass.ko",
        ];
        let package = package(&files, &MODULES[..6]);
        let kernel = Kernel::in_package(package.path()).unwrap();
        assert_eq!(kernel.image, package.path().join("boot/vmlinuz-6.0"));
        let folder = package.path().join("lib/modules/6.0");
        let expected = [files[2], files[1], files[0]].map(|file| folder.join(file));
        assert_eq!(kernel.modules, expected);
    }

    #[test]
    fn a_module_that_is_nowhere_is_named() {
        let package = package(&["kernel/virt/lib/irqbypass.ko"], &MODULES[..6]);
        let error = Kernel::in_package(package.path()).unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("has no kernel/arch/x86/kvm/kvm.ko"),
            "{error}"
        );
    }
}
