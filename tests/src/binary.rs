//! Where the `vapic` binary is.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

static BINARY: LazyLock<PathBuf> = LazyLock::new(|| match env::var_os("VAPIC_BIN") {
    Some(path) => path.into(),
    None => build(),
});

/// The binary under test.
pub(crate) fn path() -> &'static Path {
    &BINARY
}

fn build() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .current_dir(workspace)
        .args(["build", "--release", "--package", "vmm", "--bin", "vapic"])
        .args(["--message-format", "json-render-diagnostics"])
        .output()
        .expect("cargo starts");
    let messages = String::from_utf8_lossy(&built.stdout);
    let executable = messages.lines().find_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        (message["target"]["name"] == "vapic")
            .then(|| message["executable"].as_str().map(PathBuf::from))?
    });
    executable.unwrap_or_else(|| {
        panic!(
            "vapic does not build: {}",
            String::from_utf8_lossy(&built.stderr)
        )
    })
}
