//! The server's loop: who may connect, how many at once, and when it ends.

use std::io::{self, ErrorKind};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::connection::{Connection, Progress};
use super::request::Request;
use super::response::Response;

/// Most clients at once; one more takes the place of the one that came first.
const MOST_CLIENTS: usize = 16;
/// How long no client is accepted after the host had no descriptor for one.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves clients from one thread, none of which it waits for.
pub(super) struct Server<'a> {
    listener: &'a UnixListener,
    /// Its other end is closed to end the server.
    stop: UnixStream,
    answer: &'a dyn Fn(Request) -> Response,
    /// Time for the whole of a connection.
    limit: Duration,
    /// Who came first is first.
    clients: Vec<Connection>,
    accepts_from: Option<Instant>,
}

impl<'a> Server<'a> {
    pub(super) const fn new(
        listener: &'a UnixListener,
        stop: UnixStream,
        answer: &'a dyn Fn(Request) -> Response,
        limit: Duration,
    ) -> Self {
        Self {
            listener,
            stop,
            answer,
            limit,
            clients: Vec::new(),
            accepts_from: None,
        }
    }

    /// Serves until the other end of `stop` is closed; whoever is not answered then never is.
    pub(super) fn run(mut self) -> io::Result<()> {
        loop {
            let now = Instant::now();
            self.clients.retain(|client| client.deadline() > now);
            self.accepts_from = self.accepts_from.filter(|&from| from > now);
            let Some(ready) = self.wait(now)? else {
                return Ok(());
            };
            let mut ready = ready.into_iter();
            let knocks = ready.next().unwrap_or(false);
            self.clients.retain_mut(|client| {
                !ready.next().unwrap_or(false) || client.step(self.answer) == Progress::Waits
            });
            if knocks {
                self.accept();
            }
        }
    }

    /// Whether the listener and each client have something to do; `None` at the end.
    fn wait(&self, now: Instant) -> io::Result<Option<Vec<bool>>> {
        let knocks = match self.accepts_from {
            None => PollFlags::IN,
            Some(_) => PollFlags::empty(),
        };
        let mut waited = vec![
            PollFd::new(&self.stop, PollFlags::IN),
            PollFd::new(self.listener, knocks),
        ];
        let clients = self.clients.iter();
        waited.extend(clients.map(|client| PollFd::new(client.stream(), client.interest())));
        let deadlines = self.clients.iter().map(Connection::deadline);
        let first = deadlines.chain(self.accepts_from).min();
        let timeout = first.map(|first| first.saturating_duration_since(now));
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        match poll(&mut waited, timeout.as_ref()) {
            Err(Errno::INTR) => {
                waited.iter_mut().for_each(PollFd::clear_revents);
            }
            other => {
                other?;
            }
        }
        let mut ready = waited.iter().map(|fd| !fd.revents().is_empty());
        let stopped = ready.next().unwrap_or(true);
        Ok((!stopped).then(|| ready.collect()))
    }

    fn accept(&mut self) {
        let stream = match self.listener.accept() {
            Ok((stream, _)) => stream,
            // Gone again.
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            // No descriptor left, say: it would be reported again at once.
            Err(_) => {
                self.accepts_from = Some(Instant::now() + PAUSE);
                return;
            }
        };
        if stream.set_nonblocking(true).is_err() {
            return;
        }
        if self.clients.len() >= MOST_CLIENTS {
            self.clients.remove(0);
        }
        let deadline = Instant::now() + self.limit;
        self.clients.push(Connection::new(stream, deadline));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::response::Status;
    use std::io::{Read, Write};
    use std::thread;

    fn answer(request: Request) -> Response {
        match request {
            Request::Refused(status) => Response::refusal(status),
            _ => Response::ok("text/plain", "counters\n".to_owned()),
        }
    }

    /// Longer than any test takes, however busy the host is.
    const LONG: Duration = Duration::from_secs(3600);

    /// Runs `test` against a server in a folder of its own, and ends the server after it.
    fn served(limit: Duration, test: impl FnOnce(&dyn Fn() -> UnixStream)) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        listener.set_nonblocking(true).unwrap();
        let (stop, stopped) = UnixStream::pair().unwrap();
        thread::scope(|scope| {
            let server = scope.spawn(|| Server::new(&listener, stopped, &answer, limit).run());
            test(&|| UnixStream::connect(&path).unwrap());
            drop(stop);
            server.join().unwrap().unwrap();
        });
    }

    fn ask(mut client: UnixStream) -> String {
        client.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
        let mut text = String::new();
        client.read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn silent_clients_keep_nobody_from_being_served() {
        served(LONG, |connect| {
            let silent: Vec<_> = (0..3 * MOST_CLIENTS).map(|_| connect()).collect();
            for _ in 0..3 {
                assert!(ask(connect()).ends_with("\r\n\r\ncounters\n"));
            }
            drop(silent);
        });
    }

    #[test]
    fn the_end_waits_for_no_client() {
        let mut clients = Vec::new();
        let started = Instant::now();
        served(LONG, |connect| {
            clients.extend((0..4).map(|_| connect()));
            assert!(ask(connect()).starts_with("HTTP/1.0 200"));
        });
        assert!(started.elapsed() < LONG / 10);
        let mut text = String::new();
        let _ = clients[0].read_to_string(&mut text);
        assert_eq!(text, "", "it was hung up on");
    }

    #[test]
    fn one_that_is_silent_for_too_long_is_hung_up_on() {
        served(Duration::from_millis(20), |connect| {
            let mut text = String::new();
            connect().read_to_string(&mut text).unwrap();
            assert_eq!(text, "");
        });
    }

    #[test]
    fn what_cannot_be_answered_is_refused() {
        served(LONG, |connect| {
            let mut client = connect();
            client.write_all(b"DELETE / HTTP/1.0\r\n\r\n").unwrap();
            let mut text = String::new();
            client.read_to_string(&mut text).unwrap();
            let refusal = Response::refusal(Status::NotFound).bytes(true);
            assert_eq!(text.into_bytes(), refusal);
        });
    }
}
