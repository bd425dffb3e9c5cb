//! Instructions of the register model, which callgrind counts the same on every run.

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::workspace::{cargo, program};

/// Counts them, and prints them beside the goals.
pub(crate) fn run() -> anyhow::Result<()> {
    let valgrind = program("valgrind").arg("--version").output();
    ensure!(
        valgrind.is_ok_and(|output| output.status.success()),
        "there is no valgrind to count instructions with: apt install valgrind"
    );
    let mut bench = cargo(&["bench", "--package", "vapic", "--bench", "instructions"]);
    let output = bench.stderr(std::process::Stdio::inherit()).output()?;
    ensure!(
        output.status.success(),
        "the instruction counts failed: {}",
        output.status
    );
    println!("\nInstructions of the register model (callgrind; a stage, its call included)\n");
    let mut table = super::table(&["work", "measured", "goal", "measured/goal", "met"]);
    let (mut met, mut rows) = (0, 0);
    for line in String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter(|line| line.starts_with('{'))
    {
        let row: Value = serde_json::from_str(line).with_context(|| format!("in {line}"))?;
        let number = |name: &str| {
            row[name]
                .as_f64()
                .with_context(|| format!("no {name} in {line}"))
        };
        let (measured, goal) = (number("instructions")?, number("goal")?);
        let is_met = measured <= goal;
        (met, rows) = (met + u32::from(is_met), rows + 1);
        table.add_row([
            row["work"].as_str().unwrap_or_default().to_owned(),
            format!("{measured:.1}"),
            format!("{goal}"),
            format!("{:.2}", measured / goal),
            if is_met { "yes" } else { "NO" }.to_owned(),
        ]);
    }
    ensure!(rows > 0, "the benchmark counted nothing");
    println!("{}\n{met} of {rows} goals met.", table.trim_fmt());
    Ok(())
}
