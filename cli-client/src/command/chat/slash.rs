//! What is typed behind a `/` in a chat. Which message is meant by no number is for whoever carries it out.

use std::time::Duration;

use hushwire_client::LocalId;

use crate::args;

/// All of them, for `/help`.
pub(super) const HELP: &str = "\
-- #12 is the number of a message, as it stands behind it; without one the last is meant, of your own or of theirs.
-- /reply [#12] TEXT     answers it
-- /edit [#12] TEXT      changes what a message of yours says, for all
-- /delete [#12] [here]  takes a message of yours back for all; here: deletes any on this device only
-- /react [#12] 👍|none  says what you feel about it
-- /pin [#12], /unpin [#12], /pinned
-- /forward [#12] NAME   sends what it says to somebody else
-- /timer TIME|off       what is written from now on disappears: 30s, 1h, 7d
-- /typing on|off        whether each sees when the other types
-- /presence on|off      whether each sees if the other is there
-- /who                  who is in the conversation
-- /quit, or Ctrl-D      ends; // at the beginning sends a line that begins with /";

/// A command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Slash {
    Quit,
    Help,
    Who,
    Pinned,
    Reply(Option<LocalId>, String),
    Edit(Option<LocalId>, String),
    Delete { which: Option<LocalId>, here: bool },
    React(Option<LocalId>, Option<String>),
    Pin(Option<LocalId>, bool),
    Forward(Option<LocalId>, String),
    Timer(Option<Duration>),
    Typing(bool),
    Presence(bool),
}

/// The command, or what is wrong with it.
pub(super) fn parse(line: &str) -> Result<Slash, String> {
    let line = line.trim();
    let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let rest = rest.trim();
    let (which, about) = numbered(rest)?;
    let said = |what: fn(Option<LocalId>, String) -> Slash, usage: &str| match about {
        "" => Err(format!("type it so: {usage}")),
        about => Ok(what(which, about.to_owned())),
    };
    let alone = |slash: Slash| match rest {
        "" => Ok(slash),
        _ => Err(format!("{name} takes nothing more")),
    };
    let of_one = |slash: Slash| match about {
        "" => Ok(slash),
        _ => Err(format!("{name} takes a number such as #12, and nothing more")),
    };
    match name {
        "/quit" | "/q" | "/exit" => alone(Slash::Quit),
        "/help" | "/h" | "/?" => Ok(Slash::Help),
        "/who" | "/members" => alone(Slash::Who),
        "/pinned" | "/pins" => alone(Slash::Pinned),
        "/reply" | "/r" => said(Slash::Reply, "/reply [#12] TEXT"),
        "/edit" | "/e" => said(Slash::Edit, "/edit [#12] TEXT"),
        "/forward" => said(Slash::Forward, "/forward [#12] NAME"),
        "/react" if matches!(about, "none" | "off") => Ok(Slash::React(which, None)),
        "/react" => said(|which, emoji| Slash::React(which, Some(emoji)), "/react [#12] 👍, or none"),
        "/delete" | "/del" | "/unsend" => match about {
            "" => Ok(Slash::Delete { which, here: false }),
            "here" => Ok(Slash::Delete { which, here: true }),
            _ => Err("type it so: /delete [#12] [here]".to_owned()),
        },
        "/pin" => of_one(Slash::Pin(which, true)),
        "/unpin" => of_one(Slash::Pin(which, false)),
        "/timer" => match args::time_or_off(rest) {
            Ok(args::Lasts::For(time)) => Ok(Slash::Timer(Some(time))),
            Ok(args::Lasts::Off | args::Lasts::Forever) => Ok(Slash::Timer(None)),
            Err(_) => Err("type it so: /timer 30s, 1h, 7d or off".to_owned()),
        },
        "/typing" => args::switch(rest).map(Slash::Typing).map_err(|_| "type it so: /typing on, or off".to_owned()),
        "/presence" => {
            args::switch(rest).map(Slash::Presence).map_err(|_| "type it so: /presence on, or off".to_owned())
        }
        _ => Err("no such command: /help shows all; begin with // to send a line that starts with /".to_owned()),
    }
}

/// A number at the beginning, and what follows. `#` alone makes it one: a text may begin with digits.
fn numbered(rest: &str) -> Result<(Option<LocalId>, &str), String> {
    let Some(marked) = rest.strip_prefix('#') else { return Ok((None, rest)) };
    let (number, about) = marked.split_once(char::is_whitespace).unwrap_or((marked, ""));
    match number.parse() {
        Ok(number) if number > 0 => Ok((Some(LocalId(number)), about.trim())),
        // A text that begins with a word of that kind.
        Err(_) if !number.starts_with(|c: char| c.is_ascii_digit()) => Ok((None, rest)),
        Ok(_) | Err(_) => Err("the number of a message is # and digits, as it stands behind it: #12".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_is_what_is_meant() {
        let twelve = Some(LocalId(12));
        for (typed, meant) in [
            ("/quit", Slash::Quit),
            ("  /help  ", Slash::Help),
            ("/reply #12 yes, at nine", Slash::Reply(twelve, "yes, at nine".to_owned())),
            ("/reply 12 of us", Slash::Reply(None, "12 of us".to_owned())),
            ("/reply #dinner is on", Slash::Reply(None, "#dinner is on".to_owned())),
            ("/edit at nine", Slash::Edit(None, "at nine".to_owned())),
            ("/react 👍", Slash::React(None, Some("👍".to_owned()))),
            ("/react #12 none", Slash::React(twelve, None)),
            ("/delete", Slash::Delete { which: None, here: false }),
            ("/delete #12 here", Slash::Delete { which: twelve, here: true }),
            ("/unpin #12", Slash::Pin(twelve, false)),
            ("/pin", Slash::Pin(None, true)),
            ("/forward #12 carol", Slash::Forward(twelve, "carol".to_owned())),
            ("/timer 1h", Slash::Timer(Some(Duration::from_secs(3600)))),
            ("/timer off", Slash::Timer(None)),
            ("/typing off", Slash::Typing(false)),
            ("/presence on", Slash::Presence(true)),
        ] {
            assert_eq!(parse(typed), Ok(meant), "{typed}");
        }
    }

    #[test]
    fn what_is_not_understood_is_said_with_what_would_be() {
        for (typed, said) in [
            ("/edit", "/edit [#12] TEXT"),
            ("/edit #12", "/edit [#12] TEXT"),
            ("/reply #0 yes", "#12"),
            ("/reply #99999999999999999999 yes", "#12"),
            ("/delete everything", "/delete [#12] [here]"),
            ("/pin it", "#12"),
            ("/timer soon", "30s"),
            ("/timer", "30s"),
            ("/typing", "on, or off"),
            ("/quit now", "nothing more"),
            ("/dance", "/help"),
            ("/", "/help"),
        ] {
            let error = parse(typed).err().unwrap_or_default();
            assert!(error.contains(said), "{typed}: {error}");
        }
    }
}
