//! What is done about new devices of contacts, as lines for people.

use hushwire_client::{Identity, ListChange, Policy};

use super::Paint;
use super::human::{NAME_COLUMNS, moment};
use super::item::Named;
use super::words::policy_word;
use crate::text::{clean_line, shell_word, width};

/// What holds for all of whom nothing else was chosen.
pub(super) fn default_line(policy: Policy) -> String {
    let does = match policy {
        Policy::Accept => "they are used at once, and you are told",
        Policy::Hold => "what you write waits until you agree",
        Policy::Block => "they get nothing, and nothing of theirs is shown",
    };
    format!("new devices of contacts: {} ({does})", policy_word(policy))
}

/// A contact, and each of their devices that waits.
pub(super) fn lines(identity: &Identity, paint: Paint) -> Vec<String> {
    let name = clean_line(&identity.contact.name);
    let padding = NAME_COLUMNS.saturating_sub(width(&name));
    let why = match (identity.chosen, identity.contact.verified) {
        (Some(_), _) => "",
        (None, true) if identity.policy == Policy::Hold => "  because you verified them, unless all are held anyway",
        (None, _) => "  as with all",
    };
    let mut lines =
        vec![format!("{}{:padding$} {:<6}{}", paint.bold(&name), "", policy_word(identity.policy), paint.dim(why))];
    for device in &identity.new {
        let label = clean_line(&device.label);
        let since = moment(device.since);
        lines.push(match device.listed {
            true => paint
                .yellow(&format!("    new: {label}, since {since}; agree to it: {}", agree(&identity.contact.name))),
            false => paint.dim(&format!("    {label}, new on {since}, went before you agreed")),
        });
    }
    if identity.held {
        lines.push(paint.yellow("    what you write to them waits until you agree"));
    }
    lines
}

/// What follows from other devices of a contact, behind what is different.
pub(super) fn then(contact: &Named, change: &ListChange, policy: Policy) -> Option<String> {
    let (name, agree) = (clean_line(&contact.name), agree(&contact.name));
    match policy {
        Policy::Accept => None,
        _ if change.added.is_empty() => None,
        Policy::Hold => Some(format!("What you write to {name} waits until you agree: ask {name}, then {agree}")),
        Policy::Block => Some(format!(
            "Nothing is sent to what is new, and nothing of it shown; if {name} says that it is theirs: {agree}"
        )),
    }
}

/// What to type.
pub(crate) fn agree(name: &str) -> String {
    format!("hush identity trust {}", shell_word(name))
}

#[cfg(test)]
mod tests {
    use hushwire_client::ContactId;

    use super::*;

    #[test]
    fn only_what_is_new_and_not_accepted_asks_for_something() {
        let contact = Named { id: ContactId(1), name: "bob".to_owned() };
        let change = |added: &[&str]| ListChange {
            version: 1,
            added: added.iter().map(|name| (*name).to_owned()).collect(),
            removed: vec!["phone".to_owned()],
            by_recovery: false,
        };
        assert_eq!(then(&contact, &change(&["laptop"]), Policy::Accept), None);
        for policy in [Policy::Hold, Policy::Block] {
            assert_eq!(then(&contact, &change(&[]), policy), None);
            let words = then(&contact, &change(&["laptop"]), policy).unwrap_or_default();
            assert!(words.ends_with("hush identity trust bob"), "{words}");
        }
    }
}
