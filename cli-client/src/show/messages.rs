//! Messages as lines for people: in a history, and in a chat where each line is a row of the screen.

use hushwire_client::{LocalId, Message, State};

use super::human::{local, moment};
use super::item::{Heard, Shown, Where};
use super::words::state_word;
use super::Paint;
use crate::text::{clean, clean_line, width, wrap};

/// Of what a message answers, so much is repeated, in characters.
const QUOTE_CHARS: usize = 60;

/// The widest mark between two people, `✓✓delivered`.
const MARK_COLUMNS: usize = 11;

pub(super) fn lines(shown: &Shown, paint: Paint, columns: Option<usize>) -> Vec<String> {
    let message = &shown.message;
    let (at, number) = (moment(message.sent_at), format!("#{}", message.id.0));
    let name = if message.outgoing { "you".to_owned() } else { clean_line(&message.author_name) };
    let painted = if message.outgoing { paint.dim(&name) } else { paint.cyan(&name) };
    let head = width(&at) + 2 + width(&number) + 2 + width(&name) + 2;
    let indent = head.min(columns.unwrap_or(usize::MAX) / 2);
    let mut body = body(shown, paint, columns.map(|columns| columns.saturating_sub(indent)));
    if message.outgoing
        && let Some(last) = body.last_mut()
    {
        last.push_str(&format!("  {}", mark(message.state, shown.heard, paint)));
    }
    let mut lines = Vec::new();
    for (place, line) in body.into_iter().enumerate() {
        let start = match place {
            0 => format!("{}  {}  {painted}: ", paint.dim(&at), paint.dim(&number)),
            _ => " ".repeat(indent),
        };
        lines.push(format!("{start}{line}").trim_end().to_owned());
    }
    lines
}

/// What it answers, its text, and what people did with it.
fn body(shown: &Shown, paint: Paint, columns: Option<usize>) -> Vec<String> {
    let message = &shown.message;
    let broken = |text: &str| match columns {
        Some(columns) => wrap(text, columns),
        None => text.split('\n').map(str::to_owned).collect(),
    };
    let mut lines = Vec::new();
    if let Some(answered) = &shown.answers {
        lines.extend(broken(&quote(answered)).iter().map(|line| paint.dim(line)));
    }
    if message.deleted {
        lines.push(paint.dim("(taken back)"));
    } else {
        let forwarded = if message.forwarded { "(forwarded) " } else { "" };
        lines.extend(broken(&format!("{forwarded}{}", clean(&message.text))));
    }
    let about = about(shown);
    if !about.is_empty() {
        lines.extend(broken(&about).iter().map(|line| paint.dim(line)));
    }
    lines
}

/// One line of what is answered.
fn quote(answered: &Message) -> String {
    let name = if answered.outgoing { "you".to_owned() } else { clean_line(&answered.author_name) };
    if answered.deleted {
        return format!("to {name} #{}: (taken back)", answered.id.0);
    }
    let text = clean_line(&answered.text);
    let cut: String = text.chars().take(QUOTE_CHARS).collect();
    let more = if cut.len() < text.len() { "…" } else { "" };
    format!("to {name} #{}: {cut}{more}", answered.id.0)
}

/// What people did with it, on one line; empty if nothing.
fn about(shown: &Shown) -> String {
    let message = &shown.message;
    let mut parts = Vec::new();
    if !shown.mentions.is_empty() {
        let names: Vec<String> = shown.mentions.iter().map(|name| clean_line(name)).collect();
        parts.push(format!("names {}", names.join(", ")));
    }
    if message.edits > 0 && !message.deleted {
        parts.push("edited".to_owned());
    }
    if message.pinned {
        parts.push("pinned".to_owned());
    }
    if let Some(at) = message.expires_at {
        parts.push(format!("disappears {}", moment(at)));
    }
    for (emoji, count) in &message.reactions {
        parts.push(format!("{} {count}", clean_line(emoji)));
    }
    if parts.is_empty() { String::new() } else { format!("({})", parts.join(", ")) }
}

/// How far a message is, as a mark and a word: nobody needs to know the marks or see the colours. In a group, how many have
/// it.
fn mark(state: State, heard: Option<Heard>, paint: Paint) -> String {
    let mark = painted(state, heard, paint);
    match heard {
        Some(Heard { read, .. }) if read > 0 => format!("{mark}, {read} read"),
        _ => mark,
    }
}

/// The mark as a column of fixed width, to be changed in place.
pub(crate) fn chat_mark(state: State, heard: Option<Heard>, paint: Paint) -> String {
    let padding = MARK_COLUMNS.saturating_sub(width(&sign(state, heard)));
    format!("{}{:padding$}", painted(state, heard, paint), "")
}

