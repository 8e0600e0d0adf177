//! Each thing shown, as lines for people. Whatever others could have written goes through `text::clean`.

use hushwire_client::ids::UnixMillis;
use hushwire_client::{Auditor, Contact, Finding, Membership, Profile, Seen, Standing, Talk, Verdict, Waiting};
use jiff::{Timestamp, tz::TimeZone};

use super::{Item, Named, Paint, Where, devices, groups, journey, messages};
use crate::text::{clean_line, fold, shell_word, width, wrap};

/// A column that is no wider than this keeps the next ones on the screen.
pub(super) const NAME_COLUMNS: usize = 20;

/// Verdict and name before a finding.
const FINDING_COLUMNS: usize = 17;

/// The item as lines without line ends, none of them wider than the terminal as far as they have spaces; none at all when there
/// is nothing to say.
pub(crate) fn lines(item: &Item<'_>, paint: Paint, columns: Option<usize>) -> Vec<String> {
    let lines = whole_lines(item, paint, columns);
    match columns {
        // A draft is what somebody wrote, and stays so.
        Some(columns) if !matches!(item, Item::Draft { .. }) => {
            lines.iter().flat_map(|line| fold(line, columns)).collect()
        }
        Some(_) | None => lines,
    }
}

fn whole_lines(item: &Item<'_>, paint: Paint, columns: Option<usize>) -> Vec<String> {
    match item {
        Item::Registered { profile, .. } | Item::Account { profile, .. } => {
            let mut lines = profile_lines(profile, paint);
            if let Item::Account { link, .. } = item {
                lines.push(field("link", link, paint));
            }
            lines
        }
        Item::Link { link } => vec![(*link).to_owned()],
        Item::Contact(contact) => vec![contact_line(contact, paint)],
        Item::Request(contact) => notice(&request(contact), columns, |line| paint.yellow(line)),
        Item::Message(_)
        | Item::Found(_)
        | Item::MessageChanged { .. }
        | Item::Reaction { .. }
        | Item::Edit { .. }
        | Item::HeardBy { .. }
        | Item::LackedBy { .. }
        | Item::State { .. }
        | Item::Disappeared { .. }
        | Item::ConversationDeleted(_) => messages::item_lines(item, paint, columns),
        Item::Journey { journey, place, heard, people, whole } => {
            journey::lines(journey, place, *heard, people, *whole, paint)
        }
        Item::Conversation { .. }
        | Item::Timer { .. }
        | Item::Draft { .. }
        | Item::Group { .. }
        | Item::GroupLink { .. }
        | Item::GroupChange { .. }
        | Item::GroupRequest(_)
        | Item::GroupJoined(_)
        | Item::GroupLeft(_)
        | Item::GroupNotJoined { .. } => groups::lines(item, paint, columns),
        Item::Gap { conversation, contact, missing, first, before: _, came } => {
            notice(&gap(conversation, contact, (*missing, *first), *came), columns, |line| paint.yellow(line))
        }
        Item::Expired => {
            let text = "some messages waited at the relay for too long and were deleted there: ask for them again";
            notice(text, columns, |line| paint.yellow(line))
        }
        Item::Typing { conversation: _, contact, on } => {
            let what = if *on { "types" } else { "types no more" };
            notice(&format!("{} {what}", clean_line(&contact.name)), columns, |line| paint.dim(line))
        }
        // The sentence beside it says it.
        Item::Shares { .. } => Vec::new(),
        Item::Presence { contact, seen } => {
            let seen = match seen {
                Seen::Now => "is there now",
                Seen::Today => "was there today",
                Seen::ThisWeek => "was there this week",
                Seen::Hidden => "has a device online, and does not say when somebody was there",
            };
            notice(&format!("{} {seen}", clean_line(&contact.name)), columns, |line| paint.dim(line))
        }
        Item::Undecryptable { code: _, reason, asked_again } => {
            let then = if *asked_again { "its author was asked to say it anew" } else { "it was thrown away" };
            let text = format!("something arrived that could not be opened ({}); {then}", clean_line(reason));
            notice(&text, columns, |line| paint.dim(line))
        }
        Item::KeyserverLies { keyserver, lie } => {
            let text = format!(
                "the keyserver {} cannot be trusted now: {}. What does not hold was not taken. Ask its operator, and \
                 compare safety numbers with whom you write to",
                clean_line(keyserver),
                clean_line(&lie.to_string())
            );
            notice(&text, columns, |line| paint.red(line))
        }
        Item::IdentityChanged { contact } => {
            let name = clean_line(&contact.name);
            let text = format!(
                "the keys of {name} changed in a way that does not follow from the ones known, and are held back: \
                 ask {name} in person"
            );
            notice(&text, columns, |line| paint.red(line))
        }
        Item::Device(_)
        | Item::DeviceRequest { .. }
        | Item::Devices { .. }
        | Item::DevicesNotChanged { .. }
        | Item::DevicesForked
        | Item::Identity(_)
        | Item::DefaultPolicy(_)
        | Item::Revoked
        | Item::RecoveryWords { .. }
        | Item::Log(_) => devices::lines(item, paint, columns),
        Item::Retrying { contact, reason, next_try } => {
            let (name, reason) = (clean_line(&contact.name), clean_line(reason));
            let text = format!("not sent to {name} yet: {reason}; next try at {}", clock(*next_try));
            notice(&text, columns, |line| paint.dim(line))
        }
        Item::Waiting(waiting) => waiting_lines(waiting, paint),
        Item::SafetyNumber { contact, digits } => safety_lines(contact, digits, paint),
        Item::Auditor(auditor) => auditor_lines(auditor, paint),
        Item::Finding(finding) => finding_lines(finding, paint, columns),
    }
}

