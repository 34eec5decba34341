//! Clients of other implementations in Python: `peers/peer.py` with a plan, and its report.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// The Python that has the implementations, and a folder for plans and reports.
pub(crate) struct Python {
    program: String,
    folder: tempfile::TempDir,
}

impl Python {
    /// # Panics
    /// When `DLMS_PEERS_PYTHON` does not name it.
    pub(crate) fn new() -> Self {
        let program = std::env::var("DLMS_PEERS_PYTHON").expect("DLMS_PEERS_PYTHON names a Python with the peers");
        Self { program, folder: tempfile::tempdir().expect("a folder") }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A script beside the clients.
    pub(crate) fn command(&self, name: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.arg(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/peers")).join(name));
        command
    }

    /// What a script beside the clients prints.
    pub(crate) fn script(&self, name: &str, arguments: &[&std::ffi::OsStr]) -> String {
        let output = self.command(name).args(arguments).output().expect("Python starts");
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }

    /// Has a client do what a plan says; its report, or what it said instead of one.
    pub(crate) fn try_report(&self, plan: &Value) -> Result<Value, String> {
        let (plan_path, report_path) = (self.folder().join("plan.json"), self.folder().join("report.json"));
        std::fs::write(&plan_path, plan.to_string()).expect("a plan");
        let _ = std::fs::remove_file(&report_path);
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/peer.py");
        let arguments = [Path::new(script), &plan_path, &report_path];
        let output = Command::new(&self.program).args(arguments).output().expect("Python starts");
        let report = std::fs::read(&report_path).map_err(|_| String::from_utf8_lossy(&output.stderr).into_owned())?;
        Ok(serde_json::from_slice(&report).expect("a report"))
    }

    /// The same, where there must be a report.
    pub(crate) fn report(&self, plan: &Value) -> Value {
        self.try_report(plan).unwrap_or_else(|said| panic!("{said}"))
    }
}
