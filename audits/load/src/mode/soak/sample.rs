//! What a relay was like, every few seconds of a soak: as a table for programs, as pictures, and as a verdict.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use crate::graph;
use crate::judgement::{Bound, Judgement};
use crate::{Failure, said};

/// How much higher the last third may be than the middle one.
const FLAT: f64 = 1.1;

/// By how much of its median a line through the last half may rise from its beginning to its end.
const LEVEL: f64 = 0.05;

/// Columns of the table, in the order of [`Sample::values`].
const COLUMNS: [&str; 14] = [
    "seconds",
    "memory_mib",
    "descriptors",
    "threads",
    "disk_mib",
    "cpu_percent",
    "stored_p50_ms",
    "stored_p99_ms",
    "sent_per_s",
    "stored_per_s",
    "shown_per_s",
    "waiting",
    "connects_per_s",
    "refused",
];

/// What is judged: its name, where it stands, and how much of it is noise.
type Figure = (&'static str, fn(&Sample) -> f64, f64);

/// One moment, or what happened since the one before.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sample {
    pub(super) seconds: f64,
    pub(super) memory_mib: f64,
    pub(super) descriptors: f64,
    pub(super) threads: f64,
    pub(super) disk_mib: f64,
    pub(super) cpu_percent: f64,
    pub(super) stored_p50_ms: f64,
    pub(super) stored_p99_ms: f64,
    pub(super) sent: f64,
    pub(super) stored: f64,
    pub(super) shown: f64,
    pub(super) waiting: f64,
    pub(super) connects: f64,
    pub(super) refused: f64,
}

impl Sample {
    fn values(&self) -> [f64; COLUMNS.len()] {
        [
            self.seconds,
            self.memory_mib,
            self.descriptors,
            self.threads,
            self.disk_mib,
            self.cpu_percent,
            self.stored_p50_ms,
            self.stored_p99_ms,
            self.sent,
            self.stored,
            self.shown,
            self.waiting,
            self.connects,
            self.refused,
        ]
    }
}

/// The table, which grows line by line so that a run that breaks off has left something.
pub(super) struct Table {
    file: File,
    pub(super) samples: Vec<Sample>,
}

impl Table {
    pub(super) fn create(dir: &Path) -> Result<Self, Failure> {
        fs::create_dir_all(dir).map_err(said)?;
        let mut file = File::create(dir.join("soak.csv")).map_err(said)?;
        writeln!(file, "{}", COLUMNS.join(",")).map_err(said)?;
        Ok(Self { file, samples: Vec::new() })
    }

    pub(super) fn add(&mut self, sample: Sample) -> Result<(), Failure> {
        let values = sample.values().map(|value| format!("{value:.2}"));
        writeln!(self.file, "{}", values.join(",")).map_err(said)?;
        self.samples.push(sample);
        Ok(())
    }

