//! Text from elsewhere, made safe for a terminal. Whatever somebody else could have written (messages, names, handles,
//! reasons that a server gave) is shown through [`clean`] or [`clean_line`] and in no other way.
//!
//! Taken out are control characters (a terminal obeys them), bidirectional marks and overrides (they reorder what is
//! read), and what has no width (two names that look alike). Kept are the two selectors that make an emoji colourful or
//! plain (U+FE0E, U+FE0F). JSON keeps the text as it was and writes these characters as `\uXXXX`.

/// Whether a terminal must not see this character.
pub(crate) const fn is_unsafe(c: char) -> bool {
    matches!(c,
        '\0'..='\u{1F}' | '\u{7F}'..='\u{9F}'               // control
        | '\u{61C}' | '\u{200E}' | '\u{200F}'               // bidirectional marks
        | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' // embeddings, overrides, isolates
        | '\u{2028}' | '\u{2029}'                           // line and paragraph separators
        | '\u{AD}' | '\u{34F}' | '\u{180B}'..='\u{180F}'    // from here: no width
        | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}' | '\u{3164}' | '\u{FFA0}'
        | '\u{200B}'..='\u{200D}' | '\u{2060}'..='\u{2065}' | '\u{206A}'..='\u{206F}'
        | '\u{FE00}'..='\u{FE0D}' | '\u{FEFF}' | '\u{FFF0}'..='\u{FFFB}'
        | '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D173}'..='\u{1D17A}'
        | '\u{E0000}'..='\u{E0FFF}'                         // tags, further selectors
    )
}

/// The text without what a terminal must not see. New lines stay; a tab becomes a space.
pub(crate) fn clean(text: &str) -> String {
    text.chars().filter_map(|c| replaced(c, '\n')).collect()
}

/// The same on one line: for names, handles and reasons.
pub(crate) fn clean_line(text: &str) -> String {
    text.chars().filter_map(|c| replaced(c, ' ')).collect()
}

/// A name as it may be pasted into a shell: a stranger chooses what is shown, not what is run.
pub(crate) fn shell_word(text: &str) -> String {
    let text = clean_line(text);
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '@' | ':');
    if !text.is_empty() && !text.starts_with('-') && text.chars().all(plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

fn replaced(c: char, new_line: char) -> Option<char> {
    match c {
        '\n' => Some(new_line),
        '\t' => Some(' '),
        c if is_unsafe(c) => None,
        c => Some(c),
    }
}

/// The cells that a text takes in a terminal. Two for East Asian wide characters and emoji, none for combining marks.
pub(crate) fn width(text: &str) -> usize {
    text.chars().map(char_width).sum()
}

const fn char_width(c: char) -> usize {
    match c {
        '\u{300}'..='\u{36F}' | '\u{483}'..='\u{489}' | '\u{591}'..='\u{5BD}' | '\u{610}'..='\u{61A}' => 0,
        '\u{64B}'..='\u{65F}' | '\u{1AB0}'..='\u{1AFF}' | '\u{1DC0}'..='\u{1DFF}' | '\u{20D0}'..='\u{20FF}' => 0,
        '\u{FE0E}' | '\u{FE0F}' | '\u{FE20}'..='\u{FE2F}' => 0,
        '\u{1100}'..='\u{115E}' | '\u{231A}' | '\u{231B}' | '\u{23E9}'..='\u{23EC}' | '\u{2705}' | '\u{274C}' => 2,
        '\u{2E80}'..='\u{303E}' | '\u{3041}'..='\u{A4CF}' | '\u{AC00}'..='\u{D7A3}' | '\u{F900}'..='\u{FAFF}' => 2,
        '\u{FE30}'..='\u{FE6F}' | '\u{FF01}'..='\u{FF60}' | '\u{FFE0}'..='\u{FFE6}' => 2,
        '\u{1F300}'..='\u{1F64F}' | '\u{1F680}'..='\u{1F6FF}' | '\u{1F900}'..='\u{1FAFF}' => 2,
        '\u{20000}'..='\u{3FFFD}' => 2,
        _ => 1,
    }
}

/// Lines of at most `columns` cells, broken at spaces where there are any. Never empty: an empty text is one empty line.
pub(crate) fn wrap(text: &str, columns: usize) -> Vec<String> {
    text.split('\n').flat_map(|line| wrap_line(line, columns.max(8))).collect()
}

fn wrap_line(line: &str, columns: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut current = String::new();
    let mut used = 0;
    for word in line.split_inclusive(' ') {
        if used > 0 && used + width(word.trim_end()) > columns {
            lines.push(current.trim_end().to_owned());
            current.clear();
            used = 0;
        }
        for c in word.chars() {
            let cells = char_width(c);
            if used + cells > columns && c != ' ' {
                lines.push(std::mem::take(&mut current));
                used = 0;
            }
            current.push(c);
            used += cells;
        }
    }
    lines.push(current.trim_end().to_owned());
    lines
}

/// A line with colours, in lines of at most `columns` cells: broken at spaces only, and what follows stands below the last
/// column that began within the first half. What fits there no better, such as a link, stays where it is, and whole.
pub(crate) fn fold(line: &str, columns: usize) -> Vec<String> {
    if width(&plain(line)) <= columns {
        return vec![line.to_owned()];
    }
    let indent = hanging(&plain(line), columns / 2);
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in line.split_inclusive(' ') {
        let cells = width(&plain(word));
        let bare = width(plain(word).trim_end());
        let is_begun = lines.last().is_some_and(|line| !plain(line).trim().is_empty());
        if is_begun && used + bare > columns && indent + bare <= columns {
            lines.push(" ".repeat(indent));
            used = indent;
        }
        if let Some(last) = lines.last_mut() {
            last.push_str(word);
        }
        used += cells;
    }
    lines.iter().map(|line| line.trim_end().to_owned()).collect()
}

/// What is seen of a line that sets colours.
fn plain(line: &str) -> String {
    let mut parts = line.split('\u{1b}');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |seen, part| seen + part.split_once('m').map_or(part, |(_, rest)| rest))
}

