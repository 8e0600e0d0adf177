//! Two devices, a line that loses, repeats, delays and alters, and whatever else they may do meanwhile.
//!
//! The bytes are what happens, in order. Beside the devices runs what the specification says of them (`expected`): which
//! sessions each keeps and which chains in these. A message must open exactly when it says so.
//!
//! Spec: signal-wire §3.2, §3.6, §4.7, §8.2, §8.3.

mod expected;

use std::collections::VecDeque;
use std::sync::{Arc, LazyLock};

use hushwire_crypto::{CiphertextMessage, OneTimePreKey};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use crate::device::{Device, NOW_MS, people};
use crate::input::Input;
use expected::{Expected, Letter};

/// More messages would show nothing new for their time.
const STEPS_LETTERS_MAX: usize = 120;

/// How many messages the two have exchanged when the schedule begins: SPQR needs some dozens for each of its epochs.
const AGES: [usize; 8] = [0, 2, 9, 30, 55, 80, 120, 200];

/// What happens to two devices, and what must hold meanwhile and at the end.
pub fn session(data: &[u8]) {
    let mut input = Input::new(data);
    let (Some(seed), Some(age)) = (input.byte(), input.pick(AGES.len())) else { return };
    let mut talk = Talk::begun(age, seed);
    let letters = talk.letters.len();
    while talk.letters.len() < letters + STEPS_LETTERS_MAX && talk.step(&mut input).is_some() {}
    talk.assert_converges();
}

struct Talk {
    devices: [Device; 2],
    expected: [Expected; 2],
    /// All that was ever sent.
    letters: Vec<Arc<Letter>>,
    /// What is under way to each side, oldest first.
    under_way: [VecDeque<usize>; 2],
    /// Sessions so far, which is the name of the next one.
    sessions: usize,
    rng: StdRng,
}

impl Talk {
    fn new(rng: StdRng) -> Talk {
        Talk {
            devices: people(),
            expected: Default::default(),
            letters: Vec::new(),
            under_way: Default::default(),
            sessions: 0,
            rng,
        }
    }

    /// Two who have exchanged that many messages, and go on with the randomness of this seed.
    fn begun(age: usize, seed: u8) -> Talk {
        /// Made once: most of the work of an input would be theirs.
        static BEGUN: LazyLock<[Talk; AGES.len()]> = LazyLock::new(|| AGES.map(Talk::of_age));
        let Talk { devices, expected, letters, under_way, sessions, rng: _ } = &BEGUN[age];
        Talk {
            devices: devices.clone(),
            expected: expected.clone(),
            letters: letters.clone(),
            under_way: under_way.clone(),
            sessions: *sessions,
            rng: StdRng::seed_from_u64(seed.into()),
        }
    }

    fn of_age(age: usize) -> Talk {
        let mut talk = Talk::new(StdRng::seed_from_u64(1011));
        if age > 0 {
            talk.start(0, true);
        }
        for number in 0..age {
            // Each says one to three things before the other does.
            let side = number / (1 + number % 3) % 2;
            let side = if talk.expected[side].current().is_some() { side } else { 0 };
            talk.send(side, 1);
            talk.deliver_next(1 - side);
        }
        talk
    }

    /// The next thing that happens; nothing when there is no more.
    fn step(&mut self, input: &mut Input<'_>) -> Option<()> {
        let what = input.byte()?;
        let side = usize::from(what >> 7);
        match what & 0x0F {
            0..3 => self.send(side, 1),
            3 => self.send(side, usize::from(input.byte()?) % 64),
            4..8 => self.deliver_next(side),
            8 => {
                let next = self.under_way[side].len().min(usize::from(input.byte()?));
                (0..next).for_each(|_| self.deliver_next(side));
            }
            9 => {
                let letter = self.pick(input)?;
                self.deliver(side, letter);
            }
            10 => drop(self.under_way[side].pop_front()),
            11 => {
                let letter = self.pick(input)?;
                self.deliver_altered(side, letter, input)?;
            }
            12 => self.devices[side].restart(),
            13 => self.start(side, input.byte()? & 1 == 0),
            14 => {
                self.devices[side].sessions = self.devices[side].sessions.archive_current();
                self.expected[side].archive();
            }
            _ => self.under_way[side].rotate_left(1.min(self.under_way[side].len())),
        }
        Some(())
    }

    /// One of all messages, the latest first.
    fn pick(&self, input: &mut Input<'_>) -> Option<usize> {
        let back = input.pick(self.letters.len())?;
        Some(self.letters.len() - 1 - back)
    }