    /// Draws what was measured into `dir`.
    pub(super) fn draw(&self, dir: &Path) -> Result<(), Failure> {
        let of = |value: fn(&Sample) -> f64| self.samples.iter().map(value).collect::<Vec<_>>();
        let minutes = of(|sample| sample.seconds / 60.0);
        type Picture<'a> = (&'a str, &'a str, Vec<graph::Curve<'a>>);
        let pictures: [Picture<'_>; 5] = [
            ("memory.svg", "resident memory of the relay, MiB", vec![("memory", of(|s| s.memory_mib))]),
            (
                "descriptors.svg",
                "open descriptors and threads of the relay",
                vec![("descriptors", of(|s| s.descriptors)), ("threads", of(|s| s.threads))],
            ),
            (
                "latency.svg",
                "time until a message is stored, ms",
                vec![("p50", of(|s| s.stored_p50_ms)), ("p99", of(|s| s.stored_p99_ms))],
            ),
            (
                "rates.svg",
                "messages in a second",
                vec![("sent", of(|s| s.sent)), ("stored", of(|s| s.stored)), ("shown", of(|s| s.shown))],
            ),
            ("disk.svg", "files of the relay, MiB", vec![("disk", of(|s| s.disk_mib))]),
        ];
        for (file, title, curves) in pictures {
            fs::write(dir.join(file), graph::svg(title, &minutes, &curves)).map_err(said)?;
        }
        Ok(())
    }

    /// Whether memory, descriptors, threads and times were as low in the last third as in the middle one, and memory no longer
    /// rose in the last half: what grows slowly and for ever is within any tenth for a while.
    pub(super) fn judge(&self) -> Vec<Judgement> {
        let third = self.samples.len() / 3;
        let middle = self.samples.get(third..2 * third).unwrap_or_default();
        let last = self.samples.get(2 * third..).unwrap_or_default();
        let figures: [Figure; 4] = [
            ("memory MiB", |sample| sample.memory_mib, 0.0),
            ("descriptors", |sample| sample.descriptors, 4.0),
            ("threads", |sample| sample.threads, 1.0),
            ("stored p99 ms", |sample| sample.stored_p99_ms, 1.0),
        ];
        let judge = |(name, value, slack): Figure| {
            let of = |samples: &[Sample]| median(samples.iter().map(value).collect());
            let bound = of(middle) * FLAT + slack;
            Judgement::new(format!("{name}, last third (middle and a tenth)"), of(last), Bound::AtMost(bound))
        };
        let half = self.samples.get(self.samples.len() / 2..).unwrap_or_default();
        let memory = median(half.iter().map(|sample| sample.memory_mib).collect());
        let bound = Bound::AtMost(memory * LEVEL);
        let level = Judgement::new("memory MiB, by which it rises in the last half (a twentieth)", rise(half), bound);
        figures.into_iter().map(judge).chain([level]).collect()
    }
}

/// By how much a straight line through the memory of these rises from the first to the last: least squares.
fn rise(samples: &[Sample]) -> f64 {
    let count = samples.len() as f64;
    let mean = |value: fn(&Sample) -> f64| samples.iter().map(value).sum::<f64>() / count;
    let (seconds, memory) = (mean(|sample| sample.seconds), mean(|sample| sample.memory_mib));
    let sum = |value: &dyn Fn(&Sample) -> f64| samples.iter().map(value).sum::<f64>();
    let together = sum(&|sample| (sample.seconds - seconds) * (sample.memory_mib - memory));
    let slope = together / sum(&|sample| (sample.seconds - seconds).powi(2));
    let lasts = samples.first().zip(samples.last()).map_or(0.0, |(first, last)| last.seconds - first.seconds);
    slope * lasts
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(memory: impl Fn(f64) -> f64) -> Vec<bool> {
        let dir = tempfile::tempdir().unwrap();
        let mut table = Table::create(dir.path()).unwrap();
        for seconds in 0..90 {
            let seconds = f64::from(seconds);
            table.add(Sample { seconds, memory_mib: memory(seconds), ..Sample::default() }).unwrap();
        }
        table.draw(dir.path()).unwrap();
        assert_eq!(fs::read_to_string(dir.path().join("soak.csv")).unwrap().lines().count(), 91);
        assert!(fs::read_to_string(dir.path().join("memory.svg")).unwrap().contains("polyline"));
        table.judge().iter().map(Judgement::holds).collect()
    }

    #[test]
    fn memory_that_goes_on_growing_is_told_from_memory_that_has_grown() {
        assert_eq!(judged(|seconds| 100.0 + seconds.min(20.0)), [true; 5]);
        assert_eq!(judged(|seconds| 100.0 + seconds * 2.0), [false, true, true, true, false]);
    }

    #[test]
    fn memory_that_grows_slowly_and_for_ever_is_told_from_memory_that_goes_up_and_down() {
        assert_eq!(judged(|seconds| 130.0 + seconds * 0.2), [true, true, true, true, false]);
        assert_eq!(judged(|seconds| 130.0 + seconds % 10.0), [true; 5]);
    }
}
