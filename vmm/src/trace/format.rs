//! The file's layout: a head, then blocks that are whole or not there.

use std::io::{self, Write};

use super::Origin;

/// What a trace begins with.
pub(super) const MAGIC: [u8; 8] = *b"VAPICTRC";
/// The version that this program writes, and the only one that it reads.
pub(super) const VERSION: u32 = 1;
/// Bytes before the first block: the magic, the version, and four that are 0.
pub(super) const FILE_HEAD_SIZE: usize = 16;
/// Bytes of a block's head.
pub(super) const BLOCK_HEAD_SIZE: usize = 32;
/// Most bytes of a block's content, unpacked or packed: what claims more is damaged.
pub(super) const LARGEST_CONTENT: u32 = 64 << 20;

/// Stands for the devices where blocks name a vCPU.
const DEVICES: u32 = u32::MAX;

/// What a block holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Content {
    /// The run's facts, in JSON; the first block.
    Header = 1,
    /// Records of one thread.
    Records = 2,
    /// A marker line of the guest, in JSON.
    Mark = 3,
    /// How the run ended, in JSON; the last block.
    End = 4,
}

/// The head of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BlockHead {
    pub(super) content: Content,
    pub(super) origin: Origin,
    /// Bytes of the content.
    pub(super) unpacked: u32,
    /// Bytes that follow, packed as an LZ4 block.
    pub(super) packed: u32,
    /// CRC-32 (IEEE) of the packed bytes.
    pub(super) crc: u32,
    /// Records that all threads together had lost when the block was written.
    pub(super) lost: u64,
}

/// The head of the file.
pub(super) fn file_head() -> [u8; FILE_HEAD_SIZE] {
    let mut head = [0; FILE_HEAD_SIZE];
    head[..8].copy_from_slice(&MAGIC);
    head[8..12].copy_from_slice(&VERSION.to_le_bytes());
    head
}

impl BlockHead {
    /// Its bytes.
    pub(super) fn to_bytes(self) -> [u8; BLOCK_HEAD_SIZE] {
        let origin = match self.origin {
            Origin::Vcpu(vcpu) => u32::try_from(vcpu).unwrap_or(DEVICES),
            Origin::Devices => DEVICES,
        };
        let words = [
            self.content as u32,
            origin,
            self.unpacked,
            self.packed,
            self.crc,
            0,
        ];
        let mut bytes = [0; BLOCK_HEAD_SIZE];
        for (into, word) in bytes.chunks_exact_mut(4).zip(words) {
            into.copy_from_slice(&word.to_le_bytes());
        }
        bytes[24..].copy_from_slice(&self.lost.to_le_bytes());
        bytes
    }

    /// The head in these bytes, unless it makes no sense.
    pub(super) fn from_bytes(bytes: &[u8; BLOCK_HEAD_SIZE]) -> Option<Self> {
        let [content, origin, unpacked, packed, crc, _, low, high] =
            std::array::from_fn(|word| u32::from_le_bytes(bytes.as_chunks::<4>().0[word]));
        let content = match content {
            1 => Content::Header,
            2 => Content::Records,
            3 => Content::Mark,
            4 => Content::End,
            _ => return None,
        };
        let fits = |size: u32| size <= LARGEST_CONTENT;
        (fits(unpacked) && fits(packed)).then_some(Self {
            content,
            origin: match origin {
                DEVICES => Origin::Devices,
                vcpu => Origin::Vcpu(vcpu as usize),
            },
            unpacked,
            packed,
            crc,
            lost: u64::from(high) << 32 | u64::from(low),
        })
    }
}

/// Writes a block with one call, so that a process that is killed leaves it whole or torn at the
/// end of the file, never in the middle; returns the bytes written.
pub(super) fn write_block(
    file: &mut impl Write,
    content: Content,
    origin: Origin,
    bytes: &[u8],
    lost: u64,
) -> io::Result<u64> {
    let mut block = vec![0; BLOCK_HEAD_SIZE];
    block.extend(lz4_flex::block::compress(bytes));
    let packed = block.get(BLOCK_HEAD_SIZE..).unwrap_or_default();
    let size = |bytes: &[u8]| {
        u32::try_from(bytes.len())
            .ok()
            .filter(|&size| size <= LARGEST_CONTENT)
            .ok_or_else(|| io::Error::other("a block of the trace is too large"))
    };
    let head = BlockHead {
        content,
        origin,
        unpacked: size(bytes)?,
        packed: size(packed)?,
        crc: crc32fast::hash(packed),
        lost,
    };
    block[..BLOCK_HEAD_SIZE].copy_from_slice(&head.to_bytes());
    file.write_all(&block)?;
    Ok(block.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_survives_its_bytes() {
        for (content, origin) in [
            (Content::Header, Origin::Devices),
            (Content::Records, Origin::Vcpu(254)),
            (Content::Mark, Origin::Vcpu(0)),
            (Content::End, Origin::Devices),
        ] {
            let head = BlockHead {
                content,
                origin,
                unpacked: 1,
                packed: 2,
                crc: 3,
                lost: 1 << 40,
            };
            assert_eq!(BlockHead::from_bytes(&head.to_bytes()), Some(head));
        }
    }

    #[test]
    fn a_head_that_claims_too_much_is_none() {
        let head = BlockHead {
            content: Content::Records,
            origin: Origin::Devices,
            unpacked: LARGEST_CONTENT + 1,
            packed: 0,
            crc: 0,
            lost: 0,
        };
        assert_eq!(BlockHead::from_bytes(&head.to_bytes()), None);
        assert_eq!(BlockHead::from_bytes(&[0; BLOCK_HEAD_SIZE]), None);
    }
}
