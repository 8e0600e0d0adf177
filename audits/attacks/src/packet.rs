//! QUIC packets as bytes, sealed with whatever keys and whatever is inside. RFC 9000 §17, RFC 9001 §5.
//!
//! Owns the form of packets. Leaves what is in them to whoever writes them: nothing here keeps to the protocol.

use rustls::quic::DirectionalKeys;

/// Bytes of every connection id that is chosen here, and of those that quinn chooses.
pub const CID_LEN: usize = 8;

/// Bytes of a packet number, always the longest form.
const NUMBER_LEN: usize = 4;

/// Bytes that a datagram with an Initial packet has at least. RFC 9000 §14.1.
pub const INITIAL_BYTES_MIN: usize = 1200;

/// The most that is put into one datagram.
pub const DATAGRAM_BYTES: usize = 1200;

const VERSION_1: [u8; 4] = 1_u32.to_be_bytes();

/// Which packets: each has its own keys and numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Space {
    /// The first packets, readable by everybody.
    Initial,
    /// Between the first and the end of the handshake.
    Handshake,
    /// After it.
    Data,
}

/// Whose packet, and how it is to be numbered.
#[derive(Debug)]
pub struct Head<'a> {
    /// Which keys.
    pub space: Space,
    /// The other end's connection id.
    pub to: &'a [u8],
    /// Ours; long packets only.
    pub from: &'a [u8],
    /// Of a Retry; Initial packets only.
    pub token: &'a [u8],
    /// Its number.
    pub number: u32,
}

/// A whole sealed packet. `None`: the keys refuse, which they do after more packets than are ever sent here.
#[must_use]
pub fn seal(head: &Head<'_>, frames: &[u8], keys: &DirectionalKeys, pad_to: usize) -> Option<Vec<u8>> {
    let tag = keys.packet.tag_len();
    let mut body = frames.to_vec();
    let mut packet = match head.space {
        Space::Data => [&[0x43], head.to].concat(),
        Space::Initial | Space::Handshake => {
            let first = if head.space == Space::Initial { 0xC3 } else { 0xE3 };
            let mut packet = [&[first], &VERSION_1[..], &[u8::try_from(head.to.len()).ok()?], head.to].concat();
            packet.push(u8::try_from(head.from.len()).ok()?);
            packet.extend_from_slice(head.from);
            if head.space == Space::Initial {
                put(&mut packet, head.token.len() as u64);
                packet.extend_from_slice(head.token);
            }
            packet
        }
    };
    // A length of two bytes; at least so many that the header's mask has its sample.
    let fixed = packet.len() + NUMBER_LEN + tag + if head.space == Space::Data { 0 } else { 2 };
    body.resize(body.len().max(pad_to.saturating_sub(fixed)).max(4), 0);
    if head.space != Space::Data {
        let length = u16::try_from(NUMBER_LEN + body.len() + tag).ok()?;
        packet.extend_from_slice(&(length | 0x4000).to_be_bytes());
    }
    let number_at = packet.len();
    packet.extend_from_slice(&head.number.to_be_bytes());
    let sealed = keys.packet.encrypt_in_place(head.number.into(), &packet, &mut body).ok()?;
    packet.extend_from_slice(&body);
    packet.extend_from_slice(sealed.as_ref());
    let (head, rest) = packet.split_at_mut(number_at);
    let (number, sample) = rest.split_at_mut(NUMBER_LEN);
    let sample = sample.get(..keys.header.sample_len())?;
    keys.header.encrypt_in_place(sample, head.first_mut()?, number).ok()?;
    Some(packet)
}

/// A packet of the other end, before it is opened.
#[derive(Debug)]
pub enum Seen<'a> {
    /// Initial or Handshake, with its sender's connection id.
    Long(Space, Vec<u8>, Sealed<'a>),
    /// After the handshake.
    Short(Sealed<'a>),
    /// "Prove your address": the token to show, and the sender's new connection id.
    Retry(Vec<u8>, Vec<u8>),
    /// Anything else.
    Other,
}

/// Bytes of one packet and where its number begins.
#[derive(Debug)]
pub struct Sealed<'a> {
    packet: &'a mut [u8],
    number_at: usize,
}

/// The first packet of a datagram and what comes after it.
#[must_use]
pub fn first(datagram: &mut [u8]) -> (Seen<'_>, &mut [u8]) {
    match layout(datagram) {
        Some((Layout::Short, number_at, end)) => {
            let (packet, rest) = datagram.split_at_mut(end);
            (Seen::Short(Sealed { packet, number_at }), rest)
        }
        Some((Layout::Long(space, from), number_at, end)) => {
            let (packet, rest) = datagram.split_at_mut(end);
            (Seen::Long(space, from, Sealed { packet, number_at }), rest)
        }
        Some((Layout::Retry(from, token), ..)) => (Seen::Retry(from, token), &mut []),
        None => (Seen::Other, &mut []),
    }
}

enum Layout {
    Short,
    Long(Space, Vec<u8>),
    Retry(Vec<u8>, Vec<u8>),
}

