//! Starting the command, with a time limit.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::drain::Drain;
use crate::output::Output;
use crate::{Elf, binary};

/// Between two looks at a process that may have ended.
const LOOK: Duration = Duration::from_millis(5);

/// A start of `vapic`, to be run.
#[derive(Debug)]
pub struct Vapic {
    command: Command,
    limit: Duration,
    /// The guest's file, until the run is over.
    guest: Option<tempfile::NamedTempFile>,
}

impl Vapic {
    /// How long a run may take unless its test says otherwise: far longer than any does.
    pub const LIMIT: Duration = Duration::from_secs(120);

    /// `vapic` with these arguments, and no standard input.
    #[must_use]
    pub fn new(arguments: &[&str]) -> Self {
        let mut command = Command::new(binary::path());
        command.args(arguments);
        Self::starting(command)
    }

    /// `vapic run` of a guest made for the test, on one vCPU unless the arguments say otherwise.
    ///
    /// # Panics
    ///
    /// If the host has no usable `/dev/kvm`, or the guest cannot be written to a file.
    #[must_use]
    pub fn guest(guest: &Elf, arguments: &[&str]) -> Self {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        fs::write(file.path(), guest.bytes()).expect("the guest can be written");
        let mut vapic = Self::new(&["run"]);
        vapic.command.arg("--kernel").arg(file.path());
        if !arguments.contains(&"--cpus") {
            vapic.command.args(["--cpus", "1"]);
        }
        vapic.command.args(arguments);
        vapic.guest = Some(file);
        vapic.with_kvm()
    }

    /// `vapic` with these arguments, started by `sh` after `script` has changed the surroundings
    /// within namespaces of its own. The user need not be root where user namespaces are allowed.
    ///
    /// # Panics
    ///
    /// If the host allows no mount namespaces: what depends on them is then not tested.
    #[must_use]
    pub fn after(script: &str, arguments: &[&str]) -> Self {
        let ways: [&[&str]; 2] = [&["--mount"], &["--map-root-user", "--mount"]];
        let works = |way: &&&[&str]| {
            let mut probe = Command::new("unshare");
            let probe = probe
                .args(**way)
                .args(["sh", "-c", "mount -t tmpfs none /mnt"]);
            probe.output().is_ok_and(|output| output.status.success())
        };
        let way = ways.iter().find(works).unwrap_or_else(|| {
            panic!(
                "not run: neither `unshare --mount` nor `unshare --map-root-user --mount` works \
                 here: run as root, with CAP_SYS_ADMIN in a container"
            )
        });
        let mut command = Command::new("unshare");
        command.args(*way).args(["sh", "-c"]);
        command.arg(format!("{script} && exec \"$0\" \"$@\""));
        command.arg(binary::path()).args(arguments);
        Self::starting(command)
    }

    /// Where the command is, for a test that has another program start it.
    #[must_use]
    pub fn path() -> PathBuf {
        binary::path().to_owned()
    }

