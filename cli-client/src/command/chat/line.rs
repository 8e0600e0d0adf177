//! The line that is being typed, as a value: keys go in as a terminal sends them, and what to show comes out.
//!
//! Knows the keys that a shell's line has: arrows, Home, End, Delete, Ctrl-A, E, B, F, U, K, W, D, L, Z.

use hushwire_client::limits::TEXT_BYTES_MAX;

use crate::text;

/// Bytes of one key's sequence. No key that is known here has more.
const SEQUENCE_BYTES_MAX: usize = 16;

/// What came of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Typed {
    /// The line is another one, or the cursor is elsewhere.
    Changed,
    /// A whole line. The next one is empty.
    Line(String),
    /// Ctrl-D on an empty line.
    End,
    /// Ctrl-Z.
    Suspend,
    /// What stood on the screen may be gone.
    Again,
}

/// A line and the place in it.
#[derive(Debug, Default)]
pub(super) struct Line {
    text: Vec<char>,
    cursor: usize,
    /// Of a key or a character that is not complete.
    begun: Vec<u8>,
}

impl Line {
    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Whether it is a command to this program as far as it goes.
    pub(super) fn is_command(&self) -> bool {
        self.text.first() == Some(&'/') && self.text.get(1) != Some(&'/')
    }

    /// One byte of what a terminal sends.
    pub(super) fn feed(&mut self, byte: u8) -> Option<Typed> {
        if !self.begun.is_empty() {
            return self.goes_on(byte);
        }
        match byte {
            b'\r' | b'\n' => {
                self.cursor = 0;
                return Some(Typed::Line(std::mem::take(&mut self.text).into_iter().collect()));
            }
            0x04 if self.text.is_empty() => return Some(Typed::End),
            0x01 => self.cursor = 0,
            0x02 => self.cursor = self.cursor.saturating_sub(1),
            0x04 => self.remove(self.cursor, self.cursor + 1),
            0x05 => self.cursor = self.text.len(),
            0x06 => self.cursor = (self.cursor + 1).min(self.text.len()),
            0x08 | 0x7F => self.remove(self.cursor.saturating_sub(1), self.cursor),
            0x0B => self.remove(self.cursor, self.text.len()),
            0x0C => {}
            0x1A => return Some(Typed::Suspend),
            0x15 => self.remove(0, self.cursor),
            0x17 => self.remove(self.word_before(), self.cursor),
            b'\t' => self.insert(' '),
            0x1B | 0xC2..=0xF4 => {
                self.begun.push(byte);
                return None;
            }
            b' '..=b'~' => self.insert(char::from(byte)),
            _ => return None,
        }
        Some(Typed::Changed)
    }

    /// A character of several bytes, or a key that sends several.
    fn goes_on(&mut self, byte: u8) -> Option<Typed> {
        self.begun.push(byte);
        if self.begun.first() != Some(&0x1B) {
            match std::str::from_utf8(&self.begun) {
                Ok(done) => done.chars().collect::<Vec<_>>().into_iter().for_each(|c| self.insert(c)),
                Err(error) if error.error_len().is_none() => return None,
                Err(_) => {}
            }
            self.begun.clear();
            return Some(Typed::Changed);
        }
        let is_whole = match self.begun.as_slice() {
            [_, b'[' | b'O'] => false,
            [_, b'[', .., last] => (b'@'..=b'~').contains(last),
            _ => true,
        };
        if !is_whole && self.begun.len() < SEQUENCE_BYTES_MAX {
            return None;
        }
        let key = std::mem::take(&mut self.begun);
        match key.get(1..).unwrap_or_default() {
            b"[D" | b"OD" => self.cursor = self.cursor.saturating_sub(1),
            b"[C" | b"OC" => self.cursor = (self.cursor + 1).min(self.text.len()),
            b"[H" | b"OH" | b"[1~" | b"[7~" => self.cursor = 0,
            b"[F" | b"OF" | b"[4~" | b"[8~" => self.cursor = self.text.len(),
            b"[3~" => self.remove(self.cursor, self.cursor + 1),
            b"\x7F" => self.remove(self.word_before(), self.cursor),
            _ => return None,
        }
        Some(Typed::Changed)
    }

