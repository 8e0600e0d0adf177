//! C: the most that a server takes in a second for as long as one likes, with nobody waiting long.

use std::time::Duration;

use super::crowd::{Crowd, Period};
use crate::Failure;
use crate::target::Target;

/// A rate is sustained if the slowest of a hundred answers takes no longer: half of what is allowed beyond it.
const PATIENCE_MS: f64 = 250.0;

/// And nearly all of what was offered is stored.
const SUSTAINED: f64 = 0.95;

/// So often in a row: what went well once may have been luck.
const AGAIN: u32 = 2;

/// How much slower the next rate is that is tried.
const STEP: f64 = 0.85;

/// Rates that are tried for one that is sustained.
const TRIES: usize = 14;

/// How long connections find their speed.
const WARM_UP: Duration = Duration::from_secs(1);

/// How long answers of one rate are waited for before the next.
const SETTLE: Duration = Duration::from_secs(10);

/// Messages in a second that are sustained, found from `from` downwards; measured as long as `measured` for each rate.
///
/// # Errors
/// None is.
pub async fn sustained(crowd: &Crowd, target: &Target, from: f64, measured: Duration) -> Result<f64, Failure> {
    let mut rate = from;
    for _ in 0..TRIES {
        let period = Period { warm_up: WARM_UP, measured, rate: Some(whole(rate)), settle: SETTLE };
        let mut stored = 0.0;
        let mut is_sustained = true;
        for _ in 0..AGAIN {
            let came = crowd.drive(target, period).await;
            stored = came.stored as f64 / came.used.seconds;
            is_sustained = stored >= SUSTAINED * rate && crowd.usual.stored_times.quantile(0.99) <= PATIENCE_MS;
            if !is_sustained {
                break;
            }
        }
        if is_sustained {
            return Ok(rate);
        }
        rate = (rate * STEP).min(stored.max(rate * STEP * STEP * STEP)); // nearer to what came, in large steps
    }
    Err("no rate was sustained; the machine is too busy".to_owned())
}

/// A rate as a number of messages.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate, far below any bound")]
#[must_use]
pub fn whole(rate: f64) -> u64 {
    rate.max(1.0) as u64
}
