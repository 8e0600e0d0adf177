//! What was measured, a row each, said as soon as it is known: whoever waits sees how far it is.

use std::time::Duration;

use hushwire_sim::usage::{Process, Span, Used};
use serde_json::json;

use crate::people::Crowd;

/// Receipts have come by then.
const REST: Duration = Duration::from_secs(3);

/// Where rows go.
#[derive(Clone, Copy)]
pub(crate) struct Rows {
    pub(crate) members: usize,
    pub(crate) json: bool,
}

/// Something that is being measured.
pub(crate) struct Lap {
    span: Span,
    /// Who acts.
    who: usize,
    uploaded: (u64, u64),
}

impl Lap {
    pub(crate) fn begin(crowd: &Crowd, who: usize) -> Self {
        Self { span: Span::begin(Some(crowd.relay)), who, uploaded: crowd.uploaded(who) }
    }

    /// Says it, with what whoever acts has sent by now, and what all others send for it before they rest.
    pub(crate) async fn end(&self, rows: Rows, crowd: &Crowd, what: &str) {
        let (used, (one, _)) = (self.span.end(), crowd.uploaded(self.who));
        tokio::time::sleep(REST).await;
        let (_, others) = crowd.uploaded(self.who);
        rows.row(what, used, (one - self.uploaded.0, others - self.uploaded.1));
    }
}

impl Rows {
    /// What whoever acts has uploaded, and all others together.
    fn row(self, what: &str, used: Used, (bytes, others): (u64, u64)) {
        let (clients, relay) = (used.own_cpu, used.server_cpu.unwrap_or_default());
        let took = Duration::from_secs_f64(used.seconds);
        if self.json {
            let row = json!({
                "members": self.members, "what": what, "seconds": used.seconds, "clients_cpu_s": clients,
                "relay_cpu_s": relay, "sent_bytes": bytes, "others_bytes": others, "machine_others_percent": used.others,
            });
            println!("{row}");
        } else {
            println!("  {what:<62} {took:>9.1?} {clients:>8.1} s {relay:>8.1} s {bytes:>12} {others:>12}");
        }
    }

    /// What a person at a terminal waits for.
    pub(crate) fn program(self, what: &str, used: Used) {
        let relay = used.server_cpu.unwrap_or_default();
        if self.json {
            let row = json!({"programs": self.members, "what": what, "seconds": used.seconds, "relay_cpu_s": relay});
            println!("{row}");
        } else {
            let took = Duration::from_secs_f64(used.seconds);
            println!("  {what:<72} {took:>9.1?} {relay:>8.2} s");
        }
    }

    pub(crate) fn number(self, what: &str, value: f64) {
        if self.json {
            println!("{}", json!({"members": self.members, "what": what, "value": value}));
        } else {
            println!("  {what:<62} {value:>9.0}");
        }
    }

    /// What this process has resident now beyond `alone`, for all of so many clients and for one of them.
    pub(crate) fn memory(self, what: &str, alone: f64, clients: usize) {
        let all = Process::of(std::process::id()).memory_kib - alone;
        self.number(what, all);
        self.number("  for each of them", all / clients as f64);
    }

    pub(crate) fn head(self) {
        if !self.json {
            let head = format!("a group of {}", self.members);
            println!(
                "  {head:<62} {:>9} {:>10} {:>10} {:>12} {:>12}",
                "took", "clients", "relay", "bytes sent", "by others"
            );
        }
    }
}