    /// What fits into so many cells around the cursor, and how many cells stand before that.
    pub(super) fn shown(&self, cells: usize) -> (String, usize) {
        let widths: Vec<usize> = self.text.iter().map(|c| text::width(&text::clean_line(&c.to_string()))).collect();
        let (mut from, mut before) = (self.cursor, 0);
        while from > 0 {
            let more = widths.get(from - 1).copied().unwrap_or_default();
            if before + more > cells.saturating_sub(1) {
                break;
            }
            (from, before) = (from - 1, before + more);
        }
        let (mut used, mut fits) = (0, from);
        while let Some(more) = widths.get(fits).filter(|more| used + **more <= cells) {
            (used, fits) = (used + more, fits + 1);
        }
        let text: String = self.text.get(from..fits).unwrap_or_default().iter().collect();
        (text::clean_line(&text), before)
    }

    fn insert(&mut self, c: char) {
        // No line that is longer can be sent.
        if self.text.len() < TEXT_BYTES_MAX {
            self.text.insert(self.cursor, c);
            self.cursor += 1;
        }
    }

    fn remove(&mut self, from: usize, to: usize) {
        let to = to.min(self.text.len());
        if from < to {
            self.text.drain(from..to);
            self.cursor = from;
        }
    }

    /// Where the word before the cursor begins.
    fn word_before(&self) -> usize {
        let before = self.text.get(..self.cursor).unwrap_or_default();
        let end = before.iter().rposition(|c| !c.is_whitespace()).map_or(0, |place| place + 1);
        before.get(..end).unwrap_or_default().iter().rposition(|c| c.is_whitespace()).map_or(0, |place| place + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What stands there after these keys, with the cells before the cursor.
    fn after(keys: &[u8]) -> (String, usize) {
        let mut line = Line::default();
        for key in keys {
            line.feed(*key);
        }
        line.shown(80)
    }

    #[test]
    fn keys_do_what_they_do_in_a_shell() {
        for (keys, text, cells) in [
            (&b"hello"[..], "hello", 5),
            (b"hello\x7f\x08", "hel", 3),
            (b"hello\x1b[D\x1b[DX", "helXlo", 4),
            (b"hello\x1bOD\x1b[CX", "helloX", 6),
            (b"hello\x01a", "ahello", 1),
            (b"hello\x1b[Ha\x1b[Fb", "ahellob", 7),
            (b"hello\x1b[1~\x1b[3~", "ello", 0),
            (b"hello\x02\x02\x0b", "hel", 3),
            (b"hello\x02\x02\x15", "lo", 0),
            (b"one two  \x17", "one ", 4),
            (b"one two\x1b\x7f", "one ", 4),
            (b"\x17\x15\x0b\x7f\x1b[D\x1b[C\x1b[3~", "", 0),
            (b"a\tb", "a b", 3),
            (b"a\x1b[A\x1b[200~b\x1b[1;5Cc\x00\xffd", "abcd", 4),
            ("日本\u{1b}[Dé".as_bytes(), "日é本", 3),
            (b"a\xe6\x97b\xc3\xa9", "a\u{e9}", 2),
        ] {
            assert_eq!(after(keys), (text.to_owned(), cells), "{keys:?}");
        }
    }

    #[test]
    fn a_line_comes_whole_and_the_next_is_empty() {
        let mut line = Line::default();
        let typed: Vec<Typed> = b"hi\x02!\rx\x7f\x04".iter().filter_map(|key| line.feed(*key)).collect();
        assert_eq!(typed.get(4), Some(&Typed::Line("h!i".to_owned())));
        assert_eq!(typed.last(), Some(&Typed::End));
        assert!(line.is_empty());
        b"x\x01".iter().for_each(|key| drop(line.feed(*key)));
        assert_eq!(line.feed(0x04), Some(Typed::Changed), "Ctrl-D in a line deletes");
        assert!(line.is_empty());
    }

    #[test]
    fn ctrl_z_leaves_the_line_as_it_is() {
        let mut line = Line::default();
        b"half a li".iter().for_each(|key| drop(line.feed(*key)));
        assert_eq!(line.feed(0x1A), Some(Typed::Suspend));
        assert_eq!(line.shown(80), ("half a li".to_owned(), 9));
    }

    #[test]
    fn a_long_line_is_shown_around_the_cursor() {
        let mut line = Line::default();
        b"0123456789".iter().for_each(|key| drop(line.feed(*key)));
        assert_eq!(line.shown(5), ("6789".to_owned(), 4));
        line.feed(0x01);
        assert_eq!(line.shown(5), ("01234".to_owned(), 0));
        line.feed(0x06);
        assert_eq!(line.shown(5), ("01234".to_owned(), 1));
        assert_eq!(line.shown(0), (String::new(), 0));
    }

    #[test]
    fn what_a_terminal_obeys_is_not_shown() {
        let (shown, cells) = after("a\u{200b}\u{202e}b".as_bytes());
        assert_eq!((shown.as_str(), cells), ("ab", 2));
    }
}
