//! Devices, and what a log says of a handle, as lines for people.

use hushwire_client::{FoundInLog, ListChange, ListedDevice, LogReport, WhoInLog};

use super::human::{field, moment, notice};
use super::item::Named;
use super::{Item, Paint, identity};
use crate::text::{clean_line, hex, shell_word, width, wrap};

/// A column that no number and name that people use exceeds.
const NAME_COLUMNS: usize = 20;

/// Before what was checked.
const MARK_COLUMNS: usize = 4;

/// The lines of these items; none for others.
pub(super) fn lines(item: &Item<'_>, paint: Paint, columns: Option<usize>) -> Vec<String> {
    match item {
        Item::Device(device) => vec![device_line(device, paint)],
        Item::DeviceRequest { request } => vec![(*request).to_owned()],
        Item::Devices { contact, change, policy } => {
            let then = contact.zip(*policy).and_then(|(contact, policy)| identity::then(contact, change, policy));
            let is_usual = contact.is_some() && !change.by_recovery && then.is_none();
            let text = changed(*contact, change) + &then.map_or_else(String::new, |then| format!(". {then}"));
            notice(&text, columns, |line| if is_usual { paint.dim(line) } else { paint.yellow(line) })
        }
        Item::Identity(identity) => identity::lines(identity, paint),
        Item::DefaultPolicy(policy) => vec![identity::default_line(*policy)],
        Item::DevicesNotChanged { reason } => {
            let text = format!("your devices were not changed: {}", clean_line(reason));
            notice(&text, columns, |line| paint.yellow(line))
        }
        Item::DevicesForked => {
            let text = "two lists of your devices were signed at the same place: somebody has one of your devices. Take \
                the account back with the 24 words: hush recover";
            notice(text, columns, |line| paint.red(line))
        }
        Item::Revoked => {
            let text = "this device is not one of your account any more: another one, or your 24 words, took it out. It \
                keeps what it has and gets nothing more. If that was not you: hush recover";
            notice(text, columns, |line| paint.red(line))
        }
        Item::RecoveryWords { words } => vec![(*words).to_owned()],
        Item::Log(report) => log_lines(report, paint, columns),
        _ => Vec::new(),
    }
}

fn device_line(device: &ListedDevice, paint: Paint) -> String {
    let name = if device.name.is_empty() { "no name".to_owned() } else { clean_line(&device.name) };
    let padding = NAME_COLUMNS.saturating_sub(width(&name));
    let name = if device.name.is_empty() { paint.dim(&name) } else { paint.bold(&name) };
    let this = if device.is_this { paint.green("this device") } else { "           ".to_owned() };
    format!("{:>3}  {name}{:padding$} {this}  {}", device.id, "", place(&device.relay)).trim_end().to_owned()
}

/// Where a mailbox is, without the fingerprint: that is for programs.
fn place(relay: &str) -> String {
    clean_line(relay.rsplit_once('@').map_or(relay, |(_, place)| place))
}

fn changed(contact: Option<&Named>, change: &ListChange) -> String {
    let list = |devices: &[String]| devices.iter().map(|device| clean_line(device)).collect::<Vec<_>>().join(", ");
    let mut what = Vec::new();
    if !change.added.is_empty() {
        what.push(format!("new: {}", list(&change.added)));
    }
    if !change.removed.is_empty() {
        what.push(format!("gone: {}", list(&change.removed)));
    }
    if what.is_empty() {
        what.push("the same, under other recovery words".to_owned());
    }
    let what = what.join("; ");
    match (contact, change.by_recovery) {
        (None, false) => format!("your devices changed ({what}). If that was not you: hush recover"),
        (None, true) => {
            format!("your devices changed, by your recovery words ({what}). If that was not you, they have been seen")
        }
        (Some(contact), false) => {
            format!("{} has other devices now ({what}); the safety number is the same", clean_line(&contact.name))
        }
        (Some(contact), true) => format!(
            "{} took the account back with the recovery words ({what}); the safety number is the same. To be sure that it \
             is them, ask: hush verify {}",
            clean_line(&contact.name),
            shell_word(&contact.name)
        ),
    }
}

