//! The screen of a chat. Where the terminal can move its cursor: what comes in is inserted above the line that is being
//! typed, and the marks of our messages change in place. Elsewhere every change is a line of its own.
//!
//! The terminal keeps its own line editing, so nothing has to be put back when the program is stopped. The price: a
//! line being typed that is longer than the screen is wide looks torn when something comes in; what is sent is whole.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _};

use hushwire_client::{LocalId, Message, State};
use terminal_size::terminal_size;

use crate::exit::Failure;
use crate::show::{self, Heard, Item, Out, Shown};
use crate::text;

const PROMPT: &str = "> ";

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
}

impl<'a> Screen<'a> {
    /// Looks at the terminal; draws nothing.
    pub(super) fn new(out: &'a Out) -> Self {
        let terminal = io::stdin().is_terminal() && io::stdout().is_terminal() && !show::is_dumb() && !out.is_json();
        let size = terminal_size().filter(|_| terminal);
        let live = size.map(|(columns, height)| Live {
            columns: usize::from(columns.0).max(20),
            height: usize::from(height.0),
            row: 0,
            marks: BTreeMap::new(),
            prompted: false,
        });
        Self { out, live }
    }

    /// Asks for a line.
    pub(super) fn prompt(&mut self) -> Result<(), Failure> {
        match &mut self.live {
            Some(live) => {
                live.prompted = true;
                self.out.terminal(PROMPT)
            }
            None => Ok(()),
        }
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

    /// A message of ours, in place of the line that was typed.
    pub(super) fn sent(&mut self, typed: &str, shown: &Shown) -> Result<(), Failure> {
        self.measure();
        if self.live.is_none() {
            return self.out.item(&Item::Message(shown));
        }
        self.take_back(typed)?;
        self.message(shown)
    }

    /// What was typed is no message: the prompt is empty again.
    pub(super) fn nothing_sent(&mut self, typed: &str) -> Result<(), Failure> {
        self.measure();
        self.take_back(typed)
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
                let lines: Vec<String> =
                    text::wrap(sentence, live.columns - 1).iter().map(|line| self.out.paint().dim(line)).collect();
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

    /// Puts lines above the prompt, each no wider than the screen. The line being typed moves down as it is: first a
    /// free row below it (Index keeps the column), then a free row in its place (Insert Line).
    fn insert(&mut self, lines: &[String]) -> Result<(), Failure> {
        let Some(live) = &mut self.live else { return Ok(()) };
        let mut sequence = String::new();
        for line in lines {
            if live.prompted {
                sequence.push_str(&format!("\x1bD\x1b[A\x1b7\x1b[L\r{line}\x1b8\x1b[B"));
            } else {
                sequence.push_str(&format!("{line}\r\n"));
            }
        }
        live.row += lines.len();
        self.out.terminal(&sequence)
    }

    /// Clears the line that was typed, and asks again in its place.
    fn take_back(&mut self, typed: &str) -> Result<(), Failure> {
        let Some(live) = &self.live else { return Ok(()) };
        let cells = PROMPT.len() + text::width(typed);
        let up = cells.div_ceil(live.columns).max(1);
        self.out.terminal(&format!("\x1b[{up}A\r\x1b[J{PROMPT}"))
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

/// Leaves an empty line where the prompt was, also after Ctrl-C.
impl Drop for Screen<'_> {
    fn drop(&mut self) {
        if self.live.as_ref().is_some_and(|live| live.prompted) {
            // Nobody is left to tell.
            let _ = self.out.terminal("\r\x1b[K");
        }
    }
}
