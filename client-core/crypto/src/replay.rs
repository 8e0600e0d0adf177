//! Recorded conversations of the official library, replayed from both sides with what it drew at random.
//!
//! Inside the crate because it sets session state and a KEM secret that no caller may set.
//!
//! Vectors: two_way.json, prekey_sessions.json. Spec: signal-wire §2.2, §2.3, §3.1 to §3.6, §4.1 to §4.8.

use std::convert::Infallible;

use data_encoding::HEXLOWER;
use rand_core::{TryCryptoRng, TryRng};
use serde_json::Value;

use crate::chain::{ChainKey, SkippedSeeds};
use crate::curve::{IdentityKeyPair, KeyPair, PrivateKey, PublicKey};
use crate::double_ratchet::{DoubleRatchet, ReceivingChain, RootKey, SendingChain};
use crate::error::DecryptError;
use crate::kem::KemSecretKey;
use crate::message::{PreKeySignalMessage, SignalMessage};
use crate::pqxdh;
use crate::prekey::{KyberPreKey, OneTimePreKey, OurPreKeys, SignedPreKey};
use crate::session::{Addresses, CiphertextMessage, Local, Session, Unacknowledged};
use crate::sessions::Sessions;
use crate::spqr::{Role, Spqr};
use crate::triple::TripleRatchet;

const TWO_WAY: &str = include_str!("../tests/vectors/two_way.json");
const PREKEY_SESSIONS: &str = include_str!("../tests/vectors/prekey_sessions.json");

#[test]
fn every_recorded_message_comes_out_byte_for_byte_from_both_sides() {
    let vectors: Value = serde_json::from_str(TWO_WAY).unwrap();
    let (mut sent, mut opened, mut refused) = (0, 0, 0);
    for conversation in list(&vectors["conversations"]) {
        let (alice, bob) = (Party::new(&conversation["alice"]), Party::new(&conversation["bob"]));
        let mut sessions = [after_bundle(conversation, &alice, &bob), Sessions::empty()];
        for event in list(&conversation["events"]) {
            let sending = event.get("send");
            let number = sending.or(event.get("recv")).and_then(Value::as_u64).unwrap();
            let message = list(&conversation["messages"]).get(usize::try_from(number).unwrap()).unwrap();
            let actor = if sending.is_some() { &message[0] } else { &event["by"] };
            let is_alice = actor == "alice";
            let (ours, theirs) = if is_alice { (&alice, &bob) } else { (&bob, &alice) };
            let state = &mut sessions[usize::from(!is_alice)];
            let (local, mut rng) = (ours.towards(theirs), Recorded::of(event));
            if sending.is_some() {
                *state = send(state, &local, event, message, &mut rng);
                sent += 1;
            } else {
                match receive(state, &local, &bob, message, &mut rng) {
                    Ok(after) => {
                        assert!(event.get("error").is_none(), "message {number} was refused by the official library");
                        *state = after;
                        rng.assert_spent();
                        opened += 1;
                    }
                    Err(error) => {
                        let duplicate = event["code"] == "DuplicatedMessage";
                        assert!(event.get("error").is_some(), "message {number}: {error}");
                        assert_eq!(error == DecryptError::Repeated, duplicate, "message {number}: {error}");
                        refused += 1;
                    }
                }
            }
            let spqr = &state.current.as_ref().unwrap().ratchet.spqr;
            assert_eq!(format!("{} {}", spqr.state_name(), spqr.epoch()), text(&event["state"]), "message {number}");
        }
    }
    assert_eq!((sent, opened, refused), (1320, 1155, 46));
}

