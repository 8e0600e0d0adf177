//! Where a message is on its way, as lines for people: each hop, and what it waits for there.

use hushwire_client::ids::{DeviceId, UnixMillis};
use hushwire_client::{Journey, MemberKeys, Reached, Sealing, State, Underway};

use super::Paint;
use super::human::{clock, moment};
use super::identity::agree;
use super::item::{Heard, Named, Where};
use super::messages::{further, member};
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
        Some(waits) if !waits.members.is_empty() => {
            for member in &waits.members {
                hop(false, not_encrypted_for(member, people));
            }
        }
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
    for of in journey.devices.chunk_by(|one, next| one.contact == next.contact) {
        hop(of.iter().all(|one| one.state.is_some()), on_devices(of, people));
    }
    lines
}

/// Which devices of one person have it.
fn on_devices(of: &[Reached], people: &[Named]) -> String {
    let name = of.first().and_then(|first| people.iter().find(|named| named.id == first.contact));
    let name = name.map_or_else(|| "?".to_owned(), |named| clean_line(&named.name));
    let each = of.iter().map(|one| {
        let state = match one.state {
            None => "does not have it, as far as is known",
            Some(State::Read) => "has shown it",
            Some(_) => "has it",
        };
        format!("device {} {state}", one.device)
    });
    format!("{name}: {}", each.collect::<Vec<_>>().join(", "))
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

/// In a group, for one member.
fn not_encrypted_for(waits: &MemberKeys, people: &[Named]) -> String {
    let named = waits.contact.and_then(|id| people.iter().find(|named| named.id == id));
    let name = member(waits.account, named.map_or("", |named| named.name.as_str()));
    let keyserver = place_of(&waits.keyserver.to_string());
    let what = match &waits.without_session[..] {
        [] => format!("for {name} it waits to learn their devices from the keyserver {keyserver}"),
        devices => format!("for {name} it waits for keys of {} from the keyserver {keyserver}", numbers(devices)),
    };
    format!("{what}{}", tries(waits.attempts, waits.reason.as_deref(), waits.next_try))
}

/// A server without its fingerprint.
fn place_of(address: &str) -> String {
    clean_line(address.rsplit_once('@').map_or(address, |(_, place)| place))
}

fn numbers(devices: &[DeviceId]) -> String {
    let numbers: Vec<String> = devices.iter().map(|device| format!("device {device}")).collect();
    numbers.join(", ")
}

fn underway(one: &Underway, people: &[Named]) -> String {
    let name = people.iter().find(|named| named.id == one.contact).map(|named| clean_line(&named.name));
    let name = name.unwrap_or_else(|| format!("contact {}", one.contact.0));
    let device = one.device.map_or_else(|| "a device that they have no more".to_owned(), |id| format!("device {id}"));
    let relay = place_of(&one.relay);
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
    use hushwire_client::address::ServerAddress;
    use hushwire_client::ids::AccountId;
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
                members: Vec::new(),
            }),
            held: Vec::new(),
            envelopes: Vec::new(),
            devices: Vec::new(),
            delivered: 0,
            read: 0,
        };
        let shown = |journey: &Journey| lines(journey, &place, None, &people, true, Paint::new(false)).join("\n");
        let text = shown(&journey);
        assert!(
            text.contains("...  waits for keys of device 1 from their keyserver; tried 2 times: no route"),
            "{text}"
        );
        let waits = MemberKeys {
            account: AccountId([7; 32]),
            contact: Some(ContactId(2)),
            keyserver: ServerAddress::parse("hush://keys.example.org", 4432).unwrap(),
            without_session: vec![DeviceId::FIRST],
            attempts: 1,
            reason: None,
            next_try: None,
        };
        let stranger = MemberKeys { contact: None, without_session: Vec::new(), attempts: 0, ..waits.clone() };
        journey.sealing.as_mut().unwrap().members = vec![waits, stranger];
        let text = shown(&journey);
        let hop = "for bob it waits for keys of device 1 from the keyserver hush://keys.example.org:4432; tried once";
        assert!(text.contains(hop), "{text}");
        assert!(text.contains("… it waits to learn their devices from the keyserver"), "{text}");
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
        let on = |device, state| Reached { contact: ContactId(2), device: DeviceId::new(device).unwrap(), state };
        journey.devices = vec![on(1, Some(State::Read)), on(2, Some(State::Delivered)), on(3, None)];
        let text = shown(&journey);
        let each = "...  bob: device 1 has shown it, device 2 has it, device 3 does not have it, as far as is known";
        assert!(text.ends_with(each), "{text}");
        journey.devices.clear();
        journey.state = State::Sent;
        assert!(
            shown(&journey).ends_with("no device of theirs has fetched it yet, or the word of it is still on its way")
        );
    }
}
