//! What can be wrong with a kernel or its command line: one line each, with the way out.

/// Why nothing was loaded. `kernel` names the image as the user knows it.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// No file of that name.
    #[error(
        "{kernel} does not exist: give --kernel the path of an ELF64 x86-64 kernel, \
         or leave it out to run the embedded guest"
    )]
    Missing {
        /// The image.
        kernel: String,
    },
    /// A directory, a device, a pipe.
    #[error("{kernel} is not a regular file: give --kernel the path of an ELF64 x86-64 kernel")]
    NotAFile {
        /// The image.
        kernel: String,
    },
    /// The host refuses to open or read it.
    #[error("{kernel} cannot be read: check its permissions and the disk it is on")]
    Unreadable {
        /// The image.
        kernel: String,
        /// What the host said.
        #[source]
        source: std::io::Error,
    },
    /// No bytes at all.
    #[error("{kernel} is empty: build it again or copy it again")]
    Empty {
        /// The image.
        kernel: String,
    },
    /// Its headers point beyond its end.
    #[error(
        "{kernel} is truncated, its headers name {needed} bytes and it has {length}: \
         build it again or copy it again"
    )]
    Truncated {
        /// The image.
        kernel: String,
        /// Length the headers need, in bytes.
        needed: u64,
        /// Length of the image, in bytes.
        length: u64,
    },
    /// Another kind of file.
    #[error(
        "{kernel} is not an ELF64 x86-64 kernel ({found}): give an uncompressed vmlinux-style image"
    )]
    NotAKernel {
        /// The image.
        kernel: String,
        /// What it is instead.
        found: &'static str,
    },
    /// An ELF64 x86-64 file whose headers contradict each other.
    #[error("{kernel} has a broken ELF header ({reason}): build it again")]
    Broken {
        /// The image.
        kernel: String,
        /// The contradiction.
        reason: &'static str,
    },
    /// A segment where the boot structures, video memory and ROMs are.
    #[error(
        "{kernel} wants to load at {start:#x}, below 1 MiB where the boot structures are: \
         link it at 2 MiB or higher"
    )]
    OverlapsLowMemory {
        /// The image.
        kernel: String,
        /// Guest-physical start of the segment.
        start: u64,
    },
    /// A segment beyond the RAM below the MMIO hole.
    #[error(
        "{kernel} needs memory up to {end:#x} and the RAM below 3 GiB ends at {ram_end:#x}: \
         give more --memory or link it lower"
    )]
    DoesNotFit {
        /// The image.
        kernel: String,
        /// Guest-physical end of the segment.
        end: u64,
        /// Guest-physical end of the RAM.
        ram_end: u64,
    },
    /// The image passed every check and still could not be copied, as when it changes meanwhile.
    #[error("{kernel} could not be copied into guest memory: check that nothing writes to it")]
    Copy {
        /// The image.
        kernel: String,
        /// What the loader said.
        #[source]
        source: linux_loader::loader::Error,
    },
    /// The command line and its NUL do not fit.
    #[error("a kernel command line of {length} bytes is too long: give at most {most}")]
    CommandLineTooLong {
        /// Its length in bytes.
        length: usize,
        /// The most there is room for.
        most: usize,
    },
    /// The command line would mean something else to the guest than to the user.
    #[error("the kernel command line holds {character:?}: give printable ASCII only")]
    CommandLineCharacter {
        /// The first offender.
        character: char,
    },
}
