//! C: the most that a server takes in a second for as long as one likes, with nobody waiting long.

use std::time::Duration;

use tokio::time::sleep;

use super::crowd::{Came, Crowd, Period};
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

/// For so long a relay that had too much turns senders away sooner than otherwise.
pub(super) const FORGOTTEN: Duration = Duration::from_secs(6);

/// What others may use of a core, in per cent, while something is judged: with more it is measured again, whatever came out.
/// On a virtual machine they are those who share it.
const OTHERS_PERCENT: f64 = 5.0;

/// How often.
const UNDISTURBED_TRIES: u32 = 4;

/// Messages in a second that are sustained, found from `from`, upwards or downwards; measured as long as `measured` for each rate.
///
/// # Errors
/// None is.
pub async fn sustained(crowd: &Crowd, target: &Target, from: f64, measured: Duration) -> Result<f64, Failure> {
    let (mut rate, mut found, mut descends) = (from, None, false);
    for _ in 0..TRIES {
        match (tried(crowd, target, rate, measured).await, found) {
            (Ok(()), _) if descends => return Ok(rate),
            (Ok(()), _) => {
                found = Some(rate);
                rate /= STEP;
            }
            (Err(_), Some(found)) => return Ok(found),
            (Err(stored), None) => {
                descends = true;
                rate = (rate * STEP).min(stored.max(rate * STEP * STEP * STEP)); // nearer to what came, in large steps
            }
        }
    }
    found.ok_or_else(|| "no rate was sustained; the machine is too busy".to_owned())
}

/// Whether a rate is sustained, or how much of it was stored in a second.
async fn tried(crowd: &Crowd, target: &Target, rate: f64, measured: Duration) -> Result<(), f64> {
    let period = Period { warm_up: WARM_UP, measured, rate: Some(whole(rate)), settle: SETTLE };
    for _ in 0..AGAIN {
        crowd.back(SETTLE).await; // whom the rate before sent away is not offered in this one
        let came = undisturbed(crowd, target, period).await;
        let stored = came.stored as f64 / came.used.seconds;
        if stored < SUSTAINED * rate || crowd.usual.stored_times.quantile(0.99) > PATIENCE_MS {
            sleep(FORGOTTEN).await;
            return Err(stored);
        }
    }
    Ok(())
}

/// Drives it until others left the machine alone meanwhile, a few times.
pub async fn undisturbed(crowd: &Crowd, target: &Target, period: Period) -> Came {
    let mut came = crowd.drive(target, period).await;
    for _ in 1..UNDISTURBED_TRIES {
        if came.used.others <= OTHERS_PERCENT {
            break;
        }
        came = crowd.drive(target, period).await;
    }
    came
}

/// A rate as a number of messages.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate, far below any bound")]
#[must_use]
pub fn whole(rate: f64) -> u64 {
    rate.max(1.0) as u64
}
