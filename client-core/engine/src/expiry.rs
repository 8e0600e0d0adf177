//! Messages that disappear: ours count from when they are sent, those of others from when they are read. They go from
//! the database with all that was said about them, and then from the log beside it.
//!
//! Spec: envelope §8.

use hushwire_proto::ids::UnixMillis;
use rand_core::CryptoRng;
use rusqlite::Connection;

use crate::engine::Cx;
use crate::store::{self, StoreError, about, expiry};
use crate::{act, times};

/// Messages that go in one transaction. More wait for the next, so that one input never takes long.
const BATCH: usize = 256;

/// How long it is remembered that a message was here, and how long what is about a message waits for it, in
/// milliseconds: longer than a relay keeps anything and somebody stays away.
const REMEMBERED_MS: u64 = 90 * DAY_MS;

/// How often that is looked at, and how long what is about a message waits at least, also where messages disappear sooner:
/// what is missing is asked for within a day.
const DAY_MS: u64 = 24 * 3600 * 1000;

/// Removes what is due. When to look again.
pub(crate) fn outstanding<R: CryptoRng>(cx: &mut Cx<'_, R>) -> Result<Option<UnixMillis>, StoreError> {
    if cx.flight.expiry_looked.is_none_or(|looked| cx.now < looked) {
        expiry::shorten(cx.db, cx.now)?;
    }
    cx.flight.expiry_looked = Some(cx.now);
    if cx.flight.swept.is_none_or(|swept| cx.now < swept || cx.now.since(swept) > DAY_MS) {
        let long_ago = UnixMillis(cx.now.0.saturating_sub(REMEMBERED_MS));
        if about::forget_before(cx.db, long_ago, cx.now, DAY_MS)? {
            cx.flight.clean = false;
        }
        store::times::forget_before(cx.db, UnixMillis(cx.now.0.saturating_sub(times::WINDOW_MS)))?;
        cx.flight.swept = Some(cx.now);
    }
    for (message, place) in expiry::due(cx.db, cx.now, BATCH)? {
        act::remove(cx, message, &place)?;
    }
    expiry::next_due(cx.db)
}

/// Whether something is due.
pub(crate) fn is_due(db: &Connection, now: UnixMillis) -> Result<bool, StoreError> {
    Ok(expiry::next_due(db)?.is_some_and(|due| due <= now))
}