pub(super) fn field(name: &str, value: &str, paint: Paint) -> String {
    format!("{} {value}", paint.dim(&format!("{name:<10}")))
}

fn auditor_lines(auditor: &Auditor, paint: Paint) -> Vec<String> {
    let mut lines = vec![paint.bold(&auditor.address.to_string())];
    if auditor.keyservers.is_empty() {
        lines.push(format!("  {}", paint.dim("not asked yet")));
    }
    for said in &auditor.keyservers {
        let keyserver = clean_line(&said.keyserver.to_string());
        let agreed = match said.agreed {
            Some((at, epoch)) => format!("has seen the same log as we, to epoch {epoch}, at {}", moment(at)),
            None => "has not been compared with what we see".to_owned(),
        };
        let line = format!("  {keyserver}  {agreed}");
        lines.push(if said.trouble.is_none() { paint.green(&line) } else { line });
        if let Some(trouble) = &said.trouble {
            let text = format!("    the last time, at {}: {}", moment(said.asked_at), clean_line(trouble));
            lines.push(paint.yellow(&text));
        }
    }
    lines
}

fn profile_lines(profile: &Profile, paint: Paint) -> Vec<String> {
    let handle = profile.handle.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string);
    let registered = if profile.registered { "" } else { "  (not registered there yet)" };
    let membership = match profile.membership {
        Membership::Listed => String::new(),
        Membership::Waiting => paint.yellow("  (waits to be added: hush device request)"),
        Membership::Revoked => paint.red("  (not one of the account any more)"),
    };
    let mut lines = vec![
        field("handle", &paint.bold(&handle), paint),
        field("account", &profile.account.to_string(), paint),
        field("device", &format!("{}{membership}", profile.device), paint),
        field("keyserver", &format!("{}{registered}", profile.keyserver), paint),
        field("relay", &profile.relay.to_string(), paint),
    ];
    if let Some(left) = profile.prekeys_left {
        lines.push(field("prekeys", &format!("{left} left at the keyserver"), paint));
    }
    lines
}

fn contact_line(contact: &Contact, paint: Paint) -> String {
    let name = clean_line(&contact.name);
    let (name, padding) = (paint.bold(&name), NAME_COLUMNS.saturating_sub(width(&name)));
    let standing = match (contact.standing, contact.verified) {
        (Standing::Request, _) => paint.yellow("request   "),
        (Standing::Blocked, _) => paint.red("blocked   "),
        (Standing::Accepted, true) => paint.green("verified  "),
        (Standing::Accepted, false) => paint.dim("unverified"),
        (Standing::Known, _) => paint.dim("from a group"),
    };
    let unread = if contact.unread > 0 { format!("{} unread", contact.unread) } else { String::new() };
    let who = match (&contact.handle, &contact.claimed_handle) {
        (Some(handle), _) => clean_line(handle),
        (None, Some(claimed)) => format!("says to be {}", clean_line(claimed)),
        (None, None) => format!("{:.16}…", contact.account.to_string()),
    };
    format!("{name}{:padding$} {standing}  {unread:<10} {who}", "").trim_end().to_owned()
}

