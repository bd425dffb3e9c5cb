//! Boots of real kernels, recorded once: today's APICs must answer as the ones that booted them.

use std::fs;
use std::path::Path;

use vmm::trace::{Account, Replay, Trace};

#[test]
fn recorded_boots_replay() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("traces");
    let mut replayed = 0;
    for entry in fs::read_dir(&folder).expect("the folder of traces") {
        let path = entry.expect("an entry").path();
        if path
            .extension()
            .is_none_or(|extension| extension != "trace")
        {
            continue;
        }
        let trace = Trace::open(&path).expect("a trace");
        let replay = Replay::of(&trace).expect("a whole trace");
        assert!(replay.is_identical(), "{}: {replay}", path.display());
        // A boot of two processors, not an empty file.
        assert!(replay.inputs > 10_000, "{}: {replay}", path.display());
        let report = Account::of(&trace).expect("a trace").report(&trace);
        assert_eq!(report.lost.total, 0, "{}", path.display());
        assert_eq!(report.outcome.reasons, [""; 0], "{}", path.display());
        replayed += 1;
    }
    assert_eq!(replayed, 2, "{}", folder.display());
}