fn log_lines(report: &LogReport, paint: Paint, columns: Option<usize>) -> Vec<String> {
    let handle = clean_line(&report.handle);
    let mut lines = vec![headline(&handle, report, paint), String::new()];
    let mut not_compared = Vec::new();
    let mut checked = |text: &str| {
        let body = columns.unwrap_or(usize::MAX).saturating_sub(MARK_COLUMNS);
        for (number, line) in wrap(text, body).iter().enumerate() {
            lines.push(if number == 0 { format!("{} {line}", paint.green("ok ")) } else { format!("    {line}") });
        }
    };
    match &report.found {
        Some(found) => {
            checked(&format!(
                "its device list, version {}, was checked link by link from the first on: every signature, and that each \
                 device has the keys that it shows",
                found.version
            ));
            checked(&format!("the keyserver's log names exactly this list for {handle}, and none newer"));
            match &found.who {
                WhoInLog::Myself => checked("it is the list that this device has"),
                WhoInLog::Contact(name) => {
                    checked(&format!(
                        "it follows from the list that was known here of your contact {}",
                        clean_line(name)
                    ));
                }
                WhoInLog::Stranger => {}
            }
        }
        None => checked(&format!("the log proves that nobody has, or ever had, the handle {handle}")),
    }
    checked(&format!(
        "the log is at epoch {}, made on {} by the keyserver's clock; its root is signed by the key that the address pins",
        report.epoch,
        moment(report.at)
    ));
    checked(
        "that root is no older than the newest of this keyserver that this device has seen, and no other one for its epoch",
    );
    if let Some(at) = report.own_agreed_at {
        checked(&format!("the log was last asked on {} what it says of your own handle, and agreed", moment(at)));
    }
    for auditor in &report.auditors {
        let (address, said) = (auditor.address.to_string(), auditor.keyservers.first());
        match said.and_then(|said| said.agreed) {
            Some((at, epoch)) => checked(&format!(
                "the auditor {address} was shown the same log as this device, up to epoch {epoch}; compared on {}",
                moment(at)
            )),
            None => not_compared.push((address, said.and_then(|said| said.trouble.clone()))),
        }
    }
    for (address, trouble) in not_compared {
        let why = trouble.map_or_else(|| "it was not asked yet".to_owned(), |trouble| clean_line(&trouble));
        let text = format!("the auditor {address} was not compared with: {why}");
        lines.extend(notice(&text, columns, |line| paint.yellow(line)));
    }
    lines.push(String::new());
    lines.push(field("keyserver", &report.keyserver.to_string(), paint));
    lines.push(field("root", &hex(&report.root), paint));
    if report.auditors.is_empty() {
        let nobody = "none is chosen: whether others are shown the same root, nobody has checked (hush auditor add)";
        lines.push(field("auditors", nobody, paint));
    }
    lines
}

fn headline(handle: &str, report: &LogReport, paint: Paint) -> String {
    match &report.found {
        None => format!("{} is nobody.", paint.bold(handle)),
        Some(FoundInLog { account, devices, who, .. }) => {
            let whose = match who {
                WhoInLog::Myself => "you".to_owned(),
                WhoInLog::Contact(name) => format!("your contact {}", clean_line(name)),
                WhoInLog::Stranger => "nobody that you know".to_owned(),
            };
            let devices = devices.iter().map(|device| clean_line(device)).collect::<Vec<_>>().join(", ");
            format!("{} is {whose}: account {:.16}…, with {devices}.", paint.bold(handle), account.to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use hushwire_client::address::ServerAddress;
    use hushwire_client::ids::UnixMillis;
    use hushwire_client::{Agreed, Auditor};

    use super::*;

    #[test]
    fn a_log_check_says_of_each_auditor_whether_it_was_compared_with() {
        let server = |name: &str| ServerAddress::parse(&format!("hush://{name}.example.org"), 4432).unwrap();
        let mut report = LogReport {
            handle: "bob@keys.example.org".to_owned(),
            keyserver: server("keys"),
            epoch: 7,
            at: UnixMillis(0),
            root: [7; 32],
            found: None,
            own_agreed_at: None,
            auditors: Vec::new(),
        };
        let shown = |report: &LogReport| log_lines(report, Paint::new(false), None).join("\n");
        assert!(shown(&report).contains("none is chosen"));
        let said = Agreed {
            keyserver: server("keys"),
            agreed: Some((UnixMillis(0), 6)),
            asked_at: UnixMillis(0),
            trouble: None,
        };
        let other = Agreed { agreed: None, trouble: Some("it did not answer".to_owned()), ..said.clone() };
        report.auditors = [("first", vec![said]), ("second", vec![other]), ("third", vec![])]
            .map(|(name, keyservers)| Auditor { address: server(name), keyservers })
            .into();
        let shown = shown(&report);
        assert!(shown.contains("ok  the auditor hush://first.example.org:4432 was shown the same log"), "{shown}");
        assert!(shown.contains("hush://second.example.org:4432 was not compared with: it did not answer"), "{shown}");
        assert!(shown.contains("hush://third.example.org:4432 was not compared with: it was not asked yet"), "{shown}");
        assert!(!shown.contains("none is chosen"));
    }
}
