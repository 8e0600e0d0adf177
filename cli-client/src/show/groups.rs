//! Conversations and groups as lines for people.

use hushwire_client::group::{Invite, Member};
use hushwire_client::ids::{AccountId, InviteId};
use hushwire_client::{Conversation, Group, GroupRequest, Talk};

use super::changes::INVITE_CHARS;
use super::human::{NAME_COLUMNS, field, moment, notice};
use super::item::{Done, GroupChange, Where};
use super::messages::beginning;
use super::words::{group_standing_word, role_word, span};
use super::{Item, Paint};
use crate::text::{clean, clean_line, shell_word, width};

/// A draft is shown by its beginning, in characters.
const DRAFT_CHARS: usize = 30;

/// Characters of an account id: enough to name it by.
const ACCOUNT_CHARS: usize = 12;

/// The lines of these items; none for others.
pub(super) fn lines(item: &Item<'_>, paint: Paint, columns: Option<usize>) -> Vec<String> {
    match item {
        Item::Conversation { conversation, last } => {
            let mut lines = vec![conversation_line(conversation, paint)];
            lines.extend(last.map(|message| paint.dim(&format!("    {}", beginning(message)))));
            lines
        }
        Item::Group { place, group, us: _, whole: false } => vec![group_line(place, *group, paint)],
        Item::Group { place, group: None, .. } => vec![group_line(place, None, paint)],
        Item::Group { place, group: Some(group), us, whole: true } => group_lines(place, group, *us, paint),
        Item::GroupLink { link, .. } => vec![(*link).to_owned()],
        Item::GroupChange { change, dated } => change_lines(change, *dated, paint, columns),
        Item::Timer { conversation, by, seconds } => {
            let (name, by) =
                (clean_line(&conversation.name), by.map_or_else(|| "you".to_owned(), |by| clean_line(&by.name)));
            let place = if by == name { String::new() } else { format!("{name}: ") };
            let text = match seconds {
                None => format!("{place}{by} let messages stay from now on"),
                Some(seconds) => format!("{place}{by} let messages disappear after {} from now on", span(*seconds)),
            };
            notice(&text, columns, |line| paint.cyan(line))
        }
        Item::Draft { draft, .. } => draft.iter().map(|draft| clean(draft)).collect(),
        Item::GroupJoined(place) => {
            let (name, word) = (clean_line(&place.name), shell_word(&place.name));
            let text = format!("you are in the group {name} now: hush group show {word}");
            notice(&text, columns, |line| paint.green(line))
        }
        Item::GroupRequest(request) => notice(&asks(request), columns, |line| paint.yellow(line)),
        Item::GroupLeft(place) => {
            let text = format!("you are not in the group {} any more", clean_line(&place.name));
            notice(&text, columns, |line| paint.yellow(line))
        }
        Item::GroupNotJoined { name, reason } => {
            let text = format!("you were not let into the group {}: {}", clean_line(name), clean_line(reason));
            notice(&text, columns, |line| paint.yellow(line))
        }
        _ => Vec::new(),
    }
}

/// Who asks, and what is known of them and of the group.
fn asks(request: &GroupRequest) -> String {
    let (name, from) = (clean_line(&request.name), clean_line(&request.from.name));
    let word = if request.name.starts_with('-') { request.id.0.to_string() } else { shell_word(&request.name) };
    let who = match (&request.from.handle, &request.from.claimed_handle) {
        (Some(handle), _) => format!("{from} ({})", clean_line(handle)),
        (None, Some(handle)) => format!("{from} (says to be {}, which nobody has checked)", clean_line(handle)),
        (None, None) => format!("{from} (gives no handle)"),
    };
    let known: Vec<String> = request.known.iter().map(|name| clean_line(name)).collect();
    let known = match known.len() {
        0 => ", none of whom you know".to_owned(),
        _ => format!(", among them, they say, {}", known.join(", ")),
    };
    let count = members(usize::try_from(request.members).unwrap_or(usize::MAX));
    let number = request.id.0;
    format!(
        "request {number}: {who} asks you into the group “{name}” ({count}{known}). `hush group accept {word}`, \
         `hush group decline {word}`, or with --block"
    )
}

