//! What peers and members say to each other, each by its reader: what is read is written and read as the same, and takes no
//! more room written than it took to say.
//!
//! Envelopes to groups and whispers are sealed here with keys that whoever seals them has: what is inside may be anything.
//! What comes sealed otherwise opens nowhere.
//!
//! Spec: envelope §3, §4, §7, §10, group §2, §8.

use std::fmt::Write as _;

use data_encoding::BASE64URL_NOPAD;
use hushwire_crypto::SharedKey;
use hushwire_crypto::whisper::{OVERHEAD_BYTES, WhisperKey};
use hushwire_engine::fuzz;
use hushwire_engine::group::{CHANGE_BYTES_MAX, GroupLink, SignedChange};
use hushwire_proto::envelope::{Envelope, class_for};
use hushwire_proto::ids::{AccountId, DeviceId};
use hushwire_proto::limits::ENVELOPE_CLASSES;
use hushwire_proto::signing::{Label, Transcript};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use sha2::{Digest, Sha256};

use crate::edit::edited;
use crate::input::Input;

/// The first byte of an envelope to a group.
const GROUP_VERSION: u8 = 0x21;

/// What fields that stand at their defaults may take when they are written.
const WRITTEN_BEYOND: usize = 16;

/// The first byte says what the others are.
pub fn contents(data: &[u8]) {
    let Some((kind, bytes)) = data.split_first() else { return };
    match kind % 7 {
        0 => change(bytes),
        1 => link(bytes),
        2 => again(bytes, fuzz::content),
        3 => again(bytes, fuzz::plain),
        4 => again(bytes, fuzz::group_plain),
        5 => to_group(bytes),
        _ => whisper(bytes),
    }
}

fn again(bytes: &[u8], read: impl Fn(&[u8]) -> Option<Vec<u8>>) {
    let Some(written) = read(bytes) else { return };
    assert!(written.len() <= bytes.len() + WRITTEN_BEYOND, "{} bytes of {}", written.len(), bytes.len());
    assert_eq!(read(&written).expect("what was written is read"), written);
}

/// Of a change there is one form only.
fn change(bytes: &[u8]) {
    let Ok(change) = SignedChange::parse(bytes) else { return };
    assert_eq!(change.encode(), bytes);
    assert!(bytes.len() <= CHANGE_BYTES_MAX);
}

/// The bytes stand behind a checksum that is right; or are the text.
fn link(bytes: &[u8]) {
    let checksum: [u8; 32] = Sha256::digest(Transcript::new(Label::GroupLink).part(bytes).bytes()).into();
    let right = BASE64URL_NOPAD.encode(&[&[1], &checksum[..4], bytes].concat());
    for text in [format!("hushwire:g#{right}"), String::from_utf8_lossy(bytes).into_owned()] {
        let Ok(link) = text.parse::<GroupLink>() else { continue };
        let mut written = String::new();
        write!(written, "{link}").expect("what was read is written");
        assert_eq!(written.parse::<GroupLink>().expect("what was written is read"), link);
        let said = format!("{link:?}");
        assert!(!said.contains(&format!("{:?}", link.key.to_bytes())), "the key is printed");
    }
}

/// Whoever is in the group seals what they like.
fn to_group(bytes: &[u8]) {
    let (key, other) = (SharedKey::new(&[7; 32], b"group"), SharedKey::new(&[7; 32], b"door"));
    let mut rng = StdRng::seed_from_u64(1);
    let mut input = Input::new(bytes);
    let spoils = input.byte().unwrap_or_default().is_multiple_of(4);
    let mut inside = input.rest().to_vec();
    inside.push(0x80);
    let Some(class) = class_for(1 + hushwire_crypto::SHARED_OVERHEAD + inside.len()) else { return };
    inside.resize(class - 1 - hushwire_crypto::SHARED_OVERHEAD, 0);
    let sealed = [&[GROUP_VERSION][..], &key.seal(&[GROUP_VERSION], &inside, &mut rng)].concat();
    if spoils {
        return spoiled(&sealed, input, |envelope| fuzz::group_inside(envelope, &key, &mut StdRng::seed_from_u64(2)));
    }
    let envelope = Envelope::new(sealed.into()).expect("of the size of a class");
    assert!(fuzz::group_inside(&envelope, &other, &mut rng).is_none(), "opened with another key");
    let Some(written) = fuzz::group_inside(&envelope, &key, &mut rng) else { return };
    assert!(written.len() <= envelope.len());
    let again = fuzz::group_inside(&written, &key, &mut rng).expect("what was written is read");
    let opened = |envelope: &Envelope| key.open(&[GROUP_VERSION], &envelope.bytes()[1..]).expect("sealed with the key");
    assert_eq!(opened(&again), opened(&written));
}

/// Whoever has the key whispers what they like.
fn whisper(bytes: &[u8]) {
    let key = WhisperKey::from_slice(&[8; 32]).expect("32 bytes");
    let (alice, bob) = (AccountId([1; 32]), AccountId([2; 32]));
    let about = Transcript::new(Label::Whisper).part(&alice.0).part(&[1]).part(&bob.0).bytes().to_vec();
    let mut rng = StdRng::seed_from_u64(1);
    let mut input = Input::new(bytes);
    let spoils = input.byte().unwrap_or_default().is_multiple_of(4);
    let mut said = input.rest().to_vec();
    said.resize(ENVELOPE_CLASSES[0] - OVERHEAD_BYTES, 0);
    let note = key.seal(&said, &about, &mut rng);
    let read = |envelope: &Envelope, to| {
        fuzz::whisper(envelope, &key, (alice, DeviceId::FIRST), to, &mut StdRng::seed_from_u64(2))
    };
    if spoils {
        return spoiled(&note, input, |envelope| read(envelope, bob));
    }
    let envelope = Envelope::new(note.into()).expect("of the smallest class");
    assert!(key.mark().fits(envelope.bytes()) && read(&envelope, alice).is_none());
    let Some(written) = read(&envelope, bob) else { return };
    assert_eq!(written.len(), ENVELOPE_CLASSES[0]);
    assert_eq!(read(&written, bob).expect("what was written is read").bytes(), written.bytes());
}

/// What was changed after it was sealed opens nowhere.
fn spoiled(sealed: &[u8], mut by: Input<'_>, read: impl Fn(&Envelope) -> Option<Envelope>) {
    let mut other = edited(sealed, &mut by);
    let same = other.starts_with(sealed);
    other.resize(sealed.len(), 0);
    if !same && other != sealed {
        let envelope = Envelope::new(other.into()).expect("of the size of a class");
        assert!(read(&envelope).is_none(), "what was altered opened");
    }
}
