//! Who may do what: every request by everybody who may not, and nothing is done, nothing shown and nothing changed.
//!
//! The table is made from the requests themselves: one that is added and has no row here does not compile.
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use hushwire_proto::{
    auth::{SignatureBytes, prove_mailbox},
    ids::{Seq, Token},
    relay::{Answer, Outcome, RefusedReason, Request},
};
use hushwire_relay::{
    queue::{Queue, memory::MemoryQueue},
    quota::Rules,
};
use support::{Client, Owner, TestRelay, assert_refused, deposit_many, mark_of};

macro_rules! kinds {
    ($($kind:ident),* $(,)?) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        enum Kind { $($kind),* }

        impl Kind {
            const ALL: &'static [Self] = &[$(Self::$kind),*];

            fn of(request: &Request) -> Self {
                match request { $(Request::$kind { .. } => Self::$kind),* }
            }
        }
    };
}

kinds!(Hello, Open, Grant, Revoke, Deposit, DepositMany, Whisper, Drain, Acknowledge);

/// Somebody who is not the owner of the mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    /// Has proven nothing.
    Nobody,
    /// Showed a proof by another key.
    WrongKey,
    /// Showed the owner's proof for a connection that stands.
    Replayed,
    /// Showed the owner's proof for a connection that has ended.
    Expired,
    /// Showed its own proof for its own mailbox under the name of this one.
    Swapped,
    /// Showed a true proof of which the last byte is missing its place.
    Damaged,
    /// Owns another mailbox on this connection.
    Other,
    /// Deposits on this connection, and then has the owner's key.
    Sender,
}

const EVERYBODY: [Who; 8] =
    [Who::Nobody, Who::WrongKey, Who::Replayed, Who::Expired, Who::Swapped, Who::Damaged, Who::Other, Who::Sender];

/// What must come of a request.
#[derive(Clone, Copy, Debug)]
enum Expected {
    /// Open to all, and changes nothing.
    Told,
    Refused(RefusedReason),
    /// The same, said of each door.
    NoDoor,
}

fn expected(kind: Kind, who: Who) -> Expected {
    match (kind, who) {
        (Kind::Hello, _) => Expected::Told,
        (Kind::Open, Who::Sender) => Expected::Refused(RefusedReason::OwnerMayNotDeposit),
        (Kind::Open, _) => Expected::Refused(RefusedReason::BadProof),
        (Kind::Grant | Kind::Revoke | Kind::Drain | Kind::Acknowledge, _) => Expected::Refused(RefusedReason::NotOpen),
        (Kind::Deposit | Kind::DepositMany | Kind::Whisper, Who::Other) => {
            Expected::Refused(RefusedReason::OwnerMayNotDeposit)
        }
        (Kind::Deposit | Kind::Whisper, _) => Expected::Refused(RefusedReason::NoSuchDoor),
        (Kind::DepositMany, _) => Expected::NoDoor,
    }
}

struct Scene {
    queue: MemoryQueue,
    relay: TestRelay,
    bob: Owner,
    mallory: Owner,
    /// Of bob's device, which is there.
    standing: SignatureBytes,
    /// Of a connection of bob that is gone.
    ended: SignatureBytes,
}

impl Scene {
    /// Connects, and does what makes it that somebody. Also gives what it shows to open bob's mailbox.
    async fn enter(&self, who: Who) -> (Client, SignatureBytes) {
        let client = self.relay.connect().await;
        let truly = prove_mailbox(client.binding(), &self.bob.key);
        let proof = match who {
            Who::Nobody => [0; 64],
            Who::WrongKey | Who::Swapped => prove_mailbox(client.binding(), &self.mallory.key),
            Who::Replayed => self.standing,
            Who::Expired => self.ended,
            Who::Damaged => {
                let mut proof = truly;
                proof.rotate_left(1);
                proof
            }
            Who::Other => {
                client.open(&self.mallory).await;
                prove_mailbox(client.binding(), &self.mallory.key)
            }
            Who::Sender => {
                assert_refused(&client.ask(self.wrong_token().deposit(70)).await, RefusedReason::NoSuchDoor);
                truly
            }
        };
        if who == Who::Swapped {
            // What is shown opens its own mailbox only by its own name, and not on this connection before.
            let own = Request::Open { mailbox: self.mallory.mailbox(), proof: self.standing };
            assert_refused(&client.ask(own).await, RefusedReason::BadProof);
        }
        if !matches!(who, Who::Nobody | Who::Other | Who::Sender) {
            let open = Request::Open { mailbox: self.bob.mailbox(), proof };
            assert_refused(&client.ask(open).await, RefusedReason::BadProof);
        }
        (client, proof)
    }

