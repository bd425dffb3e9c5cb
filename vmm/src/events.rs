//! The main thread's event loop: timers, serial input, signals, and the end of the run.
//!
//! It decides nothing: a timer that expires kicks its vCPU, whose own thread looks at the time.

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::os::unix::fs::FileTypeExt;
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
        if let Some(input) = SerialInput::open(machine)? {
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
        // Zero would disarm the timer.
        timer.reset(time.max(Duration::from_nanos(1)), None)?;
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

/// What the user types goes to the guest's serial port, as fast as the guest reads it.
struct SerialInput {
    /// Not `Stdin`, which takes more from the descriptor than it is asked for.
    stdin: File,
    machine: Arc<Machine>,
}

/// What can happen to it.
const TYPED: u32 = 0;
const DRAINED: u32 = 1;

impl SerialInput {
    /// Standard input, if it can be waited for: files and /dev/null cannot.
    fn open(machine: &Arc<Machine>) -> io::Result<Option<Self>> {
        let Ok(stdin) = io::stdin().as_fd().try_clone_to_owned() else {
            return Ok(None);
        };
        let stdin = File::from(stdin);
        let kind = stdin.metadata()?.file_type();
        let pollable = kind.is_fifo() || kind.is_socket() || stdin.is_terminal();
        Ok(pollable.then(|| Self {
            stdin,
            machine: Arc::clone(machine),
        }))
    }

    fn typed(&self) -> Events {
        Events::with_data(&self.stdin, TYPED, EventSet::IN)
    }

    /// Passes on what there is room for; whether to wait for more.
    fn pass_on(&mut self) -> bool {
        let mut bytes = [0; 64];
        let room = self.machine.serial.room();
        let Some(bytes) = bytes.get_mut(..room).filter(|bytes| !bytes.is_empty()) else {
            return false;
        };
        match self.stdin.read(bytes) {
            Ok(count) if count > 0 => {
                self.machine.serial.receive(&bytes[..count]);
                self.machine.pass_on_serial_interrupt();
                true
            }
            // The end of the input, or a terminal that is gone.
            _ => false,
        }
    }
}

impl MutEventSubscriber for SerialInput {
    fn process(&mut self, events: Events, ops: &mut EventOps<'_>) {
        if events.data() == DRAINED {
            let _ = self.machine.serial.drained().read();
            let _ = ops.add(self.typed());
        } else if !self.pass_on() {
            let _ = ops.remove(self.typed());
        }
    }

    fn init(&mut self, ops: &mut EventOps<'_>) {
        let _ = ops.add(self.typed());
        let drained = self.machine.serial.drained();
        ops.add(Events::with_data(drained, DRAINED, EventSet::IN))
            .expect("an event file descriptor can be polled");
    }
}
