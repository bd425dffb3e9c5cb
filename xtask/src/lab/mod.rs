//! `cargo xtask lab`: runs a command where the host's KVM is upstream's.
//!
//! QEMU emulates an AMD processor with SVM (TCG, so no `/dev/kvm` is needed), which runs an
//! unmodified Debian kernel with its own `kvm` and `kvm-amd`. The command finds there:
//!
//! | path | what it is |
//! |---|---|
//! | `/bin` | `vapic` and busybox |
//! | `/program` | the command's own file |
//! | `/libraries` | the shared libraries of both |
//! | `/files` | what `--file` named; the working directory |
//! | `/kernels/VERSION/vmlinuz` | the Debian kernels, for guests |
//! | `/out` | what is left here comes back to the folder of `--out` |
//! | `/tmp` | a tmpfs |

mod archive;
mod initramfs;
mod inside;
mod kernel;
mod libraries;
mod machine;
mod pins;
mod returned;
mod tsc;

use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::PossibleValuesParser;

use crate::{setup, workspace};

use inside::Inside;
use kernel::Kernel;
use machine::{Ending, Machine};
use pins::{KERNELS, Pins};

/// Options of `cargo xtask lab`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Which Debian kernel the machine runs.
    #[arg(long, value_name = "VERSION", default_value = "6.1", value_parser = PossibleValuesParser::new(KERNELS))]
    kernel_version: String,
    /// Number of processors of the machine. The time of more is this host's; that of one is that of its
    /// instructions, which a busy host does not change.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    cpus: u32,
    /// Memory of the machine in MiB.
    #[arg(long, value_name = "M", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(256..=65536))]
    memory: u32,
    /// After how many seconds the machine is ended, its start included; exit code 124 then.
    #[arg(long, value_name = "S", default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..))]
    timeout: u32,
    /// A file to have in /files; may be given more than once.
    #[arg(long, value_name = "PATH")]
    file: Vec<PathBuf>,
    /// The folder that gets what the command leaves in /out.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// What to run: `vapic` is ours, a path is a program of this host, which takes its shared libraries
    /// along, and anything else is busybox's.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// Something that is lacking or was typed wrong, with the way out: exit code 2.
#[derive(Debug)]
struct Unusable(String);

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unusable {}

/// Runs the command in the lab; its exit code is ours.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match run_in_lab(args) {
        Err(error) if error.is::<Unusable>() => {
            eprintln!("xtask: {error:#}");
            Ok(ExitCode::from(2))
        }
        result => result,
    }
}

fn run_in_lab(args: &Args) -> anyhow::Result<ExitCode> {
    let mut inside = Inside::new(&args.command, &args.file)?;
    machine::qemu_is_here()?;
    let pins = Pins::read();
    let busybox = pins.busybox.unpacked()?;
    let kernel = Kernel::in_package(&pins.kernel(&args.kernel_version).unpacked()?)?;
    let mut guests = Vec::new();
    for (version, pin) in &pins.kernels {
        match pin.unpacked() {
            Ok(folder) => guests.push((version.as_str(), Kernel::in_package(&folder)?)),
            // Only a command that boots it needs it.
            Err(error) => eprintln!("xtask: /kernels/{version} will be missing: {error:#}"),
        }
    }
    setup::guest_targets()?;
    workspace::must(workspace::build_vapic())?;
    let vapic = workspace::vapic_path();
    inside.needs_libraries_of(&vapic)?;

    let folder = tempfile::tempdir()?;
    let initramfs = folder.path().join("initramfs");
    initramfs::write(
        &inside.entries(&busybox, &vapic, &kernel, &guests),
        &initramfs,
    )?;
    let machine = Machine {
        kernel: kernel.image,
        initramfs,
        cpus: args.cpus,
        memory: args.memory,
        timeout: args.timeout,
    };
    let (ending, left_in_out) = machine.run(folder.path(), std::io::stdout(), std::io::stderr())?;
    Ok(match ending {
        Ending::Exited(code) => {
            if let Some(out) = &args.out {
                returned::unpack(&left_in_out, out)?;
            }
            ExitCode::from(code)
        }
        Ending::TimedOut { last_words } => {
            let timeout = args.timeout;
            eprintln!("xtask: not done in {timeout} s (--timeout); its console says:");
            eprintln!("{last_words}");
            ExitCode::from(124)
        }
        Ending::Interrupted => ExitCode::from(130),
        Ending::NoResult { last_words } => {
            eprintln!("xtask: the lab's machine ended before the command did; its last words:");
            eprintln!("{last_words}");
            ExitCode::FAILURE
        }
    })
}
