//! What the kernel says about a process: time on the cores, memory, bytes written. Linux.

use std::fs;
use std::path::Path;
use std::time::Instant;

/// Clock ticks in a second, as `/proc` counts them on every Linux of today.
const TICKS_PER_SECOND: f64 = 100.0;

/// Of one process, since it began.
#[derive(Clone, Copy, Debug, Default)]
pub struct Process {
    /// Seconds of a core.
    pub cpu: f64,
    /// Resident, in KiB.
    pub memory_kib: f64,
    /// The most that it ever had resident, in KiB.
    pub peak_kib: f64,
    /// Bytes it made the file system write.
    pub written: f64,
    /// Open files and sockets.
    pub descriptors: f64,
    /// Threads.
    pub threads: f64,
}

impl Process {
    /// Zeros if there is no such process, or it is somebody else's.
    #[must_use]
    pub fn of(pid: u32) -> Self {
        let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default();
        let stat = read("stat");
        // The name, in brackets, may have spaces; the 14th and 15th fields are times.
        let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
        let ticks: f64 = fields.skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
        let (status, open) = (read("status"), fs::read_dir(format!("/proc/{pid}/fd")));
        Self {
            cpu: ticks / TICKS_PER_SECOND,
            descriptors: open.map_or(0, Iterator::count) as f64,
            threads: number_after(&status, "Threads:"),
            memory_kib: number_after(&status, "VmRSS:"),
            peak_kib: number_after(&status, "VmHWM:"),
            written: number_after(&read("io"), "write_bytes:"),
        }
    }
}

/// What a server used from one moment to another, and how busy everything else kept the machine.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    server: Option<u32>,
    began: Instant,
    before: Process,
    own: Process,
    busy: f64,
}

/// What is known at the end of a [`Span`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Used {
    /// How long it was.
    pub seconds: f64,
    /// Seconds of a core that the server used; `None` if its process is not known.
    pub server_cpu: Option<f64>,
    /// The same of this process.
    pub own_cpu: f64,
    /// Bytes that the server made the file system write.
    pub written: Option<f64>,
    /// Resident memory of the server now, in KiB.
    pub memory_kib: Option<f64>,
    /// Per cent of one core that neither of both used, but others did.
    pub others: f64,
}

impl Span {
    /// From now on.
    #[must_use]
    pub fn begin(server: Option<u32>) -> Self {
        let before = server.map(Process::of).unwrap_or_default();
        Self { server, began: Instant::now(), before, own: Process::of(std::process::id()), busy: busy() }
    }

    /// Until now.
    #[must_use]
    pub fn end(&self) -> Used {
        let seconds = self.began.elapsed().as_secs_f64();
        let server = self.server.map(Process::of);
        let own_cpu = Process::of(std::process::id()).cpu - self.own.cpu;
        let server_cpu = server.map(|server| server.cpu - self.before.cpu);
        let others = (busy() - self.busy - own_cpu - server_cpu.unwrap_or_default()).max(0.0);
        Used {
            seconds,
            server_cpu,
            own_cpu,
            written: server.map(|server| server.written - self.before.written),
            memory_kib: server.map(|server| server.memory_kib),
            others: 100.0 * others / seconds,
        }
    }
}

/// Bytes of the files below a directory. Those that are removed meanwhile do not count.
#[must_use]
pub fn disk_bytes(dir: &Path) -> f64 {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let each = entries.map(|entry| match entry.metadata() {
        Ok(found) if found.is_dir() => disk_bytes(&entry.path()),
        Ok(found) => found.len() as f64,
        Err(_) => 0.0,
    });
    each.sum()
}

/// Seconds that the cores of this machine were not idle, in all.
fn busy() -> f64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let fields = stat.lines().next().unwrap_or_default().split_whitespace().skip(1);
    let ticks: Vec<f64> = fields.take(8).filter_map(|field| field.parse().ok()).collect();
    let idle: f64 = ticks.iter().skip(3).take(2).sum(); // idle, and waiting for a disk
    (ticks.iter().sum::<f64>() - idle) / TICKS_PER_SECOND
}

fn number_after(text: &str, name: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_and_a_process_that_is_not_there_has_nothing() {
        assert!(Process::of(std::process::id()).memory_kib > 100.0);
        assert!(Process::of(u32::MAX).memory_kib < 1.0);
        let own = Process::of(std::process::id());
        assert!(own.descriptors > 2.0 && own.threads >= 1.0);
        assert!(busy() > 0.0);
    }
}