    fn start(&mut self, side: usize, with_one_time: bool) {
        let id = u32::try_from(self.sessions).unwrap() + 1;
        let one_time = with_one_time.then(|| OneTimePreKey::generate(id, &mut self.rng));
        let peer = &mut self.devices[1 - side];
        let bundle = peer.bundle(one_time.as_ref());
        peer.one_time.extend(one_time);
        self.devices[side].start(bundle, &mut self.rng);
        self.expected[side].start(self.sessions, self.devices[1 - side].signed.public().key);
        self.sessions += 1;
    }

    fn send(&mut self, side: usize, count: usize) {
        for _ in 0..count {
            let usable = self.devices[side].sessions.has_usable_session(NOW_MS);
            assert_eq!(usable, self.expected[side].current().is_some());
            let Some(session) = self.expected[side].current() else { return };
            let text = vec![0xA5; self.letters.len() % 40];
            let text = [self.letters.len().to_be_bytes().as_slice(), &text].concat();
            let message = self.devices[side].send(&text, &mut self.rng).expect("a usable session sends");
            self.under_way[1 - side].push_back(self.letters.len());
            self.letters.push(Arc::new(Letter::new(side, session, message, text)));
        }
    }

    fn deliver_next(&mut self, side: usize) {
        if let Some(letter) = self.under_way[side].pop_front() {
            self.deliver(side, letter);
        }
    }

    /// Of whomever it is: who has sent it may get it back, and must not open it.
    fn deliver(&mut self, side: usize, number: usize) {
        let letter = Arc::clone(&self.letters[number]);
        let opens = self.expected[side].opens(side, number, &letter);
        let before = self.devices[side].stored();
        match self.devices[side].receive(&letter.message, &mut self.rng) {
            Ok(text) => {
                assert!(opens, "message {number} opened and must not");
                assert_eq!(text, letter.text, "message {number} opened to something else");
                self.expected[side].opened(number, &letter);
            }
            Err(why) => {
                assert!(!opens, "message {number} did not open: {why:?}");
                assert_eq!(*self.devices[side].stored(), *before, "a refused message left a trace");
            }
        }
    }

    /// What is around a first message is not all authenticated, so it may open; but to nothing else, and not again.
    fn deliver_altered(&mut self, side: usize, number: usize, input: &mut Input<'_>) -> Option<()> {
        let letter = Arc::clone(&self.letters[number]);
        let mut bytes = letter.message.as_bytes().to_vec();
        let place = input.number()? % bytes.len();
        match input.byte()? {
            0 => bytes.truncate(place),
            change => bytes[place] ^= change,
        }
        let (altered, whole) = match &letter.message {
            CiphertextMessage::PreKey(_) => (CiphertextMessage::PreKey(bytes), false),
            CiphertextMessage::Signal(_) => (CiphertextMessage::Signal(bytes), true),
        };
        let before = self.devices[side].stored();
        match self.devices[side].receive(&altered, &mut self.rng) {
            Ok(text) => {
                assert!(!whole, "an altered message opened");
                assert!(self.expected[side].opens(side, number, &letter), "message {number} opened and must not");
                assert_eq!(text, letter.text, "an altered message opened to something else");
                self.expected[side].opened(number, &letter);
            }
            Err(_) => assert_eq!(*self.devices[side].stored(), *before, "an altered message left a trace"),
        }
        Some(())
    }

    /// Whatever has happened: who cannot be heard begins anew, and then both hear each other without prekeys.
    fn assert_converges(&mut self) {
        self.under_way = Default::default();
        for _ in 0..4 {
            for side in [0, 1] {
                if self.expected[side].current().is_none() {
                    self.start(side, false);
                }
                self.say(side);
                if !self.expected[1 - side].has_opened(self.letters.len() - 1) {
                    self.start(side, true);
                    self.say(side);
                    assert!(self.expected[1 - side].has_opened(self.letters.len() - 1), "a new session is not heard");
                }
            }
        }
        let last = self.letters.last_chunk::<2>().expect("both have spoken");
        assert!(last.iter().all(|letter| matches!(letter.message, CiphertextMessage::Signal(_))), "prekeys go along");
        self.devices.iter_mut().for_each(Device::restart);
    }

    fn say(&mut self, side: usize) {
        self.send(side, 1);
        self.deliver_next(1 - side);
    }
}
