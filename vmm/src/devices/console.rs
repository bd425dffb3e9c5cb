//! Where the guest's serial port prints: a stream of the host, whose reader may be slow.

use std::io::{self, Write};
use std::os::fd::AsRawFd;

use vmm_sys_util::eventfd::EventFd;
use vmm_sys_util::poll::{EpollContext, EpollEvents, WatchingEvents};

/// Where the guest's console goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Console {
    /// Standard output.
    Stdout,
    /// Standard error, when standard output carries a report for a program.
    Stderr,
    /// Nowhere, for machines of which nobody reads it.
    Nowhere,
}

/// Bytes that a pipe takes without waiting once it says that it takes any (pipe(7), PIPE_BUF); a
/// terminal promises less.
const PIECE: usize = 512;
const PIECE_OF_TERMINAL: usize = 1;

/// What is waited for.
const ROOM: u32 = 0;
const ENDED: u32 = 1;

/// The way to a console's stream. A reader that stalls holds up the vCPU that prints, as it would any
/// program, but only until the run ends: what cannot be written then is dropped.
#[derive(Debug)]
pub(super) struct Printer {
    console: Console,
    piece: usize,
    /// For room in the stream, or the end of the run; a file always has room.
    wait: Option<EpollContext<u32>>,
}

impl Printer {
    /// The way to `console`, in a run that has ended once `ended` is readable.
    ///
    /// # Errors
    ///
    /// Whatever epoll reports.
    pub(super) fn new(console: Console, ended: &EventFd) -> io::Result<Self> {
        match console {
            Console::Stdout => Self::to(console, &io::stdout(), ended),
            Console::Stderr => Self::to(console, &io::stderr(), ended),
            Console::Nowhere => Ok(Self {
                console,
                piece: PIECE,
                wait: None,
            }),
        }
    }

    fn to(
        console: Console,
        stream: &(impl AsRawFd + io::IsTerminal),
        ended: &EventFd,
    ) -> io::Result<Self> {
        let wait = EpollContext::new()?;
        wait.add(ended, ENDED)?;
        let writable = WatchingEvents::empty().set_write();
        let waits = wait.add_fd_with_events(stream, writable, ROOM).is_ok();
        Ok(Self {
            console,
            piece: if stream.is_terminal() {
                PIECE_OF_TERMINAL
            } else {
                PIECE
            },
            wait: waits.then_some(wait),
        })
    }

    /// Prints `bytes`.
    pub(super) fn print(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(self.piece) {
            if !self.has_room() {
                return;
            }
            // A reader that went away must not end the guest.
            let _ = match self.console {
                Console::Stdout => write_out(io::stdout().lock(), piece),
                Console::Stderr => write_out(io::stderr().lock(), piece),
                Console::Nowhere => Ok(()),
            };
        }
    }

    /// Waits for room, which there is none of once the run has ended and the stream is full.
    fn has_room(&self) -> bool {
        let Some(wait) = &self.wait else { return true };
        loop {
            let events = EpollEvents::new();
            let Ok(ready) = wait.wait(&events) else {
                return true;
            };
            let mut ended = false;
            for event in ready.iter() {
                if event.token() == ROOM {
                    return true;
                }
                ended = true;
            }
            if ended {
                return false;
            }
        }
    }
}

fn write_out(mut stream: impl Write, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes)?;
    stream.flush()
}
