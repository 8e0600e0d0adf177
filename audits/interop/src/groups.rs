//! Sender keys: every message to a group goes to two members, one of either library, who must do the same with it.
//!
//! The senders are of either library. Messages are skipped, come in any order, twice, altered, before their key was told and
//! after it was told again; senders begin more chains than are kept.

use hushwire_crypto::{DistributionId, OurSenderKey, SenderKeyDistributionMessage, SenderKeyMessage, SenderKeys};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};

use crate::Checked;
use crate::device::Address;
use crate::kind::Kind;
use crate::oracle::{bytes, hex};
use crate::tally::Tally;
use crate::theirs::{SharedOracle, Theirs};

/// Messages of one chain.
const CHAIN: usize = 60;

/// Chains of one sender: more than the five that are kept.
const CHAINS: usize = 7;

/// Who sends, with one chain.
enum Sender {
    Ours(Box<OurSenderKey>),
    /// Each chain needs a device of its own in the oracle: there is no other way to a new key.
    Theirs(Theirs, String),
}

/// The two members, and the sender's name to them.
struct Members {
    sender: Address,
    ours: SenderKeys,
    theirs: Theirs,
}

/// Groups of both kinds of sender, until this many messages were sent.
pub(crate) fn run(oracle: &SharedOracle, messages: u64, seed: u64) -> Checked<Tally> {
    let mut tally = Tally::new("sender keys, two members");
    let mut round = 0;
    while tally.messages < messages {
        group(oracle, round % 2 == 0, seed.wrapping_add(round), &mut tally)?;
        round += 1;
    }
    Ok(tally.done())
}

fn group(oracle: &SharedOracle, is_ours: bool, seed: u64, tally: &mut Tally) -> Checked<()> {
    let mut rng = StdRng::seed_from_u64(seed);
    let [sender, member] = [(); 2].map(|()| Address::of_somebody(&mut rng));
    let distribution = DistributionId::from_bytes(rng.random());
    let theirs = Theirs::new(oracle, &format!("member-{seed}"), member, sender, 1)?;
    let mut members = Members { sender, ours: SenderKeys::empty(distribution), theirs };
    // All that was sent, with its text, of every chain so far.
    let mut sent: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    for chain in 0..CHAINS {
        let mut from = match is_ours {
            true => Sender::Ours(Box::new(OurSenderKey::generate(distribution, &mut rng))),
            false => {
                let device = Theirs::new(oracle, &format!("sender-{seed}-{chain}"), sender, member, 1)?;
                Sender::Theirs(device, uuid(distribution))
            }
        };
        // Told in the middle of the chain; what was before it stays closed.
        let told_at = rng.random_range(0..4);
        let mut told = Vec::new();
        for number in 0..CHAIN {
            if number == told_at {
                told = from.tell()?;
            }
            let text = format!("{chain} {number}").into_bytes();
            sent.push((from.send(&text, &mut rng)?, text));
            tally.messages += 1;
        }
        tally.sessions += 1;
        let early = members.receive(&sent[sent.len() - 1].0, tally)?;
        if early != Err(Kind::NoSenderKey) {
            return Err(format!("a message of a chain that was not told: {early:?}"));
        }
        members.accept(&told)?;
        for _ in 0..2 * CHAIN {
            match rng.random_range(0..20) {
                0 => members.accept(&told)?,
                1 => members.restart(tally)?,
                2..6 => {
                    let at = rng.random_range(0..sent.len());
                    members.receive_altered(&sent[at].0, &mut rng, tally)?;
                }
                _ => {
                    // Mostly of this chain.
                    let oldest = if rng.random_range(0..5) == 0 { 0 } else { sent.len() - CHAIN };
                    let (message, text) = &sent[rng.random_range(oldest..sent.len())];
                    let result = members.receive(message, tally)?;
                    if result.as_ref().is_ok_and(|opened| opened != text) {
                        return Err("both members open another text than was sent".to_owned());
                    }
                }
            }
        }
    }
    Ok(())
}

