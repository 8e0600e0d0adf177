//! A message under way in a session of some age, and who changes it: the line, or a peer whose own state is not as it
//! should be, so that what it sends is authentic and yet not honest.
//!
//! This is how bytes of strangers come to SPQR: before a message is authenticated, and in authentic ones.
//!
//! Spec: signal-wire §3.3 to §3.6, §4.1 to §4.8.

use std::sync::LazyLock;

use hushwire_crypto::{CiphertextMessage, Sessions};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use crate::device::{Device, people};
use crate::edit::edited;
use crate::input::Input;
use crate::mirror::{self, First, Signal};

/// How many messages the two exchange: enough for SPQR to come through each of its states twice.
const TALK: usize = 260;

/// A message that has not come yet.
pub(crate) struct Moment {
    pub(crate) sender: Device,
    pub(crate) receiver: Device,
    pub(crate) message: CiphertextMessage,
    pub(crate) text: Vec<u8>,
}

/// The first byte says which moment it is, the second who does harm.
pub fn forged(data: &[u8]) {
    let mut input = Input::new(data);
    let Some(moment) = moment(&mut input) else { return };
    let mut rng = StdRng::seed_from_u64(1003);
    match input.byte().unwrap_or_default() % 3 {
        0 => line(moment, &edited(moment.message.as_bytes(), &mut input), &mut rng),
        1 => {
            let Some(altered) = by_field(&moment.message, &mut input) else { return };
            line(moment, &altered, &mut rng);
        }
        _ => peer(moment, &mut input, &mut rng),
    }
}

/// One of the moments of a conversation in which some messages are held back.
pub(crate) fn moment(input: &mut Input<'_>) -> Option<&'static Moment> {
    static MOMENTS: LazyLock<Vec<Moment>> = LazyLock::new(conversation);
    MOMENTS.get(input.pick(MOMENTS.len())?)
}

fn conversation() -> Vec<Moment> {
    let mut rng = StdRng::seed_from_u64(1004);
    let mut devices = people();
    let bundle = devices[1].bundle(devices[1].one_time.first());
    devices[0].start(bundle, &mut rng);
    let mut moments = Vec::new();
    for number in 0..TALK {
        // Each says one to three things before the other does.
        let side = number / (1 + number % 3) % 2;
        let side = if devices[side].sessions.has_usable_session(0) { side } else { 1 - side };
        let text = format!("message {number}").into_bytes();
        let message = devices[side].send(&text, &mut rng).expect("a session sends");
        if number % 4 == 0 {
            let (sender, receiver) = (devices[side].clone(), devices[1 - side].clone());
            moments.push(Moment { sender, receiver, message: message.clone(), text: text.clone() });
        }
        if number % 7 != 5 {
            assert_eq!(devices[1 - side].receive(&message, &mut rng), Ok(text));
        }
    }
    moments
}

/// Only what was said is read, whatever the line does; and then the true message still opens.
fn line(moment: &Moment, altered: &[u8], rng: &mut StdRng) {
    let mut receiver = moment.receiver.clone();
    let before = receiver.stored();
    let (altered, outside) = match &moment.message {
        CiphertextMessage::PreKey(_) => (CiphertextMessage::PreKey(altered.to_vec()), true),
        CiphertextMessage::Signal(_) => (CiphertextMessage::Signal(altered.to_vec()), false),
    };
    match receiver.receive(&altered, rng) {
        Ok(text) => {
            assert!(outside || altered == moment.message, "an altered message opened");
            assert_eq!(text, moment.text, "an altered message opened to something else");
        }
        Err(_) => {
            assert_eq!(*receiver.stored(), *before, "a refused message left a trace");
            assert_eq!(receiver.receive(&moment.message, rng).as_ref(), Ok(&moment.text), "the true message opens");
        }
    }
}

/// One field of the message is another, its MAC as it was.
fn by_field(message: &CiphertextMessage, input: &mut Input<'_>) -> Option<Vec<u8>> {
    match message {
        CiphertextMessage::Signal(bytes) => signal_by_field(bytes, input),
        CiphertextMessage::PreKey(bytes) => {
            let (version, mut first, tail): (_, First, _) = mirror::read(bytes, 0)?;
            first.message = Some(signal_by_field(&first.message?, input)?);
            Some(mirror::write(version, &first, tail))
        }
    }
}

fn signal_by_field(bytes: &[u8], input: &mut Input<'_>) -> Option<Vec<u8>> {
    let (version, mut signal, mac): (_, Signal, _) = mirror::read(bytes, 8)?;
    match input.byte()? % 6 {
        0 => signal.ratchet_key = signal.ratchet_key.map(|key| edited(&key, input)),
        1 => signal.counter = Some(signal.counter?.wrapping_add(u32::try_from(input.number()?).ok()?)),
        2 => signal.ciphertext = signal.ciphertext.map(|ciphertext| edited(&ciphertext, input)),
        3 => signal.pq = Some(edited(&signal.pq?, input)),
        4 => signal.pq = Some(input.rest().to_vec()),
        _ => signal.addresses = Some(input.some(40).to_vec()),
    }
    Some(mirror::write(version, &signal, mac))
}

/// The peer goes on from a state that was changed. What opens is what it said, and what does not open leaves no trace.
fn peer(moment: &Moment, input: &mut Input<'_>, rng: &mut StdRng) {
    let (mut sender, mut receiver) = (moment.sender.clone(), moment.receiver.clone());
    let messages = 1 + input.byte().unwrap_or_default() % 8;
    let Ok(sessions) = Sessions::from_bytes(&edited(&sender.stored(), input)) else { return };
    sender.sessions = sessions;
    for number in 0..messages {
        let text = [number; 9];
        let Ok(message) = sender.send(&text, rng) else { return };
        let before = receiver.stored();
        match receiver.receive(&message, rng) {
            Ok(opened) => assert_eq!(opened, text, "it opened to something else"),
            Err(_) => assert_eq!(*receiver.stored(), *before, "a refused message left a trace"),
        }
        if number % 3 == 1
            && let Ok(answer) = receiver.send(&text, rng)
            && let Ok(opened) = sender.receive(&answer, rng)
        {
            assert_eq!(opened, text, "an answer opened to something else");
        }
    }
    receiver.restart();
    let goes_on = receiver.send(b"still there", rng);
    assert!(goes_on.is_ok() || !receiver.sessions.has_usable_session(0), "the receiver cannot send any more");
}