/// Where the last column begins that two spaces set apart, no further than `limit`.
fn hanging(line: &str, limit: usize) -> usize {
    let (mut place, mut spaces, mut cells) = (0, 0, 0);
    for c in line.chars() {
        if c != ' ' && (spaces >= 2 || spaces == cells) && cells <= limit {
            place = cells;
        }
        spaces = if c == ' ' { spaces + 1 } else { 0 };
        cells += char_width(c);
    }
    place
}

/// Bytes as digits that people can compare.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written out again from the Unicode tables, so that a slip in the `match` above is seen.
    fn listed() -> Vec<u32> {
        let mut all: Vec<u32> = Vec::new();
        for range in [
            0..=0x1F,
            0x7F..=0x9F, // Cc
            0x61C..=0x61C,
            0x200E..=0x200F,
            0x202A..=0x202E,
            0x2066..=0x2069, // Bidi_Control
            0x2028..=0x2029, // Zl, Zp
            // Default_Ignorable_Code_Point
            0xAD..=0xAD,
            0x34F..=0x34F,
            0x115F..=0x1160,
            0x17B4..=0x17B5,
            0x180B..=0x180F,
            0x200B..=0x200F,
            0x2060..=0x206F,
            0x3164..=0x3164,
            0xFE00..=0xFE0D,
            0xFEFF..=0xFEFF,
            0xFFA0..=0xFFA0,
            0xFFF0..=0xFFF8,
            0x1BCA0..=0x1BCA3,
            0x1D173..=0x1D17A,
            0xE0000..=0xE0FFF,
            // interlinear annotation
            0xFFF9..=0xFFFB,
        ] {
            all.extend(range);
        }
        all
    }

    #[test]
    fn no_control_bidirectional_or_zero_width_character_is_shown_and_every_other_is() {
        let listed = listed();
        for c in '\0'..=char::MAX {
            let text = format!("a{c}b");
            let expected = match c {
                '\n' => "a\nb".to_owned(),
                '\t' => "a b".to_owned(),
                c if listed.contains(&u32::from(c)) => "ab".to_owned(),
                c => format!("a{c}b"),
            };
            assert_eq!(clean(&text), expected, "U+{:04X}", u32::from(c));
            assert!(!clean_line(&text).contains('\n'));
        }
    }

    #[test]
    fn an_escape_sequence_loses_what_makes_it_one() {
        assert_eq!(clean("\u{1b}]0;title\u{7}\u{1b}[31mred\u{9b}0m"), "]0;title[31mred0m");
    }

    #[test]
    fn a_name_in_a_command_to_paste_runs_nothing() {
        assert_eq!(shell_word("bob"), "bob");
        assert_eq!(shell_word("bob; rm -rf ~"), "'bob; rm -rf ~'");
        assert_eq!(shell_word("it's"), "'it'\\''s'");
    }

    #[test]
    fn lines_break_at_spaces_and_long_words_anywhere() {
        assert_eq!(wrap("one two three", 8), ["one two", "three"]);
        assert_eq!(wrap("abcdefghijkl", 8), ["abcdefgh", "ijkl"]);
        assert_eq!(wrap("a\n\nb", 8), ["a", "", "b"]);
        assert_eq!(wrap("日本語日本語", 8), ["日本語日", "本語"]);
        assert_eq!(wrap("", 8), [""]);
    }

    #[test]
    fn a_line_of_columns_is_folded_below_the_last_that_begins_in_its_first_half() {
        assert_eq!(fold("bob   today   two and three", 80), ["bob   today   two and three"]);
        assert_eq!(fold("ok    sent on the way", 14), ["ok    sent on", "      the way"]);
        assert_eq!(fold("    ok   sent on its way", 18), ["    ok   sent on", "         its way"]);
        assert_eq!(fold("bob                 a list of it", 26), ["bob                 a list", "of it"]);
        assert_eq!(fold("-- one two three", 10), ["-- one two", "three"]);
        assert_eq!(fold("link  hushwire:c#0123456789", 12), ["link  hushwire:c#0123456789"]);
    }

    #[test]
    fn colours_take_no_cells_and_a_line_that_has_them_is_folded_as_one_that_has_none() {
        let line = "\u{1b}[2mat nine\u{1b}[0m  \u{1b}[1mbob\u{1b}[0m came in";
        assert_eq!(fold(line, 21), [line]);
        let folded = ["\u{1b}[2mat nine\u{1b}[0m  \u{1b}[1mbob\u{1b}[0m came", "         in"];
        assert_eq!(fold(line, 18), folded);
    }
}
