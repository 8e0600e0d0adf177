//! What happens between people and servers: calls go out and replies come back, the own relay delivers, connections break.

use hushwire_proto::address::ServerAddress;
use hushwire_proto::ids::Seq;
use hushwire_proto::relay::{Deliveries, Delivery, Deposit, DepositMany, Door, Outcome, StoredMany};

use crate::app::{Call, CallFailed, CallId, Input, Reply, Who};
use crate::net::{Channel, Parcel, Turn, What};
use crate::oracle::Broken;
use crate::sim::{Sim, unreachable};
use crate::step::Place;

/// After so long a call that has no answer is given up.
const DEADLINE_MS: u64 = 8_000;

/// The longest wait before a lost connection is made again.
const CONNECT_AGAIN_MS: u64 = 5_000;

/// Envelopes of one delivery.
const PUSH_MAX: usize = 16;

impl Sim<'_> {
    /// A call leaves, or cannot.
    pub(crate) fn call(&mut self, who: Who, id: CallId, call: Call) {
        let (place, channels) = self.way(who, &call);
        let turn = Turn::of(&call);
        let is_away =
            self.is_away(who, place) || (channels.contains(&Channel::Own(who)) && self.people[who].line.is_none());
        let is_over = turn.is_some_and(|turn| self.net.is_over(who, turn));
        let is_lost = self.dice.hits(self.weather.lost);
        if is_away || is_over || is_lost {
            // Nothing of its turn may leave after it, so that nothing overtakes it.
            turn.into_iter().for_each(|turn| self.net.end(who, turn));
            let wait = if is_lost { DEADLINE_MS } else { self.dice.below(500) };
            return self.put(self.now + wait, who, What::Reply { id, reply: Err(unreachable()), turn });
        }
        let at = self.arrival(&channels);
        if self.dice.hits(self.weather.doubled) {
            let late = self.now + self.dice.below(3 * self.weather.slow_ms);
            let again = self.net.behind(&channels, late.max(at));
            self.put(at, who, What::Call { id, call: call.clone(), answered: true });
            return self.put(again, who, What::Call { id, call, answered: false });
        }
        self.put(at, who, What::Call { id, call, answered: true });
    }

    /// Something has arrived where it was going to.
    pub(crate) fn arrive(&mut self, Parcel { who, life, what }: Parcel) -> Result<(), Broken> {
        let is_heard = life == self.people[who].life;
        match what {
            What::Call { id, call, answered } => {
                let (place, _) = self.way(who, &call);
                let turn = Turn::of(&call);
                let reply = self.asked(who, call);
                for of in 0..self.people.len() {
                    self.deliver(of);
                }
                if answered && is_heard {
                    let is_lost = self.dice.hits(self.weather.lost) || self.is_away(who, place);
                    let reply = if is_lost { Err(unreachable()) } else { reply };
                    let wait = if is_lost { DEADLINE_MS } else { self.dice.below(self.weather.slow_ms) };
                    self.put(self.now + wait, who, What::Reply { id, reply, turn });
                }
            }
            What::Reply { id, reply, turn } if is_heard => {
                if reply.is_err() {
                    turn.into_iter().for_each(|turn| self.net.end(who, turn));
                }
                self.note(|| format!("  reply {} to {who}: {}", id.0, if reply.is_ok() { "done" } else { "failed" }));
                self.tell(who, Input::Replied { call: id, reply })?;
            }
            What::Push(deliveries) if is_heard => self.tell(who, Input::Delivered(deliveries))?,
            What::Connect if is_heard => self.connect(who)?,
            What::Start if self.people[who].app.is_err() => self.start(who)?,
            What::Reply { .. } | What::Push(_) | What::Connect | What::Start => {}
        }
        Ok(())
    }

    /// A server answers.
    fn asked(&mut self, who: Who, call: Call) -> Result<Reply, CallFailed> {
        self.world.now = hushwire_proto::ids::UnixMillis(self.now);
        let is_evil = self.dice.hits(self.weather.evil);
        match (&mut self.evil, call) {
            (Some(evil), Call::Deposit { deposit, .. }) => {
                evil.deposit(self.world, &mut self.dice, &self.people[who].caller, deposit, is_evil)
            }
            (_, Call::DepositMany { relay, many }) => self.asked_many(who, relay, many),
            (_, call) => self.world.reply(&self.people[who].caller, call),
        }
    }

    /// One envelope to many doors: each is answered by itself.
    fn asked_many(&mut self, who: Who, relay: ServerAddress, mut many: DepositMany) -> Result<Reply, CallFailed> {
        let later: Vec<bool> = many.doors.iter().map(|_| self.dice.hits(self.weather.lost)).collect();
        let mut busy = later.iter();
        many.doors.retain(|_| busy.next() == Some(&false));
        if self.evil.is_some() {
            return Ok(self.lied_to_many(who, many, &later));
        }
        let call = Call::DepositMany { relay, many };
        let Reply::StoredMany(stored) = self.world.reply(&self.people[who].caller, call)? else {
            return Err(CallFailed::OutOfProtocol);
        };
        let mut stored = stored.outcomes.into_iter();
        let outcomes = later.iter().map(|later| if *later { Outcome::Later } else { stored.next().unwrap() }).collect();
        Ok(Reply::StoredMany(StoredMany { outcomes, retry_after_ms: self.dice.below(2_000) }))
    }

    /// A relay that lies does at each door what it likes.
    fn lied_to_many(&mut self, who: Who, many: DepositMany, later: &[bool]) -> Reply {
        let mut doors = many.doors.into_iter();
        let mut outcomes = Vec::new();
        for later in later {
            let door = if *later { None } else { doors.next() };
            let Some((Door { mailbox, token, id }, evil)) = door.zip(self.evil.as_mut()) else {
                outcomes.push(Outcome::Later);
                continue;
            };
            let deposit = Deposit { mailbox, token, id, envelope: many.envelope.clone() };
            let is_evil = self.dice.hits(self.weather.evil);
            let caller = &self.people[who].caller;
            outcomes.push(match evil.deposit(self.world, &mut self.dice, caller, deposit, is_evil) {
                Ok(_) => Outcome::Stored,
                Err(_) if is_evil => *self.dice.pick(&[Outcome::Full, Outcome::NoSuchDoor, Outcome::Later]),
                Err(_) => Outcome::NoSuchDoor,
            });
        }
        Reply::StoredMany(StoredMany { outcomes, retry_after_ms: self.dice.below(2_000) })
    }

    /// The own relay is asked for what is new.
    fn connect(&mut self, who: Who) -> Result<(), Broken> {
        let Ok(app) = &self.people[who].app else { return Ok(()) };
        let after = app.drained_to();
        if self.people[who].line.is_some() {
            return Ok(());
        }
        let place = Place::Relay(who);
        if self.is_away(who, place) || self.dice.hits(self.weather.lost) {
            let back = self.people[who].offline_until.max(self.net.cut_until(who, place)).max(self.now);
            let again = back + 1 + self.dice.below(CONNECT_AGAIN_MS);
            self.put(again, who, What::Connect);
            return Ok(());
        }
        let last = Seq(self.world.mailboxes.get(&self.people[who].caller.mailbox).map_or(0, |held| held.last));
        if last < after {
            self.people[who].line = Some(Seq(0));
            self.tell(who, Input::RelaySetBack)?;
        } else {
            self.people[who].line = Some(after);
        }
        // It may have died of that.
        if self.people[who].line.is_some() {
            self.deliver(who);
            self.tell(who, Input::Online)?;
        }
        Ok(())
    }

    /// What the relay has and has not given out over this connection leaves, in its order.
    fn deliver(&mut self, who: Who) {
        let mailbox = self.people[who].caller.mailbox;
        while let (Some(after), Some(held)) = (self.people[who].line, self.world.mailboxes.get(&mailbox)) {
            let new: Vec<Delivery> =
                held.envelopes.iter().filter(|delivery| delivery.seq > after).take(PUSH_MAX).cloned().collect();
            let Some(last) = new.last().map(|delivery| delivery.seq) else { return };
            self.people[who].line = Some(last);
            let mut deliveries = Deliveries { mailbox, expired_through: Seq(0), deliveries: new };
            if let Some(evil) = &mut self.evil
                && self.dice.hits(self.weather.evil / 4)
            {
                evil.push(&mut self.dice, &mut deliveries);
            }
            let at = self.arrival(&[Channel::Pushes(who)]);
            if self.dice.hits(self.weather.lost) {
                return self.hang_up(who);
            }
            self.put(at, who, What::Push(deliveries));
        }
    }

    /// The connection to the own relay breaks. Some of what came over it may lie in the machine already.
    pub(crate) fn hang_up(&mut self, who: Who) {
        if self.people[who].line.take().is_some() {
            let after = self.now + self.dice.below(self.weather.slow_ms);
            self.net.lose(who, after, |what| matches!(what, What::Push(_)));
            let again = self.now + self.dice.below(CONNECT_AGAIN_MS);
            self.put(again, who, What::Connect);
        }
    }

    /// Which server, and where order is kept on the way there.
    fn way(&self, who: Who, call: &Call) -> (Place, Vec<Channel>) {
        let whose = |mailbox| self.people.iter().position(|device| device.caller.mailbox == mailbox);
        let relay = |mailbox| Place::Relay(whose(mailbox).expect("nobody else is there"));
        match call {
            Call::Grant { .. } | Call::Revoke { .. } | Call::Acknowledge { .. } => {
                (Place::Relay(who), vec![Channel::Own(who)])
            }
            Call::Deposit { deposit, .. } => (relay(deposit.mailbox), vec![Channel::Deposits(who, deposit.mailbox)]),
            // All doors are at one relay: it is reached as the first of them is.
            Call::DepositMany { many, .. } => {
                let channels = many.doors.iter().map(|door| Channel::Deposits(who, door.mailbox)).collect();
                (relay(many.doors[0].mailbox), channels)
            }
            _ => (Place::Keyserver, Vec::new()),
        }
    }

    fn is_away(&self, who: Who, place: Place) -> bool {
        self.people[who].offline_until.max(self.net.cut_until(who, place)) > self.now
    }

    fn arrival(&mut self, channels: &[Channel]) -> u64 {
        let at = self.now + self.dice.below(self.weather.slow_ms);
        self.net.behind(channels, at)
    }
}
