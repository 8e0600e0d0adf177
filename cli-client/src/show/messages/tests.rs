//! What a message looks like to people.

use hushwire_client::ids::{MessageId, UnixMillis};
use hushwire_client::{ContactId, ConversationId, Talk};

use super::*;

pub(in crate::show) fn message(text: &str, outgoing: bool) -> Message {
    Message {
        id: LocalId(12),
        conversation: ConversationId(1),
        with: Talk::Contact(ContactId(2)),
        conversation_name: "b\u{202e}ob".to_owned(),
        author: (!outgoing).then_some(ContactId(2)),
        author_name: if outgoing { String::new() } else { "b\u{202e}ob".to_owned() },
        message_id: MessageId([1; 16]),
        outgoing,
        sent_at: UnixMillis(1_800_000_000_123),
        kept_at: UnixMillis(1_800_000_000_123),
        text: text.to_owned(),
        reply_to: None,
        mentions: Vec::new(),
        forwarded: false,
        edits: 0,
        from_new_device: false,
        late: false,
        deleted: false,
        pinned: false,
        pinned_by: None,
        reactions: Vec::new(),
        expires_at: None,
        state: State::Sent,
    }
}

pub(in crate::show) fn shown(message: Message) -> Shown {
    Shown { message, heard: None, answers: None, mentions: Vec::new() }
}

fn plain(shown: &Shown, columns: Option<usize>) -> Vec<String> {
    item_lines(&Item::Message(shown), Paint::new(false), columns)
}

#[test]
fn further_lines_of_a_message_cannot_pass_for_messages() {
    let lines = plain(&shown(message("one\n2026-11-22 14:02  eve: two", false)), None);
    assert_eq!(lines.len(), 2);
    assert!(lines.first().is_some_and(|line| line.ends_with("  #12  bob: one")), "{lines:?}");
    assert!(lines.last().is_some_and(|line| line.starts_with("      ")), "{lines:?}");
}

#[test]
fn a_text_for_which_a_long_name_leaves_no_room_stands_below_and_no_line_is_too_wide() {
    let long = Message { author_name: "somebody with a long name".to_owned(), ..message("one two three four", false) };
    let lines = plain(&shown(long.clone()), Some(60));
    assert_eq!(lines.get(1).map(String::as_str), Some("      one two three four"), "{lines:?}");
    assert!(lines.iter().all(|line| width(line) <= 60), "{lines:?}");
    assert_eq!(plain(&shown(long), Some(120)).len(), 1);
}

#[test]
fn a_message_of_ours_says_how_far_it_is() {
    let lines = plain(&shown(message("hello", true)), Some(80));
    assert!(lines.first().is_some_and(|line| line.ends_with("  you: hello  ✓sent")), "{lines:?}");
}

#[test]
fn a_message_of_ours_to_a_group_says_how_many_have_it() {
    let heard = |delivered, read| Some(Heard { delivered, read, of: 19 });
    let ends = |heard| plain(&Shown { heard, ..shown(message("hello", true)) }, Some(80)).concat();
    assert!(ends(heard(0, 0)).ends_with("  ✓sent"), "the relay has it, and no member yet");
    assert!(ends(heard(5, 0)).ends_with("  ✓✓ 5/19"));
    assert!(ends(heard(19, 3)).ends_with("  ✓✓ 19/19, 3 read"));
    assert_eq!(width(&chat_mark(State::Sent, heard(5, 2), Paint::new(false))), MARK_COLUMNS);
}

#[test]
fn what_people_did_with_a_message_stands_below_it() {
    let answered = message("at\u{1b}[31m noon?\nor later", true);
    let mut about = message("yes", false);
    (about.edits, about.pinned_by, about.forwarded) = (1, Some(String::new()), true);
    about.reactions = vec![("👍\u{202e}".to_owned(), 2)];
    let about =
        Shown { answers: Some(answered), mentions: vec!["you".to_owned(), "ca\u{200b}rol".to_owned()], ..shown(about) };
    let lines: Vec<String> = plain(&about, None).iter().map(|line| line.trim().to_owned()).collect();
    assert!(lines.first().is_some_and(|line| line.ends_with("bob: > you #12: at[31m noon? or later")), "{lines:?}");
    assert_eq!(
        lines.get(1..),
        Some(&["(forwarded) yes".to_owned(), "(names you, carol, edited, pinned by you, 👍 2)".to_owned()][..])
    );
}

#[test]
fn nothing_is_left_of_a_message_that_was_taken_back() {
    let mut gone = message("", false);
    (gone.deleted, gone.edits) = (true, 3);
    assert!(plain(&shown(gone), None).concat().ends_with("bob: (taken back)"));
}

#[test]
fn what_became_of_a_message_stands_on_one_line_with_whose_it_is() {
    let carol = Named { id: ContactId(3), name: "ca\u{7}rol".to_owned() };
    let item = |message: Message, by: Option<&Named>, change: &Change| {
        let item = Item::MessageChanged { shown: &shown(message), by, change };
        item_lines(&item, Paint::new(false), None).concat()
    };
    let changed = |message: Message| item(message, Some(&carol), &Change::Edited);
    let mut edited = message("at\nnine", false);
    edited.edits = 1;
    assert_eq!(changed(edited.clone()), "-- message #12 by bob is now: at nine (edited)");
    edited.with = Talk::Group(hushwire_client::LocalGroup(1));
    edited.conversation_name = "te\u{7}am".to_owned();
    assert_eq!(changed(edited.clone()), "-- message #12 by bob in team is now: at nine (edited)");
    let felt = item(edited.clone(), Some(&carol), &Change::Reacted("👍\u{202e}".to_owned()));
    assert_eq!(felt, "-- carol put 👍 to message #12 by bob in team: at nine");
    let pinned = item(edited.clone(), None, &Change::Pinned);
    assert_eq!(pinned, "-- you pinned message #12 by bob in team: at nine");
    edited.deleted = true;
    assert_eq!(changed(edited), "-- message #12 by bob in team was taken back");
}
