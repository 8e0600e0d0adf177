//! Who may do what: every request by everybody who may not, and nothing is done and nothing changed.
//!
//! The table is made from the requests themselves: one that is added and has no row here does not compile.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod common;

use common::{Asker, Person, keyserver, reason, register};
use ed25519_dalek::SigningKey;
use hushwire_keyserver::{Registration, Running};
use hushwire_proto::account::SignedLink;
use hushwire_proto::auth::{SessionBinding, SignatureBytes, prove_device, prove_registration};
use hushwire_proto::ids::DeviceId;
use hushwire_proto::keyserver::{Answer, Found, RefusedReason, Request, Stock, Who};

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

kinds!(Hello, Register, SignIn, Publish, GetStock, Lookup, AppendLink, GetRoot, GetHistory, GetStep, Fetch);

/// Somebody who is no device of alice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stranger {
    /// Signs nothing.
    Unsigned,
    /// Signs with another key.
    WrongKey,
    /// Is signed in to another account, and signs as that.
    OtherAccount,
    /// Shows what alice signed for a connection that stands.
    Replayed,
    /// Is a device that alice has revoked.
    Revoked,
}

const STRANGERS: [Stranger; 5] =
    [Stranger::Unsigned, Stranger::WrongKey, Stranger::OtherAccount, Stranger::Replayed, Stranger::Revoked];

/// What must come of a request: `None`: everybody is told, and nothing changes.
fn expected(kind: Kind, who: Stranger) -> Option<RefusedReason> {
    match (kind, who) {
        (Kind::Hello | Kind::Lookup | Kind::GetRoot | Kind::GetHistory | Kind::GetStep | Kind::Fetch, _) => None,
        (Kind::Register | Kind::SignIn, _) => Some(RefusedReason::BadProof),
        // What its own account has is not alice's.
        (Kind::Publish, Stranger::OtherAccount) => Some(RefusedReason::BadKeys),
        (Kind::GetStock, Stranger::OtherAccount) => None,
        (Kind::Publish | Kind::GetStock, _) => Some(RefusedReason::NotSignedIn),
        // A link that alice signed once says what she said then, whoever brings it.
        (Kind::AppendLink, Stranger::Replayed) => None,
        (Kind::AppendLink, _) => Some(RefusedReason::BadKeys),
    }
}

struct Scene {
    running: Running,
    alice: Person,
    mallory: Person,
    /// Signed by alice: before, with the device that she revoked; and now.
    chain: Vec<SignedLink>,
    revoked: (DeviceId, SigningKey),
    /// Signed by alice for a connection of hers.
    registered: Request,
    signed_in: SignatureBytes,
}

impl Scene {
    async fn request(&mut self, kind: Kind, who: Stranger, asker: &Asker) -> Request {
        let (account, binding) = (self.alice.account, asker.binding());
        let (device, key) = match who {
            Stranger::Revoked => (self.revoked.0, self.revoked.1.clone()),
            _ => (DeviceId::FIRST, self.mallory.signing.clone()),
        };
        match kind {
            Kind::Hello => Request::Hello,
            Kind::Register => match who {
                Stranger::Replayed => self.registered.clone(),
                Stranger::Unsigned => register(&self.alice, "alice", [0; 64]),
                _ => register(&self.alice, "alice", prove_registration(binding, account, device, "alice", &key)),
            },
            Kind::SignIn => {
                let proof = match who {
                    Stranger::Replayed => self.signed_in,
                    Stranger::Unsigned => [0; 64],
                    Stranger::OtherAccount => prove_device(binding, self.mallory.account, device, &key),
                    Stranger::WrongKey | Stranger::Revoked => prove_device(binding, account, device, &key),
                };
                Request::SignIn { account, device, proof }
            }
            Kind::Publish => Request::Publish(self.alice.prekeys(50..52)),
            Kind::GetStock => Request::GetStock,
            Kind::Lookup => Request::Lookup(Who::Account(account)),
            Kind::AppendLink => {
                let head = self.chain.last().unwrap().clone();
                let mine = vec![self.alice.device(5).0];
                let link = match who {
                    Stranger::Replayed => self.chain[1].clone(),
                    Stranger::Unsigned => self.alice.next(&head, mine, 1, &SigningKey::from_bytes(&[0; 32])),
                    Stranger::OtherAccount => self.alice.next(&head, mine, 0, &self.mallory.recovery),
                    Stranger::WrongKey => self.alice.next(&head, mine, 1, &key),
                    Stranger::Revoked => self.alice.next(&head, mine, device.get(), &key),
                };
                Request::AppendLink { account, link }
            }
            Kind::GetRoot => Request::GetRoot { epoch: None },
            Kind::GetHistory => Request::GetHistory { handle_name: "alice".to_owned() },
            Kind::GetStep => Request::GetStep { epoch: 1, offset: 0 },
            // No device has that number: a true one would be given one of its keys, as anybody is.
            Kind::Fetch => Request::Fetch { account, devices: vec![DeviceId::new(99).unwrap()] },
        }
    }