fn padded(name: &str, paint: Paint) -> String {
    let name = clean_line(name);
    let padding = NAME_COLUMNS.saturating_sub(width(&name));
    format!("{}{:padding$}", paint.bold(&name), "")
}

fn conversation_line(conversation: &Conversation, paint: Paint) -> String {
    let kind = match conversation.with {
        Talk::Contact(_) => "     ",
        Talk::Group(_) => "group",
    };
    let unread = match conversation.unread {
        0 => format!("{:<10}", ""),
        unread => paint.green(&format!("{:<10}", format!("{unread} unread"))),
    };
    let mut more = Vec::new();
    if conversation.mentions > 0 {
        more.push(paint.yellow("names you"));
    }
    if let Some(until) = conversation.muted_until {
        more.push(match is_for_ever(until) {
            true => "muted".to_owned(),
            false => format!("muted until {}", moment(until)),
        });
    }
    if conversation.archived {
        more.push("archived".to_owned());
    }
    if !conversation.receipts {
        more.push("no read receipts".to_owned());
    }
    if let Some(seconds) = conversation.timer_s {
        more.push(format!("disappears after {}", span(seconds)));
    }
    if let Some(draft) = &conversation.draft {
        let draft: String = clean_line(draft).chars().take(DRAFT_CHARS).collect();
        more.push(format!("draft: {draft}"));
    }
    let (name, at) = (padded(&conversation.name, paint), moment(conversation.active_at));
    format!("{name} {kind}  {}  {unread} {}", paint.dim(&at), more.join(", ")).trim_end().to_owned()
}

/// Beyond what calendars reach nobody waits.
pub(crate) fn is_for_ever(until: hushwire_client::ids::UnixMillis) -> bool {
    i64::try_from(until.0).map_or(true, |millis| jiff::Timestamp::from_millisecond(millis).is_err())
}

fn group_line(place: &Where, group: Option<&Group>, paint: Paint) -> String {
    let what = match group {
        None => paint.yellow("asked to be let in"),
        Some(group) => {
            let standing = group_standing_word(Some(group.standing));
            let asking = match group.state.requests.len() {
                0 => String::new(),
                1 => ", 1 asks to be let in".to_owned(),
                many => format!(", {many} ask to be let in"),
            };
            let announce = if group.state.announce { ", only admins write" } else { "" };
            format!("{standing:<7} {}{announce}{asking}", members(group.state.members.len()))
        }
    };
    format!("{} {what}", padded(&place.name, paint))
}

fn members(count: usize) -> String {
    if count == 1 { "1 member".to_owned() } else { format!("{count} members") }
}

fn group_lines(place: &Where, group: &Group, us: AccountId, paint: Paint) -> Vec<String> {
    let state = &group.state;
    let name = |account: &AccountId| match group.names.get(account) {
        _ if *account == us => "you".to_owned(),
        Some(name) => clean_line(name),
        None => "not known yet".to_owned(),
    };
    let person = |account: &AccountId, what: &str| {
        let id = format!("{:.ACCOUNT_CHARS$}", account.to_string());
        format!("  {} {what:<10} {}", padded(&name(account), paint), paint.dim(&id)).trim_end().to_owned()
    };
    let timer =
        state.timer.map_or_else(|| "off".to_owned(), |seconds| format!("messages disappear after {}", span(seconds)));
    let writes = if state.announce { "owners and admins" } else { "all who are not read-only" };
    let mut lines = vec![
        field("group", &paint.bold(&clean_line(&place.name)), paint),
        field("you", &our_part(group, us), paint),
        field("writes", writes, paint),
        field("timer", &timer, paint),
        field("founded", &moment(state.founded_at), paint),
        field("members", &state.members.len().to_string(), paint),
    ];
    let mut sorted: Vec<(&AccountId, &Member)> = state.members.iter().collect();
    sorted.sort_by_key(|(account, member)| (std::cmp::Reverse(member.role), **account != us, name(account)));
    lines.extend(sorted.iter().map(|(account, member)| {
        let line = person(account, role_word(member.role));
        match group.invited.contains(account) {
            true => format!("{line}  {}", paint.yellow("invited, has not accepted")),
            false => line,
        }
    }));
    if !state.requests.is_empty() {
        lines.push(field("asking", &state.requests.len().to_string(), paint));
        lines.extend(state.requests.iter().map(|(account, request)| person(account, &moment(request.at))));
    }
    if !state.banned.is_empty() {
        lines.push(field("banned", &state.banned.len().to_string(), paint));
        lines.extend(state.banned.iter().map(|account| person(account, "")));
    }
    if !state.invites.is_empty() {
        lines.push(field("links", &state.invites.len().to_string(), paint));
        let now = now();
        lines.extend(state.invites.iter().map(|(id, invite)| invite_line(*id, invite, &name(&invite.by), now)));
    }
    lines
}

