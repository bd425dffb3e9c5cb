//! Times of the register model, by criterion, and what a second sending thread adds.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::workspace::cargo;

/// Measures them; criterion's own lines are passed on as they come.
pub(crate) fn run(quick: bool) -> anyhow::Result<()> {
    println!("\nTimes of the register model (criterion)\n");
    let mut bench = cargo(&["bench", "--package", "vapic", "--bench", "time", "--"]);
    if quick {
        bench.args(["--warm-up-time", "0.5", "--measurement-time", "1"]);
    }
    let mut child = bench.stdout(Stdio::piped()).spawn()?;
    let output = child.stdout.take().context("no output")?;
    let mut scaling = Vec::new();
    for line in BufReader::new(output).lines() {
        let line = line?;
        if line.starts_with('{') {
            scaling.push(serde_json::from_str(&line).with_context(|| format!("in {line}"))?);
        } else {
            println!("{line}");
        }
    }
    let status = child.wait()?;
    ensure!(status.success(), "the times failed: {status}");
    ensure!(
        !scaling.is_empty(),
        "the benchmark did not measure two senders"
    );
    print_scaling(&scaling)
}

/// Two senders to distinct targets beside one.
fn print_scaling(rows: &[Value]) -> anyhow::Result<()> {
    println!(
        "Two sending threads to distinct targets, million sends a second; met to one decimal\n"
    );
    let mut table = super::table(&["work", "one", "two", "two/one", "goal", "met"]);
    for row in rows {
        let number = |name: &str| {
            row[name]
                .as_f64()
                .with_context(|| format!("no {name} in {row}"))
        };
        let (ratio, goal) = (number("ratio")?, number("goal")?);
        // The goal has one decimal.
        let is_met = (ratio * 10.0).round() >= (goal * 10.0).round();
        table.add_row([
            row["work"].as_str().unwrap_or_default().to_owned(),
            format!("{:.1}", number("one")? / 1e6),
            format!("{:.1}", number("two")? / 1e6),
            format!("{ratio:.2}"),
            format!("{goal:.1}"),
            if is_met { "yes" } else { "NO" }.to_owned(),
        ]);
    }
    println!("{}", table.trim_fmt());
    Ok(())
}
