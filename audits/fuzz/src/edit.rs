//! Bytes with some changes: what a line, a disk or an adversary makes of something that was good.

use crate::input::Input;

/// Numbers at which things go wrong.
const NUMBERS: [u32; 8] = [0, 1, 2_000, 25_000, 25_001, i32::MAX as u32, u32::MAX - 1, u32::MAX];

/// Up to three changes, as `by` says. None at all is possible too.
pub(crate) fn edited(bytes: &[u8], by: &mut Input<'_>) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..by.byte().unwrap_or_default() % 4 {
        if edit(&mut bytes, by).is_none() {
            break;
        }
    }
    bytes
}

/// The same with one array of them.
pub(crate) fn edited_array<const N: usize>(bytes: [u8; N], by: &mut Input<'_>) -> [u8; N] {
    edited(&bytes, by).try_into().unwrap_or(bytes)
}

fn edit(bytes: &mut Vec<u8>, by: &mut Input<'_>) -> Option<()> {
    let what = by.byte()?;
    let place = by.number()?.checked_rem(bytes.len() + 1)?;
    let rest = bytes.len() - place;
    match what % 7 {
        0 => *bytes.get_mut(place)? ^= 1 << (by.byte()? % 8),
        1 => *bytes.get_mut(place)? = by.byte()?,
        2 => bytes.truncate(place),
        3 => drop(bytes.drain(place..place + by.pick(rest + 1)?)),
        4 => drop(bytes.splice(place..place, by.some(16).iter().copied())),
        5 => {
            let number = NUMBERS[by.pick(NUMBERS.len())?].to_be_bytes();
            bytes.iter_mut().skip(place).zip(number).for_each(|(to, byte)| *to = byte);
        }
        _ => {
            let again = bytes[place..place + by.pick(rest + 1)?].to_vec();
            drop(bytes.splice(place..place, again));
        }
    }
    Some(())
}
