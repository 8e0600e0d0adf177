//! What whoever has some keys can make of an account's chain of device lists, and what becomes of it.
//!
//! Two chains grow from one beginning. For each link it is said who signed it, with whose key, after which link and with
//! which keys in it; from that, and from nothing in the link, follows whether it may be taken.
//!
//! Spec: keyserver §3.

use std::sync::LazyLock;

use bytes::Bytes;
use ed25519_dalek::SigningKey;
use hushwire_proto::account::{
    Chain, Compared, Device, Link, Signatory, SignedLink, encode_links, identity_transcript, parse_links,
};
use hushwire_proto::auth::SignatureBytes;
use hushwire_proto::ids::{DeviceId, MailboxId, Token};
use hushwire_proto::keyserver::CURVE_KEY_LEN;
use hushwire_proto::limits::CHAIN_LINKS_MAX;
use sha2::{Digest, Sha256};

use crate::edit::edited;
use crate::input::Input;

/// Links of one run: each costs all signatures of its chain.
const STEPS_MAX: usize = 10;

/// Keys 0 to 3 are devices 1 to 4, 4 is a stranger's, 5 and 6 are recovery keys.
static KEYS: LazyLock<[SigningKey; 7]> =
    LazyLock::new(|| std::array::from_fn(|number| SigningKey::from_bytes(&[1 + small(number); 32])));

/// A link, and what decides whether it may follow.
#[derive(Clone)]
struct Made {
    signed: SignedLink,
    /// Bits: devices 1 to 4.
    devices: u8,
    /// Its recovery key.
    recovery: usize,
    /// By the recovery key of the link before; else by a device.
    by_recovery: bool,
    /// Whether it is right after the link that it names.
    right: bool,
}

/// The bytes are the steps.
pub fn accounts(data: &[u8]) {
    let mut input = Input::new(data);
    let first = made(None, 0b0001, 5, Some(0), 0, 0, false);
    let start = Chain::verify(vec![first.signed.clone()], vouches).expect("an honest beginning");
    let mut sides = [(start.clone(), vec![first.clone()]), (start, vec![first])];
    for _ in 0..STEPS_MAX {
        let Some(what) = input.byte() else { break };
        let [ours, theirs] = &mut sides;
        let (known, other) = if what & 1 == 0 { (ours, theirs) } else { (theirs, ours) };
        if what & 2 == 0 {
            let Some(link) = next(&known.1, &mut input) else { break };
            brought(known, &link, &mut input);
        } else {
            // Somebody shows the one side what the other has.
            let Some(place) = input.pick(other.1.len()) else { break };
            let link = other.1[place].clone();
            brought(known, &link, &mut input);
        }
        compared(&sides[0].0, &sides[1].0);
    }
}

/// A link of somebody, after one of those that are known.
fn next(known: &[Made], input: &mut Input<'_>) -> Option<Made> {
    let place = known.len() - 1 - input.pick(known.len())?;
    let (devices, signer, key, wrong) = (input.byte()? % 16, input.byte()?, input.byte()?, input.byte()?);
    let before = &known[place];
    let recovery = if wrong & 1 == 0 { before.recovery } else { 11 - before.recovery };
    let signer = usize::from(signer % 5);
    let by = (signer < 4).then_some(signer);
    let honest = by.unwrap_or(before.recovery);
    let key = if key % 4 == 0 { usize::from(key / 4) % KEYS.len() } else { honest };
    let version = if wrong & 0x0E == 0x0E { 1 } else { 0 };
    Some(made(Some(before), if devices == 0 { 1 } else { devices }, recovery, by, key, version, wrong & 0x70 == 0x70))
}

/// `by`: a device, or the recovery key. `key`: with which it signs. `ahead`: so much is wrong with the version.
/// `stolen`: it lists an identity key that does not vouch for it.
fn made(
    before: Option<&Made>,
    devices: u8,
    recovery: usize,
    by: Option<usize>,
    key: usize,
    ahead: u64,
    stolen: bool,
) -> Made {
    let mut listed: Vec<Device> = (0..4_u8).filter(|number| devices >> number & 1 == 1).map(device).collect();
    if stolen {
        listed[0].identity_proof[0] ^= 1;
    }
    let link = Link {
        version: before.map_or(0, |before| before.signed.link().version + 1) + ahead,
        previous: before.map(|before| before.signed.hash()),
        devices: listed,
        recovery_key: KEYS[recovery].verifying_key().to_bytes(),
    };
    let signatory = by.map_or(Signatory::Recovery, |number| Signatory::Device(device(small(number)).id));
    let signed = link.sign(signatory, &KEYS[key]);
    let right = before.is_none_or(|before| {
        let may = match by {
            Some(number) => before.devices >> number & 1 == 1 && key == number && recovery == before.recovery,
            None => key == before.recovery,
        };
        before.right && may && ahead == 0 && !stolen
    });
    Made { signed, devices, recovery, by_recovery: by.is_none(), right }
}

