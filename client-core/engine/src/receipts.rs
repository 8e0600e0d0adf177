//! Receipts on their way out: held back a moment, then everything for one contact in one content. So they tell neither
//! the network's round-trip time nor when exactly a device woke up, and cost one envelope instead of many.

use hushwire_proto::ids::{DeviceId, UnixMillis};
use rand_core::CryptoRng;

use crate::contacts::gets_receipts;
use crate::content::{Content, RECEIPTS_MAX, Receipt};
use crate::engine::Cx;
use crate::store::{StoreError, conversations, damaged, groups, receipts, unsealed};
use crate::types::Talk;

/// The shortest time that a receipt waits for others, in milliseconds.
const HELD_BACK_MIN_MS: u64 = 200;

/// What is added at random, in milliseconds. Together a person hardly notices.
const HELD_BACK_JITTER_MS: u64 = 1_300;

/// What is added to that for each member of a group, in milliseconds: the author of a message hears from some sixty in a
/// second, however many there are.
const HELD_BACK_EACH_MS: u64 = 16;

/// When a receipt that is due to be sent from now on leaves.
pub(crate) fn hold_back<R: CryptoRng>(cx: &mut Cx<'_, R>, with: Talk) -> Result<UnixMillis, StoreError> {
    let others = match with {
        Talk::Contact(_) => 0,
        Talk::Group(group) => crate::groups::log_of(cx, group)?.state().members.len(),
    };
    let jitter = HELD_BACK_JITTER_MS.saturating_add((others as u64).saturating_mul(HELD_BACK_EACH_MS));
    Ok(cx.now.plus(HELD_BACK_MIN_MS + cx.rng.next_u64() % (jitter + 1)))
}

/// Composes receipts that are due. When to look again.
pub(crate) fn outstanding<R: CryptoRng>(cx: &mut Cx<'_, R>) -> Result<Option<UnixMillis>, StoreError> {
    for (contact, id) in receipts::all_due(cx.db, cx.now)? {
        let with = conversations::talk(cx.db, id)?.ok_or_else(|| damaged("receipts"))?;
        let group = match with {
            Talk::Contact(_) => None,
            Talk::Group(group) => Some(groups::id_of(cx.db, group)?),
        };
        let delivered = receipts::take(cx.db, contact, id, receipts::Kind::Delivered, RECEIPTS_MAX)?;
        // What was read is told no sooner than that it came: nobody can have read what did not.
        let read = match delivered.len() < RECEIPTS_MAX {
            true => receipts::take(cx.db, contact, id, receipts::Kind::Read, RECEIPTS_MAX)?,
            false => Vec::new(),
        };
        if !gets_receipts(cx, with, contact)? {
            continue;
        }
        let mut authors: Vec<DeviceId> = delivered.iter().chain(&read).map(|(device, _)| *device).collect();
        authors.sort_unstable();
        authors.dedup();
        for author in authors {
            let of = |list: &[(DeviceId, u64)]| -> Vec<u64> {
                list.iter().filter(|(device, _)| *device == author).map(|(_, counter)| *counter).collect()
            };
            let read_through = of(&read).into_iter().max().unwrap_or(0);
            let receipt = Receipt { group, author, delivered: of(&delivered), read_through };
            unsealed::add(cx.db, Talk::Contact(contact), None, &Content::Receipt(receipt).encode())?;
        }
    }
    receipts::next_due(cx.db)
}