    /// A shell script on a terminal of 80 columns and 24 lines, where `"$VAPIC"` is the command and
    /// `"$1"` the argument; what it shows there is standard output.
    #[must_use]
    pub fn on_terminal(script: &str, argument: &str) -> Self {
        let mut command = Command::new("script");
        command
            .args(["--quiet", "--return", "--command"])
            .arg(format!(
                "stty rows 24 cols 80; set -- \"$ARGUMENT\"; {script}"
            ))
            .arg("/dev/null")
            .env("VAPIC", binary::path())
            .env("ARGUMENT", argument)
            .env("TERM", "xterm-256color")
            .env("SHELL", "/bin/sh");
        Self::starting(command)
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    fn starting(mut command: Command) -> Self {
        command.stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Self {
            command,
            limit: Self::LIMIT,
            guest: None,
        }
    }

    /// Requires KVM.
    ///
    /// # Panics
    ///
    /// If the host has no usable `/dev/kvm`.
    #[must_use]
    pub fn with_kvm(self) -> Self {
        let device = Path::new("/dev/kvm");
        if let Err(error) = OpenOptions::new().read(true).write(true).open(device) {
            panic!("not run: {}: {error}", device.display());
        }
        self
    }

    /// Another time limit.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Standard input comes from there.
    #[must_use]
    pub fn stdin(mut self, stdin: impl Into<Stdio>) -> Self {
        self.command.stdin(stdin);
        self
    }

    /// Standard output goes there instead of to the test.
    #[must_use]
    pub fn stdout(mut self, stdout: impl Into<Stdio>) -> Self {
        self.command.stdout(stdout);
        self
    }

    /// Runs it to its end.
    ///
    /// # Panics
    ///
    /// If it does not start, or takes longer than its limit.
    #[must_use]
    pub fn run(self) -> Output {
        self.start().wait()
    }

    /// Starts it.
    ///
    /// # Panics
    ///
    /// If it does not start.
    #[must_use]
    pub fn start(mut self) -> Running {
        let arguments = self.command.get_args().map(OsString::from).collect();
        let mut child = self
            .command
            .spawn()
            .unwrap_or_else(|error| panic!("{:?} does not start: {error}", self.command));
        Running {
            stdout: child.stdout.take().map(Drain::new),
            stderr: child.stderr.take().map(Drain::new),
            child,
            started: Instant::now(),
            limit: self.limit,
            arguments,
            _guest: self.guest,
        }
    }
}

/// A `vapic` that has been started.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stdout: Option<Drain>,
    stderr: Option<Drain>,
    started: Instant,
    limit: Duration,
    arguments: Vec<OsString>,
    _guest: Option<tempfile::NamedTempFile>,
}

impl Running {
    /// Waits until its standard output and error together contain `text`.
    ///
    /// # Panics
    ///
    /// If that does not come within the limit, or before its end.
    pub fn wait_for(&mut self, text: &str) {
        loop {
            let ended = self.has_ended();
            let streams = [&self.stdout, &self.stderr];
            if streams
                .into_iter()
                .flatten()
                .any(|stream| stream.contains(text))
            {
                return;
            }
            assert!(!ended, "{:?} ended without saying {text:?}", self.arguments);
            self.check_limit();
            thread::sleep(LOOK);
        }
    }

    /// Waits until it has started a process that it has not started before `earlier`, and gives the
    /// process's id.
    ///
    /// # Panics
    ///
    /// If that does not come within the limit, or before its end.
    pub fn wait_for_child(&mut self, earlier: Option<u32>) -> u32 {
        let id = self.child.id();
        loop {
            let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
            let children = children.expect("a kernel that tells a process's children");
            let first = children.split_ascii_whitespace().next();
            let child = first.map(|child| child.parse().expect("the id of a process"));
            if let Some(child) = child.filter(|child| Some(*child) != earlier) {
                return child;
            }
            assert!(!self.has_ended(), "{:?} has ended", self.arguments);
            self.check_limit();
            thread::sleep(LOOK);
        }
    }

    /// Sends it a signal, by its name without SIG.
    ///
    /// # Panics
    ///
    /// If it has ended already.
    pub fn signal(&self, name: &str) {
        let kill = Command::new("sh")
            .args([
                "-c",
                r#"kill -s "$0" "$1""#,
                name,
                &self.child.id().to_string(),
            ])
            .status();
        assert!(
            kill.is_ok_and(|status| status.success()),
            "no process to signal"
        );
    }

    /// Waits for its end.
    ///
    /// # Panics
    ///
    /// If that does not come within the limit.
    #[must_use]
    pub fn wait(mut self) -> Output {
        while !self.has_ended() {
            self.check_limit();
            thread::sleep(LOOK);
        }
        let status = self.child.wait().expect("it has ended");
        Output {
            code: status.code(),
            stdout: self.stdout.map(Drain::finish).unwrap_or_default(),
            stderr: self.stderr.map(Drain::finish).unwrap_or_default(),
            arguments: self.arguments,
        }
    }

    fn has_ended(&mut self) -> bool {
        self.child
            .try_wait()
            .expect("it can be waited for")
            .is_some()
    }

    fn check_limit(&mut self) {
        if self.started.elapsed() > self.limit {
            let _ = self.child.kill();
            let _ = self.child.wait();
            let stderr = self.stderr.take().map(Drain::finish).unwrap_or_default();
            panic!(
                "{:?} hangs: ended after {:?}; {stderr}",
                self.arguments, self.limit
            );
        }
    }
}
