//! A file the user names: opened, measured, read and, if it is gzip, unpacked.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use super::BootError;

/// What a gzip file starts with (RFC 1952, 2.3.1): two magic bytes and the method, deflate.
const GZIP: &[u8] = &[0x1F, 0x8B, 8];

/// Reads the file at `path`, called `name` in errors, if it has at most `most` bytes; `wanted` says
/// what to give instead of a path that leads to none.
pub(super) fn read(
    path: &Path,
    name: &str,
    wanted: &'static str,
    most: u64,
) -> Result<Vec<u8>, BootError> {
    let file = || name.to_owned();
    let refused = |source: io::Error| match source.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => BootError::Missing {
            file: file(),
            wanted,
        },
        _ => BootError::Unreadable {
            file: file(),
            source,
        },
    };
    // Asked before the open, which would wait for a writer on a named pipe.
    if !fs::metadata(path).map_err(refused)?.is_file() {
        return Err(BootError::NotAFile {
            file: file(),
            wanted,
        });
    }
    let opened = File::open(path).map_err(refused)?;
    read_at_most(opened, most)
        .map_err(refused)?
        .ok_or_else(|| BootError::TooLarge { file: file(), most })
}

/// The image itself, unpacked to at most `most` bytes if it is gzip.
pub(super) fn unpack<'a>(
    image: Cow<'a, [u8]>,
    name: &str,
    most: u64,
) -> Result<Cow<'a, [u8]>, BootError> {
    if !image.starts_with(GZIP) {
        return Ok(image);
    }
    let kernel = || name.to_owned();
    read_at_most(MultiGzDecoder::new(&image[..]), most)
        .map_err(|source| BootError::BrokenGzip {
            kernel: kernel(),
            source,
        })?
        .map(Cow::Owned)
        .ok_or_else(|| BootError::TooLarge {
            file: kernel(),
            most,
        })
}

/// All bytes, or `None` if there are more than `most`: a sparse or packed file can be far larger
/// than the disk it is on.
fn read_at_most(source: impl Read, most: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    source
        .take(most.saturating_add(1))
        .read_to_end(&mut bytes)?;
    Ok(Some(bytes).filter(|bytes| bytes.len() as u64 <= most))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn gzip_is_unpacked_and_anything_else_left_alone() {
        let unpacked = |bytes: &[u8]| {
            unpack(bytes.to_vec().into(), "k", 100)
                .unwrap()
                .into_owned()
        };
        assert_eq!(unpacked(b"a kernel"), b"a kernel");
        assert_eq!(unpacked(&gzip(b"a kernel")), b"a kernel");
        assert_eq!(
            unpacked(&[gzip(b"a "), gzip(b"kernel")].concat()),
            b"a kernel"
        );
        assert_eq!(unpacked(b""), b"");
    }

    #[test]
    fn what_is_too_large_or_broken_is_refused() {
        let packed = gzip(&vec![0; 10 << 20]);
        assert!(packed.len() < 100 << 10);
        assert!(matches!(
            unpack(packed.clone().into(), "k", (10 << 20) - 1),
            Err(BootError::TooLarge { .. })
        ));
        assert!(unpack(packed.clone().into(), "k", 10 << 20).is_ok());
        for length in [3, 10, 18, packed.len() - 1] {
            let refusal = unpack(packed[..length].into(), "k", u64::MAX).unwrap_err();
            assert!(matches!(refusal, BootError::BrokenGzip { .. }), "{length}");
        }
    }

    #[test]
    fn a_file_larger_than_memory_is_not_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(1 << 40).unwrap();
        assert!(matches!(
            read(file.path(), "k", "", 1 << 20),
            Err(BootError::TooLarge {
                most: 0x10_0000,
                ..
            })
        ));
        file.as_file().set_len(1 << 20).unwrap();
        assert_eq!(read(file.path(), "k", "", 1 << 20).unwrap().len(), 1 << 20);
    }
}
