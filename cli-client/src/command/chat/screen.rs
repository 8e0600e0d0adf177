//! The screen of a chat. Where the terminal can move its cursor and hands over each key: the line that is being typed stands
//! below everything, with who types beside it, what comes in is inserted above, and the marks of our messages change in
//! place. Elsewhere every change is a line of its own.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _};

use hushwire_client::{ContactId, LocalId, Message, State};
use terminal_size::terminal_size;

use super::line::Line;

use crate::exit::Failure;
use crate::show::{self, Heard, Item, Out, Shown};
use crate::text;

const PROMPT: &str = "> ";

/// Names of those who type that stand before the line. More are counted.
const TYPING_SHOWN_MAX: usize = 2;

/// Cells before the mark: `14:02 `.
const MARK_COLUMN: usize = 6;

/// Where a conversation is drawn.
pub(super) struct Screen<'a> {
    out: &'a Out,
    live: Option<Live>,
}

/// What is known about a terminal that moves its cursor.
struct Live {
    columns: usize,
    height: usize,
    /// The row of the prompt, counted from the first row of the chat.
    row: usize,
    /// The row of each message of ours that still has somewhere to go.
    marks: BTreeMap<LocalId, usize>,
    prompted: bool,
    /// Who types, by name.
    typing: BTreeMap<ContactId, String>,
    /// What of the line that is being typed stands there, and the cells before its cursor.
    line: (String, usize),
}

/// Whether a chat can be drawn here, if each key is handed over.
pub(super) fn is_live(out: &Out) -> bool {
    let terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
    terminal && !show::is_dumb() && !out.is_json() && terminal_size().is_some()
}

impl<'a> Screen<'a> {
    /// Looks at the terminal; draws nothing.
    pub(super) fn new(out: &'a Out, live: bool) -> Self {
        let size = terminal_size().filter(|_| live);
        let live = size.map(|(columns, height)| Live {
            columns: usize::from(columns.0).max(20),
            height: usize::from(height.0),
            row: 0,
            marks: BTreeMap::new(),
            prompted: false,
            typing: BTreeMap::new(),
            line: (String::new(), 0),
        });
        Self { out, live }
    }

    /// Asks for a line.
    pub(super) fn prompt(&mut self) -> Result<(), Failure> {
        if let Some(live) = &mut self.live {
            live.prompted = true;
        }
        self.insert(&[])
    }

    /// The line that is being typed has changed.
    pub(super) fn typed(&mut self, line: &Line) -> Result<(), Failure> {
        self.measure();
        if let Some(live) = &mut self.live {
            let free = live.columns.saturating_sub(text::width(&live.head()) + 1);
            live.line = line.shown(free);
        }
        self.insert(&[])
    }

    /// The terminal is somebody else's for a while.
    pub(super) fn leave(&mut self) -> Result<(), Failure> {
        match &self.live {
            Some(_) => self.out.terminal("\r\x1b[J"),
            None => Ok(()),
        }
    }

    /// Others may have written on the screen: earlier marks stay as they are, and the line stands where the cursor is.
    pub(super) fn again(&mut self, line: &Line) -> Result<(), Failure> {
        if let Some(live) = &mut self.live {
            live.marks.clear();
        }
        self.typed(line)
    }

    /// Somebody types, or has stopped. `false`: there is no place for that here.
    pub(super) fn types(&mut self, who: ContactId, name: &str, on: bool, line: &Line) -> Result<bool, Failure> {
        let Some(live) = &mut self.live else { return Ok(false) };
        let before = live.typing.len();
        match on {
            true => drop(live.typing.insert(who, text::clean_line(name))),
            false => drop(live.typing.remove(&who)),
        }
        if live.typing.len() != before {
            self.typed(line)?;
        }
        Ok(true)
    }

    /// A message of either side.
    pub(super) fn message(&mut self, shown: &Shown) -> Result<(), Failure> {
        self.measure();
        let Some(live) = &mut self.live else { return self.out.item(&Item::Message(shown)) };
        let lines = show::chat_lines(shown, self.out.paint(), live.columns);
        let first = live.row;
        self.insert(&lines)?;
        self.remember(&shown.message, first);
        Ok(())
    }