/// Spec: signal-wire §2.2, §2.3, §3.1.
#[test]
fn the_responder_has_the_initiators_root_chain_and_spqr_keys() {
    let vectors: Value = serde_json::from_str(PREKEY_SESSIONS).unwrap();
    for case in list(&vectors["sessions"]) {
        let bob = Party::new(&case["bob"]);
        let expected = &case["aliceAfterBundle"];
        let first = PreKeySignalMessage::parse(&bytes(&case["messages"][0]["ciphertext"])).unwrap();
        let agreed = pqxdh::respond(
            &bob.identity,
            &bob.prekeys(),
            &first.identity(),
            &first.base_key(),
            first.kyber_ciphertext(),
        )
        .unwrap();
        assert_eq!(agreed.chain.key(), &array(&expected["handshakeChainKey"]));
        assert_eq!(*agreed.spqr_auth, array(&expected["spqrAuthKey"]));
        let theirs = PublicKey::from_pub33(&bytes(&expected["senderRatchetPublic"])).unwrap();
        let (root, chain) = agreed.root.step(&bob.signed.as_ref().unwrap().pair, &theirs).unwrap();
        assert_eq!(root.as_bytes(), &array(&expected["rootKey"]));
        assert_eq!(chain.key(), &array(&expected["senderChainKey"]));
    }
}

fn send(state: &Sessions, local: &Local<'_>, event: &Value, message: &Value, rng: &mut Recorded) -> Sessions {
    let plaintext = bytes(&message[2]);
    let (written, after) = match event.get("newKemSecret") {
        // The vectors record the expanded key and not its seed, so it is put in place here.
        Some(secret) => {
            let session = state.current.as_ref().unwrap();
            let secret = bytes(secret).try_into().unwrap();
            let sending = session.ratchet.send_with(session.ratchet.spqr.send_with_kem_secret(&secret).unwrap());
            let (written, after) = session.write(local, &plaintext, sending.unwrap());
            (written, Sessions { current: Some(after), archived: Vec::new() })
        }
        None => {
            let sealed = state.clone().encrypt(local, &plaintext, 0, rng).unwrap();
            rng.assert_spent();
            (sealed.message, sealed.sessions)
        }
    };
    assert_eq!(matches!(written, CiphertextMessage::PreKey(_)), message[1] == 3);
    assert_eq!(HEXLOWER.encode(written.as_bytes()), text(&message[3]));
    after
}

fn receive(
    state: &Sessions,
    local: &Local<'_>,
    bob: &Party,
    message: &Value,
    rng: &mut Recorded,
) -> Result<Sessions, DecryptError> {
    let ciphertext = bytes(&message[3]);
    let (plaintext, after) = if message[1] == 3 {
        let first = PreKeySignalMessage::parse(&ciphertext).unwrap();
        let opened = state.decrypt_first(local, &first, Some(bob.prekeys()), rng)?;
        (opened.plaintext, opened.sessions)
    } else {
        let opened = state.decrypt(local, &SignalMessage::parse(&ciphertext).unwrap(), rng)?;
        (opened.plaintext, opened.sessions)
    };
    assert_eq!(*plaintext, bytes(&message[2]));
    Ok(after)
}

/// Alice once she has processed the bundle: recorded, because what she drew for it is not.
fn after_bundle(conversation: &Value, alice: &Party, bob: &Party) -> Sessions {
    let recorded = &conversation["aliceAfterBundle"];
    let first = PreKeySignalMessage::parse(&bytes(&conversation["messages"][0][3])).unwrap();
    let chain = |name: &str| ChainKey::new(Box::new(array(&recorded[name])), 0);
    let double = DoubleRatchet {
        root: RootKey::new(Box::new(array(&recorded["rootKey"]))),
        sending: SendingChain { pair: pair(&recorded["senderRatchetPrivate"]), chain: chain("senderChainKey") },
        receiving: vec![ReceivingChain {
            theirs: bob.signed.as_ref().unwrap().pair.public(),
            chain: chain("handshakeChainKey"),
            skipped: SkippedSeeds::default(),
        }],
        previous_counter: 0,
    };
    let session = Session {
        base_key: first.base_key(),
        our_identity: alice.identity.public(),
        their_identity: bob.identity.public(),
        our_registration_id: first.registration_id(),
        their_registration_id: bob.registration_id,
        ratchet: TripleRatchet { double, spqr: Spqr::start(Role::A, &array(&recorded["spqrAuthKey"])) },
        unacknowledged: Some(Unacknowledged { header: first.header().clone(), created_ms: 0 }),
    };
    Sessions { current: Some(session), archived: Vec::new() }
}

