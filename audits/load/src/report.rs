//! What was measured, for people and for programs.

use std::fmt::Write;

use serde_json::{Map, Value, json};

use crate::times::Times;
use crate::usage::Used;

/// Up to so many cases stand beside each other; more stand below each other.
const COLUMNS_MAX: usize = 3;

/// One thing that was measured: its name, and figures with the names of what they count.
#[derive(Clone, Debug, Default)]
pub struct Case {
    name: String,
    figures: Vec<(String, f64)>,
}

impl Case {
    /// Nothing measured yet.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), figures: Vec::new() }
    }

    /// What was measured.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Under another name.
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> Self {
        Self { name: name.into(), ..self }
    }

    /// One more figure.
    #[must_use]
    pub fn with(mut self, name: &str, value: f64) -> Self {
        self.figures.push((name.to_owned(), value));
        self
    }

    /// The distribution of `times`, in milliseconds.
    #[must_use]
    pub fn with_times(self, name: &str, times: &Times) -> Self {
        self.with(&format!("{name} p50 ms"), times.quantile(0.5))
            .with(&format!("{name} p99 ms"), times.quantile(0.99))
            .with(&format!("{name} p99.9 ms"), times.quantile(0.999))
            .with(&format!("{name} max ms"), times.max())
    }

    /// What it took, for each of `count` things named `unit`.
    #[must_use]
    pub fn with_use(self, used: &Used, count: u64, unit: &str) -> Self {
        let each = |value: f64| value / (count.max(1) as f64);
        let mut case = self;
        if let (Some(cpu), Some(written), Some(memory)) = (used.server_cpu, used.written, used.memory_kib) {
            case = case
                .with(&format!("server cpu us/{unit}"), each(cpu * 1e6))
                .with(&format!("server written B/{unit}"), each(written))
                .with("server cpu %", 100.0 * cpu / used.seconds)
                .with("server memory MiB", memory / 1024.0);
        }
        case.with("generator cpu %", 100.0 * used.own_cpu / used.seconds).with("others' cpu %", used.others)
    }

    /// The figure of that name.
    #[must_use]
    pub fn figure(&self, name: &str) -> Option<f64> {
        self.figures.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
    }

    /// Each of its figures divided by that of `floor`.
    #[must_use]
    pub fn over(&self, floor: &Self) -> Self {
        let ratio = |(name, value): &(String, f64)| {
            floor.figure(name).filter(|of| *of > 0.0).map(|of| (name.clone(), value / of))
        };
        let figures = self.figures.iter().filter_map(ratio).collect();
        Self { name: format!("{}/{}", self.name, floor.name), figures }
    }
}

/// Some cases under one heading.
#[derive(Clone, Debug)]
pub struct Report {
    title: String,
    cases: Vec<Case>,
}

impl Report {
    /// Of these.
    #[must_use]
    pub fn new(title: impl Into<String>, cases: Vec<Case>) -> Self {
        Self { title: title.into(), cases }
    }

    /// What it says.
    #[must_use]
    pub fn cases(&self) -> &[Case] {
        &self.cases
    }

    /// Each figure in a line, whatever the number of cases.
    #[must_use]
    pub fn columns(&self) -> String {
        let names = self.figure_names();
        let mut out = format!("{}\n", self.title);
        let width = names.iter().map(|name| name.len()).max().unwrap_or_default();
        line(&mut out, "", width, self.cases.iter().map(|case| case.name.clone()));
        for name in &names {
            line(&mut out, name, width, self.cases.iter().map(|case| shown(case.figure(name))));
        }
        out
    }

    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        if self.cases.len() <= COLUMNS_MAX {
            return self.columns();
        }
        let names = self.figure_names();
        let mut out = format!("{}\n", self.title);
        let width = self.cases.iter().map(|case| case.name.len()).max().unwrap_or_default();
        line(&mut out, "", width, names.iter().cloned());
        for case in &self.cases {
            let values = names.iter().map(|name| format!("{:>1$}", shown(case.figure(name)), name.len()));
            line(&mut out, &case.name, width, values);
        }
        out
    }

    /// For programs.
    #[must_use]
    pub fn json(&self) -> Value {
        let cases = self.cases.iter().map(|case| {
            let figures: Map<String, Value> =
                case.figures.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
            json!({"name": case.name, "figures": figures})
        });
        json!({"title": self.title, "cases": cases.collect::<Vec<_>>()})
    }

    /// In the order in which they were measured.
    fn figure_names(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for (name, _) in self.cases.iter().flat_map(|case| &case.figures) {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        names
    }
}

fn line(out: &mut String, head: &str, width: usize, cells: impl Iterator<Item = String>) {
    let cells: String = cells.map(|cell| format!("  {cell:>12}")).collect();
    let _ = writeln!(out, "  {head:width$}{cells}");
}

/// To three digits or so.
fn shown(value: Option<f64>) -> String {
    let Some(value) = value else { return "-".to_owned() };
    let digits = if value.abs() >= 100.0 || value == 0.0 { 0 } else { 2 };
    format!("{value:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_of_figures_that_both_have_and_not_of_zero() {
        let relay = Case::new("relay").with("rate", 50.0).with("own", 1.0).with("zero", 1.0);
        let floor = Case::new("floor").with("rate", 100.0).with("zero", 0.0);
        let ratio = relay.over(&floor);
        assert_eq!((ratio.figure("rate"), ratio.figures.len()), (Some(0.5), 1));
        let text = Report::new("load", vec![relay, floor, ratio]).text();
        assert!(text.contains("relay/floor") && text.contains("0.50") && text.contains('-'), "{text}");
    }
}
