//! One device in both libraries: the same keys, the same prekeys, the same messages, whole and altered.
//!
//! A receiver that does not answer draws nothing that matters, so both must open the same and refuse the same for the same
//! kind of reason. The one who writes to them is of either library.

use std::collections::BTreeSet;

use hushwire_crypto::{
    IdentityKeyPair, KemSecretKey, KeyPair, KyberPreKey, OneTimePreKey, PreKeyBundle, PrivateKey, SignedPreKey,
};
use rand::rngs::StdRng;
use rand::{Rng as _, RngExt as _, SeedableRng as _};

use crate::Checked;
use crate::device::{Address, Device};
use crate::kind::Kind;
use crate::oracle::{array, bytes, hex};
use crate::ours::Ours;
use crate::tally::Tally;
use crate::theirs::{SharedOracle, Theirs};
use crate::wire::Message;

/// First messages per writer.
const MESSAGES: usize = 40;

/// What the writer is to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kin {
    Stranger,
    /// Another device of their account: both name it, and have its identity key.
    OwnDevice,
    /// It has their identity key, under another account.
    OnlyIdentity,
    /// It has an address in their account, and another identity key.
    OnlyAccount,
}

/// The same device twice, and who writes to it.
pub(crate) struct Twins {
    pub(crate) ours: Ours,
    pub(crate) theirs: Theirs,
    pub(crate) writer: Box<dyn Device>,
    pub(crate) rng: StdRng,
    pub(crate) tally: Tally,
}

/// Writers of both libraries, until this many messages were sent.
pub(crate) fn run(oracle: &SharedOracle, messages: u64, seed: u64) -> Checked<Tally> {
    let mut total = Tally::new("one device in both libraries");
    let mut round = 0;
    while total.messages < messages {
        let mut twins = Twins::new(oracle, round % 2 == 0, round % 4 < 2, Kin::Stranger, seed.wrapping_add(round))?;
        twins.play()?;
        total.add(&twins.tally.done());
        round += 1;
    }
    Ok(total)
}

impl Twins {
    /// Twins to whom a writer has a session that they do not know yet.
    pub(crate) fn new(
        oracle: &SharedOracle,
        writer_is_ours: bool,
        with_one_time: bool,
        kin: Kin,
        seed: u64,
    ) -> Checked<Twins> {
        let mut rng = StdRng::seed_from_u64(seed);
        let us = Address::of_somebody(&mut rng);
        let writer = match kin {
            Kin::OwnDevice | Kin::OnlyAccount => us.device(2),
            Kin::Stranger | Kin::OnlyIdentity => Address::of_somebody(&mut rng),
        };
        let registration_id = rng.random_range(1..0x3fff);
        let mut theirs = Theirs::new(oracle, &format!("twin-{seed}"), us, writer, registration_id)?;
        let bundle = theirs.bundle(with_one_time)?;
        let identity = IdentityKeyPair::from_bytes(&theirs.identity_private);
        let mut ours = Ours::new(us, writer, identity, registration_id, rng.next_u64());
        take_prekeys(&mut ours, &theirs, &bundle)?;
        let identity = match kin {
            Kin::OwnDevice | Kin::OnlyIdentity => ours.identity.clone(),
            Kin::Stranger | Kin::OnlyAccount => IdentityKeyPair::generate(&mut rng),
        };
        let mut writer = self::writer(oracle, writer_is_ours, [writer, us], identity, (seed, &mut rng))?;
        writer.start(&bundle)?.map_err(|kind| format!("the writer does not begin: {kind:?}"))?;
        let mut tally = Tally::new("");
        tally.sessions = 1;
        Ok(Twins { ours, theirs, writer, rng, tally })
    }

    /// The writer's next message.
    pub(crate) fn write(&mut self, text: &[u8]) -> Checked<Message> {
        self.tally.messages += 1;
        self.writer.send(text)?.map_err(|kind| format!("the writer does not write: {kind:?}"))
    }

    /// Both get it; both must do the same.
    pub(crate) fn deliver(&mut self, message: &Message) -> Checked<Result<Vec<u8>, Kind>> {
        let (ours, theirs) = (self.ours.receive(message)?, self.theirs.receive(message)?);
        self.tally.delivered(&ours);
        if alike(message, &ours, &theirs) {
            return Ok(ours);
        }
        Err(format!("ours: {ours:?}, theirs: {theirs:?} for type {} {}", message.number(), hex(&message.bytes)))
    }

