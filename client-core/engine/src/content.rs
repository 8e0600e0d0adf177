//! What one device says to another inside the ratchet, and who may say what.
//!
//! Spec: envelope §3, §4.

mod fields;
mod wire;

pub(crate) use wire::heads;

use hushwire_crypto::whisper::WhisperKey;
use hushwire_proto::ids::{AccountId, ChangeHash, DeviceId, GroupId, MessageId, Token, UnixMillis};
use hushwire_proto::signing::{Label, Transcript};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// Receipts of one kind that one content carries.
pub(crate) const RECEIPTS_MAX: usize = 256;

/// People that one message names.
pub const MENTIONS_MAX: usize = 64;

/// The longest reaction, in bytes. The longest emoji, families with skin tones, take some forty.
pub const EMOJI_BYTES_MAX: usize = 64;

/// The longest time until a message disappears, in seconds: a year.
pub const TIMER_S_MAX: u32 = 366 * 24 * 3600;

/// Bytes of changes of a group, with what proves their authors, that go in one content.
pub(crate) const CHANGES_BYTES_MAX: usize = 48 * 1024;

/// Changes that go in one content.
pub(crate) const CHANGES_MAX: usize = 256;

/// Changes that are named as those that nobody follows. A group with more has many admins who hear little of each other.
pub(crate) const HEADS_MAX: usize = 64;

/// Members of whom an invitation tells, so that whoever gets it may know one: 4 KiB.
pub(crate) const MEMBERS_TOLD_MAX: usize = 128;

/// The plaintext of one ratchet message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plain {
    /// Encoded [`Content`]; kept apart because its hash is chained.
    pub(crate) content: Zeroizing<Vec<u8>>,
    /// Sent along until the peer is known to have it.
    pub(crate) introduction: Option<Introduction>,
}

/// How the peer may deposit with us from now on, and what we call ourselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Introduction {
    /// Not before our relay accepts it.
    pub(crate) token: Option<Token>,
    /// Nobody has checked it.
    pub(crate) handle: Option<String>,
    /// With what the peer whispers to us. Together with the token only.
    pub(crate) whisper_key: Option<WhisperKey>,
}

/// What is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// Has its place in the conversation.
    Said(Said),
    Receipt(Receipt),
    /// Something of yours could not be opened here.
    Again(Again),
    GroupKey(GroupKey),
    GroupChanges(GroupChanges),
    GroupAsk(GroupAsk),
    GroupInvitation(GroupInvitation),
}

/// What people say, in the order in which each device says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) message_id: MessageId,
    /// Counts what the author's device says in this conversation, from 1.
    pub(crate) counter: u64,
    /// [`hash`] of what it said before; `None` in the first.
    pub(crate) previous: Option<[u8; 32]>,
    /// The author's Lamport clock.
    pub(crate) lamport: u64,
    pub(crate) sent_at: UnixMillis,
    pub(crate) what: What,
}

/// What a person does in a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Text(Text),
    /// Of one's own message.
    Edit {
        of: MessageId,
        text: String,
    },
    /// Of one's own message.
    TakeBack {
        of: MessageId,
    },
    /// Empty: takes the reaction away.
    React {
        to: Reference,
        emoji: String,
    },
    Pin {
        what: Reference,
        pinned: bool,
    },
    /// Seconds after which what is said from now on disappears.
    Timer {
        seconds: Option<u32>,
    },
}

/// A message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Text {
    pub(crate) text: String,
    pub(crate) reply_to: Option<Reference>,
    pub(crate) mentions: Vec<AccountId>,
    pub(crate) forwarded: bool,
    /// Seconds that it may be seen.
    pub(crate) timer_s: Option<u32>,
}

/// A message of the same conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    pub(crate) author: AccountId,
    pub(crate) message_id: MessageId,
}

/// How far what the receipt's reader said has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Receipt {
    /// In which group; `None`: between the two.
    pub(crate) group: Option<GroupId>,
    /// Which of the reader's devices said it.
    pub(crate) author: DeviceId,
    /// Counters of what a device has.
    pub(crate) delivered: Vec<u64>,
    /// A person has seen everything up to this counter; 0: says nothing.
    pub(crate) read_through: u64,
}

/// Asks for what was not confirmed, and with a group for the sender key; or answers that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Again {
    /// In which group; `None`: between the two.
    pub(crate) group: Option<GroupId>,
    /// Which of the reader's devices this is about.
    pub(crate) device: DeviceId,
    /// Whether it asks.
    pub(crate) asks: bool,
    /// Counter and [`hash`] of the last that the sender has of what that device said.
    pub(crate) heard: Option<(u64, [u8; 32])>,
}

