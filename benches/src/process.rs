//! What the kernel knows of a process.

use std::fs;
use std::process::Child;

use anyhow::Context;

/// The unit of times in `/proc/<pid>/stat`; the kernel's interface has this value on all our platforms.
const TICKS_PER_SECOND: f64 = 100.0;

/// Figures of a process since its start.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// User and system time.
    pub(crate) cpu_seconds: f64,
    /// What it caused to be written to disk.
    pub(crate) written_bytes: u64,
    /// Memory it has now.
    pub(crate) rss_bytes: u64,
    /// The most it ever had.
    pub(crate) rss_max_bytes: u64,
}

impl Usage {
    /// Reads the figures of a running process.
    pub(crate) fn of(pid: u32) -> anyhow::Result<Usage> {
        let read = |file: &str| {
            let path = format!("/proc/{pid}/{file}");
            fs::read_to_string(&path).with_context(|| format!("cannot read `{path}`"))
        };
        let status = read("status")?;
        Ok(Usage {
            cpu_seconds: cpu_seconds(&read("stat")?).context("`stat` has another form")?,
            written_bytes: field(&read("io")?, "write_bytes:").unwrap_or_default(),
            rss_bytes: field(&status, "VmRSS:").unwrap_or_default() * 1024,
            rss_max_bytes: field(&status, "VmHWM:").unwrap_or_default() * 1024,
        })
    }
}

impl Usage {
    /// Reads the figures of a running process and of its running descendants, added up.
    pub(crate) fn of_tree(pid: u32) -> anyhow::Result<Usage> {
        let mut sum = Usage::of(pid)?;
        for child in children(pid) {
            // It may have ended meanwhile.
            let Ok(child) = Usage::of_tree(child) else { continue };
            sum.cpu_seconds += child.cpu_seconds;
            sum.written_bytes += child.written_bytes;
            sum.rss_bytes += child.rss_bytes;
            sum.rss_max_bytes += child.rss_max_bytes;
        }
        Ok(sum)
    }
}

/// The processes that any thread of a process has started.
fn children(pid: u32) -> Vec<u32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let of_thread = |thread: fs::DirEntry| fs::read_to_string(thread.path().join("children")).ok();
    let lists: Vec<String> = threads.flatten().filter_map(of_thread).collect();
    lists.iter().flat_map(|list| list.split_whitespace()).flat_map(str::parse).collect()
}

fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// User and system time, from the `stat` of a process or of a thread.
pub(crate) fn cpu_seconds(stat: &str) -> Option<f64> {
    // The name of the program stands in parentheses and may hold anything; user and system time are the 12th and the
    // 13th field behind it.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some((user + system) as f64 / TICKS_PER_SECOND)
}

/// A child that does not outlive its owner.
pub(crate) struct Owned(pub(crate) Child);

impl Drop for Owned {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_of_a_process_include_its_children() {
        let mut child = std::process::Command::new("sleep");
        let child = Owned(child.arg("60").spawn().unwrap());
        let own = std::process::id();
        assert!(children(own).contains(&child.0.id()));
        let sum = Usage::of_tree(own).unwrap();
        assert!(sum.rss_bytes >= Usage::of(child.0.id()).unwrap().rss_bytes);
    }
}