    fn play(&mut self) -> Checked<()> {
        let mut written = Vec::new();
        for number in 0..MESSAGES {
            let text = format!("first {number}").into_bytes();
            written.push((self.write(&text)?, text));
        }
        let mut opened = BTreeSet::new();
        for _ in 0..3 * MESSAGES {
            let at = self.rng.random_range(0..MESSAGES);
            let (message, text) = written[at].clone();
            if self.rng.random_range(0..3) == 0 {
                let result = self.deliver(&message)?;
                let right = if opened.insert(at) { result == Ok(text) } else { result == Err(Kind::Repeated) };
                if !right {
                    return Err(format!("both alike and wrong: {result:?} for first message {at}"));
                }
            } else {
                self.deliver_altered(&message)?;
            }
        }
        Ok(())
    }

    /// Whatever comes of it, it is taken back.
    fn deliver_altered(&mut self, message: &Message) -> Checked<()> {
        let altered = alter(message, &mut self.rng)?;
        self.ours.remember()?;
        self.theirs.remember()?;
        // Whichever it is, it was the same for both.
        let _ = self.deliver(&altered)?;
        self.tally.altered += 1;
        self.ours.go_back()?;
        self.theirs.go_back()
    }
}

/// The same, but for what `hushwire-crypto` refuses earlier on purpose.
fn alike(message: &Message, ours: &Result<Vec<u8>, Kind>, theirs: &Result<Vec<u8>, Kind>) -> bool {
    if ours == theirs {
        return true;
    }
    if ours != &Err(Kind::Unreadable) {
        return false;
    }
    let version = message.inner().ok().and_then(|inner| inner.first().map(|byte| byte >> 4));
    // A message of version 3 is of no session that there is here: refused by us when read, by them when opened.
    (version == Some(3) && theirs == &Err(Kind::Undecryptable))
        // They look at the Kyber ciphertext only when a session is to be made; to us it is no message either way.
        || message.has_odd_ciphertext()
}

fn writer(
    oracle: &SharedOracle,
    is_ours: bool,
    [address, peer]: [Address; 2],
    identity: IdentityKeyPair,
    (seed, rng): (u64, &mut StdRng),
) -> Checked<Box<dyn Device>> {
    let registration_id = rng.random_range(1..0x3fff);
    if is_ours {
        return Ok(Box::new(Ours::new(address, peer, identity, registration_id, rng.next_u64())));
    }
    let (name, identity) = (format!("writer-{seed}"), identity.to_bytes());
    Ok(Box::new(Theirs::with_identity(oracle, &name, [address, peer], registration_id, Some(&identity))?))
}

/// The private halves that the oracle told, as our prekeys.
fn take_prekeys(ours: &mut Ours, theirs: &Theirs, bundle: &PreKeyBundle) -> Checked<()> {
    let pair = |field| Ok::<_, String>(KeyPair::from_private(PrivateKey::from_bytes(&array(&theirs.secrets, field)?)));
    let signed = SignedPreKey::new(bundle.signed.id, pair("signedPreKeyPrivate")?, bundle.signed.signature);
    let secret = KemSecretKey::from_bytes(&bytes(&theirs.secrets, "kyberPreKeyPrivate")?);
    let secret = secret.map_err(|error| format!("the oracle's Kyber key: {error}"))?;
    let kyber = KyberPreKey::new(bundle.kyber.id, secret, bundle.kyber.signature);
    if signed.public() != bundle.signed || kyber.public() != bundle.kyber {
        return Err("private keys that do not belong to the public ones".to_owned());
    }
    if let Some(one_time) = &bundle.one_time {
        ours.disk.one_time.insert(one_time.id, OneTimePreKey::new(one_time.id, pair("preKeyPrivate")?));
    }
    ours.disk.signed.insert(signed.id(), signed);
    ours.disk.kyber.insert(kyber.id(), kyber);
    Ok(())
}

/// The message as somebody on the way would change it.
fn alter(message: &Message, rng: &mut StdRng) -> Checked<Message> {
    let mut altered = message.clone();
    let way = rng.random_range(0..8);
    if way >= 6 {
        // Without its wrapper.
        altered = Message { is_first: false, bytes: message.inner()? };
    }
    let length = altered.bytes.len();
    match way {
        0 | 1 => {
            // Mostly in what is neither the KEM ciphertext nor the text.
            let at = if rng.random() { rng.random_range(0..length) } else { edge(length, rng) };
            altered.bytes[at] ^= 1 << rng.random_range(0..8);
        }
        2 => altered.bytes.truncate(rng.random_range(0..length)),
        3 => altered.bytes.push(rng.random()),
        4 => altered.bytes[0] = rng.random(),
        5 => altered.is_first = false,
        6 => altered.bytes[edge(length, rng)] ^= 1 << rng.random_range(0..8),
        _ => {}
    }
    Ok(altered)
}

/// A place near the beginning or the end.
fn edge(length: usize, rng: &mut StdRng) -> usize {
    let near = rng.random_range(0..length.min(150));
    if rng.random() { near } else { length - 1 - near }
}
