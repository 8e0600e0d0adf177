//! Registered people, made once: making an account costs more than a whole run, so each run begins with copies.

use std::collections::BTreeMap;

use hushwire_engine::{Engine, Input, Output, Setup, Store};
use hushwire_proto::ids::{AccountId, MailboxId};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use crate::world::servers::Caller;
use crate::world::{Keys, Mailbox, World, log, server};

/// The most people of one run.
pub(crate) const PEOPLE_MAX: usize = 4;

pub(crate) struct Cast {
    /// Tells the copies of several threads apart.
    name: String,
    copies: u64,
    world: World,
    people: Vec<(Store, Caller)>,
    accounts: BTreeMap<AccountId, Keys>,
    mailboxes: BTreeMap<MailboxId, Mailbox>,
}

/// What a run begins with.
pub(crate) struct Begun<'a> {
    pub(crate) world: &'a mut World,
    pub(crate) people: Vec<(Store, Caller)>,
    pub(crate) accounts: Vec<AccountId>,
}

impl Cast {
    /// The same people each time.
    pub(crate) fn new(name: String) -> Self {
        let mut world = World::seeded(0);
        let people = (0..PEOPLE_MAX).map(|_| registered(&mut world)).collect();
        let (accounts, mailboxes) = (world.accounts.clone(), world.mailboxes.clone());
        Self { name, copies: 0, world, people, accounts, mailboxes }
    }

    /// So many of them, with servers that know them and nothing else.
    pub(crate) fn begin(&mut self, people: usize, seed: u64) -> Begun<'_> {
        self.world.now = log::BEGIN;
        self.world.rng = StdRng::seed_from_u64(seed);
        self.world.accounts.clone_from(&self.accounts);
        self.world.mailboxes.clone_from(&self.mailboxes);
        self.world.seen.clear();
        let accounts: Vec<AccountId> = self.people.iter().map(|(_, caller)| caller.account).collect();
        let mut copies = Vec::new();
        for (store, caller) in self.people.iter().take(people) {
            self.copies += 1;
            let copy = store.copy_in_memory(&format!("{}-{}", self.name, self.copies)).unwrap();
            copies.push((copy, caller.clone()));
        }
        Begun { world: &mut self.world, people: copies, accounts }
    }
}

/// Somebody without a handle, so that a run needs no log of a keyserver: what is believed of one has tests of its own.
fn registered(world: &mut World) -> (Store, Caller) {
    let setup = Setup { relay: server(4431), keyserver: server(4432), handle_name: None };
    let (mut engine, _) = Engine::create(Store::memory().unwrap(), &setup, world.now, &mut world.rng).unwrap();
    let caller = Caller::of(&engine);
    let mut inputs = vec![Input::Tick];
    while let Some(input) = inputs.pop() {
        for output in engine.handle(input, world.now, &mut world.rng).unwrap() {
            if let Output::Call { id, call } = output {
                inputs.push(Input::Replied { call: id, reply: world.reply(&caller, call) });
            }
        }
    }
    assert!(!engine.has_work().unwrap());
    (engine.into_store(), caller)
}
