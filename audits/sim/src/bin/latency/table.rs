//! What was measured, for people and for programs.

use std::fmt::Write;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

/// Anything longer than this is a hang, and counted as this.
const LONGEST: Duration = Duration::from_secs(60);

/// Times, to three digits.
#[derive(Debug)]
pub(crate) struct Times(Histogram<u64>);

impl Default for Times {
    fn default() -> Self {
        let nanos = u64::try_from(LONGEST.as_nanos()).unwrap_or(u64::MAX);
        let within = Histogram::new_with_bounds(1, nanos, 3);
        Self(within.unwrap_or_else(|_| unreachable!("1 to a minute in nanoseconds, 3 digits")))
    }
}

impl Times {
    pub(crate) fn add(&mut self, time: Duration) {
        self.0.saturating_record(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    fn micros(&self, quantile: f64) -> f64 {
        micros(self.0.value_at_quantile(quantile))
    }
}

#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Value>,
    text: String,
}

impl Table {
    pub(crate) fn row(&mut self, name: &str, in_flight: usize, times: &Times) {
        if self.text.is_empty() {
            let _ =
                writeln!(self.text, "{:52} {:>9} {:>9} {:>9} {:>9}", "microseconds", "in flight", "p50", "p99", "max");
        }
        let (p50, p99, max) = (times.micros(0.5), times.micros(0.99), micros(times.0.max()));
        let _ = writeln!(self.text, "{name:52} {in_flight:>9} {p50:>9.0} {p99:>9.0} {max:>9.0}");
        let count = times.0.len();
        self.rows.push(json!({
            "name": name, "in_flight": in_flight, "count": count, "p50_us": p50, "p99_us": p99, "max_us": max,
        }));
    }

    /// What `whole` takes beyond `part`.
    pub(crate) fn added(&mut self, name: &str, whole: &Times, part: &Times, quantile: f64) {
        self.number(name, whole.micros(quantile) - part.micros(quantile), "us");
    }

    /// What `whole` takes beyond `part`, in units of `unit`.
    pub(crate) fn ratio(&mut self, name: &str, whole: &Times, part: &Times, unit: &Times) {
        self.number(name, (whole.micros(0.5) - part.micros(0.5)) / unit.micros(0.5), "times");
    }

    pub(crate) fn rate(&mut self, name: &str, per_second: f64) {
        self.number(name, per_second, "per_second");
    }

    fn number(&mut self, name: &str, value: f64, unit: &str) {
        let digits = usize::from(unit == "times") * 2;
        let _ = writeln!(self.text, "{name:52} {value:>19.digits$} {}", unit.replace('_', " "));
        self.rows.push(json!({"name": name, unit: value}));
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn json(&self) -> Value {
        Value::Array(self.rows.clone())
    }
}

#[allow(clippy::cast_precision_loss, reason = "three digits are kept anyway")]
fn micros(nanos: u64) -> f64 {
    nanos as f64 / 1000.0
}

#[allow(clippy::cast_precision_loss, reason = "a rate is read to three digits")]
pub(crate) fn per_second(count: usize, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}
