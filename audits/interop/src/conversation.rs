//! Two devices that talk over a bad line: loss, any order, repeats, alterations, crashes, new and archived sessions.
//!
//! Each delivery is judged by the model, which knows only the specification: what must open opens with the right text,
//! and what must be refused is refused for the right reason and leaves no trace.

use hushwire_crypto::IdentityKeyPair;
use rand::rngs::StdRng;
use rand::{Rng as _, RngExt as _, SeedableRng as _};

use crate::Checked;
use crate::device::{Address, Device};
use crate::kind::Kind;
use crate::model::{Sent, Side};
use crate::ours::Ours;
use crate::tally::Tally;
use crate::theirs::{SharedOracle, Theirs};
use crate::wire::Message;

/// How two devices talk. Shares are of 1000.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    pub(crate) name: &'static str,
    /// Who begins: 0 is ours, 1 is theirs.
    pub(crate) starters: &'static [usize],
    /// The most messages that a side sends in a row.
    pub(crate) burst_max: usize,
    pub(crate) lost: u32,
    /// Held back, for up to so many turns.
    pub(crate) late: u32,
    pub(crate) late_turns: usize,
    pub(crate) repeated: u32,
    pub(crate) altered: u32,
    /// The receiver forgets what it just did, as one that crashed before it stored.
    pub(crate) crashes: u32,
    /// Per turn: another session is begun, or the current one archived.
    pub(crate) fresh: u32,
    pub(crate) archived: u32,
    /// Both are devices of one account, with one identity key.
    pub(crate) one_account: bool,
}

/// A message on its way.
#[derive(Clone)]
struct Letter {
    message: Message,
    sent: Sent,
    text: Vec<u8>,
    /// The turn before which it does not arrive.
    due: usize,
}

struct Talk {
    devices: [Box<dyn Device>; 2],
    sides: [Side; 2],
    /// What is on its way to each side, and what has been there.
    inboxes: [Vec<Letter>; 2],
    arrived: [Vec<Letter>; 2],
    numbers: [usize; 2],
    /// For each session that was begun: whether with a one-time prekey.
    begun: Vec<bool>,
    turn: usize,
    rng: StdRng,
    tally: Tally,
}

/// Talks until this many messages were sent.
pub(crate) fn run(oracle: &SharedOracle, style: Style, messages: u64, seed: u64) -> Checked<Tally> {
    let mut talk = Talk::new(oracle, style, seed)?;
    for &side in style.starters {
        talk.start(side)?;
    }
    while talk.tally.messages < messages {
        talk.turn += 1;
        let side = talk.rng.random_range(0..2);
        if talk.chance(style.fresh) {
            talk.start(side)?;
        }
        if talk.chance(style.archived) {
            talk.archive(side)?;
        }
        let most = if talk.turn < 4 { style.burst_max.min(3) } else { style.burst_max };
        for _ in 0..talk.rng.random_range(1..=most) {
            talk.send(side, style)?;
        }
        // Now and then a side does not look for a while.
        if talk.chance(800) {
            talk.deliver_some(1 - side, style)?;
        }
    }
    talk.finish(style)?;
    Ok(talk.tally.done())
}

impl Talk {
    fn new(oracle: &SharedOracle, style: Style, seed: u64) -> Checked<Talk> {
        let mut rng = StdRng::seed_from_u64(seed);
        let ours = Address::of_somebody(&mut rng);
        let theirs = if style.one_account { ours.device(2) } else { Address::of_somebody(&mut rng) };
        let them = Theirs::new(oracle, &format!("{}-{seed}", style.name), theirs, ours, rng.random_range(1..0x3fff))?;
        let identity = match style.one_account {
            true => IdentityKeyPair::from_bytes(&them.identity_private),
            false => IdentityKeyPair::generate(&mut rng),
        };
        let us = Ours::new(ours, theirs, identity, rng.random_range(1..0x3fff), rng.next_u64());
        let sides = [Side::new(us.archived_max()), Side::new(them.archived_max())];
        Ok(Talk {
            devices: [Box::new(us), Box::new(them)],
            sides,
            inboxes: Default::default(),
            arrived: Default::default(),
            numbers: [0; 2],
            begun: Vec::new(),
            turn: 0,
            rng,
            tally: Tally::new(style.name),
        })
    }

    fn chance(&mut self, share: u32) -> bool {
        self.rng.random_range(0..1000) < share
    }

    /// A side begins a session with fresh prekeys of the other.
    fn start(&mut self, side: usize) -> Checked<()> {
        let with_one_time = self.chance(700);
        let bundle = self.devices[1 - side].bundle(with_one_time)?;
        let started = self.devices[side].start(&bundle)?;
        started.map_err(|kind| format!("{} does not begin a session: {kind:?}", self.devices[side].name()))?;
        self.sides[side].start(self.begun.len(), &bundle.signed.key.to_pub33());
        self.begun.push(with_one_time);
        self.tally.sessions += 1;
        Ok(())
    }

    fn archive(&mut self, side: usize) -> Checked<()> {
        if self.sides[side].can_send() {
            self.devices[side].archive()?;
            self.sides[side].archive();
        }
        Ok(())
    }

