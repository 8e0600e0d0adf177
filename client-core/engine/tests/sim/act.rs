//! How each step is carried out, and what the oracle has to know of it.

use crate::app::{GroupId, GroupLink, Input, LocalId, MessageId, Remark, Spot, Standing, Who, Wish};
use crate::net::What;
use crate::oracle::Broken;
use crate::sim::Sim;
use crate::step::{Place, Step};

/// Texts that somebody writes who has not been heard of: strangers are kept only so many.
const UNANSWERED_MAX: usize = 50;

/// How long a relay remembers ids of deposits, in milliseconds.
const RETRY_WINDOW_MS: u64 = 7 * 24 * 3600 * 1000;

/// A text, and to whom.
pub(crate) enum Said {
    To(Who, String),
    In(GroupId, String),
    About(Spot, MessageId, Remark),
}

/// What a wish about a group led to.
pub(crate) enum Wanted {
    Group(GroupId),
    Link(Box<GroupLink>),
}

impl Sim<'_> {
    pub(crate) fn step(&mut self, step: Step) -> Result<(), Broken> {
        match step {
            Step::Say { from, to, bytes } => self.say(from, to, bytes)?,
            Step::Read { who, of, but } => {
                if let Some(through) = self.oracle.newest(who, of, but) {
                    let is_contact = self.standing(who, of) == Some(Standing::Accepted);
                    if self.wish(who, Wish::MarkRead(of, through))? {
                        self.oracle.read(who, of, through, is_contact);
                    }
                }
            }
            Step::Accept { who, whom } => {
                self.wish(who, Wish::Accept(whom))?;
            }
            Step::Add { who, whom } => {
                self.wish(who, Wish::Add(whom))?;
            }
            Step::Rename { who, whom, number } => {
                self.wish(who, Wish::Rename(whom, format!("name {number}")))?;
            }
            Step::Hurry { who } => self.tell(who, Input::Online)?,
            Step::Block { who, whom } => {
                if self.wish(who, Wish::Block(whom))? {
                    self.oracle.is_deaf(who, whom);
                }
            }
            Step::Crash { who } => self.crash(who)?,
            Step::Close { who, millis } => {
                self.stop(who);
                self.put(self.now + millis, who, What::Start);
            }
            Step::Offline { who, millis } => {
                self.people[who].offline_until = self.now + millis;
                self.hang_up(who);
            }
            Step::Cut { who, place, millis } => {
                self.net.cut(who, place, self.now + millis);
                if place == Place::Relay(who) {
                    self.hang_up(who);
                }
            }
            Step::Break { who } => self.hang_up(who),
            Step::Jump { who, millis } => self.people[who].ahead += millis,
            Step::Leap { millis } => {
                let millis = millis.min(self.leaps_left);
                self.leaps_left -= millis;
                self.now += millis;
                self.forget_deposits(millis);
            }
            Step::Gather(gather) => self.gather(gather)?,
            Step::About(about) => self.about(about)?,
            Step::BackUp { of } => {
                let held = self.world.mailboxes.get(&self.people[of].caller.mailbox).cloned();
                self.copies.extend(held.map(|held| (of, held)));
            }
            Step::SetBack { of } => {
                if let Some(copy) = self.copies.get(&of).cloned() {
                    self.world.mailboxes.insert(self.people[of].caller.mailbox, copy);
                    self.oracle.is_set_back(of, self.people.len());
                    self.hang_up(of);
                }
            }
        }
        Ok(())
    }

    pub(crate) fn say(&mut self, from: Who, to: Who, bytes: usize) -> Result<(), Broken> {
        let is_heard = self.standing(to, from) == Some(Standing::Accepted);
        if !is_heard && self.oracle.said_to(from, to) >= UNANSWERED_MAX {
            return Ok(());
        }
        let text = self.oracle.text(from, to, bytes);
        self.wish(from, Wish::Say(to, text))?;
        Ok(())
    }

    /// What a person wants of the app; whether it could be asked for.
    pub(crate) fn wish(&mut self, who: Who, wish: Wish) -> Result<bool, Broken> {
        let said = match &wish {
            Wish::Say(to, text) => Some(Said::To(*to, text.clone())),
            Wish::SayIn(group, text) => Some(Said::In(*group, text.clone())),
            Wish::MarkRead(of, through) => return self.wish_reading(who, Spot::of(who, *of), *through, wish),
            Wish::ReadIn(group, through) => return self.wish_reading(who, Spot::In(*group), *through, wish),
            _ => None,
        };
        self.wish_saying(who, wish, said)
    }

    /// The time of what disappears begins to count.
    fn wish_reading(&mut self, who: Who, spot: Spot, through: LocalId, wish: Wish) -> Result<bool, Broken> {
        if self.people[who].app.is_ok() {
            self.has_seen(who, spot, through);
        }
        self.wish_saying(who, wish, None)
    }

    /// The same, with what is said by it.
    pub(crate) fn wish_saying(&mut self, who: Who, wish: Wish, said: Option<Said>) -> Result<bool, Broken> {
        let Ok(app) = &mut self.people[who].app else { return Ok(false) };
        let Some(command) = app.command(wish) else { return Ok(false) };
        self.hand_over(who, command, said)?;
        Ok(true)
    }

    /// A relay remembers ids of deposits for so long.
    fn forget_deposits(&mut self, millis: u64) {
        if millis >= RETRY_WINDOW_MS {
            self.world.mailboxes.values_mut().for_each(|held| held.deposits.clear());
        }
    }

    pub(crate) fn standing(&mut self, who: Who, whom: Who) -> Option<Standing> {
        self.people[who].app.as_mut().ok()?.standing(whom)
    }
}
