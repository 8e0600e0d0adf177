//! Where a message is on its way, as lines for people: each hop, and what it waits for there.

use hushwire_client::ids::{DeviceId, UnixMillis};
use hushwire_client::{Journey, Sealing, State, Underway};

use super::Paint;
use super::human::{clock, moment};
use super::identity::agree;
use super::item::{Heard, Named, Where};
use super::messages::further;
use crate::text::clean_line;

/// Before each hop.
const HOP: &str = "    ";

/// `whole`: with every hop. `people`: those for whom envelopes are on their way.
pub(super) fn lines(
    journey: &Journey,
    place: &Where,
    heard: Option<Heard>,
    people: &[Named],
    whole: bool,
    paint: Paint,
) -> Vec<String> {
    let mut lines = vec![headline(journey, place, heard)];
    if !whole {
        return lines;
    }
    let mut hop = |done: bool, text: String| {
        let mark = if done { paint.green("ok  ") } else { paint.yellow("... ") };
        lines.push(format!("{HOP}{mark} {text}"));
    };
    hop(true, format!("kept here since {}", moment(journey.kept_at)));
    if !journey.outgoing {
        return lines;
    }
    for contact in &journey.held {
        let name = people.iter().find(|named| named.id == *contact).map_or("?", |named| named.name.as_str());
        let (clean, agree) = (clean_line(name), agree(name));
        hop(false, format!("for {clean} it waits for you: {clean} has new devices. Ask {clean}, then {agree}"));
    }
    match &journey.sealing {
        Some(_) if !journey.held.is_empty() => {}
        Some(waits) => hop(false, not_encrypted(waits)),
        None => hop(true, "encrypted".to_owned()),
    }
    for one in &journey.envelopes {
        hop(false, underway(one, people));
    }
    if journey.sealing.is_none() && journey.envelopes.is_empty() {
        hop(true, "every relay that it is for has it".to_owned());
        match (heard, journey.state) {
            (Some(Heard { delivered, read, of }), _) => {
                hop(delivered == of, format!("{delivered} of {of} members have it, {read} have read it"));
            }
            (None, State::Queued | State::Sent) => {
                hop(false, "no device of theirs has fetched it yet, or the word of it is still on its way".to_owned());
            }
            (None, State::Delivered) => {
                hop(true, "a device of theirs has it".to_owned());
                hop(false, "not read yet, or they do not say so".to_owned());
            }
            (None, State::Read) => hop(true, "they have read it".to_owned()),
        }
    }
    lines
}

fn headline(journey: &Journey, place: &Where, heard: Option<Heard>) -> String {
    if journey.outgoing {
        return further(journey.message, place, journey.state, heard);
    }
    let read = if journey.state == State::Read { "read" } else { "not read" };
    format!("message #{} came from {}, and is {read}", journey.message.0, clean_line(&place.name))
}

fn not_encrypted(waits: &Sealing) -> String {
    let what = match &waits.without_session[..] {
        [] => "waits to be encrypted".to_owned(),
        devices => format!("waits for keys of {} from their keyserver", numbers(devices)),
    };
    format!("{what}{}", tries(waits.attempts, waits.reason.as_deref(), waits.next_try))
}

fn numbers(devices: &[DeviceId]) -> String {
    let numbers: Vec<String> = devices.iter().map(|device| format!("device {device}")).collect();
    numbers.join(", ")
}

fn underway(one: &Underway, people: &[Named]) -> String {
    let name = people.iter().find(|named| named.id == one.contact).map(|named| clean_line(&named.name));
    let name = name.unwrap_or_else(|| format!("contact {}", one.contact.0));
    let device = one.device.map_or_else(|| "a device that they have no more".to_owned(), |id| format!("device {id}"));
    let relay = clean_line(one.relay.rsplit_once('@').map_or(one.relay.as_str(), |(_, place)| place));
    let behind = match one.behind {
        0 => String::new(),
        1 => ", behind 1 other".to_owned(),
        many => format!(", behind {many} others"),
    };
    let tried = tries(one.attempts, one.reason.as_deref(), one.next_try);
    format!("on its way to {device} of {name} at the relay {relay}{behind}{tried}")
}

fn tries(attempts: u32, reason: Option<&str>, next: Option<UnixMillis>) -> String {
    let tried = match attempts {
        0 => String::new(),
        1 => "; tried once".to_owned(),
        many => format!("; tried {many} times"),
    };
    let reason = reason.map_or_else(String::new, |reason| format!(": {}", clean_line(reason)));
    let next = next.map_or_else(String::new, |at| format!("; next try at {}", clock(at)));
    format!("{tried}{reason}{next}")
}

#[cfg(test)]
mod tests {
    use hushwire_client::{ContactId, ConversationId, LocalId, Talk};

    use super::*;

    #[test]
    fn each_hop_says_what_it_waits_for() {
        let place = Where { id: ConversationId(1), name: "bob".to_owned(), with: Talk::Contact(ContactId(2)) };
        let people = [Named { id: ContactId(2), name: "b\u{1b}ob".to_owned() }];
        let mut journey = Journey {
            message: LocalId(12),
            outgoing: true,
            kept_at: UnixMillis(0),
            state: State::Queued,
            sealing: Some(Sealing {
                without_session: vec![DeviceId::FIRST],
                attempts: 2,
                reason: Some("no route".to_owned()),
                next_try: None,
            }),
            held: Vec::new(),
            envelopes: Vec::new(),
            delivered: 0,
            read: 0,
        };
        let shown = |journey: &Journey| lines(journey, &place, None, &people, true, Paint::new(false)).join("\n");
        let text = shown(&journey);
        assert!(
            text.contains("...  waits for keys of device 1 from their keyserver; tried 2 times: no route"),
            "{text}"
        );
        journey.sealing = None;
        journey.envelopes = vec![Underway {
            contact: ContactId(2),
            device: Some(DeviceId::FIRST),
            relay: "hush://abc@relay.example.org:4431".to_owned(),
            attempts: 1,
            reason: None,
            next_try: None,
            behind: 1,
        }];
        let text = shown(&journey);
        assert!(text.contains("ok   encrypted"), "{text}");
        let hop = "device 1 of bob at the relay relay.example.org:4431, behind 1 other; tried once";
        assert!(text.contains(hop), "{text}");
        journey.envelopes.clear();
        journey.held = vec![ContactId(2)];
        assert!(shown(&journey).contains("hush identity trust"), "{}", shown(&journey));
        journey.held.clear();
        journey.state = State::Sent;
        assert!(
            shown(&journey).ends_with("no device of theirs has fetched it yet, or the word of it is still on its way")
        );
    }
}
