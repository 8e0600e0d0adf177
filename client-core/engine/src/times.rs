//! How often a device was asked for what was missed, and answered: so many times within a day and no more, however often the
//! program is started in between.
//!
//! Spec: envelope §9, §10.

use hushwire_proto::ids::{DeviceId, UnixMillis};
use rand_core::CryptoRng;

use crate::engine::Cx;
use crate::store::{StoreError, times};
use crate::types::{ContactId, LocalGroup};

/// How often a device is asked, or answered, about a group within [`WINDOW_MS`], and a member asked back.
const IN_GROUP_MAX: u32 = 3;

/// How often a device is answered about what was said to its owner alone. It asks half as often; its day begins at another
/// time, and it may have been set back in between.
const ALONE_MAX: u32 = 6;

/// How often a member is given changes, or asked for them by somebody who is out.
const CHANGES_MAX: u32 = 64;

/// A day, in milliseconds.
pub(crate) const WINDOW_MS: u64 = 24 * 3600 * 1000;

/// What is asked for in a group may have to come from far: nothing is asked twice within it, in milliseconds.
const PATIENCE_MS: u64 = 60 * 1000;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// A device of a member was asked for what it said to the group.
    Asked(LocalGroup, DeviceId),
    /// The same was said anew to it.
    Answered(LocalGroup, DeviceId),
    /// A member was given changes of the group.
    Changes(LocalGroup),
    /// A member was asked for changes that it had when it asked for ours.
    Back(LocalGroup),
    /// A member was told changes that it may have refused.
    Told(LocalGroup),
    /// A member was asked whether we are in.
    WhetherIn(LocalGroup),
    /// What was said to its owner alone was said anew to a device.
    AnsweredAlone(DeviceId),
}

/// Since when, when last, and how often.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counted {
    pub(crate) since: UnixMillis,
    pub(crate) last: UnixMillis,
    pub(crate) times: u32,
}

/// Counts one more, if it is not too many.
pub(crate) fn once_more<R: CryptoRng>(cx: &Cx<'_, R>, who: ContactId, way: Way) -> Result<bool, StoreError> {
    let (most, patience) = match way {
        Way::Asked(..) | Way::Answered(..) | Way::Back(_) => (IN_GROUP_MAX, PATIENCE_MS),
        Way::Changes(_) => (CHANGES_MAX, 0),
        Way::Told(_) | Way::WhetherIn(_) => (CHANGES_MAX, PATIENCE_MS),
        Way::AnsweredAlone(_) => (ALONE_MAX, 0),
    };
    let counted = times::get(cx.db, who, way)?.filter(|counted| is_within(cx.now, counted.since, WINDOW_MS));
    let next = match counted {
        None => Counted { since: cx.now, last: cx.now, times: 1 },
        Some(counted) if counted.times >= most || is_within(cx.now, counted.last, patience) => return Ok(false),
        Some(counted) => Counted { last: cx.now, times: counted.times.saturating_add(1), ..counted },
    };
    times::set(cx.db, who, way, &next)?;
    Ok(true)
}

/// Whether it was so a moment ago.
pub(crate) fn is_recent<R: CryptoRng>(cx: &Cx<'_, R>, who: ContactId, way: Way) -> Result<bool, StoreError> {
    Ok(times::get(cx.db, who, way)?.is_some_and(|counted| is_within(cx.now, counted.last, PATIENCE_MS)))
}

/// A clock that went back begins anew.
fn is_within(now: UnixMillis, from: UnixMillis, millis: u64) -> bool {
    now >= from && now.since(from) < millis
}