fn layout(datagram: &[u8]) -> Option<(Layout, usize, usize)> {
    let whole = datagram.len();
    let (first, rest) = datagram.split_first()?;
    if first & 0x80 == 0 {
        return Some((Layout::Short, 1 + CID_LEN, whole));
    }
    let (version, rest) = rest.split_first_chunk::<4>()?;
    if *version != VERSION_1 {
        return None;
    }
    let (to, rest) = rest.split_first()?;
    let (_, rest) = rest.split_at_checked((*to).into())?;
    let (from, rest) = rest.split_first()?;
    let (from, rest) = rest.split_at_checked((*from).into())?;
    let mut rest = rest;
    let space = match first >> 4 & 3 {
        0 => {
            let token = usize::try_from(get(&mut rest)?).ok()?;
            rest = rest.get(token..)?;
            Space::Initial
        }
        2 => Space::Handshake,
        3 => {
            let token = rest.get(..rest.len().checked_sub(16)?)?; // the tag is not looked at
            return Some((Layout::Retry(from.to_vec(), token.to_vec()), whole, whole));
        }
        _ => return None,
    };
    let length = usize::try_from(get(&mut rest)?).ok()?;
    let number_at = whole - rest.len();
    let end = number_at.checked_add(length).filter(|end| *end <= whole)?;
    Some((Layout::Long(space, from.to_vec()), number_at, end))
}

impl Sealed<'_> {
    /// Its number and its frames; `newest`: the highest number seen so far.
    pub fn open(self, keys: &DirectionalKeys, newest: u64) -> Option<(u64, Vec<u8>)> {
        let (head, rest) = self.packet.split_at_mut_checked(self.number_at)?;
        let (number, sample) = rest.split_at_mut_checked(NUMBER_LEN)?;
        let sample = sample.get(..keys.header.sample_len())?;
        keys.header.decrypt_in_place(sample, head.first_mut()?, number).ok()?;
        let length = usize::from(*head.first()? & 3) + 1;
        let low = number.get(..length)?.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        let window = 1_u64 << (8 * length);
        let mut number = (newest + 1) & !(window - 1) | low;
        if number + window / 2 <= newest + 1 {
            number += window;
        } else if number > newest + 1 + window / 2 {
            number = number.saturating_sub(window);
        }
        let (header, sealed) = self.packet.split_at_mut_checked(self.number_at + length)?;
        let frames = keys.packet.decrypt_in_place(number, header, sealed).ok()?;
        Some((number, frames.to_vec()))
    }
}

/// A number as QUIC writes it. RFC 9000 §16. Larger than there are: the largest.
pub fn put(out: &mut Vec<u8>, number: u64) {
    match number {
        0..0x40 => out.extend_from_slice(&number.to_be_bytes()[7..]),
        0x40..0x4000 => out.extend_from_slice(&(number | 0x4000).to_be_bytes()[6..]),
        0x4000..0x4000_0000 => out.extend_from_slice(&(number | 0x8000_0000).to_be_bytes()[4..]),
        _ => out.extend_from_slice(&(number | 0xC000_0000_0000_0000).to_be_bytes()),
    }
}

/// Takes such a number off the front.
pub fn get(bytes: &mut &[u8]) -> Option<u64> {
    let length = 1_usize << (bytes.first()? >> 6);
    let (number, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    let whole = number.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    Some(whole & (u64::MAX >> (64 - 8 * length) >> 2))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rustls::Side;
    use rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256;
    use rustls::quic::{Keys, Version};

    use super::*;

    /// RFC 9000 §A.1.
    #[test]
    fn numbers_are_written_as_the_specification_shows() {
        for (number, hex) in [
            (151_288_809_941_952_652_u64, &[0xC2, 0x19, 0x7C, 0x5E, 0xFF, 0x14, 0xE8, 0x8C][..]),
            (494_878_333, &[0x9D, 0x7F, 0x3E, 0x7D]),
            (15_293, &[0x7B, 0xBD]),
            (37, &[0x25]),
        ] {
            let mut written = Vec::new();
            put(&mut written, number);
            assert_eq!(written, hex);
            assert_eq!(get(&mut &written[..]), Some(number));
        }
    }

    #[test]
    fn what_one_end_seals_the_other_opens() {
        let suite = TLS13_AES_128_GCM_SHA256.tls13().unwrap().quic_suite().unwrap();
        let keys = |side| -> Keys { suite.keys(b"12345678", side, Version::V1) };
        let (client, server) = (keys(Side::Client), keys(Side::Server));
        for space in [Space::Initial, Space::Handshake, Space::Data] {
            let head = Head { space, to: &[1; CID_LEN], from: &[2; CID_LEN], token: b"", number: 70_000 };
            let mut packet = seal(&head, &[1, 2, 3, 4, 5], &client.local, 200).unwrap();
            assert_eq!(packet.len(), 200);
            let sealed = match first(&mut packet).0 {
                Seen::Long(found, from, sealed) => {
                    assert_eq!((found, from), (space, vec![2; CID_LEN]));
                    sealed
                }
                Seen::Short(sealed) => sealed,
                Seen::Retry(..) | Seen::Other => unreachable!(),
            };
            let (number, frames) = sealed.open(&server.remote, 69_990).unwrap();
            assert_eq!((number, &frames[..6]), (70_000, &[1, 2, 3, 4, 5, 0][..]));
        }
    }
}
