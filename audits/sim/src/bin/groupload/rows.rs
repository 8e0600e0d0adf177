//! What was measured, a row each, said as soon as it is known: whoever waits sees how far it is.

use std::time::Duration;

use hushwire_sim::usage::{Span, Used};
use serde_json::json;

use crate::people::Crowd;

/// Where rows go.
#[derive(Clone, Copy)]
pub(crate) struct Rows {
    pub(crate) members: usize,
    pub(crate) json: bool,
}

/// Something that is being measured.
pub(crate) struct Lap {
    span: Span,
    uploaded: u64,
}

impl Lap {
    pub(crate) fn begin(crowd: &Crowd) -> Self {
        Self { span: Span::begin(Some(crowd.relay)), uploaded: crowd.uploaded() }
    }

    pub(crate) fn end(&self, rows: Rows, crowd: &Crowd, what: &str) {
        rows.row(what, self.span.end(), crowd.uploaded().saturating_sub(self.uploaded));
    }
}

impl Rows {
    /// `bytes`: what the founder has uploaded.
    pub(crate) fn row(self, what: &str, used: Used, bytes: u64) {
        let (clients, relay) = (used.own_cpu, used.server_cpu.unwrap_or_default());
        let took = Duration::from_secs_f64(used.seconds);
        if self.json {
            let row = json!({
                "members": self.members, "what": what, "seconds": used.seconds, "clients_cpu_s": clients,
                "relay_cpu_s": relay, "founder_bytes": bytes,
            });
            println!("{row}");
        } else {
            println!("  {what:<62} {took:>9.1?} {clients:>8.1} s {relay:>8.1} s {bytes:>12}");
        }
    }

    pub(crate) fn number(self, what: &str, value: f64) {
        if self.json {
            println!("{}", json!({"members": self.members, "what": what, "value": value}));
        } else {
            println!("  {what:<62} {value:>9.0}");
        }
    }

    pub(crate) fn head(self) {
        if !self.json {
            let head = format!("a group of {}", self.members);
            println!("  {head:<62} {:>9} {:>10} {:>10} {:>12}", "took", "clients", "relay", "founder sent");
        }
    }
}
