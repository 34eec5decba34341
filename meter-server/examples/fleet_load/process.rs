//! What the system counts for a process.

use std::fmt;
use std::fs;
use std::time::Duration;

use super::Failure;

/// Clock ticks a second in `/proc`, the same on all Linux systems of today.
const TICKS: u64 = 100;

/// Memory and processor time of a process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// Resident octets.
    pub(crate) memory: u64,
    /// In user and system mode.
    pub(crate) cpu: Duration,
}

impl Usage {
    pub(crate) fn of(process: u32) -> Result<Self, Failure> {
        let status = fs::read_to_string(format!("/proc/{process}/status"))?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
        let kilobytes: u64 = resident.trim().trim_end_matches(" kB").parse()?;
        let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
        // Behind the name, which may have spaces in it, utime and stime are the 12th and 13th fields.
        let (_, fields) = stat.rsplit_once(')').ok_or("no name in stat")?;
        let mut times = fields.split_whitespace().skip(11);
        let mut next = || times.next().ok_or("no time in stat").map(str::parse::<u64>);
        let ticks = next()?? + next()??;
        Ok(Self { memory: kilobytes * 1024, cpu: Duration::from_millis(ticks * 1000 / TICKS) })
    }

    #[allow(dead_code, reason = "the soak has no use for it")]
    /// For people, divided by the number of meters.
    pub(crate) fn per(self, meters: u32) -> impl fmt::Display {
        let each = self.memory / u64::from(meters.max(1));
        format!(
            "{} MiB, {each} octets a meter; {:.1} s of processor time so far",
            self.memory >> 20,
            self.cpu.as_secs_f64()
        )
    }
}
