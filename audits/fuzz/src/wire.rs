//! What a stranger can say to a relay, to a keyserver and to a client: frames, requests, answers, device lists, addresses.
//!
//! Spec: relay §1, §2, §4 to §7; keyserver §2 to §5; envelope §1.

use std::fmt::{Debug, Display};

use bytes::{Bytes, BytesMut};
use hushwire_crypto::PublicKey;
use hushwire_proto::account::{Chain, SignedLink, encode_links, parse_links};
use hushwire_proto::address::{Fingerprint, Handle, RELAY_PORT, ServerAddress};
use hushwire_proto::envelope::{Envelope, class_for};
use hushwire_proto::frame::{self, Frame};
use hushwire_proto::limits::{FRAME_BYTES_MAX, FRAME_HEAD_BYTES};
use hushwire_proto::{keyserver, relay};

use crate::edit::edited;
use crate::input::Input;

/// The first byte says what the others are, and whether they come changed.
pub fn wire(data: &[u8]) {
    let mut input = Input::new(data);
    let Some(what) = input.byte() else { return };
    let bytes = match what & 0x80 {
        0 => input.rest().to_vec(),
        _ => {
            let whole = Input::rest;
            let mut changes = Input::new(input.some(12));
            edited(whole(input), &mut changes)
        }
    };
    let bytes = Bytes::from(bytes);
    match what % 9 {
        0 => frames(&bytes),
        1 => again(&bytes, relay::Request::parse, relay::Request::encode),
        2 => again(&bytes, relay::Answer::parse, relay::Answer::encode),
        3 => again(&bytes, relay::Push::parse, relay::Push::encode),
        4 => again(&bytes, keyserver::Request::parse, keyserver::Request::encode),
        5 => again(&bytes, keyserver::Answer::parse, keyserver::Answer::encode),
        6 => links(&bytes),
        7 => names(&bytes),
        _ => envelope(bytes),
    }
}

/// A value that came over the wire can be sent, and comes back as the same. But for the sentence of a refusal: a longer
/// one than ours is cut when it is sent on.
fn again<M: PartialEq + Debug, E: Debug + PartialEq>(
    bytes: &Bytes,
    read: impl Fn(&Bytes) -> Result<M, E>,
    write: impl Fn(&M) -> Bytes,
) {
    let Ok(value) = read(bytes) else { return };
    let written = write(&value);
    assert!(written.len() <= FRAME_BYTES_MAX.max(bytes.len()), "{} bytes do not fit into a frame", written.len());
    let same = read(&written).expect("what was written is read");
    assert!(same == value || format!("{value:?}").starts_with("Refused"), "{same:?} is not {value:?}");
    assert_eq!(write(&same), written);
}

/// Frames come out the same wherever the line cuts them, and what was taken off is what they are written as.
fn frames(bytes: &Bytes) {
    let Some((cut, bytes)) = bytes.split_first() else { return };
    let whole = all_frames([bytes, &[]]);
    assert_eq!(all_frames(bytes.split_at(bytes.len().min((*cut).into())).into()), whole);
    let (frames, rest) = whole;
    let mut written = BytesMut::new();
    for frame in &frames {
        frame::encode(frame, &mut written).expect("what was read can be written");
    }
    if let Some((length, _)) = rest.split_first_chunk().filter(|_| rest.len() >= FRAME_HEAD_BYTES) {
        let length = usize::try_from(u32::from_be_bytes(*length)).expect("no small machine");
        assert!(length > FRAME_BYTES_MAX || rest.len() < FRAME_HEAD_BYTES + length, "a whole frame was left there");
    }
    written.extend_from_slice(&rest);
    assert_eq!(written, bytes);
}

fn all_frames(parts: [&[u8]; 2]) -> (Vec<Frame>, BytesMut) {
    let (mut frames, mut input) = (Vec::new(), BytesMut::new());
    for part in parts {
        input.extend_from_slice(part);
        while let Ok(Some(frame)) = frame::decode(&mut input) {
            frames.push(frame);
        }
    }
    assert_eq!(frame::finish(&input).is_ok(), input.is_empty());
    (frames, input)
}

/// A chain that verifies has links that follow each other, and is verified whoever reads it again.
fn links(bytes: &Bytes) {
    let Ok(links) = parse_links(bytes) else { return };
    assert_eq!(parse_links(&encode_links(&links)).as_ref(), Ok(&links));
    let vouches = |key: &[u8; 33], message: &[u8], signature: &[u8; 64]| {
        PublicKey::from_pub33(key).is_ok_and(|key| key.verify(&[message], signature))
    };
    for vouches in [&vouches as &dyn Fn(&[u8; 33], &[u8], &[u8; 64]) -> bool, &|_, _, _| true] {
        let Ok(chain) = Chain::verify(links.clone(), vouches) else { continue };
        assert_eq!(chain.links(), links);
        assert_eq!(chain.account().as_bytes(), links[0].hash().as_bytes());
        let follows = |pair: &[SignedLink]| pair[1].link().previous == Some(pair[0].hash());
        assert!(links.windows(2).all(follows), "a link does not follow the one before");
        assert!(chain.devices().iter().all(|device| chain.device(device.id).is_some()));
    }
}

/// What people type and servers are called is written in one form.
fn names(bytes: &Bytes) {
    fn once<N: Display + PartialEq + Debug, E: Debug>(text: &str, read: impl Fn(&str) -> Result<N, E>) {
        if let Ok(name) = read(text) {
            let written = name.to_string();
            let same = read(&written).expect("what was written is read");
            assert_eq!(same, name);
            assert_eq!(same.to_string(), written);
        }
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    once(text, |text| ServerAddress::parse(text, RELAY_PORT));
    once(text, Handle::parse);
    once(text, str::parse::<Fingerprint>);
}

fn envelope(bytes: Bytes) {
    let is_class = class_for(bytes.len()) == Some(bytes.len());
    match Envelope::new(bytes.clone()) {
        Ok(envelope) => assert!(is_class && envelope.len() == bytes.len() && *envelope.bytes() == bytes),
        Err(why) => assert!(!is_class && why.found == bytes.len()),
    }
}
