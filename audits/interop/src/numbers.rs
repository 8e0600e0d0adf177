//! What is computed and not sent in sessions: safety numbers, agreement, signatures, errors that are reported, and what a
//! changed identity does.

use hushwire_crypto::fingerprint::{Fingerprint, Party};
use hushwire_crypto::{DecryptionErrorMessage, IdentityKeyPair, KeyPair, PlaintextContent, PublicKey, SignalMessage};
use rand::rngs::StdRng;
use rand::{Rng as _, RngExt as _, SeedableRng as _};
use serde_json::json;

use crate::Checked;
use crate::device::{Address, Device};
use crate::kind::Kind;
use crate::oracle::{bytes, hex, text};
use crate::ours::Ours;
use crate::tally::Tally;
use crate::theirs::{SharedOracle, Theirs};

/// This many rounds of everything.
pub(crate) fn run(oracle: &SharedOracle, rounds: u64, seed: u64) -> Checked<Tally> {
    let mut tally = Tally::new("safety numbers, keys, reported errors");
    for round in 0..rounds {
        let seed = seed.wrapping_add(round);
        let mut rng = StdRng::seed_from_u64(seed);
        safety_numbers(oracle, &mut rng)?;
        keys(oracle, &mut rng)?;
        changed_identity(oracle, seed, &mut rng, &mut tally)?;
    }
    Ok(tally.done())
}

/// Both write the same digits and codes, and read each other's codes.
fn safety_numbers(oracle: &SharedOracle, rng: &mut StdRng) -> Checked<()> {
    let ids: [[u8; 16]; 2] = [rng.random(), rng.random()];
    let keys = [(); 2].map(|()| KeyPair::generate(rng).public());
    let party = |side: usize| Party { id: &ids[side], key: &keys[side] };
    let ours = [Fingerprint::new(party(0), party(1)), Fingerprint::new(party(1), party(0))];
    let mut codes = Vec::new();
    for side in 0..2 {
        let theirs = oracle.borrow_mut().get(
            "fingerprint",
            json!({
                "localId": hex(&ids[side]), "localKey": hex(&keys[side].to_pub33()),
                "remoteId": hex(&ids[1 - side]), "remoteKey": hex(&keys[1 - side].to_pub33()),
            }),
        )?;
        codes.push(bytes(&theirs, "scannable")?);
        if text(&theirs, "display")? != ours[side].digits() || codes[side] != ours[side].scannable() {
            return Err(format!("another safety number: {theirs}"));
        }
    }
    // Now and then a code that is of somebody else, or of nobody.
    let mut code = codes[1].clone();
    let at = rng.random_range(0..code.len());
    code[at] ^= u8::from(rng.random::<bool>()) << rng.random_range(0..8);
    let we = ours[0].compare(&code).ok();
    let request = json!({"ours": hex(&codes[0]), "theirs": hex(&code)});
    let they = oracle.borrow_mut().ask("fingerprint_compare", request)?.ok().and_then(|said| said["equal"].as_bool());
    if we == they { Ok(()) } else { Err(format!("a code is {we:?} to us and {they:?} to them: {}", hex(&code))) }
}

/// Agreement gives one secret, and either's signatures hold for the other, unless a bit is changed.
fn keys(oracle: &SharedOracle, rng: &mut StdRng) -> Checked<()> {
    let pair = KeyPair::generate(rng);
    let private = hex(&*pair.private().to_bytes());
    let made = oracle.borrow_mut().get("keygen", json!({}))?;
    let theirs = crate::theirs::key(&made, "public")?;
    let request = json!({"private": private, "public": hex(&theirs.to_pub33())});
    let secret = bytes(&oracle.borrow_mut().get("agree", request)?, "secret")?;
    if pair.agree(&theirs).map(|ours| ours.to_vec()) != Ok(secret) {
        return Err(format!("another agreement with {}", hex(&theirs.to_pub33())));
    }
    let identity = IdentityKeyPair::from_bytes(&pair.private().to_bytes());
    let ours = hushwire_crypto::SignedPreKey::generate(1, &identity, rng).public();
    let message = ours.key.to_pub33();
    let request = json!({"private": private, "message": hex(&message)});
    let signature = bytes(&oracle.borrow_mut().get("sign", request)?, "signature")?;
    for mut signature in [ours.signature.to_vec(), signature] {
        for altered in [false, true, true, true] {
            if altered {
                let at = rng.random_range(0..signature.len());
                signature[at] ^= 1 << rng.random_range(0..8);
            }
            let request = json!({
                "public": hex(&pair.public().to_pub33()), "message": hex(&message), "signature": hex(&signature),
            });
            let they = oracle.borrow_mut().get("verify", request)?["valid"] == true;
            let we = <&[u8; 64]>::try_from(signature.as_slice())
                .is_ok_and(|bytes| holds(&pair.public(), &ours, bytes, &identity));
            if we != they || (!altered && !we) {
                return Err(format!("a signature holds for us: {we}, for them: {they}: {}", hex(&signature)));
            }
        }
    }
    Ok(())
}

