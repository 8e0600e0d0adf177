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
    Keys(Stdin, raw::Keys),
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
            let (stdin, keys) = match &mut self.source {
                Source::Lines(lines) => return Ok(lines.next_line().await?.map_or(Typed::End, Typed::Line)),
                Source::Keys(stdin, keys) => (stdin, keys),
            };
            if let Some(typed) = self.ready.pop_front() {
                return Ok(typed);
            }
            let mut bytes = [0; READ_BYTES];
            let read = tokio::select! {
                read = stdin.read(&mut bytes) => read?,
                () = keys.continued() => return Ok(Typed::Again),
            };
            if read == 0 {
                return Ok(Typed::End); // the terminal is gone
            }
            self.ready.extend(bytes.iter().take(read).filter_map(|byte| self.line.feed(*byte)));
        }
    }

    /// Gives the terminal back and stops until the shell says to go on.
    pub(super) async fn suspend(&mut self) {
        if let Source::Keys(_, keys) = &mut self.source {
            keys.suspend().await;
        }
    }
}

#[cfg(unix)]
mod raw {
    //! A terminal that hands over each key and shows none of them, and is as it was before once this is dropped.

    use std::time::Duration;

    use rustix::process::{Signal, kill_current_process_group};
    use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};
    use tokio::signal::unix::{self, SignalKind};

    /// Nobody can stop a program that no shell would ever tell to go on: then it goes on after this.
    const STOPPED_WITHIN: Duration = Duration::from_secs(1);

    pub(super) struct Keys {
        before: Termios,
        by_key: Termios,
        goes_on: unix::Signal,
    }

    impl Keys {
        /// `None`: it is no terminal, or does not let itself be told. Ctrl-C still ends the program, in the orderly way; Ctrl-Z is
        /// a key, because the terminal must be put back before the program stops.
        pub(super) fn begin() -> Option<Self> {
            let before = tcgetattr(std::io::stdin()).ok()?;
            let mut by_key = before.clone();
            by_key.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
            by_key.special_codes[SpecialCodeIndex::VSUSP] = 0;
            by_key.special_codes[SpecialCodeIndex::VMIN] = 1;
            by_key.special_codes[SpecialCodeIndex::VTIME] = 0;
            let goes_on = unix::signal(SignalKind::from_raw(Signal::CONT.as_raw())).ok()?;
            tcsetattr(std::io::stdin(), OptionalActions::Now, &by_key).ok()?;
            Some(Self { before, by_key, goes_on })
        }

        /// Stops the program as Ctrl-Z does elsewhere: with all that was started together with it.
        pub(super) async fn suspend(&mut self) {
            self.set(&self.before);
            if kill_current_process_group(Signal::TSTP).is_ok() {
                let _ = tokio::time::timeout(STOPPED_WITHIN, self.goes_on.recv()).await;
            }
            self.set(&self.by_key);
        }

        /// The program was stopped by somebody else, and goes on: what a shell did to the terminal meanwhile is undone.
        pub(super) async fn continued(&mut self) {
            if self.goes_on.recv().await.is_none() {
                std::future::pending::<()>().await;
            }
            self.set(&self.by_key);
        }

        /// Nobody is left to tell if it cannot be set.
        fn set(&self, modes: &Termios) {
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, modes);
        }
    }

    impl Drop for Keys {
        fn drop(&mut self) {
            self.set(&self.before);
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

        pub(super) async fn suspend(&mut self) {}

        pub(super) async fn continued(&mut self) {
            std::future::pending().await
        }
    }
}