/// The key with which the sender writes to a group from now on.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct GroupKey {
    pub(crate) group: GroupId,
    /// A sender key distribution message. Spec: signal-wire §5.
    pub(crate) key: Zeroizing<Vec<u8>>,
    /// What the envelopes are sealed with, and tokens are made from.
    pub(crate) secret: Zeroizing<[u8; 32]>,
    /// The changes of the group that nobody follows, as far as the sender knows.
    pub(crate) heads: Vec<ChangeHash>,
    /// The sender's Lamport clock: what a newcomer says stands behind what was said before.
    pub(crate) lamport: u64,
    /// Counter and [`hash`] of what the sender's device said last to the group, if it has said anything.
    pub(crate) said: Option<(u64, [u8; 32])>,
}

impl std::fmt::Debug for GroupKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { group, key: _, secret: _, heads: _, lamport: _, said: _ } = self;
        f.debug_struct("GroupKey").field("group", group).finish_non_exhaustive()
    }
}

/// Changes that the receiver may lack, parents first, each with the device lists of its author.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GroupChanges {
    pub(crate) group: GroupId,
    /// An encoded change, and the encoded chain of its author.
    pub(crate) changes: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Asks for what follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GroupAsk {
    pub(crate) group: GroupId,
    /// The changes that nobody follows, as far as the sender knows. Empty: it knows none.
    pub(crate) heads: Vec<ChangeHash>,
}

/// Says to somebody that they were put into a group. All of it is the sender's word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GroupInvitation {
    pub(crate) group: GroupId,
    pub(crate) name: String,
    /// How many are in it, the receiver too.
    pub(crate) members: u32,
    /// Some of the others, at most [`MEMBERS_TOLD_MAX`].
    pub(crate) some: Vec<AccountId>,
    /// The change that put the receiver in, and its height: whoever refuses leaves after it.
    pub(crate) since: ChangeHash,
    pub(crate) height: u64,
}

/// How a content came. Derived from the session, never from a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// From an accepted contact, to us alone.
    Contact,
    /// From anybody else, to us alone.
    Stranger,
    /// From a member of the group that the content names, to us alone.
    Member,
    /// From a member, to the group.
    Group,
    /// To us alone, from somebody who was in the group that the content names while we were, where one of us is no longer.
    Former,
}

impl Content {
    /// The group that it names as what it is about.
    pub(crate) fn group(&self) -> Option<GroupId> {
        match self {
            Self::Said(_) => None,
            Self::Receipt(receipt) => receipt.group,
            Self::Again(again) => again.group,
            Self::GroupKey(key) => Some(key.group),
            Self::GroupChanges(changes) => Some(changes.group),
            Self::GroupAsk(ask) => Some(ask.group),
            Self::GroupInvitation(told) => Some(told.group),
        }
    }
}

/// Whether this content is accepted from there. Every pair has its line; a new kind does not compile without.
pub(crate) fn allowed(content: &Content, from: Origin) -> bool {
    use Origin::{Contact, Former, Group, Member, Stranger};
    match (content, from) {
        (Content::Said(said), from) => match (&said.what, from) {
            (What::Text(_), Contact | Stranger | Group) => true,
            // What is said to a group goes to all of it; what is said to us alone names no group.
            (What::Text(_), Member | Former) => false,
            (What::Edit { .. } | What::TakeBack { .. } | What::React { .. } | What::Pin { .. }, from) => match from {
                // Of a stranger it is counted, and waits until they are accepted.
                Contact | Stranger | Group => true,
                Member | Former => false,
            },
            (What::Timer { .. }, Contact | Stranger) => true,
            // A group's timer is one of its changes, which its admins make.
            (What::Timer { .. }, Member | Group | Former) => false,
        },
        // We send nothing to strangers that they could confirm.
        (Content::Receipt(_), Contact | Member) => true,
        (Content::Receipt(_), Stranger | Group | Former) => false,
        (Content::Again(_), Contact | Member) => true,
        (Content::Again(_), Stranger | Group | Former) => false,
        // A contact may bring us into a group: its key comes first, and opens what says who is in it.
        (Content::GroupKey(_), Contact | Member) => true,
        (Content::GroupKey(_), Stranger | Group | Former) => false,
        // A contact may bring us into a group; whoever has a link to one brings their own wish to join.
        (Content::GroupChanges(_), Contact | Stranger | Member | Group | Former) => true,
        // Whoever asks for changes must be one who may have some: also who was put out hears why.
        (Content::GroupAsk(_), Member | Former) => true,
        (Content::GroupAsk(_), Contact | Stranger | Group) => false,
        // A person is asked, unless it is a contact.
        (Content::GroupInvitation(_), Contact | Stranger | Member) => true,
        (Content::GroupInvitation(_), Group | Former) => false,
    }
}

/// What the next one names, so that a missing or swapped one shows.
pub(crate) fn hash(content: &[u8]) -> [u8; 32] {
    Sha256::digest(Transcript::new(Label::MessageChain).part(content).bytes()).into()
}

