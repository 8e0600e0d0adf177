//! QR codes of half blocks: two modules above each other in one character.

use fast_qr::{ECL, QRBuilder};

use super::Paint;

/// Light modules around the code. The standard asks for four; readers on phones do with two, and small terminals with
/// less.
const QUIET: usize = 2;

/// The code as lines, or `None` if the content is too long for one or the terminal too narrow.
pub(super) fn code(content: &[u8], paint: Paint, columns: Option<usize>) -> Option<String> {
    let code = QRBuilder::new(content).ecl(ECL::L).build().ok()?;
    let side = code.size + 2 * QUIET;
    if columns.is_some_and(|columns| columns < side) {
        return None;
    }
    let dark = |x: usize, y: usize| -> bool {
        let (Some(x), Some(y)) = (x.checked_sub(QUIET), y.checked_sub(QUIET)) else { return false };
        let inside = x < code.size && y < code.size;
        inside && code.data.get(y * code.size + x).is_some_and(|module| module.value())
    };
    let mut lines = Vec::new();
    for y in (0..side).step_by(2) {
        let line: String = (0..side).map(|x| block(dark(x, y), dark(x, y + 1), paint)).collect();
        lines.push(if paint.is_on() { format!("\x1b[38;5;16;48;5;231m{line}\x1b[0m") } else { line });
    }
    Some(lines.join("\n"))
}

/// With colours: black on white. Without: the light modules are drawn, which is right on a dark ground.
const fn block(upper: bool, lower: bool, paint: Paint) -> char {
    match (upper == paint.is_on(), lower == paint.is_on()) {
        (true, true) => '█',
        (true, false) => '▀',
        (false, true) => '▄',
        (false, false) => ' ',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_as_wide_as_it_is_high_and_has_a_quiet_zone() {
        let drawn = code(b"hushwire:c#AAAA", Paint::new(false), None).unwrap_or_default();
        let lines: Vec<Vec<char>> = drawn.lines().map(|line| line.chars().collect()).collect();
        let side = lines.first().map_or(0, Vec::len);
        assert!(side > 20 && lines.iter().all(|line| line.len() == side));
        assert_eq!(lines.len(), side.div_ceil(2));
        assert!(lines.first().is_some_and(|line| line.iter().all(|c| *c == '█')));
    }

    #[test]
    fn every_module_is_drawn_where_it_is() {
        let content = "hushwire:c#AY5KGYjk7Rkuawwi2gMnyIymyzxyZsz02taIB49xm_DBcYLX6mh1c2g6Ly9";
        let code_of = QRBuilder::new(content).ecl(ECL::L).build().ok();
        let drawn = code(content.as_bytes(), Paint::new(false), None).unwrap_or_default();
        let mut rows: Vec<Vec<bool>> = Vec::new();
        for line in drawn.lines() {
            rows.push(line.chars().map(|c| matches!(c, ' ' | '▄')).collect()); // dark above
            rows.push(line.chars().map(|c| matches!(c, ' ' | '▀')).collect()); // dark below
        }
        let size = code_of.as_ref().map_or(0, |code| code.size);
        assert!(size > 20);
        for (number, module) in code_of.iter().flat_map(|code| &code.data[..size * size]).enumerate() {
            let (x, y) = (number % size + QUIET, number / size + QUIET);
            assert_eq!(rows[y][x], module.value(), "{x} {y}");
        }
    }

    #[test]
    fn what_does_not_fit_is_not_drawn() {
        assert_eq!(code(&[7; 200], Paint::new(false), Some(20)), None);
        assert_eq!(code(&[7; 9000], Paint::new(false), None), None);
    }
}
