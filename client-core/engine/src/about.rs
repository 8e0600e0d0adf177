//! What is said about messages: edits, what is taken back, reactions, pins, timers. Each may come before the message it
//! is about, twice, or in another order than it was said in; what stands in the end is the same on all sides. What we
//! say goes through here like what others say.
//!
//! Spec: envelope §8.

use hushwire_proto::ids::{MessageId, UnixMillis};
use rand_core::CryptoRng;
use rusqlite::Connection;

use crate::content::{Reference, Said};
use crate::engine::{Cx, Engine};
use crate::say;
use crate::store::about::{self, Remark, Waiting};
use crate::store::messages::{Author, Place};
use crate::store::{StoreError, damaged, messages};
use crate::types::{Change, ConversationId, Event, LocalId, Message, Reaction};

/// Who said something about a message, where, and at which place there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told {
    pub(crate) conversation: ConversationId,
    pub(crate) author: Author,
    pub(crate) lamport: u64,
    /// Orders what has one Lamport time.
    pub(crate) said_id: MessageId,
    /// By its author's clock.
    pub(crate) sent_at: UnixMillis,
}

impl Told {
    /// What we say.
    pub(crate) fn by_us(conversation: ConversationId, said: &Said) -> Self {
        Self {
            conversation,
            author: Author::Us,
            lamport: said.lamport,
            said_id: said.message_id,
            sent_at: said.sent_at,
        }
    }

    /// A message of the same author.
    fn own(&self, message_id: MessageId) -> Place {
        Place { conversation: self.conversation, author: self.author, message_id }
    }

    fn when(&self) -> about::When {
        (self.lamport, self.said_id)
    }
}

/// A message came: what was said about it before is true of it now.
pub(crate) fn came<R: CryptoRng>(cx: &mut Cx<'_, R>, at: &Place, row: LocalId) -> Result<(), StoreError> {
    if meets(cx.db, at, row)? {
        cx.flight.clean = false;
    }
    Ok(())
}

/// Another text of a message of the same author.
pub(crate) fn edit<R: CryptoRng>(cx: &mut Cx<'_, R>, told: &Told, of: MessageId, text: &str) -> Result<(), StoreError> {
    tell(cx, told, &told.own(of), Remark::Edit(text.to_owned()))
}

/// Takes back a message of the same author.
pub(crate) fn take_back<R: CryptoRng>(cx: &mut Cx<'_, R>, told: &Told, of: MessageId) -> Result<(), StoreError> {
    cx.flight.clean = false;
    tell(cx, told, &told.own(of), Remark::TakeBack)
}

/// A reaction to anybody's message; an empty one takes it away.
pub(crate) fn react<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    told: &Told,
    to: &Reference,
    emoji: &str,
) -> Result<(), StoreError> {
    refer(cx, told, to, Remark::React(emoji.to_owned()))
}

/// Pins anybody's message, or no longer. Whoever may say something there may: in a group of announcements its admins.
pub(crate) fn pin<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    told: &Told,
    what: &Reference,
    pinned: bool,
) -> Result<(), StoreError> {
    refer(cx, told, what, Remark::Pin(pinned))
}

/// What is said from now on disappears after so many seconds, or does not.
pub(crate) fn timer<R: CryptoRng>(cx: &mut Cx<'_, R>, told: &Told, seconds: Option<u32>) -> Result<(), StoreError> {
    if about::set_timer(cx.db, told.conversation, told.when(), seconds)? {
        let by = told.author.contact();
        cx.event(Event::TimerChanged { conversation: told.conversation, by, seconds });
    }
    Ok(())
}

/// What is said about a message that its reference names. About one of somebody who is nobody here, nothing is kept.
fn refer<R: CryptoRng>(cx: &mut Cx<'_, R>, told: &Told, to: &Reference, remark: Remark) -> Result<(), StoreError> {
    match say::author_of(cx, to.author)? {
        Some(author) => {
            let of = Place { conversation: told.conversation, author, message_id: to.message_id };
            tell(cx, told, &of, remark)
        }
        None => Ok(()),
    }
}

fn tell<R: CryptoRng>(cx: &mut Cx<'_, R>, told: &Told, of: &Place, remark: Remark) -> Result<(), StoreError> {
    let said = Waiting { by: told.author, when: told.when(), at: told.sent_at, remark };
    if let Some(row) = take_in(cx.db, of, &said, cx.now)? {
        let message = messages::get(cx.db, row)?.ok_or_else(|| damaged("messages"))?;
        let change = match said.remark {
            Remark::Edit(_) => Change::Edited,
            Remark::TakeBack => Change::TakenBack,
            Remark::React(emoji) if emoji.is_empty() => Change::ReactionRemoved,
            Remark::React(emoji) => Change::Reacted(emoji),
            Remark::Pin(true) => Change::Pinned,
            Remark::Pin(false) => Change::Unpinned,
        };
        cx.event(Event::MessageChanged { message, by: told.author.contact(), change });
    }
    Ok(())
}

