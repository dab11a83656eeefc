//! What the kernel knows of this process. Where there is no `/proc`, nothing.

use std::fs;

/// The unit of times in `/proc/self/stat`; the kernel's interface has this value on all our platforms.
const TICKS_PER_SECOND: f64 = 100.0;

/// The size of a page is not told in `/proc`; this file counts in kibibytes.
const STATUS: &str = "/proc/self/status";

/// Figures of this process. What can't be read is missing.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Process {
    pub(crate) resident_bytes: Option<u64>,
    /// User and system time.
    pub(crate) cpu_seconds: Option<f64>,
    /// Since the Unix epoch.
    pub(crate) start_seconds: Option<f64>,
    pub(crate) open_files: Option<usize>,
    pub(crate) threads: Option<u64>,
}

impl Process {
    pub(crate) fn read() -> Process {
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let status = fs::read_to_string(STATUS).unwrap_or_default();
        let booted = fs::read_to_string("/proc/stat").unwrap_or_default();
        let started = ticks(&stat, 22).zip(field(&booted, "btime"));
        Process {
            resident_bytes: field(&status, "VmRSS:").map(|kibibytes| kibibytes * 1024),
            cpu_seconds: ticks(&stat, 14).zip(ticks(&stat, 15)).map(|(user, system)| user + system),
            start_seconds: started.map(|(since, booted)| booted as f64 + since),
            // Not the one that reads the list.
            open_files: fs::read_dir("/proc/self/fd").ok().map(|list| list.count() - 1),
            threads: field(&status, "Threads:"),
        }
    }
}

/// A time in `stat`, by the number of its field in the kernel's documentation.
fn ticks(stat: &str, number: usize) -> Option<f64> {
    // The second field is the name of the program in parentheses, and may hold anything.
    let (_, fields) = stat.rsplit_once(')')?;
    let ticks: u64 = fields.split_whitespace().nth(number - 3)?.parse().ok()?;
    Some(ticks as f64 / TICKS_PER_SECOND)
}

fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::time::{SystemTime, UNIX_EPOCH};

    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_has_memory_files_and_a_beginning() {
        let process = Process::read();
        assert!(process.resident_bytes.unwrap() > 100_000);
        assert!(process.open_files.unwrap() >= 3);
        assert!(process.threads.unwrap() >= 1);
        assert!(process.cpu_seconds.unwrap() >= 0.0);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        assert!((now - process.start_seconds.unwrap()).abs() < 3_600.0);
    }
}