    /// Bob's door, with a token that he never granted.
    fn wrong_token(&self) -> Owner {
        Owner { token: Token::from_slice(&[0x55; 32]).unwrap(), ..self.bob.clone() }
    }

    fn request(&self, kind: Kind, proof: SignatureBytes) -> Request {
        let (bob, wrong) = (&self.bob, self.wrong_token());
        match kind {
            Kind::Hello => Request::Hello,
            Kind::Open => Request::Open { mailbox: bob.mailbox(), proof },
            Kind::Grant => wrong.grant(),
            Kind::Revoke => bob.revoke(),
            Kind::Deposit => wrong.deposit(71),
            Kind::DepositMany => deposit_many(&[wrong.clone(), wrong], 72, 512),
            Kind::Whisper => wrong.whisper(73),
            Kind::Drain => bob.drain(0),
            Kind::Acknowledge => bob.acknowledge(1),
        }
    }

    /// All that the relay keeps of bob.
    async fn kept(&self) -> (Vec<(Seq, u64)>, String) {
        let page = self.queue.read(self.bob.mailbox(), Seq(0), 1 << 20).await.unwrap();
        let usage = self.queue.usage().await.unwrap();
        (page.envelopes.iter().map(|one| (one.seq, mark_of(one))).collect(), format!("{usage:?}"))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_but_its_owner_does_anything_to_a_mailbox() {
    let queue = MemoryQueue::new(Rules::default());
    let (bob, mallory) = (Owner::new(1), Owner::new(2));
    let relay = TestRelay::of(queue.clone());
    let mut device = relay.owner(&bob).await;
    let standing = prove_mailbox(device.binding(), &bob.key);
    let gone = relay.owner(&bob).await;
    let ended = prove_mailbox(gone.binding(), &bob.key);
    drop(gone);
    let sender = relay.connect().await;
    for mark in 1..=2 {
        assert_eq!(sender.ask(bob.deposit(mark)).await, Answer::Stored);
    }
    assert!(matches!(device.ask(bob.drain(0)).await, Answer::Draining { .. }));
    assert_eq!(device.deliveries(2).await.len(), 2);
    assert!(device.push().await.deliveries.is_empty());
    let scene = Scene { queue, relay, bob, mallory, standing, ended };
    let before = scene.kept().await;
    assert_eq!(before.0.len(), 2);
    for who in EVERYBODY {
        for kind in Kind::ALL {
            let (mut client, proof) = scene.enter(who).await;
            let request = scene.request(*kind, proof);
            assert_eq!(Kind::of(&request), *kind);
            let answer = client.ask(request).await;
            match (expected(*kind, who), &answer) {
                (Expected::Told, Answer::Welcome(_)) => {}
                (Expected::Refused(reason), Answer::Refused(refused)) => {
                    assert_eq!(refused.reason, reason, "{kind:?} by {who:?}");
                }
                (Expected::NoDoor, Answer::StoredMany(many)) => {
                    assert_eq!(many.outcomes, [Outcome::NoSuchDoor; 2], "{kind:?} by {who:?}");
                }
                (expected, answer) => panic!("{kind:?} by {who:?}: {answer:?} instead of {expected:?}"),
            }
            if *kind == Kind::Drain {
                client.silence().await;
            }
            assert_eq!(scene.kept().await, before, "{kind:?} by {who:?} changed something");
        }
    }
    // Bob's token and his drain are what they were, and a token that somebody else granted is none.
    assert_refused(&sender.ask(scene.wrong_token().deposit(9)).await, RefusedReason::NoSuchDoor);
    assert_eq!(sender.ask(scene.bob.deposit(1)).await, Answer::Stored, "a repeat, by the token that was granted");
    assert_eq!(sender.ask(scene.bob.deposit(3)).await, Answer::Stored);
    let next = device.push().await.deliveries;
    assert_eq!(next.iter().map(mark_of).collect::<Vec<_>>(), [3]);
}
