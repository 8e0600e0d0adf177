//! Messages of sessions: refused for one reason or another, and opened.

use hushwire_crypto::{
    DecryptError, IdentityKeyPair, KyberPreKey, Local, OurPreKeys, PreKeyBundle, PreKeySignalMessage, Sessions,
    SignalMessage, SignedPreKey,
};
use prost::Message as _;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::changed;
use super::compare::leaky;
use crate::measure::{Claim, Class, How, Measured};

/// A MAC at the end of a message.
const MAC_BYTES: usize = 8;

pub(super) fn all(how: How) -> Vec<Measured> {
    let pair = Pair::new();
    vec![
        pair.macs(how),
        pair.leaky_macs(how),
        pair.random_macs(how),
        pair.texts(how),
        pair.paddings(how),
        pair.kyber(how),
    ]
    .into_iter()
    .chain(pair.spqr(how))
    .collect()
}

/// One side of a session.
struct Side {
    identity: IdentityKeyPair,
    sessions: Sessions,
}

impl Side {
    fn local(&self) -> Local<'_> {
        Local::new(&self.identity, 1)
    }

    fn encrypt(&self, text: &[u8], rng: &mut StdRng) -> (Vec<u8>, Sessions) {
        let sealed = self.sessions.encrypt(&self.local(), text, 0, rng).unwrap();
        (sealed.message.as_bytes().to_vec(), sealed.sessions)
    }

    fn decrypt(&self, message: &SignalMessage) -> Result<Sessions, DecryptError> {
        self.decrypt_with(message, &mut StdRng::from_seed([1; 32]))
    }

    fn decrypt_with(&self, message: &SignalMessage, rng: &mut StdRng) -> Result<Sessions, DecryptError> {
        Ok(self.sessions.decrypt(&self.local(), message, rng)?.sessions)
    }
}

/// Alice and Bob, who both have heard of each other, and the message by which it began.
struct Pair {
    alice: Side,
    bob: Side,
    signed: SignedPreKey,
    kyber: KyberPreKey,
    first: Vec<u8>,
}

impl Pair {
    fn new() -> Pair {
        let mut rng = StdRng::seed_from_u64(4);
        let [alice, bob] = [(); 2].map(|()| IdentityKeyPair::generate(&mut rng));
        let signed = SignedPreKey::generate(1, &bob, &mut rng);
        let kyber = KyberPreKey::generate(2, &bob, &mut rng);
        let bundle = PreKeyBundle {
            registration_id: 1,
            device_id: 1,
            identity: bob.public(),
            signed: signed.public(),
            kyber: kyber.public(),
            one_time: None,
        };
        let begun = Sessions::empty().start(&Local::new(&alice, 1), &bundle.verify().unwrap(), 0, &mut rng);
        let mut alice = Side { identity: alice, sessions: begun.unwrap() };
        let bob = Side { identity: bob, sessions: Sessions::empty() };
        let (first, sessions) = alice.encrypt(b"hello", &mut rng);
        alice.sessions = sessions;
        let mut pair = Pair { alice, bob, signed, kyber, first };
        pair.bob.sessions = pair.begin(&PreKeySignalMessage::parse(&pair.first).unwrap(), &mut rng).unwrap();
        let (answer, sessions) = pair.bob.encrypt(b"yes?", &mut rng);
        pair.bob.sessions = sessions;
        pair.alice.sessions = pair.alice.decrypt_with(&parsed(&answer), &mut rng).unwrap();
        let (message, sessions) = pair.alice.encrypt(b"so", &mut rng);
        pair.alice.sessions = sessions;
        pair.bob.sessions = pair.bob.decrypt_with(&parsed(&message), &mut rng).unwrap();
        pair
    }

    /// Bob opens a first message with his prekeys, as if he had no session.
    fn begin(&self, first: &PreKeySignalMessage, rng: &mut StdRng) -> Result<Sessions, DecryptError> {
        let keys = OurPreKeys { signed: &self.signed, kyber: &self.kyber, one_time: None };
        let opened = Sessions::empty().decrypt_first(&self.bob.local(), first, Some(keys), rng)?;
        Ok(opened.sessions)
    }

    /// A message from Alice whose chain Bob knows: he takes one step of it and then looks at the MAC.
    fn message(&self, text: &[u8]) -> Vec<u8> {
        self.alice.encrypt(text, &mut StdRng::from_seed([2; 32])).0
    }

    fn macs(&self, how: How) -> Measured {
        let message = self.message(&[7; 100]);
        let (first, last) = (message.len() - MAC_BYTES, message.len() - 1);
        let input = |class: Class, _: &mut StdRng| parsed(&changed(&message, class.of(first, last)));
        how.measure("refuse, MAC wrong early or late", Claim::Alike, input, |message| {
            assert_eq!(self.bob.decrypt(message).err(), Some(DecryptError::Forged));
        })
    }

    /// The same with a comparison of the MAC that leaks: what would be seen if ours did.
    fn leaky_macs(&self, how: How) -> Measured {
        let message = self.message(&[7; 100]);
        let (first, last) = (message.len() - MAC_BYTES, message.len() - 1);
        let mac = message[first..].to_vec();
        let input = |class: Class, _: &mut StdRng| {
            let message = changed(&message, class.of(first, last));
            (parsed(&message), message[first..].to_vec())
        };
        how.measure("control: the same, MAC compared until it differs", Claim::Control, input, |(message, theirs)| {
            assert_eq!(self.bob.decrypt(message).err(), Some(DecryptError::Forged));
            leaky(&mac, theirs)
        })
    }