/// Keeps what is said about a message, here or not; the message, if that changes it.
fn take_in(db: &Connection, of: &Place, said: &Waiting, now: UnixMillis) -> Result<Option<LocalId>, StoreError> {
    match messages::at(db, of)? {
        Some(row) => Ok(apply(db, row, said)?.then_some(row)),
        None if about::is_gone(db, of)? => Ok(None),
        None => {
            about::wait(db, of, said, now)?;
            Ok(None)
        }
    }
}

/// A message meets what waited for it; whether there was anything.
fn meets(db: &Connection, at: &Place, row: LocalId) -> Result<bool, StoreError> {
    let waited = about::take_waiting(db, at)?;
    for said in &waited {
        apply(db, row, said)?;
    }
    Ok(!waited.is_empty())
}

fn apply(db: &Connection, row: LocalId, said: &Waiting) -> Result<bool, StoreError> {
    if messages::is_deleted(db, row)? {
        return Ok(false);
    }
    match &said.remark {
        Remark::Edit(text) => about::edit(db, row, said.when, said.at, text),
        Remark::TakeBack => about::take_back(db, row),
        Remark::React(emoji) => about::react(db, row, said.by, said.when, emoji),
        Remark::Pin(pinned) => about::pin(db, row, said.by, said.when, *pinned),
    }
}

