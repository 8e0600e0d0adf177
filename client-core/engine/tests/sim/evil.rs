//! A relay that does what it likes with what it is given. It has no keys: all it can do is keep, lose, alter and repeat.

use hushwire_proto::envelope::Envelope;
use hushwire_proto::ids::{MailboxId, Seq};
use hushwire_proto::limits::ENVELOPE_CLASSES;
use hushwire_proto::relay::{Deliveries, Deposit, Refused, RefusedReason};

use crate::app::{Call, CallFailed, Reply};
use crate::dice::Dice;
use crate::world::World;
use crate::world::servers::Caller;

pub(crate) struct Evil {
    mailboxes: Vec<MailboxId>,
    /// Everything that it was ever given.
    seen: Vec<Envelope>,
    /// What it gives out later.
    held: Vec<(MailboxId, Envelope)>,
}

#[derive(Clone, Copy)]
enum Trick {
    Lose,
    Double,
    Hold,
    GiveToAnother,
    GiveToAnotherAsWell,
    Replay,
    ReplayToAnother,
    Splice,
    Flip,
    Cut,
    Refuse,
    ForgetTokens,
    Number,
    Shuffle,
}

const TRICKS: [Trick; 14] = [
    Trick::Lose,
    Trick::Double,
    Trick::Hold,
    Trick::GiveToAnother,
    Trick::GiveToAnotherAsWell,
    Trick::Replay,
    Trick::ReplayToAnother,
    Trick::Splice,
    Trick::Flip,
    Trick::Cut,
    Trick::Refuse,
    Trick::ForgetTokens,
    Trick::Number,
    Trick::Shuffle,
];

impl Evil {
    pub(crate) fn of(mailboxes: Vec<MailboxId>) -> Self {
        Self { mailboxes, seen: Vec::new(), held: Vec::new() }
    }

    /// An envelope comes, and is taken as it should be, or not.
    pub(crate) fn deposit(
        &mut self,
        world: &mut World,
        dice: &mut Dice,
        caller: &Caller,
        deposit: Deposit,
        is_evil: bool,
    ) -> Result<Reply, CallFailed> {
        self.seen.push(deposit.envelope.clone());
        if !is_evil {
            return world.reply(caller, Call::Deposit { relay: crate::world::server(4431), deposit, turn: 1 });
        }
        let (to, envelope) = (deposit.mailbox, deposit.envelope);
        let another = *dice.pick(&self.mailboxes);
        let old = dice.pick(&self.seen).clone();
        match *dice.pick(&TRICKS) {
            Trick::Lose => {}
            Trick::Double => give(world, [(to, envelope.clone()), (to, envelope)]),
            Trick::Hold => self.held.push((to, envelope)),
            Trick::GiveToAnother => give(world, [(another, envelope)]),
            Trick::GiveToAnotherAsWell => give(world, [(another, envelope.clone()), (to, envelope)]),
            Trick::Replay => give(world, [(to, old), (to, envelope)]),
            Trick::ReplayToAnother => give(world, [(to, envelope), (another, old)]),
            Trick::Splice => give(world, [(to, spliced(dice, &envelope, &old))]),
            Trick::Flip => give(world, [(to, flipped(dice, &envelope))]),
            Trick::Cut => give(world, [(to, cut(dice, &envelope))]),
            Trick::Refuse => {
                let refused = Refused {
                    reason: *dice.pick(RefusedReason::ALL),
                    detail: "so it is".to_owned(),
                    retry_after_ms: dice.below(10_000),
                };
                return Err(CallFailed::Relay(refused));
            }
            Trick::ForgetTokens => {
                // But the one for strangers, without which nobody could write to them again.
                world.mailboxes.entry(another).or_default().tokens.truncate(1);
                give(world, [(to, envelope)]);
            }
            Trick::Number => {
                world.mailboxes.entry(to).or_default().last += dice.below(1 << 40);
                give(world, [(to, envelope)]);
            }
            Trick::Shuffle => {
                give(world, [(to, envelope)]);
                let waiting = &mut world.mailboxes.entry(to).or_default().envelopes;
                let (one, other) = (dice.place(waiting.len()), dice.place(waiting.len()));
                let first = waiting[one].envelope.clone();
                waiting[one].envelope = std::mem::replace(&mut waiting[other].envelope, first);
            }
        }
        if dice.hits(400) && !self.held.is_empty() {
            let place = dice.place(self.held.len());
            give(world, [self.held.remove(place)]);
        }
        Ok(Reply::Stored)
    }

    /// What it gives out to a mailbox's owner is given otherwise.
    pub(crate) fn push(&self, dice: &mut Dice, deliveries: &mut Deliveries) {
        let given = &mut deliveries.deliveries;
        let (one, other) = (dice.place(given.len()), dice.place(given.len()));
        match dice.below(5) {
            0 => given.swap(one, other),
            1 => given.push(given[one].clone()),
            2 => drop(given.remove(one)),
            3 => given[one].seq = Seq(given[other].seq.0 ^ (1 << dice.below(64))),
            _ => deliveries.mailbox = *dice.pick(&self.mailboxes),
        }
    }
}

fn give<const N: usize>(world: &mut World, envelopes: [(MailboxId, Envelope); N]) {
    for (mailbox, envelope) in envelopes {
        world.inject(mailbox, envelope);
    }
}

/// The head of one and the body of another.
fn spliced(dice: &mut Dice, head: &Envelope, body: &Envelope) -> Envelope {
    let mut bytes = body.bytes().to_vec();
    let place = 1 + dice.place(head.len().min(bytes.len()) - 1);
    bytes[..place].copy_from_slice(&head.bytes()[..place]);
    Envelope::new(bytes.into()).unwrap()
}

/// A few bits are others.
fn flipped(dice: &mut Dice, envelope: &Envelope) -> Envelope {
    let mut bytes = envelope.bytes().to_vec();
    for _ in 0..=dice.below(3) {
        let place = dice.place(bytes.len());
        bytes[place] ^= 1 << dice.below(8);
    }
    Envelope::new(bytes.into()).unwrap()
}

/// Its beginning, and zeros where a smaller size is none.
fn cut(dice: &mut Dice, envelope: &Envelope) -> Envelope {
    let size = *dice.pick(&ENVELOPE_CLASSES);
    let mut bytes = envelope.bytes().to_vec();
    bytes.truncate(size.min(envelope.len() - 1 - dice.place(envelope.len() / 2)));
    bytes.resize(size, 0);
    Envelope::new(bytes.into()).unwrap()
}