    fn random_macs(&self, how: How) -> Measured {
        let message = self.message(&[7; 100]);
        let input = |class: Class, rng: &mut StdRng| {
            let fixed = changed(&message, message.len() - 1);
            let mut random = message.clone();
            random.truncate(message.len() - MAC_BYTES);
            random.extend(rng.random::<[u8; MAC_BYTES]>());
            parsed(&class.of(fixed, random))
        };
        how.measure("refuse, MAC nearly right or random", Claim::Alike, input, |message| {
            assert_eq!(self.bob.decrypt(message).err(), Some(DecryptError::Forged));
        })
    }

    fn texts(&self, how: How) -> Measured {
        let input = |class: Class, rng: &mut StdRng| parsed(&self.message(&class.of([0; 100], random(rng))));
        how.measure("open, a fixed or a random text", Claim::Alike, input, |message| self.bob.decrypt(message).is_ok())
    }

    /// Texts of one ciphertext length: how much of the last block is padding.
    fn paddings(&self, how: How) -> Measured {
        let input = |class: Class, _: &mut StdRng| parsed(&self.message(&[7; 111][..class.of(96, 111)]));
        how.measure("open, 16 or 1 bytes of padding", Claim::Nothing, input, |message| {
            self.bob.decrypt(message).is_ok()
        })
    }

    /// A Kyber ciphertext that was not made for the key gives another secret and no error; only the MAC is wrong then.
    fn kyber(&self, how: How) -> Measured {
        let ciphertext = Wrapper::decode(&self.first[1..]).unwrap().kyber_ciphertext;
        let place = find(&self.first, &ciphertext);
        let mac = place_of_inner_mac(&self.first);
        let input = |class: Class, rng: &mut StdRng| {
            let place = class.of(mac, place + 1 + rng.random_range(0..1568));
            PreKeySignalMessage::parse(&changed(&self.first, place)).unwrap()
        };
        how.measure("refuse, MAC or Kyber ciphertext wrong", Claim::Alike, input, |first| {
            assert_eq!(self.begin(first, &mut StdRng::from_seed([1; 32])).err(), Some(DecryptError::Forged));
        })
    }

    /// The two messages of the conversation that complete something under an SPQR MAC: its last chunk is that MAC.
    fn spqr(mut self, how: How) -> Vec<Measured> {
        let mut rng = StdRng::seed_from_u64(5);
        let mut measured = Vec::new();
        while measured.len() < 2 {
            let (from, to) = (&mut self.alice, &mut self.bob);
            let (message, sessions) = from.encrypt(b"chunk", &mut rng);
            from.sessions = sessions;
            if let Some(place) = completes(to, &message) {
                let name = if measured.is_empty() {
                    "refuse, SPQR header MAC wrong early or late"
                } else {
                    "refuse, SPQR ciphertext MAC wrong early or late"
                };
                let input = |class: Class, _: &mut StdRng| parsed(&changed(&message, place + class.of(0, 31)));
                measured.push(how.measure(name, Claim::Alike, input, |message| {
                    assert_eq!(to.decrypt(message).err(), Some(DecryptError::PostQuantum));
                }));
            }
            to.sessions = to.decrypt_with(&parsed(&message), &mut rng).unwrap();
            std::mem::swap(&mut self.alice, &mut self.bob);
        }
        measured
    }
}

/// Where the SPQR chunk of this message lies, if a change of it is refused by SPQR, before the message's MAC is looked at.
fn completes(to: &Side, message: &[u8]) -> Option<usize> {
    let pq = Fields::decode(&message[1..message.len() - MAC_BYTES]).unwrap().pq;
    let place = find(message, pq.last_chunk::<32>()?);
    let refused = to.decrypt(&parsed(&changed(message, place))).err();
    (refused == Some(DecryptError::PostQuantum)).then_some(place)
}

/// Of the message inside a first message, the last byte of its MAC.
fn place_of_inner_mac(first: &[u8]) -> usize {
    let inner = Wrapper::decode(&first[1..]).unwrap().message;
    find(first, &inner) + inner.len() - 1
}

fn find(bytes: &[u8], part: &[u8]) -> usize {
    bytes.windows(part.len()).position(|window| window == part).unwrap()
}

fn parsed(message: &[u8]) -> SignalMessage {
    SignalMessage::parse(message).unwrap()
}

fn random(rng: &mut StdRng) -> [u8; 100] {
    let mut bytes = [0; 100];
    bytes.iter_mut().for_each(|byte| *byte = rng.random());
    bytes
}

#[derive(Clone, PartialEq, prost::Message)]
struct Wrapper {
    #[prost(bytes = "vec", tag = "4")]
    message: Vec<u8>,
    #[prost(bytes = "vec", tag = "8")]
    kyber_ciphertext: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Fields {
    #[prost(bytes = "vec", tag = "5")]
    pq: Vec<u8>,
}
