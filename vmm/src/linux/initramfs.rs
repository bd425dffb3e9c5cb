//! The initramfs this crate carries: `/init` is the package `linux-init`.

/// A newc archive, not compressed; empty only under `cfg(loom)`, where nothing boots.
pub static INITRAMFS: &[u8] = include_bytes!(env!("INITRAMFS"));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_archive_has_an_init_that_runs_on_its_own() {
        let mut rest = INITRAMFS;
        let mut found = false;
        loop {
            let mut entry = cpio::newc::Reader::new(rest).expect("an entry");
            if entry.entry().is_trailer() {
                break;
            }
            if entry.entry().name() == "init" {
                let mut init = Vec::new();
                std::io::Read::read_to_end(&mut entry, &mut init).expect("its bytes");
                assert_eq!(entry.entry().mode(), 0o100_755);
                assert!(init.starts_with(b"\x7fELF"));
                found = true;
            }
            rest = entry.finish().expect("the next entry");
        }
        assert!(found);
    }
}