fn our_part(group: &Group, us: AccountId) -> String {
    match group.state.role(&us) {
        Some(role) => role_word(role).to_owned(),
        None => "not a member".to_owned(),
    }
}

fn now() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or_default()
}

/// `now`: in milliseconds. Who opened it may think of it as open when nobody comes in by it any more.
fn invite_line(id: InviteId, invite: &Invite, by: &str, now: u64) -> String {
    let used = match invite.uses {
        Some(uses) if invite.used >= uses => format!("used up, {} came", invite.used),
        Some(uses) => format!("{} of {uses} came", invite.used),
        None => format!("{} came", invite.used),
    };
    let until = match invite.expires_at {
        Some(at) if at.0 < now => format!(", expired {}", moment(at)),
        Some(at) => format!(", until {}", moment(at)),
        None => String::new(),
    };
    let approval = if invite.approval { ", with approval" } else { "" };
    format!("  {:.INVITE_CHARS$}  by {by}: {used}{until}{approval}", id.to_string())
}

/// One line for each thing that was done: dated in a list of changes, else beside messages.
fn change_lines(change: &GroupChange, dated: bool, paint: Paint, columns: Option<usize>) -> Vec<String> {
    let author = clean_line(&change.author);
    let one = |done: &Done| {
        let void = done.void.as_ref().map_or_else(String::new, |why| format!(", without effect: {}", clean_line(why)));
        let text = format!("{author} {}{void}", done.words);
        let painted = |line: &str| if done.void.is_some() { paint.dim(line) } else { line.to_owned() };
        match dated {
            true => vec![format!("{}  {}", paint.dim(&moment(change.at)), painted(&text))],
            false => notice(&format!("{}: {text}", clean_line(&change.place.name)), columns, painted),
        }
    };
    change.what.iter().flat_map(one).collect()
}

#[cfg(test)]
mod tests {
    use hushwire_client::group::{GroupState, Role};
    use hushwire_client::ids::{ChangeHash, GroupId, UnixMillis};
    use hushwire_client::{ConversationId, GroupStanding, LocalGroup};

    use super::*;
    use crate::show::messages::tests::message;
    use crate::text::is_unsafe;

    /// A name that somebody chose to take over a terminal.
    const NAME: &str = "te\u{1b}[2J\u{202e}am\nalice";

    fn clean_words(item: &Item<'_>) -> String {
        let lines = lines(item, Paint::new(false), None);
        assert!(lines.iter().all(|line| !line.chars().any(|c| is_unsafe(c) || c == '\n')), "{lines:?}");
        lines.join("\n")
    }

