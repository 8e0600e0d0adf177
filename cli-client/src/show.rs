//! Everything that `hush` prints. What was asked for goes to stdout: lines for people, or one JSON object per line. All
//! else (notes, warnings, questions, errors) goes to stderr.
//!
//! Owns the choice between the two, colours and line breaks. What is printed is an [`Item`]; `human` and `json` say how.

mod changes;
mod devices;
mod groups;
mod human;
mod identity;
mod item;
mod journey;
mod json;
mod messages;
mod paint;
mod progress;
mod qr;
mod words;

use std::io::{self, IsTerminal as _, Write as _};

use serde_json::json;

pub(crate) use changes::{accounts_of, done};
pub(crate) use human::lines;
pub(crate) use identity::agree;
pub(crate) use item::{GroupChange, Heard, Item, Named, Shown, Where};
pub(crate) use messages::{chat_lines, chat_mark};
pub(crate) use paint::{Paint, is_dumb};
pub(crate) use progress::Progress;

use crate::args::Global;
use crate::exit::Failure;
use crate::text;

/// Lines are not made longer than this for reading, however wide the terminal is.
const COLUMNS_MAX: usize = 120;

/// A recovery word with its number, and spaces around.
const SECRET_WORD_COLUMNS: usize = 17;

/// Where output goes and how it looks.
#[derive(Clone, Debug)]
pub(crate) struct Out {
    json: bool,
    quiet: bool,
    account: String,
    paint: Paint,
    paint_errors: Paint,
    /// Columns to break lines at; `None`: do not, a program reads this.
    columns: Option<usize>,
    columns_errors: Option<usize>,
}

impl Out {
    /// As the options and the environment say.
    pub(crate) fn new(global: &Global) -> Self {
        let colour = |terminal: bool| Paint::new(!global.no_color && paint::wanted(terminal));
        let terminal = io::stdout().is_terminal();
        Self {
            json: global.json,
            quiet: global.quiet,
            account: global.account.clone(),
            paint: colour(terminal),
            paint_errors: colour(io::stderr().is_terminal()),
            columns: terminal.then(columns),
            columns_errors: io::stderr().is_terminal().then(columns),
        }
    }

    /// Whether a program reads stdout.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Whether lines on stderr may be coloured.
    pub(crate) fn stderr_has_colours(&self) -> bool {
        self.paint_errors.is_on()
    }

    /// How lines on stdout are coloured.
    pub(crate) fn paint(&self) -> Paint {
        self.paint
    }

