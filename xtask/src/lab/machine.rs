//! The lab's machine: QEMU without KVM, its console in a file, and a port for each stream.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::Context;
use signal_hook::consts::SIGINT;
use signal_hook::flag;

use super::Unusable;
use super::returned::exit_code;
use super::tsc;

const QEMU: &str = "qemu-system-x86_64";

/// A machine to run once.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) kernel: PathBuf,
    pub(super) initramfs: PathBuf,
    /// Number of processors.
    pub(super) cpus: u32,
    /// In MiB.
    pub(super) memory: u32,
    /// In seconds, from its start.
    pub(super) timeout: u32,
}

/// How a machine ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// Its command did, with this code.
    Exited(u8),
    /// It was ended after its time.
    TimedOut {
        /// The end of what QEMU and the kernel said.
        last_words: String,
    },
    /// It was ended by a Ctrl-C.
    Interrupted,
    /// It did of itself, before its command.
    NoResult {
        /// The end of what QEMU and the kernel said.
        last_words: String,
    },
}

/// The machine's virtio ports, in the order of their numbers, which begin with 1.
const PORTS: [&str; 4] = ["stdout", "stderr", "result", "out"];

/// Says what to install if there is no QEMU.
pub(super) fn qemu_is_here() -> anyhow::Result<()> {
    let mut version = Command::new(QEMU);
    version.arg("--version");
    if version.output().is_ok_and(|output| output.status.success()) {
        return Ok(());
    }
    let message = format!("{QEMU} is not installed: run `apt-get install qemu-system-x86`");
    Err(Unusable(message).into())
}

impl Machine {
    /// Runs it to its end, passing on its command's output as it comes; `folder` is for its sockets.
    ///
    /// The bytes are the archive of what the command left in `/out`.
    pub(super) fn run(
        &self,
        folder: &Path,
        out: impl Write + Send,
        err: impl Write + Send,
    ) -> anyhow::Result<(Ending, Vec<u8>)> {
        let console = folder.join("console");
        let sockets = PORTS.map(|port| folder.join(port));
        let mut qemu = self.command(&sockets, &console);
        let complaints = folder.join("qemu");
        qemu.stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&complaints)?);
        // A Ctrl-C ends QEMU, and then us, in order.
        let interrupted = Arc::new(AtomicBool::new(false));
        flag::register(SIGINT, interrupted.clone())?;
        let (status, streams) = attend(qemu, &sockets, out, err)?;
        let last_words = last_words(&[&complaints, &console]);
        let ending = match exit_code(&String::from_utf8_lossy(&streams.result)) {
            Some(code) => Ending::Exited(code),
            None if matches!(status.code(), Some(TIMED_OUT | KILLED)) => {
                Ending::TimedOut { last_words }
            }
            None if interrupted.load(Ordering::Relaxed) => Ending::Interrupted,
            None => Ending::NoResult { last_words },
        };
        Ok((ending, streams.out))
    }

    /// The machine under `timeout`, which ends it even if nobody is left who would.
    fn command(&self, sockets: &[PathBuf; PORTS.len()], console: &Path) -> Command {
        let mut command = Command::new("timeout");
        // In the foreground a Ctrl-C ends it too.
        command.args(["--foreground", "--kill-after=5", &self.timeout.to_string()]);
        command
            .args([QEMU, "-nodefaults", "-no-reboot", "-display", "none"])
            .args([
                "-machine",
                "q35",
                "-accel",
                "tcg,thread=single",
                "-cpu",
                CPU,
            ])
            .args([
                "-smp",
                &self.cpus.to_string(),
                "-m",
                &self.memory.to_string(),
            ])
            .arg("-kernel")
            .arg(&self.kernel)
            .arg("-initrd")
            .arg(&self.initramfs)
            .args(["-append", &kernel_parameters(self.tsc_khz())])
            .args([
                "-chardev",
                &format!("file,id=console,path={}", console.display()),
            ])
            .args(["-serial", "chardev:console"])
            .args(["-device", "virtio-serial-pci"]);
        if self.counts_instructions() {
            command.args(["-icount", INSTRUCTION]);
        }
        for (number, (port, socket)) in (1..).zip(PORTS.iter().zip(sockets)) {
            let socket = format!("socket,id={port},path={}", socket.display());
            let port = format!("virtserialport,chardev={port},name={port},nr={number}");
            command.args(["-chardev", &socket, "-device", &port]);
        }
        command
    }

    /// Processors that take turns would wait for each other at this pace for minutes.
    const fn counts_instructions(&self) -> bool {
        self.cpus == 1
    }

    fn tsc_khz(&self) -> u64 {
        if self.counts_instructions() {
            COUNTED_TSC_KHZ
        } else {
            tsc::khz()
        }
    }
}

