//! What is typed: key by key where a terminal allows it, so that others can be told that somebody types; else line by line.

use std::collections::VecDeque;
use std::io;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader, Lines, Stdin};

use super::line::{Line, Typed};

/// Read at once: what is pasted comes in pieces.
const READ_BYTES: usize = 1024;

/// Where lines come from.
pub(super) struct Input {
    /// What of them is there.
    pub(super) line: Line,
    source: Source,
    ready: VecDeque<Typed>,
}

enum Source {
    Keys(Stdin, #[allow(dead_code, reason = "held for its end")] raw::Keys),
    Lines(Lines<BufReader<Stdin>>),
}

impl Input {
    /// `by_key`: if it can be.
    pub(super) fn begin(by_key: bool) -> Self {
        let keys = if by_key { raw::Keys::begin() } else { None };
        let source = match keys {
            Some(keys) => Source::Keys(tokio::io::stdin(), keys),
            None => Source::Lines(BufReader::new(tokio::io::stdin()).lines()),
        };
        Self { line: Line::default(), source, ready: VecDeque::new() }
    }

    pub(super) fn is_by_key(&self) -> bool {
        matches!(self.source, Source::Keys(..))
    }

    /// The next thing that is typed. May be cancelled: nothing is lost.
    pub(super) async fn next(&mut self) -> io::Result<Typed> {
        loop {
            let stdin = match &mut self.source {
                Source::Lines(lines) => return Ok(lines.next_line().await?.map_or(Typed::End, Typed::Line)),
                Source::Keys(stdin, _) => stdin,
            };
            if let Some(typed) = self.ready.pop_front() {
                return Ok(typed);
            }
            let mut bytes = [0; READ_BYTES];
            let read = stdin.read(&mut bytes).await?;
            if read == 0 {
                return Ok(Typed::End); // the terminal is gone
            }
            self.ready.extend(bytes.iter().take(read).filter_map(|byte| self.line.feed(*byte)));
        }
    }
}

#[cfg(unix)]
mod raw {
    //! A terminal that hands over each key and shows none of them, and is as it was before once this is dropped.

    use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};

    pub(super) struct Keys {
        before: Termios,
    }

    impl Keys {
        /// `None`: it is no terminal, or does not let itself be told. Ctrl-C still ends the program, in the orderly way; Ctrl-Z does
        /// nothing, because a stopped program could not put the terminal back.
        pub(super) fn begin() -> Option<Self> {
            let before = tcgetattr(std::io::stdin()).ok()?;
            let mut keys = before.clone();
            keys.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
            keys.special_codes[SpecialCodeIndex::VSUSP] = 0;
            keys.special_codes[SpecialCodeIndex::VMIN] = 1;
            keys.special_codes[SpecialCodeIndex::VTIME] = 0;
            tcsetattr(std::io::stdin(), OptionalActions::Now, &keys).ok()?;
            Some(Self { before })
        }
    }

    impl Drop for Keys {
        fn drop(&mut self) {
            // Nobody is left to tell.
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.before);
        }
    }
}

#[cfg(not(unix))]
mod raw {
    pub(super) enum Keys {}

    impl Keys {
        pub(super) const fn begin() -> Option<Self> {
            None
        }
    }
}