    /// One thing that was asked for.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn item(&self, item: &Item<'_>) -> Result<(), Failure> {
        if self.json {
            return self.raw(&json::line(item, &self.account));
        }
        let lines = lines(item, self.paint, self.columns);
        if lines.is_empty() { Ok(()) } else { self.raw(&lines.join("\n")) }
    }

    /// Lines for people that have no place in JSON.
    ///
    /// # Errors
    /// When they cannot be written.
    pub(crate) fn human(&self, lines: &str) -> Result<(), Failure> {
        if self.json { Ok(()) } else { self.raw(lines) }
    }

    /// Text that is the result itself: a script, a manual page.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn raw(&self, text: &str) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        if !text.ends_with('\n') {
            out.write_all(b"\n")?;
        }
        Ok(out.flush()?)
    }

    /// Text for a terminal as it is: prompts and cursor movement.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn terminal(&self, text: &str) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        Ok(out.flush()?)
    }

    /// A QR code, if people read stdout. `None` when it does not fit a code or the terminal.
    pub(crate) fn qr(&self, content: &[u8]) -> Option<String> {
        if self.json {
            return None;
        }
        qr::code(content, self.paint, self.columns)
    }

    /// A bar for what takes long, if somebody looks.
    pub(crate) fn progress(&self) -> Progress {
        Progress::new(!self.json && !self.quiet && self.columns_errors.is_some())
    }

    /// A sentence beside the result. Not with `-q`.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet {
            // What stands among messages is set apart from them, and so is what follows of it.
            let then = if text.starts_with("-- ") || text.starts_with("   ") { "   " } else { "" };
            self.to_stderr(&self.broken(text, "", then));
        }
    }

    /// A sentence that must be seen.
    pub(crate) fn warn(&self, text: &str) {
        let broken = self.broken(text, "warning: ", "         ");
        self.to_stderr(&broken.replacen("warning:", &self.paint_errors.yellow("warning:"), 1));
    }

    /// A sentence beside secret words: shown with `-q` too.
    pub(crate) fn secret(&self, text: &str) {
        self.to_stderr(&self.broken(text, "", ""));
    }

    /// Words that are shown once and not kept, in columns that are read downwards.
    pub(crate) fn secret_words(&self, words: &str) {
        self.to_stderr(&in_columns(words, self.columns_errors.unwrap_or(COLUMNS_MAX)));
    }

    /// Why it did not work and what to do. With `--json` one JSON object, on stderr too.
    pub(crate) fn failure(&self, failure: &Failure) {
        if self.json {
            let line = json::error(failure, &self.account);
            return self.to_stderr(&json::escaped(&line));
        }
        let message = self.broken(&text::clean(&failure.message), "hush: ", "      ");
        self.to_stderr(&message.replacen("hush:", &self.paint_errors.red("hush:"), 1));
        if let Some(hint) = &failure.hint {
            self.to_stderr(&self.broken(&text::clean(hint), "      ", "      "));
        }
    }

    /// Lines that fit the terminal of stderr, if it is one: the first after `first`, the others after `then`.
    fn broken(&self, text: &str, first: &str, then: &str) -> String {
        let columns = self.columns_errors.unwrap_or(usize::MAX);
        let lines = text::wrap(text, columns.saturating_sub(text::width(first).max(text::width(then))));
        let start = |number: usize| if number == 0 { first } else { then };
        lines.iter().enumerate().map(|(number, line)| format!("{}{line}\n", start(number))).collect()
    }

    /// Nobody to tell when stderr is closed.
    fn to_stderr(&self, text: &str) {
        let mut err = io::stderr().lock();
        let _ = err.write_all(text.trim_end_matches('\n').as_bytes()).and_then(|()| err.write_all(b"\n"));
    }
}

/// The version, in both forms.
pub(crate) fn version(out: &Out) -> Result<(), Failure> {
    let version = env!("CARGO_PKG_VERSION");
    if out.is_json() {
        return out.raw(&json::escaped(&json!({"v": json::V, "type": "version", "version": version})));
    }
    out.raw(&format!("hush {version}"))
}

/// Numbered words, as many beside each other as there is room for, at most four.
fn in_columns(words: &str, columns: usize) -> String {
    let words: Vec<&str> = words.split_whitespace().collect();
    let rows = words.len().div_ceil((columns / SECRET_WORD_COLUMNS).clamp(1, 4));
    let mut text = String::new();
    for row in 0..rows {
        for (column, word) in words.iter().skip(row).step_by(rows.max(1)).enumerate() {
            let number = row + column * rows + 1;
            text.push_str(&format!("  {number:>2} {word:<12}"));
        }
        text = text.trim_end().to_owned();
        text.push('\n');
    }
    text
}

fn columns() -> usize {
    terminal_size::terminal_size().map_or(80, |(width, _)| usize::from(width.0)).clamp(20, COLUMNS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_in_as_many_columns_as_fit_and_are_read_downwards() {
        let words = "one two three four five six seven eight";
        assert_eq!(in_columns(words, 80).lines().count(), 2);
        assert_eq!(in_columns(words, 60), in_columns(words, 51));
        assert_eq!(in_columns(words, 60).lines().next(), Some("   1 one            4 four           7 seven"));
        assert_eq!(in_columns(words, 20).lines().count(), 8);
        assert!(in_columns(words, 60).lines().all(|line| line.len() <= 60));
    }
}