struct Party {
    identity: IdentityKeyPair,
    registration_id: u32,
    address: Option<[u8; 18]>,
    signed: Option<SignedPreKey>,
    kyber: Option<KyberPreKey>,
    one_time: Option<OneTimePreKey>,
}

impl Party {
    fn new(recorded: &Value) -> Party {
        let (bundle, secrets) = (&recorded["bundle"], &recorded["secrets"]);
        let id = |name: &str| u32::try_from(bundle[name].as_u64().unwrap()).unwrap(); // of parties with prekeys only
        let secret = |name: &str| secrets.get(name).filter(|key| !key.is_null());
        let kyber =
            |key| KyberPreKey::new(id("kyberPreKeyId"), KemSecretKey::from_bytes(&bytes(key)).unwrap(), [0; 64]);
        Party {
            identity: IdentityKeyPair::from_bytes(&array(&recorded["identityPrivate"])),
            registration_id: u32::try_from(recorded["registrationId"].as_u64().unwrap()).unwrap(),
            address: address(text(&recorded["name"]), recorded["deviceId"].as_u64().unwrap()),
            signed: secret("signedPreKeyPrivate")
                .map(|key| SignedPreKey::new(id("signedPreKeyId"), pair(key), [0; 64])),
            kyber: secret("kyberPreKeyPrivate").map(kyber),
            one_time: secret("preKeyPrivate").map(|key| OneTimePreKey::new(id("preKeyId"), pair(key))),
        }
    }

    fn towards(&self, peer: &Party) -> Local<'_> {
        let addresses = self.address.zip(peer.address).map(|(ours, theirs)| Addresses { ours, theirs });
        Local { addresses, ..Local::new(&self.identity, self.registration_id) }.with_peer(peer.identity.public())
    }

    fn prekeys(&self) -> OurPreKeys<'_> {
        let (signed, kyber) = (self.signed.as_ref().unwrap(), self.kyber.as_ref().unwrap());
        OurPreKeys { signed, kyber, one_time: self.one_time.as_ref() }
    }
}

/// Gives what was recorded, and then, for messages that will be refused, bytes that are no key of anyone.
struct Recorded {
    bytes: Vec<u8>,
    overdrawn: bool,
}

impl Recorded {
    fn of(event: &Value) -> Recorded {
        let drawn = ["newRatchetPrivate", "newEncapsRandomness"].into_iter().find_map(|name| event.get(name));
        Recorded { bytes: drawn.map(bytes).unwrap_or_default(), overdrawn: false }
    }

    fn assert_spent(&self) {
        assert!(self.bytes.is_empty() && !self.overdrawn, "drew other randomness than the official library");
    }
}

impl TryRng for Recorded {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        unreachable!("keys are drawn as bytes")
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        unreachable!("keys are drawn as bytes")
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        let drawn = out.len().min(self.bytes.len());
        self.overdrawn |= drawn < out.len();
        out.fill(0x55);
        out.iter_mut().zip(self.bytes.drain(..drawn)).for_each(|(to, byte)| *to = byte);
        Ok(())
    }
}

impl TryCryptoRng for Recorded {}

/// The 17 bytes of an ACI and the device id; nothing for a name that is no ACI.
fn address(name: &str, device: u64) -> Option<[u8; 18]> {
    let uuid = HEXLOWER.decode(name.replace('-', "").as_bytes()).ok().filter(|uuid| uuid.len() == 16)?;
    [vec![0], uuid, vec![u8::try_from(device).ok()?]].concat().try_into().ok()
}

fn pair(private: &Value) -> KeyPair {
    KeyPair::from_private(PrivateKey::from_bytes(&array(private)))
}

fn list(value: &Value) -> &Vec<Value> {
    value.as_array().unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    HEXLOWER.decode(text(value).as_bytes()).unwrap()
}

fn array(value: &Value) -> [u8; 32] {
    bytes(value).try_into().unwrap()
}