    #[test]
    fn no_name_of_a_group_or_a_member_reaches_a_terminal_as_it_was_written() {
        let (us, other) = (AccountId([1; 32]), AccountId([2; 32]));
        let keyserver = hushwire_client::address::ServerAddress::parse("hush://keys.example.org", 1).unwrap();
        let member = |role| Member { role, keyserver: keyserver.clone(), since: ChangeHash([0; 32]) };
        let state = GroupState {
            id: GroupId([0; 32]),
            name: NAME.to_owned(),
            announce: true,
            timer: Some(7200),
            members: [(us, member(Role::Member)), (other, member(Role::Owner))].into(),
            banned: [].into(),
            requests: [].into(),
            invites: [].into(),
            founded_at: UnixMillis(0),
        };
        let names = [(other, NAME.to_owned())].into();
        let id = ConversationId(1);
        let group = Group { conversation: id, standing: GroupStanding::Member, state, names, invited: vec![other] };
        let place = Where { id, name: NAME.to_owned(), with: Talk::Group(LocalGroup(1)) };
        let whole = clean_words(&Item::Group { place: &place, group: Some(&group), us, whole: true });
        let rows: Vec<&str> = whole.lines().map(str::trim_start).collect();
        assert!(rows[6].starts_with("te[2Jam alice") && rows[6].contains("owner"), "owners come first: {whole}");
        assert!(rows[7].starts_with("you"), "{whole}");
        assert!(whole.contains("disappear after 2h") && whole.contains("owners and admins"), "{whole}");
        let row = clean_words(&Item::Group { place: &place, group: Some(&group), us, whole: false });
        assert!(row.contains("2 members, only admins write"), "{row}");
        let from = hushwire_client::Contact {
            id: hushwire_client::ContactId(3),
            account: other,
            name: NAME.to_owned(),
            handle: None,
            claimed_handle: Some(NAME.to_owned()),
            standing: hushwire_client::Standing::Known,
            verified: false,
            conversation: id,
            unread: 0,
        };
        let request = GroupRequest {
            id: hushwire_client::LocalRequest(1),
            group: GroupId([0; 32]),
            name: NAME.to_owned(),
            from,
            members: 2,
            known: vec![NAME.to_owned()],
            at: UnixMillis(0),
        };
        let asks = clean_words(&Item::GroupRequest(&request));
        assert!(asks.contains("request 1: "), "by this number one of two of the same name is meant: {asks}");
        for item in [
            Item::GroupRequest(&request),
            Item::GroupJoined(&place),
            Item::GroupLeft(&place),
            Item::GroupNotJoined { name: NAME, reason: NAME },
            Item::Timer { conversation: &place, by: None, seconds: None },
            Item::Group { place: &place, group: None, us, whole: true },
        ] {
            assert!(clean_words(&item).contains("te[2Jam alice"));
        }
    }

    #[test]
    fn a_link_by_which_nobody_comes_in_any_more_is_told_as_such() {
        let (by, opened) = (AccountId([1; 32]), ChangeHash([0; 32]));
        let link = |uses, used, expires_at| Invite { by, opened, approval: false, expires_at, uses, used };
        let line = |invite: Invite| invite_line(InviteId([0xab; 16]), &invite, "you", 5);
        assert_eq!(line(link(None, 2, None)), "  abababab  by you: 2 came");
        assert_eq!(
            line(link(Some(3), 2, Some(UnixMillis(5)))),
            "  abababab  by you: 2 of 3 came, until 1970-01-01 00:00"
        );
        assert_eq!(line(link(Some(2), 2, None)), "  abababab  by you: used up, 2 came");
        assert!(line(link(None, 0, Some(UnixMillis(4)))).ends_with("0 came, expired 1970-01-01 00:00"));
    }

    #[test]
    fn a_row_of_the_list_says_all_that_is_particular_about_a_conversation() {
        let conversation = Conversation {
            id: ConversationId(1),
            with: Talk::Group(LocalGroup(1)),
            name: NAME.to_owned(),
            active_at: UnixMillis(0),
            muted_until: Some(UnixMillis(i64::MAX as u64)),
            archived: true,
            draft: Some(NAME.to_owned()),
            receipts: false,
            timer_s: Some(604_800),
            unread: 3,
            first_unread: None,
            mentions: 0,
        };
        let row = clean_words(&Item::Conversation { conversation: &conversation, last: None });
        let particular = "3 unread   muted, archived, no read receipts, disappears after 1w, draft: te[2Jam alice";
        assert!(row.ends_with(particular), "{row}");
        let last = message("at nine\nor ten", false);
        let lines =
            lines(&Item::Conversation { conversation: &conversation, last: Some(&last) }, Paint::new(false), None);
        assert_eq!(lines.last().map(String::as_str), Some("    bob: at nine or ten"));
    }
}
