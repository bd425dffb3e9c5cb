//! Where what a command has to say goes.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;

use super::InputError;

/// Where the report goes.
pub(crate) enum Output {
    Stdout,
    File(OutputFile),
}

/// A file that will be written, if what it is for comes to be.
pub(crate) struct OutputFile {
    path: PathBuf,
    pub(super) file: Arc<File>,
    /// It did not exist before.
    new: bool,
}

impl OutputFile {
    /// Opens a file without touching what is in it.
    pub(super) fn open(path: PathBuf) -> Result<Self, (PathBuf, io::Error)> {
        // What an earlier run wrote stays until there is something to put in its place.
        let new = !path.exists();
        let opened = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path);
        match opened {
            Ok(file) => Ok(Self {
                path,
                file: Arc::new(file),
                new,
            }),
            Err(source) => Err((path, source)),
        }
    }

    /// Nothing will be written: leaves no trace of a file that was not there.
    pub(super) fn discard(&self) {
        if self.new {
            let _ = std::fs::remove_file(&self.path);
        }
    }

    /// The file without what was in it.
    pub(super) fn emptied(&self) -> io::Result<&File> {
        // A device or a pipe has no length to set.
        if self.file.metadata()?.is_file() {
            self.file.set_len(0)?;
        }
        Ok(&self.file)
    }

    /// Whether it is this file by whatever path.
    pub(super) fn is(&self, path: &Path) -> io::Result<bool> {
        let (own, other) = (self.file.metadata()?, path.metadata()?);
        Ok((own.dev(), own.ino()) == (other.dev(), other.ino()))
    }

    fn replace(&self, text: &str) -> io::Result<()> {
        self.emptied()?.write_all(text.as_bytes())
    }
}

impl Output {
    pub(crate) fn open(path: Option<PathBuf>) -> Result<Self, InputError> {
        let Some(path) = path else {
            return Ok(Self::Stdout);
        };
        OutputFile::open(path)
            .map(Self::File)
            .map_err(|(path, source)| InputError::ReportFile { path, source })
    }

    /// Whether it is this file by whatever path.
    pub(super) fn is(&self, path: &Path) -> bool {
        match self {
            Self::Stdout => false,
            Self::File(file) => file.is(path).unwrap_or(false),
        }
    }

    /// Nothing will be written.
    pub(crate) fn discard(&self) {
        if let Self::File(file) = self {
            file.discard();
        }
    }

    pub(crate) fn write(&mut self, text: &str) -> anyhow::Result<()> {
        match self {
            // A reader that has seen enough, such as `head`, is no error.
            Self::Stdout => match io::stdout().write_all(text.as_bytes()) {
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
                other => other.context("cannot write the report"),
            },
            Self::File(file) => file
                .replace(text)
                .with_context(|| format!("cannot write the report to {:?}", file.path)),
        }
    }
}