/// What happened beside messages: begins with `--`, and each line fits.
pub(super) fn notice(text: &str, columns: Option<usize>, paint: impl Fn(&str) -> String) -> Vec<String> {
    let lines = wrap(text, columns.unwrap_or(usize::MAX).saturating_sub(4));
    let start = |number: usize| if number == 0 { "-- " } else { "   " };
    lines.iter().enumerate().map(|(number, line)| paint(&format!("{}{line}", start(number)))).collect()
}

/// What did not come, before what just came or stands behind it.
fn gap(conversation: &Where, contact: &Named, (missing, first): (u64, bool), came: bool) -> String {
    let name = clean_line(&contact.name);
    let place = match (came, conversation.with) {
        (true, Talk::Group(_)) => format!(" in {}", clean_line(&conversation.name)),
        _ => String::new(),
    };
    let what = match missing {
        0 => return format!("what is here of {name}{place} is not what they say they wrote before this"),
        1 => "1 message".to_owned(),
        many => format!("{many} messages"),
    };
    if first {
        let first = if missing == 1 { "the first message" } else { &format!("the first {what}") };
        return format!(
            "{first} from {name}{place} did not arrive here: lost, withheld by a server, or older than this device"
        );
    }
    match came {
        true => format!("{what} from {name}{place} before the next one did not arrive: lost, or withheld by a server"),
        false => format!("{what} from {name} did not arrive here: lost, or withheld by a server"),
    }
}

fn request(contact: &Contact) -> String {
    let (name, word) = (clean_line(&contact.name), shell_word(&contact.name));
    let claimed = match &contact.claimed_handle {
        Some(handle) => format!("says to be {}, which nobody has checked", clean_line(handle)),
        None => "gives no handle".to_owned(),
    };
    format!(
        "{name} writes for the first time and {claimed}. `hush contact accept {word}` or `hush contact block {word}`"
    )
}

fn waiting_lines(waiting: &Waiting, paint: Paint) -> Vec<String> {
    let name = clean_line(&waiting.conversation_name);
    let tries = match waiting.attempts {
        0 => "not tried yet".to_owned(),
        1 => "tried once".to_owned(),
        many => format!("tried {many} times"),
    };
    let next = waiting.next_try.map_or_else(String::new, |at| format!(", next try at {}", clock(at)));
    let mut lines = vec![format!(
        "message #{} to {} since {}: {tries}{next}",
        waiting.id.0,
        paint.bold(&name),
        moment(waiting.since)
    )];
    if let Some(reason) = &waiting.reason {
        lines.push(format!("    {}", clean_line(reason)));
    }
    lines
}

/// 12 groups of 5 in 3 rows, as they are read out.
fn safety_lines(contact: &Contact, digits: &str, paint: Paint) -> Vec<String> {
    let digits: Vec<char> = digits.chars().filter(char::is_ascii_digit).collect();
    let groups: Vec<String> = digits.chunks(5).map(|group| group.iter().collect()).collect();
    let name = clean_line(&contact.name);
    let now = if contact.verified { paint.green("verified") } else { paint.yellow("not verified") };
    let mut lines = vec![format!("Safety number with {} ({now}):", paint.bold(&name)), String::new()];
    lines.extend(groups.chunks(4).map(|row| format!("    {}", paint.bold(&row.join(" ")))));
    lines
}

fn finding_lines(finding: &Finding, paint: Paint, columns: Option<usize>) -> Vec<String> {
    let verdict = match finding.verdict {
        Verdict::Ok => paint.green("ok  "),
        Verdict::Warn => paint.yellow("look"),
        Verdict::Fail => paint.red("FAIL"),
    };
    let head = format!("{verdict}  {:<10} ", finding.name);
    let body = columns.unwrap_or(usize::MAX).saturating_sub(FINDING_COLUMNS);
    let mut lines = wrap(&clean_line(&finding.detail), body);
    if let Some(advice) = &finding.advice {
        lines.extend(wrap(&clean_line(advice), body).iter().map(|line| paint.bold(line)));
    }
    let start = |number: usize| if number == 0 { head.clone() } else { " ".repeat(FINDING_COLUMNS) };
    lines.iter().enumerate().map(|(number, line)| format!("{}{line}", start(number))).collect()
}

/// Date and time here.
pub(super) fn moment(at: UnixMillis) -> String {
    local(at, "%Y-%m-%d %H:%M")
}

