//! One who sends to a group and two members, over a line that loses, repeats and alters.
//!
//! The bytes are what happens, in order. Each member's chains are also kept as the specification has them: a message
//! must open exactly when they say so, and else be refused for the reason that they give.
//!
//! Spec: signal-wire §5.1, §5.2, §5.3.

use std::collections::BTreeSet;

use hushwire_crypto::limits::{SENDER_KEY_STATES_MAX, STORED_SENDER_KEYS_BYTES_MAX};
use hushwire_crypto::{
    DistributionId, GroupDecryptError, OurSenderKey, SenderKeyDistributionMessage, SenderKeyMessage, SenderKeys,
};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use crate::input::Input;

/// More messages would show nothing new for their time.
const LETTERS_MAX: usize = 96;

const DISTRIBUTION: DistributionId = DistributionId::from_bytes([0xD1; 16]);

/// What happens to a sender key and two members, and what must hold meanwhile and at the end.
pub fn group(data: &[u8]) {
    let mut input = Input::new(data);
    let Some(seed) = input.byte() else { return };
    let mut hall = Hall::new(seed);
    while hall.letters.len() < LETTERS_MAX && hall.step(&mut input).is_some() {}
    hall.assert_all_that_may_open_does();
}

struct Hall {
    key: OurSenderKey,
    /// Which of the sender's chains it is, and how far it has come.
    chain: usize,
    iteration: u32,
    /// What the sender has ever told of its chains.
    told: Vec<Told>,
    letters: Vec<Letter>,
    members: [Member; 2],
    rng: StdRng,
}

#[derive(Clone)]
struct Told {
    chain: usize,
    from: u32,
    message: SenderKeyDistributionMessage,
}

struct Letter {
    chain: usize,
    iteration: u32,
    message: Vec<u8>,
    text: Vec<u8>,
}

struct Member {
    keys: SenderKeys,
    /// The chains that it must have, newest first, each with where it begins.
    chains: Vec<(usize, u32)>,
    opened: BTreeSet<usize>,
}

impl Hall {
    fn new(seed: u8) -> Hall {
        let mut rng = StdRng::seed_from_u64(seed.into());
        let key = OurSenderKey::generate(DISTRIBUTION, &mut rng);
        let member = || Member { keys: SenderKeys::empty(DISTRIBUTION), chains: Vec::new(), opened: BTreeSet::new() };
        let members = [member(), member()];
        let mut hall = Hall { key, chain: 0, iteration: 0, told: Vec::new(), letters: Vec::new(), members, rng };
        hall.tell();
        hall
    }

    /// The next thing that happens; nothing when there is no more.
    fn step(&mut self, input: &mut Input<'_>) -> Option<()> {
        let what = input.byte()?;
        let member = usize::from(what >> 7);
        match what & 0x0F {
            0..3 => self.send(),
            3 => (0..input.byte()? % 32).for_each(|_| self.send()),
            4..8 => {
                let letter = input.pick(self.letters.len())?;
                self.members[member].deliver(letter, &self.letters[letter]);
            }
            8 => self.letters.iter().enumerate().for_each(|(at, letter)| self.members[member].deliver(at, letter)),
            9 | 10 => {
                let letter = input.pick(self.letters.len())?;
                self.members[member].deliver_altered(&self.letters[letter], input)?;
            }
            11 => {
                self.key = OurSenderKey::generate(DISTRIBUTION, &mut self.rng);
                (self.chain, self.iteration) = (self.chain + 1, 0);
                self.tell();
            }
            12 => self.tell(),
            13 => {
                let told = self.told[input.pick(self.told.len())?].clone();
                self.members[member].accept(&told, &self.letters);
            }
            14 => {
                self.key = OurSenderKey::from_bytes(&self.key.to_bytes()).expect("what was stored is read");
                self.members.iter_mut().for_each(Member::restart);
            }
            _ => self.assert_a_member_cannot_speak_for_the_sender(member),
        }
        Some(())
    }

    fn send(&mut self) {
        let text = self.letters.len().to_be_bytes().repeat(self.letters.len() % 5);
        let sealed = self.key.encrypt(&text, &mut self.rng).expect("a key that is not used up");
        self.key = sealed.key;
        self.letters.push(Letter { chain: self.chain, iteration: self.iteration, message: sealed.message, text });
        self.iteration += 1;
    }