/// Brings a link, damaged at first, to who has a chain, and holds what becomes of it against what should.
fn brought((chain, known): &mut (Chain, Vec<Made>), link: &Made, input: &mut Input<'_>) {
    let damaged = edited(&encode_links(std::slice::from_ref(&link.signed)), &mut Input::new(input.some(5)));
    for other in parse_links(&Bytes::from(damaged)).unwrap_or_default() {
        let is_one = |one: &SignedLink| encode_links(std::slice::from_ref(one));
        let is_another = is_one(&other) != is_one(&link.signed);
        if let (true, Ok(longer)) = (is_another, chain.append(other, vouches)) {
            assert_eq!(longer, *chain, "a link that nobody signed was taken");
        }
    }
    let is_known = known.iter().any(|one| one.signed.hash() == link.signed.hash() && signed_alike(one, link));
    let place = known.iter().position(|one| Some(one.signed.hash()) == link.signed.link().previous);
    let undone = place.map(|place| &known[place + 1..]);
    let counts =
        undone.is_some_and(|undone| undone.is_empty() || link.by_recovery && !undone.iter().any(|one| one.by_recovery));
    match chain.append(link.signed.clone(), vouches) {
        Ok(longer) if is_known => assert_eq!(longer, *chain, "what is there was taken twice"),
        Ok(longer) => {
            assert!(link.right && counts, "a link was taken that may not follow");
            known.truncate(place.expect("it follows something") + 1);
            known.push(link.clone());
            let links: Vec<_> = known.iter().map(|one| one.signed.clone()).collect();
            assert_eq!(longer.links(), links);
            assert_eq!(longer.account(), chain.account());
            *chain = longer;
        }
        Err(why) => assert!(!(is_known || link.right && counts), "a link was refused that follows: {why}"),
    }
    assert!(chain.links().len() <= CHAIN_LINKS_MAX);
}

fn signed_alike(one: &Made, other: &Made) -> bool {
    one.signed.signatory() == other.signed.signatory()
}

/// Whoever of two has which chain, they come to the same end.
fn compared(mine: &Chain, theirs: &Chain) {
    let (here, there) = (mine.compare(theirs), theirs.compare(mine));
    let mirrored = match here.expect("one account") {
        Compared::Same => Compared::Same,
        Compared::Newer => Compared::Older,
        Compared::Older => Compared::Newer,
        Compared::Recovered => Compared::Undone,
        Compared::Undone => Compared::Recovered,
        Compared::Forked => Compared::Forked,
    };
    assert_eq!(there, Ok(mirrored));
}

fn device(number: u8) -> Device {
    let id = DeviceId::new(u32::from(number) + 1).expect("a small number");
    let (identity_key, signing_key) = ([number; CURVE_KEY_LEN], KEYS[usize::from(number)].verifying_key().to_bytes());
    Device {
        name: String::new(),
        id,
        registration_id: 7,
        identity_key,
        signing_key,
        identity_proof: proof(&identity_key, identity_transcript(id, 7, &signing_key).bytes()),
        relay: "hush://relay.example.org".to_owned(),
        mailbox: MailboxId([number; 32]),
        request_token: Token::from_slice(&[number; 32]).expect("32 bytes"),
    }
}

/// Stands for XEdDSA, which is `handshake`'s and `messages`' business.
fn proof(identity: &[u8; CURVE_KEY_LEN], message: &[u8]) -> SignatureBytes {
    let half: [u8; 32] = Sha256::new().chain_update(identity).chain_update(message).finalize().into();
    let mut whole = [0; 64];
    whole[..32].copy_from_slice(&half);
    whole
}

fn vouches(identity: &[u8; CURVE_KEY_LEN], message: &[u8], signature: &SignatureBytes) -> bool {
    proof(identity, message) == *signature
}

/// One of a few.
fn small(number: usize) -> u8 {
    u8::try_from(number).unwrap_or(u8::MAX)
}
