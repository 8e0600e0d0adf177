//! Messages as lines for people: in a history, and in a chat where each line is a row of the screen.

use hushwire_client::ids::AccountId;
use hushwire_client::{Change, LocalId, Message, State, Talk};

use super::human::{local, moment, notice};
use super::item::{Heard, Named, Shown, Where};
use super::words::state_word;
use super::{Item, Paint};
use crate::text::{clean, clean_line, width, wrap};

/// So much is repeated of a message that another one answers, in characters.
const QUOTE_CHARS: usize = 60;

/// The widest mark between two people, `✓✓delivered`.
const MARK_COLUMNS: usize = 11;

/// Before a text that stands below its date and author.
const BELOW_COLUMNS: usize = 6;

/// The lines of these items; none for others.
pub(super) fn item_lines(item: &Item<'_>, paint: Paint, columns: Option<usize>) -> Vec<String> {
    match item {
        Item::Message(shown) => lines(shown, &author(&shown.message), paint, columns),
        Item::Found(shown) => lines(shown, &author_and_place(&shown.message), paint, columns),
        Item::MessageChanged { shown, by, change } => {
            notice(&changed(shown, *by, change), columns, |line| paint.dim(line))
        }
        Item::Reaction { id: _, reaction } => {
            let name = if reaction.by.is_some() { clean_line(&reaction.name) } else { "you".to_owned() };
            vec![format!("    {name}: {}", clean_line(&reaction.emoji))]
        }
        Item::Edit { id: _, text, at } => {
            let at = format!("    {}  ", moment(*at));
            let columns = columns.unwrap_or(usize::MAX).saturating_sub(at.len());
            let start = |number: usize| if number == 0 { paint.dim(&at) } else { " ".repeat(at.len()) };
            let text = wrap(&clean(text), columns);
            text.iter().enumerate().map(|(number, line)| format!("{}{line}", start(number))).collect()
        }
        Item::HeardBy { id: _, contact, state } => {
            let has = if *state == State::Read { "has read it" } else { "has it" };
            vec![format!("    {} {has}", clean_line(&contact.name))]
        }
        Item::LackedBy { id: _, lacking } => vec![format!("    {} lacks it", member(lacking.account, &lacking.name))],
        Item::State { id, conversation, state, heard } => {
            notice(&further(*id, conversation, *state, *heard), columns, |line| paint.dim(line))
        }
        Item::ConversationDeleted(conversation) => {
            let name = clean_line(&conversation.name);
            let text = format!("everything that was written in the conversation {name} is gone from this device");
            notice(&text, columns, |line| paint.dim(line))
        }
        Item::Disappeared { id, conversation } => {
            let text = format!("message #{} in {} is gone from this device", id.0, clean_line(&conversation.name));
            notice(&text, columns, |line| paint.dim(line))
        }
        _ => Vec::new(),
    }
}

/// What a member is called here, or the beginning of their account id.
pub(super) fn member(account: AccountId, name: &str) -> String {
    match name {
        "" => format!("{:.16}…", account.to_string()),
        name => clean_line(name),
    }
}

fn author(message: &Message) -> String {
    if message.outgoing { "you".to_owned() } else { clean_line(&message.author_name) }
}

/// Where messages of several conversations stand together.
fn author_and_place(message: &Message) -> String {
    let place = clean_line(&message.conversation_name);
    match message.with {
        Talk::Contact(_) if !message.outgoing => author(message),
        Talk::Contact(_) => format!("you to {place}"),
        Talk::Group(_) => format!("{} in {place}", author(message)),
    }
}

/// What a message is now, or what somebody did with it.
fn changed(shown: &Shown, by: Option<&Named>, change: &Change) -> String {
    let message = &shown.message;
    let place = author_and_place(message);
    let who = by.map_or_else(|| "you".to_owned(), |by| clean_line(&by.name));
    let told = |did: &str| format!("{who} {did} message #{} by {place}: {}", message.id.0, cut(&message.text));
    match change {
        _ if message.deleted => {}
        Change::Reacted(emoji) => return told(&format!("put {} to", clean_line(emoji))),
        Change::ReactionRemoved => return told("took a reaction away from"),
        Change::Pinned => return told("pinned"),
        Change::Unpinned => return told("unpinned"),
        Change::Edited | Change::TakenBack => {}
    }
    if message.deleted {
        return format!("message #{} by {place} was taken back", message.id.0);
    }
    let about = about(shown);
    let space = if about.is_empty() { "" } else { " " };
    format!("message #{} by {place} is now: {}{space}{about}", message.id.0, cut(&message.text))
}