    /// The sender says what its chain is now.
    fn tell(&mut self) {
        let bytes = self.key.distribution_message().to_bytes();
        let message = SenderKeyDistributionMessage::parse(&bytes).expect("what is told is read");
        assert_eq!((message.distribution(), message.iteration()), (DISTRIBUTION, self.iteration));
        self.told.push(Told { chain: self.chain, from: self.iteration, message });
    }

    /// Whoever was told a chain knows its key, but not the key that signs.
    fn assert_a_member_cannot_speak_for_the_sender(&mut self, member: usize) {
        let mut stolen = self.key.to_bytes().to_vec();
        let signing = stolen.len() - 32;
        stolen[signing..].fill(0x42);
        let forger = OurSenderKey::from_bytes(&stolen).expect("keys of these lengths");
        let forged = forger.encrypt(b"forged", &mut self.rng).expect("a key that is not used up").message;
        let expected = match self.members[member].begins(self.chain) {
            Some(_) => GroupDecryptError::Forged,
            None => GroupDecryptError::NoSenderKey,
        };
        assert_eq!(self.members[member].receive(&forged), Err(expected));
    }

    fn assert_all_that_may_open_does(&mut self) {
        for member in &mut self.members {
            self.letters.iter().enumerate().rev().for_each(|(number, letter)| member.deliver(number, letter));
            let opens = |letter: &Letter| member.begins(letter.chain).is_some_and(|from| letter.iteration >= from);
            let missing =
                self.letters.iter().enumerate().find(|(at, letter)| opens(letter) && !member.opened.contains(at));
            assert!(missing.is_none());
            member.restart();
        }
    }
}

impl Member {
    /// Where the chain begins for this member, if it must have it.
    fn begins(&self, chain: usize) -> Option<u32> {
        self.chains.iter().find(|(held, _)| *held == chain).map(|(_, from)| *from)
    }

    fn accept(&mut self, told: &Told, letters: &[Letter]) {
        self.keys = self.keys.accept(&told.message).expect("of this distribution");
        let known = self.begins(told.chain);
        self.chains.retain(|(chain, _)| *chain != told.chain);
        self.chains.insert(0, (told.chain, known.unwrap_or(told.from)));
        self.chains.truncate(SENDER_KEY_STATES_MAX);
        if known.is_none() {
            // Told anew, so all of it from there on opens, once more if it must be.
            let again = |letter: &Letter| letter.chain == told.chain && letter.iteration >= told.from;
            self.opened.retain(|number| !again(&letters[*number]));
        }
    }

    fn receive(&mut self, message: &[u8]) -> Result<Vec<u8>, GroupDecryptError> {
        let message = SenderKeyMessage::parse(message).expect("a message of the right form");
        let opened = self.keys.decrypt(&message)?;
        self.keys = opened.keys;
        Ok(opened.plaintext.to_vec())
    }

    fn deliver(&mut self, number: usize, letter: &Letter) {
        let expected = match self.begins(letter.chain) {
            None => Err(GroupDecryptError::NoSenderKey),
            Some(from) if letter.iteration < from || self.opened.contains(&number) => Err(GroupDecryptError::Repeated),
            Some(_) => Ok(letter.text.clone()),
        };
        let before = self.keys.to_bytes();
        assert_eq!(self.receive(&letter.message), expected, "message {number}");
        match expected {
            Ok(_) => drop(self.opened.insert(number)),
            Err(_) => assert_eq!(*self.keys.to_bytes(), *before, "a refused message left a trace"),
        }
    }

    fn deliver_altered(&mut self, letter: &Letter, input: &mut Input<'_>) -> Option<()> {
        let mut altered = letter.message.clone();
        let place = input.number()? % altered.len();
        match input.byte()? {
            0 => altered.truncate(place),
            change => altered[place] ^= change,
        }
        let before = self.keys.to_bytes();
        if let Ok(altered) = SenderKeyMessage::parse(&altered) {
            assert!(self.keys.decrypt(&altered).is_err(), "an altered message opened");
        }
        assert_eq!(*self.keys.to_bytes(), *before, "an altered message left a trace");
        Some(())
    }

    fn restart(&mut self) {
        let stored = self.keys.to_bytes();
        assert!(stored.len() <= STORED_SENDER_KEYS_BYTES_MAX, "{} bytes of sender keys", stored.len());
        self.keys = SenderKeys::from_bytes(&stored).expect("what was stored is read");
        assert_eq!(*self.keys.to_bytes(), *stored, "what was read is stored as it was");
    }
}