/// The time here; for what lies a few hours away.
pub(crate) fn clock(at: UnixMillis) -> String {
    local(at, "%H:%M:%S")
}

pub(super) fn local(at: UnixMillis, format: &str) -> String {
    let timestamp = i64::try_from(at.0).ok().and_then(|millis| Timestamp::from_millisecond(millis).ok());
    timestamp.map_or_else(
        || "at no known time".to_owned(),
        |at| at.to_zoned(TimeZone::system()).strftime(format).to_string(),
    )
}

#[cfg(test)]
mod tests {
    use hushwire_client::{Alarm, BadProof, BadRoot, Lie};

    use super::*;

    #[test]
    fn each_thing_that_a_keyserver_may_not_do_has_its_sentence() {
        let auditor = || "hush://audit.example.org:4433".to_owned();
        let sentences = [
            (
                Lie::Root(Alarm::Unsigned(BadRoot::Signature)),
                "unsigned_root",
                "the signature over the root of the log is wrong",
            ),
            (Lie::Root(Alarm::SetBack { seen: 9, told: 4 }), "set_back", "at epoch 9 and is now said to be at 4"),
            (Lie::Root(Alarm::TwoRoots { epoch: 9 }), "two_roots", "signed two different logs for epoch 9"),
            (Lie::Root(Alarm::OtherLog), "other_log", "began another log"),
            (Lie::Root(Alarm::HeldBack { epoch: 9 }), "held_back", "when epoch 9 of it was there already"),
            (Lie::Root(Alarm::Stale { hours: 30 }), "stale_root", "is 30 hours old"),
            (Lie::Root(Alarm::Ahead { hours: 30 }), "future_root", "dated 30 hours ahead"),
            (Lie::SplitView { auditor: auditor(), epoch: 9 }, "split_view", "different things to different people"),
            (
                Lie::Unwitnessed { auditor: auditor(), hours: 30 },
                "unwitnessed",
                "has not confirmed its log for 30 hours",
            ),
            (Lie::NoProof, "no_proof", "without the proof that its log says so"),
            (Lie::BadProof(BadProof::Encoding), "bad_proof", "its proof does not hold"),
            (Lie::NotItsLog, "not_its_log", "its log says something else of this handle"),
            (Lie::OurHandleMissing, "our_handle_missing", "its log does not have our handle"),
            (Lie::OurListReplaced, "our_list_replaced", "is not our device list: somebody changed it"),
            (Lie::OurListForged, "our_list_forged", "that no device of ours has signed"),
            (Lie::OurListInvalid, "our_list_invalid", "that does not verify"),
            (Lie::OurListOlder, "our_list_older", "an older list of our devices"),
        ];
        for (lie, kind, sentence) in sentences {
            let item = Item::KeyserverLies { keyserver: "hush://keys.example.org:4432", lie: &lie };
            let [line] = lines(&item, Paint::new(false), None).try_into().unwrap();
            assert!(
                line.starts_with("-- the keyserver hush://keys.example.org:4432 cannot be trusted now: "),
                "{line}"
            );
            assert!(line.contains(sentence) && line.ends_with("safety numbers with whom you write to"), "{line}");
            assert_eq!(lie.kind(), kind);
        }
    }

    #[test]
    fn what_is_missing_is_said_with_whose_it_is_and_where() {
        let contact = Named { id: hushwire_client::ContactId(2), name: "b\u{1b}ob".to_owned() };
        let team = Talk::Group(hushwire_client::LocalGroup(1));
        let place = Where { id: hushwire_client::ConversationId(1), name: "team".to_owned(), with: team };
        let said = |missing, first, came| gap(&place, &contact, (missing, first), came);
        let cases = [
            ((2, false, false), "2 messages from bob did not arrive here: lost, or withheld by a server"),
            (
                (1, false, true),
                "1 message from bob in team before the next one did not arrive: lost, or withheld by a server",
            ),
            (
                (1, true, false),
                "the first message from bob did not arrive here: lost, withheld by a server, or older than this device",
            ),
            ((0, false, true), "what is here of bob in team is not what they say they wrote before this"),
        ];
        for ((missing, first, came), sentence) in cases {
            assert_eq!(said(missing, first, came), sentence);
        }
    }

    #[test]
    fn a_time_beyond_the_calendar_is_no_panic() {
        assert_eq!(moment(UnixMillis(u64::MAX)), "at no known time");
    }
}
