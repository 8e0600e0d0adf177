//! How figures are shown: to a person, and to a program.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::rows::{Bridge, Figures, Row};
use super::sizes::Size;

/// What a reader has to know to read the table.
const HOW_TO_READ: &str = "\
Medians of rounds in which both took turns, with the least and the most; microseconds for one operation.
  held    state in memory, as each library has it
  stored  state read from its bytes before the operation and written back after it, as an app does
  ×       how many times as long the official build takes
  asks    how often it asks a store of JavaScript for one operation
  net     an estimate: theirs without the way between Node and native code, which the rows of the bridge measure by
          itself; a call is taken off where nothing is asked, else half of the promise that asks two for each `asks`
  × net   how many times as long that is
  cpu     microseconds that all threads of the official process computed; where that is more than its time, it computes
          on several threads. Ours has one
";

pub(crate) fn text(about: &Value, rows: &[Row], sizes: &[Size]) -> String {
    let mut text = format!(
        "hushwire-crypto and libsignal {} in node {}, {} rounds\n\n",
        about["libsignal"].as_str().unwrap_or("?"),
        about["node"].as_str().unwrap_or("?"),
        about["rounds"]
    );
    let _ = writeln!(
        text,
        "{:<44} {:<6} {:>8} {:>15} {:>7} {:>8} {:>15} {:>7} {:>6} {:>5} {:>7} {:>6} {:>7}",
        "operation",
        "form",
        "ours µs",
        "least – most",
        "per s",
        "theirs",
        "least – most",
        "per s",
        "×",
        "asks",
        "net",
        "× net",
        "cpu"
    );
    let bridge = Bridge::of(rows);
    for row in rows {
        let net = bridge.without(row);
        let _ = writeln!(
            text,
            "{:<44} {:<6} {} {} {:>6} {:>5.0} {:>7} {:>6} {:>7}",
            row.name,
            row.form.name(),
            columns(&row.ours),
            columns(&row.theirs),
            times(row.ratio(row.theirs.median())),
            row.asks,
            if row.ours.is_empty() { String::new() } else { micros(net) },
            times(row.ratio(net)),
            micros(row.their_processor.median())
        );
    }
    let _ = writeln!(text, "\n{:<44} {:>9} {:>9}", "stored bytes", "ours", "theirs");
    for Size { name, ours, theirs, key: _ } in sizes {
        let _ = writeln!(text, "{name:<44} {ours:>9} {theirs:>9}");
    }
    text + "\n" + HOW_TO_READ
}

pub(crate) fn json(about: &Value, rows: &[Row], sizes: &[Size]) -> Value {
    let bridge = Bridge::of(rows);
    let row = |row: &Row| {
        json!({
            "operation": row.key, "form": row.form.name(), "unit": "ns", "official": figures(&row.theirs),
            "ours": if row.ours.is_empty() { Value::Null } else { figures(&row.ours) },
            "official_processor": figures(&row.their_processor), "ratio": row.ratio(row.theirs.median()),
            "store_calls": row.asks, "net": bridge.without(row), "ratio_net": row.ratio(bridge.without(row)),
        })
    };
    let size = |size: &Size| json!({"state": size.key, "ours": size.ours, "official": size.theirs});
    json!({
        "about": about, "times": rows.iter().map(row).collect::<Vec<_>>(), "bytes": sizes.iter().map(size).collect::<Vec<_>>(),
    })
}

fn figures(figures: &Figures) -> Value {
    json!({"median": figures.median(), "min": figures.least(), "max": figures.most(), "per_second": figures.per_second()})
}

fn columns(figures: &Figures) -> String {
    if figures.is_empty() {
        return format!("{:>8} {:>15} {:>7}", "–", "", "");
    }
    let around = format!("{} – {}", micros(figures.least()), micros(figures.most()));
    format!("{:>8} {around:>15} {:>7.0}", micros(figures.median()), figures.per_second())
}

fn times(ratio: Option<f64>) -> String {
    ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}"))
}

/// As many digits as mean something.
fn micros(nanos: f64) -> String {
    let micros = nanos / 1000.0;
    let digits = if micros < 10.0 { 2 } else { usize::from(micros < 100.0) };
    format!("{micros:.digits$}")
}
