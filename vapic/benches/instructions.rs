//! Instructions that each row of the work list takes, counted by callgrind.
//!
//! ```text
//! cargo bench -p vapic --bench instructions
//! ```
//!
//! Needs `valgrind` (Debian: `apt install valgrind`). The program runs itself under callgrind, once
//! for each row; collection is on from the call of a stage to its return, so a count is the stage,
//! the call and everything below, and nothing is subtracted. Counts are deterministic for a given
//! compiler; the exit code says whether the counting worked, not whether goals are met.
//!
//! Output: one JSON object a line and a row, `{"work":NAME,"instructions":N,"goal":N}`, where
//! `instructions` is the mean of the runs with one decimal (for a broadcast: for each target).
//!
//! Run without `--bench` (as `cargo test --benches` does) it only does the work once, natively.

mod work;

use std::hint::black_box;
use std::path::Path;
use std::process::{Command, ExitCode};

use work::machine::Machine;
use work::stages::Stage;
use work::{Work, list};

/// Runs of a stage under callgrind.
const RUNS: u32 = 1000;
/// Argument with which the program starts itself for one row.
const ROW: &str = "--row";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [ROW, row] => {
            let row = row
                .parse()
                .ok()
                .and_then(|row: usize| list().into_iter().nth(row));
            run(
                &row.expect("the program gives itself rows of its own list"),
                RUNS,
            );
        }
        [.., "--bench"] => {
            for (row, work) in list().iter().enumerate() {
                match count(row) {
                    Ok(total) => print(work, total),
                    Err(reason) => {
                        eprintln!("{}: {reason}", work.name);
                        return ExitCode::FAILURE;
                    }
                }
            }
        }
        _ => list().iter().for_each(|work| run(work, 1)),
    }
    ExitCode::SUCCESS
}

fn run(work: &Work, runs: u32) {
    let mut machine = black_box(Box::new((work.machine)()));
    for _ in 0..runs {
        work.run(&mut machine, |stage, machine| collected(machine, stage));
    }
    black_box(machine);
}

/// What callgrind collects: the call of a stage.
#[inline(never)]
fn collected(machine: &mut Machine, stage: Stage) {
    stage(machine);
    // Keeps the call from becoming a jump.
    black_box(());
}

fn print(work: &Work, total: u64) {
    let each = total as f64 / f64::from(RUNS) / f64::from(work.units);
    println!(
        r#"{{"work":"{}","instructions":{each:.1},"goal":{}}}"#,
        work.name, work.goal
    );
}

/// Instructions of all runs of a row.
fn count(row: usize) -> Result<u64, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let profile = std::env::temp_dir().join(format!("vapic-callgrind-{}", std::process::id()));
    let output = Command::new("valgrind")
        .args([
            "--tool=callgrind",
            "--toggle-collect=*instructions*collected*",
        ])
        .arg(format!("--callgrind-out-file={}", profile.display()))
        .arg(program)
        .args([ROW, &row.to_string()])
        .output()
        .map_err(|error| format!("valgrind does not start ({error}); install it"))?;
    if !output.status.success() {
        return Err(format!(
            "valgrind: {}",
            String::from_utf8_lossy(&output.stderr)
        ));
    }
    total(&profile)
}

/// The sum that callgrind wrote, `totals: N`.
fn total(profile: &Path) -> Result<u64, String> {
    let text = std::fs::read_to_string(profile).map_err(|error| error.to_string())?;
    let _ = std::fs::remove_file(profile);
    let total = text
        .lines()
        .find_map(|line| line.strip_prefix("totals: ")?.trim().parse().ok());
    total
        .filter(|&total| total > 0)
        .ok_or_else(|| "callgrind collected nothing".to_owned())
}