/// All that QEMU has but XSAVE: it does not have XSETBV exit from a guest, whose kernel then finds
/// sizes that do not fit.
const CPU: &str = "max,xsave=off";

/// Time is that of the instructions executed, 2^3 ns each, about as fast as TCG is: nothing in the
/// machine takes longer because this host is busy. A processor with nothing to do goes on at once.
const INSTRUCTION: &str = "shift=3,sleep=off";

/// Its TSC then counts ns.
const COUNTED_TSC_KHZ: u64 = 1_000_000;

/// Quiet, ended by a panic, and sure of its clock: TCG's processors read one TSC, so it is not for
/// the kernel to measure, nor to distrust when a busy host lets it wait.
fn kernel_parameters(tsc_khz: u64) -> String {
    format!("console=ttyS0 quiet panic=-1 mitigations=off tsc=reliable tsc_early_khz={tsc_khz}")
}

/// The exit codes of `timeout`: its signal was enough, or it had to kill.
const TIMED_OUT: i32 = 124;
const KILLED: i32 = 137;

/// What came by the ports that are not passed on.
#[derive(Debug, Default, PartialEq, Eq)]
struct Streams {
    result: Vec<u8>,
    out: Vec<u8>,
}

/// Runs QEMU to its end, with a thread for each of its ports.
fn attend(
    mut qemu: Command,
    sockets: &[PathBuf; PORTS.len()],
    out: impl Write + Send,
    err: impl Write + Send,
) -> anyhow::Result<(ExitStatus, Streams)> {
    let mut listeners = Vec::new();
    for socket in sockets {
        listeners.push(UnixListener::bind(socket).context("no socket for the lab's machine")?);
    }
    let mut child = qemu
        .spawn()
        .with_context(|| format!("{:?} does not start", qemu.get_program()))?;
    let mut streams = Streams::default();
    let status = thread::scope(|scope| {
        let sinks: [Box<dyn Write + Send>; PORTS.len()] = [
            Box::new(out),
            Box::new(err),
            Box::new(&mut streams.result),
            Box::new(&mut streams.out),
        ];
        for (listener, sink) in listeners.iter().zip(sinks) {
            scope.spawn(move || pass_on(listener, sink));
        }
        let status = child.wait();
        for socket in sockets {
            // Ends the wait for a QEMU that did not get as far as connecting.
            drop(UnixStream::connect(socket));
        }
        status
    })?;
    Ok((status, streams))
}