/// It opened, and is not what this version can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadContent;

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::indexing_slicing)]
    use super::*;

    pub(crate) fn said(what: What) -> Said {
        Said {
            message_id: MessageId([1; 16]),
            counter: 2,
            previous: Some([2; 32]),
            lamport: 3,
            sent_at: UnixMillis(4),
            what,
        }
    }

    fn everything_said() -> Vec<What> {
        let to = Reference { author: AccountId([7; 32]), message_id: MessageId([8; 16]) };
        let text = Text {
            text: "hello".into(),
            reply_to: Some(to),
            mentions: vec![AccountId([9; 32])],
            forwarded: true,
            timer_s: Some(60),
        };
        vec![
            What::Text(text),
            What::Edit { of: MessageId([3; 16]), text: "hallo".into() },
            What::TakeBack { of: MessageId([3; 16]) },
            What::React { to, emoji: "👍🏽".into() },
            What::Pin { what: to, pinned: true },
            What::Timer { seconds: None },
        ]
    }

    /// One of each kind.
    pub(crate) fn every_content() -> Vec<Content> {
        let group = GroupId([6; 32]);
        let receipt = |group| Receipt { group, author: DeviceId::FIRST, delivered: vec![1, 2], read_through: 1 };
        let mut all: Vec<Content> = everything_said().into_iter().map(|what| Content::Said(said(what))).collect();
        all.extend([
            Content::Receipt(receipt(None)),
            Content::Receipt(receipt(Some(group))),
            Content::Again(Again { group: None, device: DeviceId::FIRST, asks: true, heard: None }),
            Content::Again(Again {
                group: Some(group),
                device: DeviceId::FIRST,
                asks: false,
                heard: Some((7, [5; 32])),
            }),
            Content::GroupKey(GroupKey {
                group,
                key: Zeroizing::new(vec![1; 70]),
                secret: Zeroizing::new([2; 32]),
                heads: vec![ChangeHash([4; 32])],
                lamport: 5,
                said: Some((3, [6; 32])),
            }),
            Content::GroupChanges(GroupChanges { group, changes: vec![(vec![1; 9], vec![2; 9])] }),
            Content::GroupAsk(GroupAsk { group, heads: vec![ChangeHash([4; 32])] }),
            Content::GroupInvitation(GroupInvitation {
                group,
                name: "friends".into(),
                members: 3,
                some: vec![AccountId([5; 32])],
                since: ChangeHash([6; 32]),
                height: 7,
            }),
        ]);
        all
    }

    /// A number of its own for each kind, so that a new one wants its place here and in [`every_content`].
    fn kind(content: &Content) -> usize {
        match content {
            Content::Said(said) => match &said.what {
                What::Text(_) => 0,
                What::Edit { .. } => 1,
                What::TakeBack { .. } => 2,
                What::React { .. } => 3,
                What::Pin { .. } => 4,
                What::Timer { .. } => 5,
            },
            Content::Receipt(_) => 6,
            Content::Again(_) => 7,
            Content::GroupKey(_) => 8,
            Content::GroupChanges(_) => 9,
            Content::GroupAsk(_) => 10,
            Content::GroupInvitation(_) => 11,
        }
    }

    /// The same for where it comes from.
    fn place(origin: Origin) -> usize {
        match origin {
            Origin::Contact => 0,
            Origin::Stranger => 1,
            Origin::Member => 2,
            Origin::Group => 3,
            Origin::Former => 4,
        }
    }

    #[test]
    fn only_the_listed_pairs_of_content_and_origin_are_accepted() {
        use Origin::{Contact, Former, Group, Member, Stranger};
        const ORIGINS: [Origin; 5] = [Contact, Stranger, Member, Group, Former];
        // As the table in the specification has them.
        const ACCEPTED: [&[Origin]; 12] = [
            &[Contact, Stranger, Group],
            &[Contact, Stranger, Group],
            &[Contact, Stranger, Group],
            &[Contact, Stranger, Group],
            &[Contact, Stranger, Group],
            &[Contact, Stranger],
            &[Contact, Member],
            &[Contact, Member],
            &[Contact, Member],
            &[Contact, Stranger, Member, Group, Former],
            &[Member, Former],
            &[Contact, Stranger, Member],
        ];
        assert!(ORIGINS.iter().enumerate().all(|(number, origin)| place(*origin) == number));
        let all = every_content();
        assert!((0..ACCEPTED.len()).all(|number| all.iter().any(|content| kind(content) == number)));
        for content in all {
            for origin in ORIGINS {
                let expected = ACCEPTED[kind(&content)].contains(&origin);
                assert_eq!(allowed(&content, origin), expected, "{content:?} from {origin:?}");
            }
        }
    }
}
