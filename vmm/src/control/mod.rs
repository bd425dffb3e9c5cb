//! `vapic run --control SOCKET`: the counters of a running VM, for `vapic top` and for Prometheus.
//!
//! A Unix socket of mode 0600 speaks HTTP: `GET /metrics` is Prometheus' text format, `GET
//! /snapshot` is JSON ([`snapshot`]); one request a connection.
//!
//! A thread of its own serves it. It reads what the vCPUs count anyway, and shares no lock, no event
//! loop and nothing that it writes with them. Clients are few, have little time, and are never
//! waited for, so that none delays another, nor the end of the run.

mod connection;
mod metrics;
mod request;
mod response;
mod server;
pub mod snapshot;
mod socket;

use std::io;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use socket::SocketError;

use crate::observe::Observer;
use crate::observe::report::ApicKind;
use request::{Request, Resource};
use response::Response;
use server::Server;
use snapshot::Snapshot;
use socket::Socket;

/// Time that a client has, from connecting to the end of its answer.
const LIMIT: Duration = Duration::from_secs(5);

/// What runs, as `vapic run` was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// Version of this program.
    pub version: String,
    /// The process.
    pub pid: u32,
    /// The scenario or the kernel.
    pub guest: String,
    /// Which APIC the guest has.
    pub apic: ApicKind,
    /// The modes that it was told to use: `xapic`, `x2apic` or `both`.
    pub apic_mode: String,
}

/// The control socket of a VM to be run.
#[derive(Debug)]
pub struct Control {
    socket: Socket,
    about: About,
}

impl Control {
    /// Makes the socket; who connects is answered once the VM runs.
    ///
    /// # Errors
    ///
    /// The socket cannot be had at this path.
    pub fn open(path: &Path, about: About) -> Result<Self, SocketError> {
        Ok(Self {
            socket: Socket::bind(path)?,
            about,
        })
    }

    /// Starts to serve what `observer` counts, on a thread of its own.
    ///
    /// # Errors
    ///
    /// The host refuses a thread.
    pub fn serve<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        observer: &'scope Observer,
    ) -> io::Result<Serving<'scope>> {
        let (stop, stopped) = UnixStream::pair()?;
        let thread = thread::Builder::new()
            .name("control".to_owned())
            .spawn_scoped(scope, move || {
                let answer = |request| self.answer(request, observer);
                let server = Server::new(self.socket.listener(), stopped, &answer, LIMIT);
                if let Err(error) = server.run() {
                    eprintln!("vapic: the control socket is not served any more: {error}");
                }
            })?;
        Ok(Serving { stop, thread })
    }

    fn answer(&self, request: Request, observer: &Observer) -> Response {
        match request {
            Request::Get(Resource::Metrics) | Request::Head(Resource::Metrics) => {
                Response::ok(metrics::CONTENT_TYPE, metrics::text(&self.about, observer))
            }
            Request::Get(Resource::Snapshot) | Request::Head(Resource::Snapshot) => Response::ok(
                "application/json",
                Snapshot::take(&self.about, observer).to_json(),
            ),
            Request::Refused(status) => Response::refusal(status),
            Request::Incomplete => Response::refusal(response::Status::BadRequest),
        }
    }
}

/// A control socket that is being served; once this is dropped it is not.
#[derive(Debug)]
pub struct Serving<'scope> {
    stop: UnixStream,
    thread: ScopedJoinHandle<'scope, ()>,
}

impl Serving<'_> {
    /// Ends it, without waiting for any client.
    pub fn end(self) {
        let Self { stop, thread } = self;
        drop(stop);
        // If it panicked it has said so itself, and the run does not depend on it.
        let _ = thread.join();
    }
}

#[cfg(test)]
impl About {
    pub(crate) fn of_test() -> Self {
        Self {
            version: "0.1.0".to_owned(),
            pid: 42,
            guest: "storm".to_owned(),
            apic: ApicKind::Userspace,
            apic_mode: "x2apic".to_owned(),
        }
    }
}
