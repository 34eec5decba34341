//! Figures of this process, as Linux tells them; elsewhere there are none.

/// Figures of this process.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Process {
    pub(super) resident_octets: u64,
    pub(super) cpu_s: f64,
    pub(super) files: u64,
    pub(super) threads: u64,
    pub(super) started_s: f64,
}

/// Units of time in `/proc`, in a second: what Linux tells programs on every architecture (USER_HZ).
const TICKS: f64 = 100.0;

/// The figures now; `None` where there is no `/proc`.
pub(super) fn read() -> Option<Process> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let boot = std::fs::read_to_string("/proc/stat").ok()?;
    let files = std::fs::read_dir("/proc/self/fd").ok()?.count();
    parse(&stat, &status, &boot, files as u64)
}

fn parse(stat: &str, status: &str, boot: &str, files: u64) -> Option<Process> {
    // The second field, the name in brackets, may have anything in it.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    // Numbers of proc_pid_stat(5), of which the first two are cut off: utime 14, stime 15, starttime 22.
    let field = |number: usize| fields.get(number - 3).and_then(|text| text.parse::<f64>().ok());
    let line = |text: &str, key: &str| -> Option<u64> {
        text.lines().find_map(|line| line.strip_prefix(key))?.split_whitespace().next()?.parse().ok()
    };
    #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 are far below 2^53")]
    let boot = line(boot, "btime ")? as f64;
    Some(Process {
        resident_octets: line(status, "VmRSS:")?.saturating_mul(1024),
        cpu_s: (field(14)? + field(15)?) / TICKS,
        files,
        threads: line(status, "Threads:")?,
        started_s: boot + field(22)? / TICKS,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_blanks_does_not_shift_the_fields() {
        let stat = "7 (head (end) x) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 9 0 12345 1000000 500";
        let status = "Name:\thead-end\nVmRSS:\t    2048 kB\nThreads:\t9\n";
        let read = parse(stat, status, "cpu 1 2\nbtime 1700000000\n", 12).unwrap();
        let expected =
            Process { resident_octets: 2_097_152, cpu_s: 3.0, files: 12, threads: 9, started_s: 1_700_000_123.45 };
        assert_eq!(read, expected);
        assert_eq!(parse("7 (x) S", status, "", 0), None);
    }
}
