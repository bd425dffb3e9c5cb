//! The fuzz targets without the fuzzer: the committed corpus, then pseudo-random bytes.
//!
//! `SEEDS` says how many lists of pseudo-random bytes each target does, by default 2000.

use std::path::Path;

/// Bytes from a xorshift generator (Marsaglia, "Xorshift RNGs", 2003).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn bytes(&mut self) -> Vec<u8> {
        let words = self.next() % 512;
        (0..words).flat_map(|_| self.next().to_le_bytes()).collect()
    }
}

fn replay(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target);
    let mut count = 0;
    for entry in std::fs::read_dir(&folder).expect("a committed corpus") {
        let path = entry.expect("a file").path();
        println!("{}", path.display());
        run(&std::fs::read(&path).expect("a readable file"));
        count += 1;
    }
    assert!(count > 0, "{} is empty", folder.display());
    let seeds = std::env::var("SEEDS").map_or(2000, |seeds| seeds.parse().expect("a number"));
    for seed in 1..=seeds {
        println!("seed {seed}");
        // Neighbouring seeds begin alike, so the first few words are skipped.
        let mut random = Random(seed);
        for _ in 0..8 {
            random.next();
        }
        run(&random.bytes());
    }
    println!("{target}: {count} of the corpus, {seeds} seeds");
}

#[test]
fn apics() {
    replay("apics", vapic_fuzz::apics::run);
}

#[test]
fn snapshot() {
    replay("snapshot", vapic_fuzz::snapshot::run);
}

#[test]
fn msi_ioapic() {
    replay("msi_ioapic", vapic_fuzz::msi_ioapic::run);
}