impl Sender {
    /// The distribution message.
    fn tell(&mut self) -> Checked<Vec<u8>> {
        match self {
            Sender::Ours(key) => Ok(key.distribution_message().to_bytes().to_vec()),
            Sender::Theirs(device, id) => bytes(&device.get("skdm_create", json!({"distributionId": id}))?, "skdm"),
        }
    }

    fn send(&mut self, text: &[u8], rng: &mut StdRng) -> Checked<Vec<u8>> {
        match self {
            Sender::Ours(key) => {
                let sealed = key.encrypt(text, rng).map_err(|error| format!("our sender key: {error}"))?;
                let stored = OurSenderKey::from_bytes(&sealed.key.to_bytes());
                **key = stored.map_err(|error| format!("our sender key does not read: {error}"))?;
                Ok(sealed.message)
            }
            Sender::Theirs(device, id) => {
                if device.secrets.is_null() {
                    // The first act of a sender makes its key.
                    device.secrets = device.get("skdm_create", json!({"distributionId": id}))?;
                }
                let request = json!({"distributionId": id, "plaintext": hex(text)});
                bytes(&device.get("group_encrypt", request)?, "ciphertext")
            }
        }
    }
}

impl Members {
    fn accept(&mut self, told: &[u8]) -> Checked<()> {
        let parsed =
            SenderKeyDistributionMessage::parse(told).map_err(|error| format!("a key does not read: {error}"))?;
        self.ours = self.ours.accept(&parsed).map_err(|error| format!("a key is not taken in: {error}"))?;
        let request = json!({"sender": self.sender.json(), "skdm": hex(told)});
        self.theirs.get("skdm_process", request).map(|_| ())
    }

    fn receive(&mut self, message: &[u8], tally: &mut Tally) -> Checked<Result<Vec<u8>, Kind>> {
        let ours = self.open(message);
        let request = json!({"sender": self.sender.json(), "ciphertext": hex(message)});
        let (theirs, words) = match self.theirs.ask("group_decrypt", request)? {
            Ok(opened) => (Ok(bytes(&opened, "plaintext")?), Value::Null),
            Err(no) => (Err(no.kind), Value::from(no.words)),
        };
        tally.delivered(&ours);
        if ours == theirs {
            return Ok(ours);
        }
        Err(format!("ours: {ours:?}, theirs: {theirs:?} {words} for the group message {}", hex(message)))
    }

    fn open(&mut self, message: &[u8]) -> Result<Vec<u8>, Kind> {
        let opened = self.ours.decrypt(&SenderKeyMessage::parse(message)?)?;
        self.ours = opened.keys;
        Ok(opened.plaintext.to_vec())
    }

    fn receive_altered(&mut self, message: &[u8], rng: &mut StdRng, tally: &mut Tally) -> Checked<()> {
        let mut altered = message.to_vec();
        let at = rng.random_range(0..altered.len());
        match rng.random_range(0..6) {
            0 => altered.truncate(at),
            1 => altered.push(rng.random()),
            2 => altered[0] = rng.random(),
            _ => altered[at] ^= 1 << rng.random_range(0..8),
        }
        tally.altered += 1;
        match self.receive(&altered, tally)? {
            Ok(_) if altered != message => Err("both members open an altered message".to_owned()),
            _ => Ok(()),
        }
    }

    fn restart(&mut self, tally: &mut Tally) -> Checked<()> {
        let stored = SenderKeys::from_bytes(&self.ours.to_bytes());
        self.ours = stored.map_err(|error| format!("our member's row does not read: {error}"))?;
        tally.restarts += 1;
        Ok(())
    }
}

/// As the oracle names it.
pub(crate) fn uuid(distribution: DistributionId) -> String {
    hushwire_crypto::ServiceId::new(hushwire_crypto::ServiceIdKind::Aci, *distribution.as_bytes()).to_string()
}