fn lines(shown: &Shown, name: &str, paint: Paint, columns: Option<usize>) -> Vec<String> {
    let message = &shown.message;
    let (at, number) = (moment(message.sent_at), format!("#{}", message.id.0));
    let painted = if message.outgoing { paint.dim(name) } else { paint.cyan(name) };
    let head = width(&at) + 2 + width(&number) + 2 + width(name) + 2;
    // Where that leaves no room, the text stands below.
    let is_below = columns.is_some_and(|columns| head > columns / 2);
    let indent = if is_below { BELOW_COLUMNS } else { head };
    let mut body = body(shown, paint, columns.map(|columns| columns.saturating_sub(indent)));
    if message.outgoing
        && let Some(last) = body.last_mut()
    {
        last.push_str(&format!("  {}", mark(message.state, shown.heard, paint)));
    }
    let first = format!("{}  {}  {painted}: ", paint.dim(&at), paint.dim(&number));
    let mut lines = if is_below { vec![first.trim_end().to_owned()] } else { Vec::new() };
    for line in body {
        let start = if lines.is_empty() { first.clone() } else { " ".repeat(indent) };
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
        lines.extend(broken(&format!("{}{forwarded}{}", new_device(message), clean(&message.text))));
    }
    let about = about(shown);
    if !about.is_empty() {
        lines.extend(broken(&about).iter().map(|line| paint.dim(line)));
    }
    lines
}

/// Before what came from a device that nobody has agreed to.
fn new_device(message: &Message) -> &'static str {
    if message.from_new_device { "(from a new device, not agreed to) " } else { "" }
}

/// One line of whose a message is and how it begins.
pub(super) fn beginning(message: &Message) -> String {
    let text = if message.deleted { "(taken back)".to_owned() } else { cut(&message.text) };
    format!("{}: {text}", author(message))
}

/// One line of what is answered.
fn quote(answered: &Message) -> String {
    let text = if answered.deleted { "(taken back)".to_owned() } else { cut(&answered.text) };
    format!("> {} #{}: {text}", author(answered), answered.id.0)
}

/// The beginning of a text, on one line.
fn cut(text: &str) -> String {
    let text = clean_line(text);
    let cut: String = text.chars().take(QUOTE_CHARS).collect();
    let more = if cut.len() < text.len() { "…" } else { "" };
    format!("{cut}{more}")
}

/// What people did with it, on one line; empty if nothing.
fn about(shown: &Shown) -> String {
    let message = &shown.message;
    let mut parts = Vec::new();
    if !shown.mentions.is_empty() {
        let names: Vec<String> = shown.mentions.iter().map(|name| clean_line(name)).collect();
        parts.push(format!("names {}", names.join(", ")));
    }
    if message.late {
        parts.push("came late".to_owned());
    }
    if message.edits > 0 && !message.deleted {
        parts.push("edited".to_owned());
    }
    match message.pinned_by.as_deref() {
        None => {}
        Some("") => parts.push("pinned by you".to_owned()),
        Some(name) => parts.push(format!("pinned by {}", clean_line(name))),
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
    let body = body(shown, paint, Some(columns.saturating_sub(indent + 1)));
    for (place, line) in body.iter().enumerate() {
        lines.push(if place == 0 {
            format!("{} {head} {line}", paint.dim(&at))
        } else {
            format!("{:indent$}{line}", "")
        });
    }
    // Where it fits; whoever wants to name a message that has no room for its number finds it in the history.
    let number = format!("  #{}", message.id.0);
    if let (Some(last), Some(cells)) = (lines.last_mut(), body.last().map(|line| width(line)))
        && indent + cells + width(&number) < columns
    {
        last.push_str(&paint.dim(&number));
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
pub(super) mod tests;