/// Copies what comes by a port, as it comes.
fn pass_on(listener: &UnixListener, mut to: impl Write) {
    let Ok((mut from, _)) = listener.accept() else {
        return;
    };
    let mut buffer = [0; 1 << 14];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return,
            // Where nobody looks, the command goes on all the same.
            Ok(length) => drop(to.write_all(&buffer[..length]).and_then(|()| to.flush())),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

/// A kernel's panic fits, with its call trace.
const LAST_LINES: usize = 50;

/// The last lines of these files.
fn last_words(files: &[&Path]) -> String {
    let mut words = String::new();
    for file in files {
        let text = fs::read(file).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<_> = text.lines().collect();
        for line in &lines[lines.len().saturating_sub(LAST_LINES)..] {
            words.push_str(line.trim_end());
            words.push('\n');
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a shell in QEMU's place; on each port comes what QEMU would say, and then the file
    /// `$SAID` is there.
    fn attended(script: &str, says: [&str; PORTS.len()]) -> (ExitStatus, [String; PORTS.len()]) {
        let folder = tempfile::tempdir().unwrap();
        let sockets = PORTS.map(|port| folder.path().join(port));
        let said = folder.path().join("said");
        let mut qemu = Command::new("sh");
        qemu.args(["-c", script]).env("SAID", &said);
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let (status, streams) = thread::scope(|scope| {
            if says != [""; PORTS.len()] {
                scope.spawn(|| {
                    for (socket, text) in sockets.iter().zip(says) {
                        say(socket, text);
                    }
                    File::create(&said).unwrap();
                });
            }
            attend(qemu, &sockets, &mut out, &mut err)
        })
        .unwrap();
        let came = [out, err, streams.result, streams.out];
        (status, came.map(|bytes| String::from_utf8(bytes).unwrap()))
    }

    fn say(socket: &Path, text: &str) {
        let mut stream = loop {
            if let Ok(stream) = UnixStream::connect(socket) {
                break stream;
            }
            thread::yield_now();
        };
        stream.write_all(text.as_bytes()).unwrap();
    }

    #[test]
    fn what_comes_by_a_port_goes_to_its_place() {
        let says = ["to stdout", "to stderr", "exit 3\n", "an archive"];
        let (status, came) = attended("until [ -e $SAID ]; do sleep 0.01; done", says);
        assert!(status.success());
        assert_eq!(came, says);
    }

    #[test]
    fn a_machine_that_does_not_get_to_its_ports_is_not_waited_for() {
        let (status, came) = attended("exit 1", [""; PORTS.len()]);
        assert_eq!(status.code(), Some(1));
        assert_eq!(came, [""; PORTS.len()]);
    }

    #[test]
    fn its_time_is_limited_from_without() {
        let machine = Machine {
            kernel: "kernel".into(),
            initramfs: "initramfs".into(),
            cpus: 2,
            memory: 512,
            timeout: 7,
        };
        let command = machine.command(&PORTS.map(PathBuf::from), Path::new("console"));
        assert_eq!(command.get_program(), "timeout");
        let arguments: Vec<_> = command.get_args().collect();
        assert_eq!(arguments[2], "7");
        assert_eq!(arguments[3], QEMU);
        // The processors of a machine take turns, and only one counts its instructions.
        assert!(!arguments.contains(&"-icount".as_ref()));
        let alone = Machine { cpus: 1, ..machine };
        let command = alone.command(&PORTS.map(PathBuf::from), Path::new("console"));
        assert!(command.get_args().any(|argument| argument == "-icount"));
        let slow = "timeout --kill-after=5 0.1 sleep 100";
        let (status, _) = attended(slow, [""; PORTS.len()]);
        assert_eq!(status.code(), Some(TIMED_OUT));
    }

    #[test]
    fn the_last_words_are_the_last_lines() {
        let folder = tempfile::tempdir().unwrap();
        let (short, long) = (folder.path().join("short"), folder.path().join("long"));
        fs::write(&short, "no such machine\n").unwrap();
        let lines: Vec<_> = (0..200).map(|line| format!("line {line}\r\n")).collect();
        fs::write(&long, lines.concat()).unwrap();
        let words = last_words(&[&short, &long, Path::new("/nowhere")]);
        let words: Vec<_> = words.lines().collect();
        assert_eq!(words.len(), 1 + LAST_LINES);
        assert_eq!(words[..2], ["no such machine", "line 150"]);
        assert_eq!(words.last(), Some(&"line 199"));
    }
}