    /// The mark of a message of ours. `false`: it cannot be changed in place.
    pub(super) fn mark(&mut self, id: LocalId, state: State, heard: Option<Heard>) -> Result<bool, Failure> {
        self.measure();
        let Some(live) = &mut self.live else { return Ok(false) };
        let Some(row) = live.marks.get(&id).copied() else { return Ok(true) };
        if state == State::Read {
            live.marks.remove(&id);
        }
        let up = live.row.saturating_sub(row);
        if up == 0 || up >= live.height {
            return Ok(true); // scrolled away; the history has it
        }
        let mark = show::chat_mark(state, heard, self.out.paint());
        self.out.terminal(&format!("\x1b7\x1b[{up}A\r\x1b[{MARK_COLUMN}C{mark}\x1b8"))?;
        Ok(true)
    }

    /// Something else that happened.
    pub(super) fn item(&mut self, item: &Item<'_>) -> Result<(), Failure> {
        self.measure();
        match &self.live {
            None => self.out.item(item),
            Some(live) => {
                let lines = show::lines(item, self.out.paint(), Some(live.columns));
                self.insert(&lines)
            }
        }
    }

    /// A sentence that is no part of the conversation.
    pub(super) fn notice(&mut self, sentence: &str) -> Result<(), Failure> {
        self.measure();
        match &self.live {
            None => {
                self.out.note(sentence);
                Ok(())
            }
            Some(live) => {
                let (dash, body) = match sentence.strip_prefix("-- ") {
                    Some(body) => ("-- ", body),
                    None => ("   ", sentence.trim_start()),
                };
                // Folded as if it began with spaces, so that what follows stands below it.
                let lines = text::fold(&format!("   {body}"), live.columns - 1);
                let lines: Vec<String> = lines
                    .iter()
                    .enumerate()
                    .map(|(number, line)| match line.strip_prefix("   ") {
                        Some(rest) if number == 0 => self.out.paint().dim(&format!("{dash}{rest}")),
                        Some(_) | None => self.out.paint().dim(line),
                    })
                    .collect();
                self.insert(&lines)
            }
        }
    }

    fn remember(&mut self, message: &Message, row: usize) {
        if let Some(live) = &mut self.live
            && message.outgoing
            && message.state != State::Read
        {
            live.marks.insert(message.id, row);
        }
    }

    /// Puts lines above the prompt, each no wider than the screen.
    fn insert(&mut self, lines: &[String]) -> Result<(), Failure> {
        let Some(live) = &mut self.live else { return Ok(()) };
        let mut sequence = if live.prompted { "\r\x1b[J".to_owned() } else { String::new() };
        for line in lines {
            sequence.push_str(&format!("{line}\r\n"));
        }
        live.row += lines.len();
        if live.prompted {
            let (head, (shown, before)) = (live.head(), &live.line);
            let place = text::width(&head) + before + 1;
            sequence.push_str(&format!("{}{shown}\x1b[{place}G", self.out.paint().dim(&head)));
        }
        self.out.terminal(&sequence)
    }

    /// After a change of size rows are no longer where they were: earlier marks stay as they are.
    fn measure(&mut self) {
        if let (Some(live), Some((columns, height))) = (&mut self.live, terminal_size()) {
            let columns = usize::from(columns.0).max(20);
            if columns != live.columns {
                live.columns = columns;
                live.marks.clear();
            }
            live.height = usize::from(height.0);
        }
    }
}

impl Live {
    /// What stands before the line that is being typed.
    fn head(&self) -> String {
        let names: Vec<&str> = self.typing.values().map(String::as_str).collect();
        let who = match names.as_slice() {
            [] => return PROMPT.to_owned(),
            [one] => format!("{one} types"),
            some if some.len() <= TYPING_SHOWN_MAX => format!("{} type", some.join(" and ")),
            many => format!("{} people type", many.len()),
        };
        // Half of the screen is for the line.
        let cut: String = who.chars().take(self.columns / 4).collect();
        format!("{cut} {PROMPT}")
    }
}

/// Leaves an empty line where the prompt was, also after Ctrl-C.
impl Drop for Screen<'_> {
    fn drop(&mut self) {
        if self.live.as_ref().is_some_and(|live| live.prompted) {
            // Nobody is left to tell.
            let _ = self.out.terminal("\r\x1b[K");
        }
    }
}
