//! The running VM: asks its control socket for a snapshot, and notices its end.

use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

use super::TopError;
use crate::control::snapshot::{SCHEMA, Snapshot};

/// Time that the VM has to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between two tries after the VM hung up.
const RETRY: Duration = Duration::from_millis(20);
/// Longest answer that is read: ten times that of a VM with 255 vCPUs.
const LONGEST: u64 = 16 << 20;
/// Most header lines of an answer.
const MOST_HEADERS: usize = 32;

/// A VM's control socket.
#[derive(Debug)]
pub(super) struct Source {
    path: PathBuf,
    /// It has answered before.
    known: bool,
}

/// What a look at the VM shows.
#[derive(Debug)]
pub(super) enum Look {
    /// Its counters.
    Counters(Box<Snapshot>),
    /// Nothing in time; it may be stopped, or its host busy.
    NoAnswer,
    /// It is not there any more.
    Ended,
}

/// Why an answer is none.
enum Failure {
    /// Nobody listens.
    Nobody(io::Error),
    /// It hung up before the answer was complete.
    HungUp,
    TimedOut,
    Wrong(TopError),
}

impl Source {
    pub(super) fn new(path: &Path) -> Self {
        Self {
            path: path.into(),
            known: false,
        }
    }

    /// Asks for the counters.
    ///
    /// # Errors
    ///
    /// There is no VM and never was, or what answers is none.
    pub(super) fn look(&mut self) -> Result<Look, TopError> {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.ask(until) {
                Ok(snapshot) => {
                    self.known = true;
                    return Ok(Look::Counters(Box::new(snapshot)));
                }
                Err(Failure::Nobody(_)) if self.known => return Ok(Look::Ended),
                Err(Failure::Nobody(source)) => {
                    return Err(TopError::Nobody {
                        path: self.path.clone(),
                        source,
                    });
                }
                // A VM that ends hangs up, and is gone a moment later.
                Err(Failure::HungUp) if Instant::now() < until => thread::sleep(RETRY),
                Err(Failure::HungUp | Failure::TimedOut) => return Ok(Look::NoAnswer),
                Err(Failure::Wrong(error)) => return Err(error),
            }
        }
    }

    fn ask(&self, until: Instant) -> Result<Snapshot, Failure> {
        let mut stream = connected(&self.path).map_err(|error| match error.kind() {
            ErrorKind::WouldBlock => Failure::TimedOut,
            _ => Failure::Nobody(error),
        })?;
        let answer = exchange(&mut stream, until).map_err(|error| match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => Failure::TimedOut,
            _ => Failure::HungUp,
        })?;
        body(&answer).map_or(Err(Failure::HungUp), |body| {
            snapshot(body).map_err(Failure::Wrong)
        })
    }
}

/// Connects, with a limit to all that the socket does.
fn connected(path: &Path) -> io::Result<UnixStream> {
    let socket = socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    for timeout in [Timeout::Send, Timeout::Recv] {
        set_socket_timeout(&socket, timeout, Some(PATIENCE))?;
    }
    connect(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(socket.into())
}

fn exchange(stream: &mut UnixStream, until: Instant) -> io::Result<Vec<u8>> {
    stream.write_all(b"GET /snapshot HTTP/1.0\r\n\r\n")?;
    let mut answer = Vec::new();
    let mut part = stream.take(LONGEST);
    let mut bytes = vec![0; 1 << 16];
    loop {
        match part.read(&mut bytes) {
            Ok(0) => return Ok(answer),
            Ok(count) => answer.extend_from_slice(&bytes[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if Instant::now() > until {
            return Err(ErrorKind::TimedOut.into());
        }
    }
}

/// The body of a complete answer, or all of what is no HTTP.
fn body(answer: &[u8]) -> Option<&[u8]> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut head = httparse::Response::new(&mut headers);
    let length = match head.parse(answer) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return None,
        Err(_) => return Some(answer),
    };
    let body = answer.get(length..)?;
    let announced = head
        .headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case("content-length"))
        .and_then(|header| str::from_utf8(header.value).ok()?.parse::<usize>().ok());
    (announced.is_none_or(|announced| announced == body.len())).then_some(body)
}

fn snapshot(body: &[u8]) -> Result<Snapshot, TopError> {
    #[derive(serde::Deserialize)]
    struct Versioned {
        schema: u32,
    }
    let Ok(Versioned { schema }) = serde_json::from_slice(body) else {
        return Err(TopError::NotOurs);
    };
    if schema != SCHEMA {
        return Err(TopError::OtherSchema { schema });
    }
    serde_json::from_slice(body).map_err(|_| TopError::NotOurs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    /// A look at a server that accepts one connection and sends `answer`.
    fn look_at(answer: &'static [u8]) -> Result<Look, TopError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let server = thread::spawn(move || {
            let (mut client, _) = listener.accept().unwrap();
            let mut request = [0; 64];
            let _ = client.read(&mut request).unwrap();
            client.write_all(answer).unwrap();
        });
        let mut source = Source::new(&path);
        source.known = true;
        let look = source.look();
        server.join().unwrap();
        look
    }

    #[test]
    fn one_that_was_never_there_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let error = Source::new(&path).look().unwrap_err();
        assert!(error.to_string().contains("vapic run --control"), "{error}");
    }

    #[test]
    fn one_that_hangs_up_and_is_gone_has_ended() {
        assert!(matches!(look_at(b""), Ok(Look::Ended)));
        let partial = b"HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\n{}";
        assert!(matches!(look_at(partial), Ok(Look::Ended)));
    }

    #[test]
    fn what_is_not_ours_is_said_to_be_so() {
        let other = b"HTTP/1.0 200 OK\r\n\r\n<html>";
        assert!(matches!(look_at(other), Err(TopError::NotOurs)));
        assert!(matches!(look_at(b"220 smtp\r\n"), Err(TopError::NotOurs)));
        let newer = b"HTTP/1.0 200 OK\r\n\r\n{\"schema\":99}";
        assert!(matches!(
            look_at(newer),
            Err(TopError::OtherSchema { schema: 99 })
        ));
    }
}
