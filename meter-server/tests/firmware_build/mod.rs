//! Builds the meters without `std`.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A program, optimised for size, in the configuration that stands beside it.
pub(crate) fn build(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("firmware");
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/firmware");
    let built = Command::new(env!("CARGO"))
        .args(["build", "--release", "--locked", "--message-format=json-render-diagnostics"])
        .args(["--bin", name, "--target-dir"])
        .arg(&target)
        // For `.cargo/config.toml`.
        .current_dir(&folder)
        // Flags of the test run, of coverage for instance, are for programs with std.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        // An incremental build is cut into pieces that are longer together.
        .env_remove("CARGO_INCREMENTAL")
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    // The folder has the name of the host in it; cargo says which.
    let messages = String::from_utf8(built.stdout).unwrap();
    let program = messages.lines().find_map(|message| {
        let (_, path) = message.split_once("\"executable\":\"")?;
        path.split_once('"').map(|(path, _)| PathBuf::from(path))
    });
    program.expect("an executable")
}
