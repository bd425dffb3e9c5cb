//! The main thread's event loop: timers, serial input, signals, and the end of the run.
//!
//! It decides nothing: a timer that expires kicks its vCPU, whose own thread looks at the time.

use std::io::{self, Read, Stdin};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use event_manager::{EventManager, EventOps, EventSet, Events, MutEventSubscriber, SubscriberOps};
use signal_hook::consts::{SIGINT, SIGTERM};
use vmm_sys_util::timerfd::TimerFd;

use crate::machine::{Ending, Machine};
use crate::observe::Tsc;

type Loop = EventManager<Box<dyn MutEventSubscriber>>;

/// The event loop of a VM.
pub struct EventLoop {
    manager: Loop,
    ended: Arc<AtomicBool>,
}

impl EventLoop {
    /// Prepares the loop; `timers` are the vCPUs' timers in order, readable when expired.
    ///
    /// # Errors
    ///
    /// Whatever epoll or the signal set-up reports.
    pub fn new(
        machine: &Arc<Machine>,
        timers: Vec<RawFd>,
        timeout: Option<Duration>,
    ) -> anyhow::Result<Self> {
        let ended = Arc::new(AtomicBool::new(false));
        let mut manager = Loop::new()?;
        manager.add_subscriber(Box::new(Timers {
            fds: timers,
            machine: Arc::clone(machine),
        }));
        manager.add_subscriber(Box::new(End {
            machine: Arc::clone(machine),
            ended: Arc::clone(&ended),
        }));
        manager.add_subscriber(Box::new(ChipsetTimer {
            machine: Arc::clone(machine),
        }));
        if let Some(timeout) = timeout {
            manager.add_subscriber(Box::new(Timeout::after(timeout, machine)?));
        }
        manager.add_subscriber(Box::new(Signals::new(Arc::clone(machine))?));
        if SerialInput::is_pollable()? {
            let input = SerialInput {
                stdin: io::stdin(),
                machine: Arc::clone(machine),
            };
            manager.add_subscriber(Box::new(input));
        }
        Ok(Self { manager, ended })
    }

    /// Serves events until the machine has ended.
    ///
    /// # Errors
    ///
    /// Whatever epoll reports.
    pub fn run(&mut self) -> anyhow::Result<()> {
        while !self.ended.load(Ordering::Relaxed) {
            self.manager.run()?;
        }
        Ok(())
    }
}

/// The vCPUs' timers.
struct Timers {
    fds: Vec<RawFd>,
    machine: Arc<Machine>,
}

impl MutEventSubscriber for Timers {
    fn process(&mut self, events: Events, _: &mut EventOps<'_>) {
        // Edge-triggered: each expiry is reported once and nothing need be read, so the vCPU's
        // thread alone uses the timer.
        self.machine.seats().kick(events.data() as usize);
    }

    fn init(&mut self, ops: &mut EventOps<'_>) {
        for (vcpu, &fd) in (0..).zip(&self.fds) {
            let events = EventSet::IN | EventSet::EDGE_TRIGGERED;
            ops.add(Events::with_data_raw(fd, vcpu, events))
                .expect("a timer can be polled");
        }
    }
}

/// The timer of the devices.
struct ChipsetTimer {
    machine: Arc<Machine>,
}

impl MutEventSubscriber for ChipsetTimer {
    fn process(&mut self, _: Events, _: &mut EventOps<'_>) {
        self.machine.chipset().advance(Tsc::now());
    }

    fn init(&mut self, ops: &mut EventOps<'_>) {
        let events = EventSet::IN | EventSet::EDGE_TRIGGERED;
        ops.add(Events::new_raw(self.machine.chipset().timer(), events))
            .expect("a timer can be polled");
    }
}

/// The end of the time that the run was given.
struct Timeout {
    timer: TimerFd,
    machine: Arc<Machine>,
}

impl Timeout {
    fn after(time: Duration, machine: &Arc<Machine>) -> anyhow::Result<Self> {
        let mut timer = TimerFd::new()?;
        timer.reset(time, None)?;
        Ok(Self {
            timer,
            machine: Arc::clone(machine),
        })
    }
}

impl MutEventSubscriber for Timeout {
    fn process(&mut self, _: Events, _: &mut EventOps<'_>) {
        self.machine.end(Ending::TimedOut);
    }

    fn init(&mut self, ops: &mut EventOps<'_>) {
        let events = EventSet::IN | EventSet::EDGE_TRIGGERED;
        ops.add(Events::new_raw(self.timer.as_raw_fd(), events))
            .expect("a timer can be polled");
    }
}

/// The end of the run.
struct End {
    machine: Arc<Machine>,
    ended: Arc<AtomicBool>,
}

impl MutEventSubscriber for End {
    fn process(&mut self, _: Events, _: &mut EventOps<'_>) {
        self.ended.store(true, Ordering::Relaxed);
    }

    fn init(&mut self, ops: &mut EventOps<'_>) {
        let events = Events::new(self.machine.ended(), EventSet::IN);
        ops.add(events)
            .expect("an event file descriptor can be polled");
    }
}

/// Ctrl-C and SIGTERM end the run in good order; a second one ends the process.
struct Signals {
    received: UnixStream,
    machine: Arc<Machine>,
}

impl Signals {
    fn new(machine: Arc<Machine>) -> io::Result<Self> {
        let (received, sent) = UnixStream::pair()?;
        received.set_nonblocking(true)?;
        let second = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&second))?;
            signal_hook::flag::register(signal, Arc::clone(&second))?;
            signal_hook::low_level::pipe::register(signal, sent.try_clone()?)?;
        }
        Ok(Self { received, machine })
    }
}

impl MutEventSubscriber for Signals {
    fn process(&mut self, _: Events, _: &mut EventOps<'_>) {
        let mut bytes = [0; 16];
        let _ = self.received.read(&mut bytes);
        self.machine.end(Ending::Interrupted);
    }

    fn init(&mut self, ops: &mut EventOps<'_>) {
        let events = Events::new(&self.received, EventSet::IN);
        ops.add(events).expect("a socket can be polled");
    }
}

/// What the user types goes to the guest's serial port.
struct SerialInput {
    stdin: Stdin,
    machine: Arc<Machine>,
}

impl SerialInput {
    /// Whether standard input can be waited for: files and /dev/null cannot.
    fn is_pollable() -> io::Result<bool> {
        use std::os::fd::AsFd;
        use std::os::unix::fs::FileTypeExt;
        let Ok(stdin) = io::stdin().as_fd().try_clone_to_owned() else {
            return Ok(false);
        };
        let kind = std::fs::File::from(stdin).metadata()?.file_type();
        Ok(kind.is_fifo() || kind.is_socket() || io::IsTerminal::is_terminal(&io::stdin()))
    }
}

impl MutEventSubscriber for SerialInput {
    fn process(&mut self, events: Events, ops: &mut EventOps<'_>) {
        let mut bytes = [0; 64];
        let room = self.machine.serial.room().clamp(1, bytes.len());
        match self.stdin.lock().read(&mut bytes[..room]) {
            Ok(count) if count > 0 => {
                self.machine.serial.receive(&bytes[..count]);
                self.machine.pass_on_serial_interrupt();
            }
            // The end of the input, or a terminal that is gone.
            _ => {
                let _ = ops.remove(Events::empty_raw(events.fd()));
            }
        }
    }

    fn init(&mut self, ops: &mut EventOps<'_>) {
        let _ = ops.add(Events::new_raw(self.stdin.as_raw_fd(), EventSet::IN));
    }
}