fn painted(state: State, heard: Option<Heard>, paint: Paint) -> String {
    let sign = sign(state, heard);
    match (heard, state) {
        (Some(Heard { delivered, read, of }), _) if delivered > 0 && read < of => sign,
        (_, State::Queued) => paint.yellow(&sign),
        (_, State::Sent) => paint.dim(&sign),
        (_, State::Delivered) => sign,
        (_, State::Read) => paint.green(&sign),
    }
}

fn sign(state: State, heard: Option<Heard>) -> String {
    if let Some(Heard { delivered, of, .. }) = heard
        && delivered > 0
    {
        return format!("✓✓ {delivered}/{of}");
    }
    let word = state_word(state);
    match state {
        State::Queued => format!("·{word}"),
        State::Sent => format!("✓{word}"),
        State::Delivered | State::Read => format!("✓✓{word}"),
    }
}

/// A message in a chat, broken so that each line is one row of the screen.
pub(crate) fn chat_lines(shown: &Shown, paint: Paint, columns: usize) -> Vec<String> {
    let message = &shown.message;
    let at = local(message.sent_at, "%H:%M");
    let (head, cells) = if message.outgoing {
        (chat_mark(message.state, shown.heard, paint), MARK_COLUMNS)
    } else {
        let name = format!("{}:", clean_line(&message.author_name));
        (paint.cyan(&name), width(&name))
    };
    let indent = (width(&at) + 1 + cells + 1).min(columns / 2);
    let mut lines = Vec::new();
    for (number, line) in body(shown, paint, Some(columns.saturating_sub(indent + 1))).iter().enumerate() {
        lines.push(if number == 0 {
            format!("{} {head} {line}", paint.dim(&at))
        } else {
            format!("{:indent$}{line}", "")
        });
    }
    lines
}

pub(super) fn further(id: LocalId, conversation: &Where, state: State, heard: Option<Heard>) -> String {
    let name = clean_line(&conversation.name);
    if let Some(Heard { delivered, read, of }) = heard
        && delivered > 0
    {
        let read = if read > 0 { format!(", {read} have read it") } else { String::new() };
        return format!("message #{} to {name}: {delivered} of {of} have it{read}", id.0);
    }
    match state {
        State::Queued => format!("message #{} to {name} is queued", id.0),
        State::Sent => format!("message #{} to {name} was sent", id.0),
        State::Delivered => format!("message #{} was delivered to {name}", id.0),
        State::Read => format!("message #{} was read by {name}", id.0),
    }
}

#[cfg(test)]
pub(super) mod tests {
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
            deleted: false,
            pinned: false,
            reactions: Vec::new(),
            expires_at: None,
            state: State::Sent,
        }
    }

    pub(in crate::show) fn shown(message: Message) -> Shown {
        Shown { message, heard: None, answers: None, mentions: Vec::new() }
    }

    fn plain(shown: &Shown, columns: Option<usize>) -> Vec<String> {
        lines(shown, Paint::new(false), columns)
    }

    #[test]
    fn further_lines_of_a_message_cannot_pass_for_messages() {
        let lines = plain(&shown(message("one\n2026-11-22 14:02  eve: two", false)), None);
        assert_eq!(lines.len(), 2);
        assert!(lines.first().is_some_and(|line| line.ends_with("  #12  bob: one")), "{lines:?}");
        assert!(lines.last().is_some_and(|line| line.starts_with("      ")), "{lines:?}");
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
        (about.edits, about.pinned, about.forwarded) = (1, true, true);
        about.reactions = vec![("👍\u{202e}".to_owned(), 2)];
        let about =
            Shown { answers: Some(answered), mentions: vec!["you".to_owned(), "ca\u{200b}rol".to_owned()], ..shown(about) };
        let lines: Vec<String> = plain(&about, None).iter().map(|line| line.trim().to_owned()).collect();
        assert!(lines.first().is_some_and(|line| line.ends_with("bob: to you #12: at[31m noon? or later")), "{lines:?}");
        assert_eq!(lines.get(1..), Some(&["(forwarded) yes".to_owned(), "(names you, carol, edited, pinned, 👍 2)".to_owned()][..]));
    }

    #[test]
    fn nothing_is_left_of_a_message_that_was_taken_back() {
        let mut gone = message("", false);
        (gone.deleted, gone.edits) = (true, 3);
        assert!(plain(&shown(gone), None).concat().ends_with("bob: (taken back)"));
    }
}