    /// Connects, and signs in as whom it is.
    async fn enter(&mut self, who: Stranger) -> Asker {
        let asker = Asker::connect(self.running.address()).await;
        if who == Stranger::OtherAccount {
            assert_eq!(asker.sign_in(&self.mallory).await, Answer::SignedIn);
        }
        asker
    }

    /// All that the keyserver says of alice, to her and to others.
    async fn kept(&self) -> (Found, Answer, Answer) {
        let asker = Asker::connect(self.running.address()).await;
        assert_eq!(asker.sign_in(&self.alice).await, Answer::SignedIn);
        let Answer::Found(mut found) = asker.ask(Request::Lookup(Who::Handle("alice".to_owned()))).await else {
            panic!("alice is gone")
        };
        found.proven = None; // the root beside it says the same
        (found, asker.ask(Request::GetStock).await, asker.ask(Request::GetRoot { epoch: None }).await)
    }
}

async fn scene(dir: &std::path::Path) -> Scene {
    let running = keyserver(dir, Registration::Open).await;
    let (mut alice, mallory) = (Person::seeded(1), Person::seeded(2));
    let asker = Asker::connect(running.address()).await;
    let registered = asker.registration(&alice, "alice");
    assert_eq!(asker.ask(registered.clone()).await, Answer::Registered);
    asker.publish(alice.prekeys(10..12)).await;
    let signed_in = prove_device(asker.binding(), alice.account, DeviceId::FIRST, &alice.signing);
    let first = alice.link.link().devices[0].clone();
    let (second, second_key) = alice.device(2);
    let added = alice.next(&alice.link, vec![first.clone(), second.clone()], 1, &alice.signing);
    let left_out = alice.next(&added, vec![first], 1, &alice.signing);
    for link in [&added, &left_out] {
        assert_eq!(asker.append(alice.account, link).await, Answer::Appended);
    }
    let other = Asker::connect(running.address()).await;
    assert_eq!(other.register(&mallory, "mallory").await, Answer::Registered);
    let chain = vec![alice.link.clone(), added, left_out];
    Scene { running, alice, mallory, chain, revoked: (second.id, second_key), registered, signed_in }
}

#[tokio::test]
async fn nobody_but_its_devices_does_anything_to_an_account() {
    let dir = tempfile::tempdir().unwrap();
    let mut scene = scene(dir.path()).await;
    // Both handles and both links are in the log: from here on it has nothing to add.
    let before = loop {
        let (first, second) = (scene.kept().await, scene.kept().await);
        let mallory =
            scene.enter(Stranger::Unsigned).await.ask(Request::Lookup(Who::Handle("mallory".to_owned()))).await;
        if first == second && matches!(mallory, Answer::Found(_)) && scene.kept().await == first {
            break first;
        }
    };
    assert_eq!(before.0.links, scene.chain);
    for who in STRANGERS {
        for kind in Kind::ALL {
            let asker = scene.enter(who).await;
            let request = scene.request(*kind, who, &asker).await;
            assert_eq!(Kind::of(&request), *kind);
            let answer = asker.ask(request).await;
            match expected(*kind, who) {
                Some(wanted) => assert_eq!(reason(answer), wanted, "{kind:?} by {who:?}"),
                None => {
                    assert!(!matches!(answer, Answer::Refused(_)), "{kind:?} by {who:?}: {answer:?}");
                    assert!(!matches!(answer, Answer::Stock(Stock { one_time: 1.., .. })), "alice's stock is not told");
                }
            }
            if who != Stranger::OtherAccount {
                assert_eq!(asker.refused(Request::GetStock).await, RefusedReason::NotSignedIn, "{kind:?} by {who:?}");
            }
            assert_eq!(scene.kept().await, before, "{kind:?} by {who:?} changed something");
        }
    }
    scene.running.shutdown().await;
}

/// A proof is over the connection, the account, the device and the handle; change one and it is none.
#[tokio::test]
async fn a_proof_is_worth_nothing_for_anything_else() {
    let dir = tempfile::tempdir().unwrap();
    let scene = scene(dir.path()).await;
    let asker = Asker::connect(scene.running.address()).await;
    let (account, device, key) = (scene.alice.account, DeviceId::FIRST, &scene.alice.signing);
    let other = DeviceId::new(2).unwrap();
    for proof in [
        prove_device(SessionBinding([0; 32]), account, device, key),
        prove_device(asker.binding(), scene.mallory.account, device, key),
        prove_device(asker.binding(), account, other, key),
        prove_registration(asker.binding(), account, device, "", key),
    ] {
        assert_eq!(asker.refused(Request::SignIn { account, device, proof }).await, RefusedReason::BadProof);
    }
    let person = Person::seeded(77);
    let proof = prove_registration(asker.binding(), person.account, device, "somebody", &person.signing);
    assert_eq!(asker.refused(register(&person, "somebody-else", proof)).await, RefusedReason::BadProof);
    scene.running.shutdown().await;
}