impl Engine {
    /// What a message said, with when by its author's clock: the first text first, the newest last. Empty: it was never
    /// changed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn edits_of(&self, message: LocalId) -> Result<Vec<(UnixMillis, String)>, StoreError> {
        about::edits(self.store.read(), message)
    }

    /// What each person feels about a message, in the order in which they said so.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn reactions_of(&self, message: LocalId) -> Result<Vec<Reaction>, StoreError> {
        about::reactions(self.store.read(), message)
    }

    /// The messages that are pinned in a conversation, the one that was pinned last first: at most [`crate::PINS_MAX`], however
    /// many people pin at the same time.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn pinned(&self, conversation: ConversationId) -> Result<Vec<Message>, StoreError> {
        messages::pinned(self.store.read(), conversation)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use hushwire_proto::ids::DeviceId;
    use proptest::prelude::*;

    use super::*;
    use crate::store::Store;
    use crate::types::{ContactId, State};

    const WHERE: ConversationId = ConversationId(1);
    const THEM: Author = Author::Contact(ContactId(1));

    fn place(author: Author, number: u8) -> Place {
        Place { conversation: WHERE, author, message_id: MessageId([number; 16]) }
    }

    /// Something that comes: a message, what is said about one, or a timer.
    #[derive(Clone, Debug)]
    enum Comes {
        Message(Author, u8),
        Said(Place, Waiting),
        Timer(u64, MessageId, Option<u32>),
    }

    fn store() -> Store {
        let store = Store::memory().unwrap();
        store
            .read()
            .execute_batch(
                "INSERT INTO contacts (account, name, links, standing, created_at) VALUES (x'01', 'bob', x'', 2, 0);
                 INSERT INTO conversations (contact) VALUES (1);",
            )
            .unwrap();
        store
    }

    fn comes(db: &Connection, what: &Comes) {
        match what {
            Comes::Message(author, number) => {
                let at = place(*author, *number);
                let row = messages::NewRow {
                    at,
                    device: DeviceId::FIRST,
                    counter: (*number).into(),
                    lamport: (*number).into(),
                    sent_at: UnixMillis((*number).into()),
                    text: &format!("message {number}"),
                    state: State::Delivered,
                    reply_to: Some((THEM, MessageId([9; 16]))),
                    mentions: &[],
                    forwarded: true,
                    timer_s: None,
                    late: false,
                };
                if let Some(row) = messages::insert(db, &row, UnixMillis(1)).unwrap() {
                    meets(db, &at, row).unwrap();
                }
            }
            Comes::Said(of, said) => {
                take_in(db, of, said, UnixMillis(1)).unwrap();
            }
            Comes::Timer(lamport, id, seconds) => {
                about::set_timer(db, WHERE, (*lamport, *id), *seconds).unwrap();
            }
        }
    }

    /// All rows, without the numbers that stand for the order in which things came.
    fn rows(db: &Connection) -> Vec<String> {
        let all = [
            "SELECT author, hex(message_id), text, deleted, forwarded, hex(reply_id) FROM messages ORDER BY 1, 2",
            "SELECT author, hex(message_id), e.lamport, hex(edit_id), at, e.text FROM edits e JOIN messages m
                 ON m.id = message ORDER BY 1, 2, 3, 4",
            "SELECT author, hex(message_id), by, emoji, r.lamport, hex(said_id) FROM reactions r JOIN messages m
                 ON m.id = message ORDER BY 1, 2, 3",
            "SELECT author, hex(message_id), pinned, p.lamport, hex(said_id), by FROM pins p JOIN messages m
                 ON m.id = message ORDER BY 1, 2",
            "SELECT hex(message_id), author, kind, by, hex(said_id), text FROM remarks ORDER BY 1, 2, 3, 4, 5",
            "SELECT timer_s, timer_lamport, hex(timer_message), 0, 0, 0 FROM conversations",
        ];
        let mut found = Vec::new();
        for sql in all {
            let mut statement = db.prepare(sql).unwrap();
            let mut rows = statement.query([]).unwrap();
            while let Some(row) = rows.next().unwrap() {
                let values = (0..6).map(|column| format!("{:?}", row.get_ref_unwrap(column)));
                found.push(values.collect::<Vec<_>>().join("|"));
            }
        }
        found
    }

    fn any_author() -> impl Strategy<Value = Author> {
        prop_oneof![Just(Author::Us), Just(THEM)]
    }

    /// Each with an id of its own, as honest people draw them; Lamport times meet often.
    fn anything() -> impl Strategy<Value = Vec<Comes>> {
        let remark = prop_oneof![
            4 => "[a-z]{1,4}".prop_map(Remark::Edit),
            1 => Just(Remark::TakeBack),
            3 => prop_oneof![Just(""), Just("+"), Just("-")].prop_map(|emoji| Remark::React(emoji.to_owned())),
            2 => any::<bool>().prop_map(Remark::Pin),
        ];
        let one = (any_author(), any_author(), 1u8..5, 0u64..4, 0u64..100, remark, 0u32..8);
        proptest::collection::vec(one, 1..40).prop_map(|all| {
            let each = all.into_iter().zip(100u8..).map(|((by, author, number, lamport, at, remark, roll), id)| {
                let id = MessageId([id; 16]);
                // What only its author may say is said by its author.
                let own = matches!(remark, Remark::Edit(_) | Remark::TakeBack);
                let of = place(if own { by } else { author }, number);
                match roll {
                    0 => Comes::Timer(lamport, id, (at > 50).then_some(60)),
                    1 | 2 => Comes::Message(author, number),
                    _ => Comes::Said(of, Waiting { by, when: (lamport, id), at: UnixMillis(at), remark }),
                }
            });
            each.collect()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

        #[test]
        fn whatever_is_said_about_messages_in_any_order_and_repeated_the_same_stands_in_the_end(
            all in anything(),
            order in proptest::collection::vec(any::<prop::sample::Index>(), 0..40),
        ) {
            let (one, other) = (store(), store());
            for what in &all {
                comes(one.read(), what);
            }
            // Some of them in any order first, then all of them backwards.
            for index in order {
                comes(other.read(), index.get(&all));
            }
            for what in all.iter().rev() {
                comes(other.read(), what);
            }
            prop_assert_eq!(rows(one.read()), rows(other.read()));
        }
    }

    #[test]
    fn of_many_edits_the_newest_are_kept_and_the_first_text_whatever_their_order() {
        let edit = |number: u8| Waiting {
            by: THEM,
            when: (number.into(), MessageId([number; 16])),
            at: UnixMillis(0),
            remark: Remark::Edit(format!("edit {number}")),
        };
        let (one, other) = (store(), store());
        for store in [&one, &other] {
            comes(store.read(), &Comes::Message(THEM, 1));
        }
        for number in 1..=100 {
            comes(one.read(), &Comes::Said(place(THEM, 1), edit(number)));
            comes(other.read(), &Comes::Said(place(THEM, 1), edit(101 - number)));
        }
        assert_eq!(rows(one.read()), rows(other.read()));
        let kept = about::edits(one.read(), LocalId(1)).unwrap();
        assert_eq!(kept.len(), 65);
        assert_eq!(kept.first().unwrap().1, "message 1");
        assert_eq!(kept.last().unwrap().1, "edit 100");
        let text: String = one.read().query_row("SELECT text FROM messages", [], |row| row.get(0)).unwrap();
        assert_eq!(text, "edit 100");
    }

    #[test]
    fn nobody_fills_the_database_with_what_is_about_nothing() {
        let store = store();
        for number in 0..600u16 {
            let mut id = [0; 16];
            id[..2].copy_from_slice(&number.to_be_bytes());
            let said = Waiting {
                by: THEM,
                when: (1, MessageId(id)),
                at: UnixMillis(0),
                remark: Remark::Edit("x".repeat(100)),
            };
            let of = Place { message_id: MessageId(id), ..place(THEM, 0) };
            take_in(store.read(), &of, &said, UnixMillis(1)).unwrap();
        }
        let kept: u32 = store.read().query_row("SELECT count(*) FROM remarks", [], |row| row.get(0)).unwrap();
        assert_eq!(kept, 512);
    }
}