/// A signature is judged where the crate judges one: in a bundle.
fn holds(
    public: &PublicKey,
    signed: &hushwire_crypto::SignedPreKeyPublic,
    signature: &[u8; 64],
    identity: &IdentityKeyPair,
) -> bool {
    let mut rng = StdRng::seed_from_u64(1);
    let kyber = hushwire_crypto::KyberPreKey::generate(1, identity, &mut rng).public();
    let signed = hushwire_crypto::SignedPreKeyPublic { signature: *signature, ..signed.clone() };
    let bundle = hushwire_crypto::PreKeyBundle {
        registration_id: 1,
        device_id: 1,
        identity: *public,
        signed,
        kyber,
        one_time: None,
    };
    bundle.verify().is_ok()
}

/// Who has a new identity key is refused by both until the new key is trusted; what did not open is reported alike.
fn changed_identity(oracle: &SharedOracle, seed: u64, rng: &mut StdRng, tally: &mut Tally) -> Checked<()> {
    let [ours, theirs] = [(); 2].map(|()| Address::of_somebody(rng));
    let mut us = Ours::new(ours, theirs, IdentityKeyPair::generate(rng), 5, rng.next_u64());
    let mut them = Theirs::new(oracle, &format!("old-{seed}"), theirs, ours, 6)?;
    let bundle = them.bundle(true)?;
    us.start(&bundle)?.map_err(|kind| format!("no session: {kind:?}"))?;
    tell(&mut us, &mut them, tally)?;
    tell(&mut them, &mut us, tally)?;
    reported(&mut us, &mut them, tally)?;

    // They come with a new device under the same name.
    let mut new = Theirs::new(oracle, &format!("new-{seed}"), theirs, ours, 7)?;
    let bundle = us.bundle(true)?;
    new.start(&bundle)?.map_err(|kind| format!("no session: {kind:?}"))?;
    let hello = new.send(b"it is me")?.map_err(|kind| format!("not sent: {kind:?}"))?;
    let refused = us.receive(&hello)?;
    tally.delivered(&refused);
    let bundle = new.bundle(true)?;
    if refused != Err(Kind::Untrusted) || us.start(&bundle)? != Err(Kind::Untrusted) {
        return Err(format!("we accept a new identity: {refused:?}"));
    }
    us.peer_identity = Some(new.identity);
    tally.messages += 1;
    if us.receive(&hello)? != Ok(b"it is me".to_vec()) {
        return Err("we do not open what comes from a new identity that is trusted".to_owned());
    }
    tell(&mut us, &mut new, tally)?;

    // We come with one.
    let mut us = Ours::new(ours, theirs, IdentityKeyPair::generate(rng), 8, rng.next_u64());
    let bundle = new.bundle(true)?;
    us.start(&bundle)?.map_err(|kind| format!("no session: {kind:?}"))?;
    let hello = us.send(b"it is us")?.map_err(|kind| format!("not sent: {kind:?}"))?;
    let refused = new.receive(&hello)?;
    tally.delivered(&refused);
    let bundle = us.bundle(true)?;
    if refused != Err(Kind::Untrusted) || new.start(&bundle)? != Err(Kind::Untrusted) {
        return Err(format!("they accept a new identity: {refused:?}"));
    }
    let trusted = json!({"peer": new.peer(), "identity": hex(&us.identity.public().to_pub33())});
    new.get("set_identity", trusted)?;
    tally.messages += 1;
    if new.receive(&hello)? != Ok(b"it is us".to_vec()) {
        return Err("they do not open what comes from a new identity that is trusted".to_owned());
    }
    tell(&mut new, &mut us, tally)
}

fn tell(from: &mut dyn Device, to: &mut dyn Device, tally: &mut Tally) -> Checked<()> {
    let message = from.send(b"hello")?.map_err(|kind| format!("not sent: {kind:?}"))?;
    let opened = to.receive(&message)?;
    tally.messages += 1;
    tally.delivered(&opened);
    if opened == Ok(b"hello".to_vec()) { Ok(()) } else { Err(format!("a plain message does not open: {opened:?}")) }
}

/// The report that a message did not open is the same bytes from both, and names the session to its sender.
fn reported(us: &mut Ours, them: &mut Theirs, tally: &mut Tally) -> Checked<()> {
    let message = us.send(b"oops")?.map_err(|kind| format!("not sent: {kind:?}"))?;
    tally.messages += 1;
    let original = SignalMessage::parse(&message.bytes).map_err(|error| format!("ours does not read: {error}"))?;
    let ours = DecryptionErrorMessage::for_signal(&original, 99, 1);
    let request = json!({"original": hex(&message.bytes), "type": message.number(), "timestamp": 99, "deviceId": 1});
    let theirs = them.get("decryption_error", request)?;
    let content = PlaintextContent::new(ours.clone()).to_bytes();
    if bytes(&theirs, "message")? != ours.to_bytes() || bytes(&theirs, "plaintextContent")? != content {
        return Err(format!("another report: {theirs}"));
    }
    let read = PlaintextContent::parse(&content).map_err(|error| format!("a report does not read: {error}"))?;
    let named = read.error().ratchet_key;
    if named.is_some() && us.sessions()?.our_ratchet_key() == named {
        Ok(())
    } else {
        Err("a report names another session".to_owned())
    }
}
