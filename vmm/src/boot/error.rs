//! What can be wrong with a kernel, its initramfs or its command line: one line each, with the way out.

/// Why nothing was loaded. `kernel` or `file` names it as the user knows it.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// No file of that name.
    #[error("{file} does not exist: give {wanted}")]
    Missing {
        /// The file.
        file: String,
        /// The option, and what it takes.
        wanted: &'static str,
    },
    /// A directory, a device, a pipe.
    #[error("{file} is not a regular file: give {wanted}")]
    NotAFile {
        /// The file.
        file: String,
        /// The option, and what it takes.
        wanted: &'static str,
    },
    /// The host refuses to open or read it.
    #[error("{file} cannot be read: check its permissions and the disk it is on")]
    Unreadable {
        /// The file.
        file: String,
        /// What the host said.
        #[source]
        source: std::io::Error,
    },
    /// More bytes than there is RAM to load into, perhaps only once it is unpacked.
    #[error(
        "{file} has more than the {most} bytes of RAM below 3 GiB: give more --memory or strip it"
    )]
    TooLarge {
        /// The file.
        file: String,
        /// The most there is room for, in bytes.
        most: u64,
    },
    /// A gzip file that does not unpack.
    #[error("{kernel} is gzip and does not unpack: copy it again, or unpack it with gunzip")]
    BrokenGzip {
        /// The image.
        kernel: String,
        /// What the decoder said.
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
        "{kernel} is not an ELF64 x86-64 kernel, a bzImage or a multiboot kernel ({found}): \
         give one of these"
    )]
    NotAKernel {
        /// The image.
        kernel: String,
        /// What it is instead.
        found: &'static str,
    },
    /// A kernel whose headers contradict each other, or ask for what there is not.
    #[error("{kernel} has a header that cannot be used ({reason}): build it again")]
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
    /// No room for the initial ramdisk or a module between the kernel and the end of RAM.
    #[error(
        "an initramfs of {size} bytes does not fit into the {room} bytes of RAM above the kernel: \
         give more --memory"
    )]
    InitramfsDoesNotFit {
        /// Its length in bytes.
        size: u64,
        /// The room there is, in bytes.
        room: u64,
    },
    /// More modules, or longer command lines of theirs, than low memory has room for.
    #[error(
        "the command lines of {count} modules are too long: give fewer modules, or shorter lines"
    )]
    TooManyModules {
        /// How many were given.
        count: usize,
    },
    /// Their ACPI tables would reach beyond 1 MiB.
    #[error("there is no room for the ACPI tables of {vcpus} processors: give fewer --cpus")]
    TooManyProcessors {
        /// How many were asked for.
        vcpus: u32,
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
