//! The help of the whole program: every command under what people do with it.

use clap::builder::{StyledStr, Styles};
use clap::{Command, CommandFactory as _, FromArgMatches as _};

use super::{Cli, Global};

/// What people do, and the commands for it, in the order in which they are shown.
const SECTIONS: [(&str, &[&str]); 7] = [
    ("Talk", &["send", "receive", "chat", "list", "history", "search", "message"]),
    ("A conversation", &["timer", "mute", "archive", "delete", "draft", "receipts", "typing", "presence"]),
    ("Groups", &["group"]),
    ("People", &["contact", "link", "verify", "identity", "auditor"]),
    ("This account", &["register", "whoami", "passphrase", "recover", "recovery"]),
    ("Devices", &["device"]),
    ("The machine", &["outbox", "doctor", "completions", "man", "version", "help"]),
];

/// Between the longest name and what it does.
const GAP: usize = 2;

/// What was typed.
///
/// # Errors
/// A slip, or that help or the version was asked for.
pub(crate) fn parsed() -> Result<Cli, clap::Error> {
    let mut program = program();
    Cli::from_arg_matches(&program.try_get_matches_from_mut(std::env::args_os())?)
        .map_err(|error| error.format(&mut program))
}

/// What was typed, as far as it is understood: the options that every command takes, and the words that name the command.
pub(crate) fn parsed_in_part() -> (Option<Global>, Vec<String>) {
    let Ok(matches) = program().ignore_errors(true).try_get_matches_from(std::env::args_os()) else {
        return (None, Vec::new());
    };
    let (mut words, mut of) = (Vec::new(), &matches);
    while let Some((name, next)) = of.subcommand() {
        words.push(name.to_owned());
        of = next;
    }
    (Global::from_arg_matches(of).ok(), words)
}

/// The definition of the program, as help, completions and the manual page have it.
pub(crate) fn program() -> Command {
    let mut program = Cli::command();
    // Adds `help`, which has its line as well.
    program.build();
    let sections = sections(&program);
    Cli::command().help_template(format!(
        "{{before-help}}{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{sections}{}\n{{options}}{{after-help}}",
        heading("Options for every command")
    ))
}

/// As clap shows the headings of its own.
fn heading(title: &str) -> String {
    let style = *Styles::default().get_header();
    format!("{style}{title}:{style:#}")
}

fn sections(program: &Command) -> String {
    let columns = program.get_subcommands().map(|command| command.get_name().len()).max().unwrap_or(0) + GAP;
    let mut text = String::new();
    for (title, names) in SECTIONS {
        text.push_str(&format!("{}\n", heading(title)));
        for name in names {
            let about = program.find_subcommand(name).and_then(Command::get_about);
            let about = about.map(StyledStr::to_string).unwrap_or_default();
            text.push_str(&format!("  {name:columns$}{about}\n"));
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn every_command_stands_in_exactly_one_section_of_the_help() {
        let mut listed: BTreeMap<&str, usize> = BTreeMap::new();
        for name in SECTIONS.iter().flat_map(|(_, names)| *names) {
            *listed.entry(name).or_default() += 1;
        }
        let mut program = Cli::command();
        program.build();
        let there: BTreeMap<&str, usize> = program.get_subcommands().map(|command| (command.get_name(), 1)).collect();
        assert_eq!(listed, there);
    }
}
