//! One client: it asks once, is answered once, and has so much time for both.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Instant;

use rustix::event::PollFlags;

use super::request::{LONGEST, Request};
use super::response::Response;

/// A connection whose stream never blocks.
#[derive(Debug)]
pub(super) struct Connection {
    stream: UnixStream,
    deadline: Instant,
    state: State,
}

#[derive(Debug)]
enum State {
    Asking(Vec<u8>),
    Answering { bytes: Vec<u8>, sent: usize },
}

/// What a step left to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// To wait for the client.
    Waits,
    /// Nothing: it is answered, or gone.
    Over,
}

impl Connection {
    /// A client that has time until `deadline`, on a stream that does not block.
    pub(super) const fn new(stream: UnixStream, deadline: Instant) -> Self {
        Self {
            stream,
            deadline,
            state: State::Asking(Vec::new()),
        }
    }

    pub(super) const fn stream(&self) -> &UnixStream {
        &self.stream
    }

    /// When its time is over.
    pub(super) const fn deadline(&self) -> Instant {
        self.deadline
    }

    /// What it waits for.
    pub(super) const fn interest(&self) -> PollFlags {
        match self.state {
            State::Asking(_) => PollFlags::IN,
            State::Answering { .. } => PollFlags::OUT,
        }
    }

    /// Goes on until the stream would block; `answer` is asked once, when the request is there.
    pub(super) fn step(&mut self, answer: &dyn Fn(Request) -> Response) -> Progress {
        loop {
            let done = match &mut self.state {
                State::Asking(head) => {
                    let mut bytes = [0; LONGEST];
                    let room = LONGEST - head.len().min(LONGEST);
                    self.stream
                        .read(&mut bytes[..room])
                        .inspect(|&count| head.extend_from_slice(&bytes[..count]))
                }
                State::Answering { bytes, sent } => self
                    .stream
                    .write(&bytes[*sent..])
                    .inspect(|count| *sent += count),
            };
            match done {
                Ok(0) => return Progress::Over,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Progress::Waits,
                Err(_) => return Progress::Over,
            }
            match &self.state {
                State::Asking(head) => match Request::parse(head) {
                    Request::Incomplete => {}
                    request => {
                        let with_body = !matches!(request, Request::Head(_));
                        self.state = State::Answering {
                            bytes: answer(request).bytes(with_body),
                            sent: 0,
                        };
                    }
                },
                State::Answering { bytes, sent } if *sent == bytes.len() => return Progress::Over,
                State::Answering { .. } => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::request::Resource;
    use crate::control::response::Status;

    fn connected() -> (UnixStream, Connection) {
        let (client, server) = UnixStream::pair().unwrap();
        server.set_nonblocking(true).unwrap();
        (client, Connection::new(server, Instant::now()))
    }

    fn answer(request: Request) -> Response {
        match request {
            Request::Get(Resource::Metrics) | Request::Head(Resource::Metrics) => {
                Response::ok("text/plain", "m".repeat(3 << 20))
            }
            Request::Refused(status) => Response::refusal(status),
            _ => Response::refusal(Status::NotFound),
        }
    }

    #[test]
    fn a_request_may_come_in_pieces_and_the_answer_go_in_many() {
        let (mut client, mut connection) = connected();
        assert_eq!(connection.step(&answer), Progress::Waits);
        client.write_all(b"GET /metr").unwrap();
        assert_eq!(connection.step(&answer), Progress::Waits);
        assert_eq!(connection.interest(), PollFlags::IN);
        client.write_all(b"ics HTTP/1.0\r\n\r\n").unwrap();
        assert_eq!(connection.step(&answer), Progress::Waits);
        assert_eq!(connection.interest(), PollFlags::OUT);
        let reader = std::thread::spawn(move || {
            let mut text = String::new();
            client.read_to_string(&mut text).unwrap();
            text
        });
        while connection.step(&answer) == Progress::Waits {
            std::thread::yield_now();
        }
        drop(connection);
        assert!(reader.join().unwrap().ends_with(&"m".repeat(3 << 20)));
    }

    #[test]
    fn one_that_hangs_up_is_over() {
        let (client, mut connection) = connected();
        drop(client);
        assert_eq!(connection.step(&answer), Progress::Over);
    }

    #[test]
    fn one_that_never_ends_its_request_is_refused() {
        let (mut client, mut connection) = connected();
        client.write_all(&[b'A'; 3 * LONGEST]).unwrap();
        assert_eq!(connection.step(&answer), Progress::Over);
        drop(connection);
        let mut text = Vec::new();
        // What it sent beyond was not read, of which the host tells it.
        let _ = client.read_to_end(&mut text);
        let text = String::from_utf8_lossy(&text);
        assert!(text.starts_with("HTTP/1.0 431 "), "{text}");
    }
}
