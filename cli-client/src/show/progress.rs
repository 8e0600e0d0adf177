//! How far a backlog is, as a bar at the foot of a terminal.
//!
//! Drawn on stderr, for people only: never beside JSON, with `-q`, or where stderr is no terminal.

use hushwire_client::Backlog;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// What waits is here before anyone could read a bar about fewer.
const WORTH_SHOWING: u64 = 200;

/// A bar, if somebody looks.
#[derive(Debug)]
pub(crate) struct Progress {
    wanted: bool,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Draws nothing yet.
    pub(crate) fn new(wanted: bool) -> Self {
        Self { wanted, bar: None }
    }

    /// Shows how far it is; nothing for a few, or for all.
    pub(crate) fn at(&mut self, backlog: &Backlog, caught_up: bool) {
        if caught_up || backlog.kept >= backlog.waiting {
            return self.clear();
        }
        if self.wanted && backlog.waiting >= WORTH_SHOWING {
            let bar = self.bar.get_or_insert_with(|| {
                let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
                bar.set_style(style());
                bar
            });
            bar.set_length(backlog.waiting);
            bar.set_position(backlog.kept);
        }
    }

    /// Prints something above the bar.
    pub(crate) fn above<T>(&self, print: impl FnOnce() -> T) -> T {
        match &self.bar {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }

    fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

/// A template that does not parse would be a bar without words.
fn style() -> ProgressStyle {
    let style = ProgressStyle::default_bar();
    let words = style.clone().template("fetching [{bar:30}] {human_pos} of {human_len}, {eta} left");
    words.unwrap_or(style).progress_chars("=> ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_there_while_many_wait_and_somebody_looks() {
        let many = Backlog { waiting: 10_000, kept: 128 };
        let mut progress = Progress::new(true);
        progress.at(&Backlog { waiting: 3, kept: 0 }, false);
        assert!(progress.bar.is_none(), "a few");
        progress.at(&many, false);
        let bar = progress.bar.as_ref();
        assert_eq!(bar.map(|bar| (bar.position(), bar.length())), Some((128, Some(10_000))));
        progress.at(&many, true);
        assert!(progress.bar.is_none(), "caught up");
        let mut unseen = Progress::new(false);
        unseen.at(&many, false);
        assert!(unseen.bar.is_none());
    }
}