    fn send(&mut self, side: usize, style: Style) -> Checked<()> {
        if !self.sides[side].can_send() {
            if self.devices[side].send(b"nobody")?.is_ok() {
                return Err(format!("{} sends without a session", self.devices[side].name()));
            }
            self.start(side)?;
        }
        let number = self.numbers[side];
        self.numbers[side] += 1;
        let filling = self.rng.random_range(0..200);
        let text = format!("{side} {number} {}", "x".repeat(filling)).into_bytes();
        let sealed = self.devices[side].send(&text)?;
        let message = sealed.map_err(|kind| format!("{} does not send: {kind:?}", self.devices[side].name()))?;
        let place = message.place()?;
        let session = self.sides[side].current().ok_or("a message without a session")?;
        self.sides[side].sent(&place);
        self.tally.messages += 1;
        self.tally.epoch = self.tally.epoch.max(place.epoch);
        if self.chance(style.lost) {
            self.tally.lost += 1;
            return Ok(());
        }
        let due =
            if self.chance(style.late) { self.turn + self.rng.random_range(1..=style.late_turns) } else { self.turn };
        let sent = Sent { number, session, is_first: message.is_first, place };
        self.inboxes[1 - side].push(Letter { message, sent, text, due });
        Ok(())
    }

    /// What is due arrives, mostly in order.
    fn deliver_some(&mut self, side: usize, style: Style) -> Checked<()> {
        loop {
            let turn = self.turn;
            let due: Vec<usize> =
                self.inboxes[side].iter().enumerate().filter(|(_, each)| each.due <= turn).map(|(at, _)| at).collect();
            let Some(first) = due.first() else { return Ok(()) };
            let at = if self.chance(700) { *first } else { due[self.rng.random_range(0..due.len())] };
            let letter = self.inboxes[side].remove(at);
            if self.chance(style.altered) {
                self.deliver_altered(side, &letter)?;
            }
            if self.chance(style.crashes) {
                self.deliver_and_crash(side, &letter)?;
            }
            self.deliver(side, &letter)?;
            self.arrived[side].push(letter);
            if self.chance(style.repeated) {
                let again = self.arrived[side].len() - 1 - self.rng.random_range(0..self.arrived[side].len().min(60));
                let again = self.arrived[side][again].clone();
                self.deliver(side, &again)?;
            }
        }
    }

    fn deliver(&mut self, side: usize, letter: &Letter) -> Checked<()> {
        let expected = self.sides[side].expects(&letter.sent, self.begun[letter.sent.session]);
        let result = self.devices[side].receive(&letter.message)?;
        self.tally.delivered(&result);
        let right = match (&expected, &result) {
            (Ok(()), Ok(text)) => *text == letter.text,
            (Err(expected), Err(kind)) => expected == kind,
            _ => false,
        };
        if !right {
            let result = result.map(|text| String::from_utf8_lossy(&text).into_owned());
            let (name, sent) = (self.devices[side].name(), &letter.sent);
            return Err(format!("{name}: expected {expected:?}, got {result:?} for {sent:?}"));
        }
        if expected.is_ok() {
            self.sides[side].opened(&letter.sent);
        }
        Ok(())
    }

    /// One bit of what is under the MAC is other than it was.
    fn deliver_altered(&mut self, side: usize, letter: &Letter) -> Checked<()> {
        let mut inner = letter.message.inner()?;
        let bit = self.rng.random_range(0..inner.len() * 8);
        inner[bit / 8] ^= 1 << (bit % 8);
        let result = self.devices[side].receive(&letter.message.with_inner(&inner)?)?;
        self.tally.altered += 1;
        match result {
            Ok(_) => Err(format!("{} opens a message with bit {bit} altered", self.devices[side].name())),
            Err(Kind::Other) => Err("an altered message is refused for a reason not known".to_owned()),
            Err(_) => Ok(()),
        }
    }

    /// It is opened, and the process ends before that is on disk.
    fn deliver_and_crash(&mut self, side: usize, letter: &Letter) -> Checked<()> {
        self.devices[side].remember()?;
        let before = self.sides[side].clone();
        self.deliver(side, letter)?;
        self.devices[side].go_back()?;
        self.sides[side] = before;
        self.tally.restarts += 1;
        Ok(())
    }

    /// Everything arrives at last, and with a new session both get along.
    fn finish(&mut self, style: Style) -> Checked<()> {
        self.turn = usize::MAX / 2;
        let calm = Style { lost: 0, late: 0, altered: 0, crashes: 0, repeated: 0, ..style };
        self.deliver_some(0, calm)?;
        self.deliver_some(1, calm)?;
        let starter = self.rng.random_range(0..2);
        self.start(starter)?;
        let opened = self.tally.opened;
        for side in [starter, 1 - starter, starter] {
            self.send(side, calm)?;
            self.deliver_some(1 - side, calm)?;
        }
        if self.tally.opened == opened + 3 { Ok(()) } else { Err("at the end they do not get along".to_owned()) }
    }
}
