//! Pairs of a sender and a device that is there. Closed loop: each pair has so many messages under way. Open loop: so
//! many begin in a second whatever becomes of those before, and each is timed from when it was to begin.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::TAIL_PATIENCE;
use super::crowd::{Crowd, Guests, Period};
use crate::Failure;
use crate::report::Case;
use crate::target::Target;
use crate::times::now;

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How many pairs.
    pub pairs: u32,
    /// Which loop.
    pub pace: Pace,
    /// Bytes of an envelope.
    pub bytes: usize,
    /// How long connections find their speed, uncounted.
    pub warm_up: Duration,
    /// How long is counted.
    pub measured: Duration,
}

/// When a message is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// So many of each pair are under way.
    Closed(u64),
    /// So many in a second, of all pairs together.
    Open(u64),
}

/// Measures.
///
/// # Errors
/// Somebody could not connect.
pub async fn run(target: &Target, plan: Plan) -> Result<Case, Failure> {
    let Plan { pairs, pace, bytes, warm_up, measured } = plan;
    let (window, rate) = match pace {
        Pace::Closed(window) => (window, None),
        Pace::Open(rate) => (0, Some(rate)),
    };
    let crowd = Crowd::gather(target, Guests { pairs, hot: 0, window, bytes }).await?;
    let came = crowd.drive(target, Period { warm_up, measured, rate, settle: Duration::ZERO }).await;
    let (meter, sent_all) = (crowd.usual.clone(), now());
    let missing = crowd.leave(TAIL_PATIENCE).await;
    let tail = now().saturating_sub(sent_all);
    let rate = |count: u64| count as f64 / came.used.seconds;
    Ok(Case::new(target.kind().name())
        .with("messages/s", rate(came.through))
        .with("stored/s", rate(came.stored))
        .with_times("delivered", &meter.delivered_times)
        .with_times("stored", &meter.stored_times)
        .with("refused", meter.refused.load(Relaxed) as f64)
        .with("refused p99 ms", meter.refused_times.quantile(0.99))
        .with("held back", meter.held_back.load(Relaxed) as f64)
        .with("never arrived", missing as f64)
        .with("connections lost", meter.lost.load(Relaxed) as f64)
        .with("tail s", tail as f64 / 1e9)
        .with_use(&came.used, came.through, "message"))
}
