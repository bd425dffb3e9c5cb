//! The control socket in the file system: for its owner alone, and gone when the run is.

use std::fs::{self, Metadata};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, fchmod};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use rustix::net::{bind, connect, listen, socket_with};

/// Clients that may wait to be accepted.
const BACKLOG: i32 = 16;

/// Why a control socket cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Something is there that no killed run can have left.
    #[error("{path:?} exists and is no socket of an earlier run: give --control another path")]
    Occupied {
        /// The path.
        path: PathBuf,
    },
    /// A process serves it.
    #[error("{path:?} is the socket of a running VM: give --control another path")]
    Serving {
        /// The path.
        path: PathBuf,
    },
    /// The host refuses it.
    #[error("cannot create the control socket {path:?}: {way_out}")]
    Refused {
        /// The path.
        path: PathBuf,
        /// What the user can do.
        way_out: &'static str,
        /// The reason.
        #[source]
        source: io::Error,
    },
}

/// A listening socket that only its owner can connect to, removed when dropped.
#[derive(Debug)]
pub(super) struct Socket {
    listener: UnixListener,
    path: PathBuf,
    file: Option<(u64, u64)>,
}

impl Socket {
    /// Makes the socket, in the place of one that a killed run has left.
    ///
    /// # Errors
    ///
    /// Something else is there, or the host refuses.
    pub(super) fn bind(path: &Path) -> Result<Self, SocketError> {
        remove_if_dead(path)?;
        let listener = private_listener(path).map_err(|errno| match errno {
            Errno::ADDRINUSE => SocketError::Occupied { path: path.into() },
            errno => SocketError::Refused {
                path: path.into(),
                way_out: match errno {
                    Errno::NAMETOOLONG => "give a path of at most 107 bytes",
                    _ => "give a path in an existing, writable folder",
                },
                source: errno.into(),
            },
        })?;
        Ok(Self {
            listener: listener.into(),
            path: path.into(),
            file: fs::symlink_metadata(path).ok().map(identity),
        })
    }

    pub(super) const fn listener(&self) -> &UnixListener {
        &self.listener
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let there = fs::symlink_metadata(&self.path).ok().map(identity);
        // What has taken its place since is somebody else's.
        if there.is_some() && there == self.file {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A socket of mode 0600 from its first moment: the file of a Unix socket gets the mode that the
/// socket had before (Linux, `net/unix/af_unix.c`, `unix_bind_bsd`).
fn private_listener(path: &Path) -> Result<OwnedFd, Errno> {
    let address = SocketAddrUnix::new(path)?;
    let socket = nonblocking_socket()?;
    fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
    bind(&socket, &address)?;
    listen(&socket, BACKLOG)?;
    Ok(socket)
}

fn nonblocking_socket() -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
}

/// Removes a socket of this user's that nobody serves; leaves everything else, with an error.
fn remove_if_dead(path: &Path) -> Result<(), SocketError> {
    let Ok(found) = fs::symlink_metadata(path) else {
        return Ok(());
    };
    let occupied = || SocketError::Occupied { path: path.into() };
    let own = found.uid() == rustix::process::geteuid().as_raw();
    if !found.file_type().is_socket() || !own {
        return Err(occupied());
    }
    let knock = || connect(nonblocking_socket()?, &SocketAddrUnix::new(path)?);
    match knock() {
        Err(Errno::CONNREFUSED) => {}
        // A queue that is full is somebody's.
        Ok(()) | Err(Errno::AGAIN) => return Err(SocketError::Serving { path: path.into() }),
        Err(_) => return Err(occupied()),
    }
    // Another run may have found it dead at the same time, and have put its own there.
    let still = fs::symlink_metadata(path).ok().map(identity);
    if still == Some(identity(found)) {
        let _ = fs::remove_file(path);
    }
    Ok(())
}

fn identity(file: Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixStream;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().expect("a temporary folder")
    }

    #[test]
    fn only_the_owner_can_connect_and_it_is_gone_afterwards() {
        let folder = folder();
        let path = folder.path().join("vm.sock");
        let socket = Socket::bind(&path).unwrap();
        let mode = fs::symlink_metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o600);
        UnixStream::connect(&path).expect("it listens");
        drop(socket);
        assert!(!path.exists());
    }

    #[test]
    fn one_that_a_killed_run_left_is_replaced() {
        let folder = folder();
        let path = folder.path().join("vm.sock");
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let _socket = Socket::bind(&path).unwrap();
        UnixStream::connect(&path).expect("the new one listens");
    }

    #[test]
    fn what_is_not_a_dead_socket_is_left_alone() {
        let folder = folder();
        let path = folder.path().join("vm.sock");
        let running = Socket::bind(&path).unwrap();
        assert!(matches!(
            Socket::bind(&path),
            Err(SocketError::Serving { .. })
        ));
        UnixStream::connect(&path).expect("the first still listens");
        drop(running);
        fs::write(&path, "precious").unwrap();
        assert!(matches!(
            Socket::bind(&path),
            Err(SocketError::Occupied { .. })
        ));
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(folder.path().join("nowhere"), &link).unwrap();
        assert!(matches!(
            Socket::bind(&link),
            Err(SocketError::Occupied { .. })
        ));
    }

    #[test]
    fn what_has_taken_its_place_is_not_removed() {
        let folder = folder();
        let path = folder.path().join("vm.sock");
        let socket = Socket::bind(&path).unwrap();
        fs::rename(&path, folder.path().join("moved")).unwrap();
        fs::write(&path, "precious").unwrap();
        drop(socket);
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }

    #[test]
    fn a_path_that_cannot_be_says_what_to_do() {
        let long = PathBuf::from("/tmp").join("x".repeat(200));
        let error = Socket::bind(&long).unwrap_err().to_string();
        assert!(error.contains("107 bytes"), "{error}");
        let error = Socket::bind(Path::new("/nonexistent/vm.sock")).unwrap_err();
        assert!(error.to_string().contains("writable folder"), "{error}");
    }
}
