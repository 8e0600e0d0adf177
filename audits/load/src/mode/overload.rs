//! More than a relay can take: how much of it still goes through, how those who are refused learn it, how soon
//! everything is as before; and one mailbox that gets nearly all of it.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::time::sleep;

use super::capacity::{FORGOTTEN, sustained, undisturbed, whole};
use super::crowd::{Came, Crowd, Guests, Meter, Period};
use super::pairs::{self, Pace};
use crate::Failure;
use crate::judgement::{Bound, Judgement};
use crate::report::Case;
use crate::target::Target;

/// How much more than can be sustained is offered.
const FACTORS: [f64; 3] = [2.0, 5.0, 10.0];

/// And with senders that come back at once when they are asked to stay away.
const DEAF: f64 = 10.0;

/// Of C that must still go through.
const GOODPUT: f64 = 0.8;

/// For what is stored, and for the answer that it is not.
const ADMITTED_P99_MS: f64 = 500.0;
const REFUSED_P99_MS: f64 = 50.0;

/// Of what was to be offered: with more the generator was at its end, and not the server.
const HELD_BACK_PERCENT: f64 = 10.0;

/// How long a rate is offered before it is judged: until everybody has been told once what they are to do.
const AT_FIRST: Duration = Duration::from_secs(3);

/// What a server may grow by from C to ten times C: buffers of connections that are all full at once.
const GROWTH_MIB: f64 = 256.0;

/// What is offered when it is over, of C, and for how many seconds it is watched.
const AFTERWARDS: f64 = 0.7;
const WATCHED: u32 = 20;
const NORMAL_WITHIN: f64 = 10.0;

/// One second is normal again if nearly all of it is stored, and the slowest of a hundred no later.
const NORMAL_STORED: f64 = 0.95;
const NORMAL_P99_MS: f64 = 250.0;

/// Of what is offered for the hot mailbox, of C, and which part of that is for the one mailbox.
const HOT_RATE: f64 = 0.5;
const HOT_SHARE: f64 = 0.9;
const HOT_PAIRS: u32 = 100;

/// How much slower the others may be beside it.
const HOT_FACTOR: f64 = 2.0;

/// How long the last of a flood is waited for.
const SETTLE: Duration = Duration::from_secs(15);

/// What was stored in a flood is delivered by then, however late.
const LAST: Duration = Duration::from_secs(60);

const SECOND: Duration = Duration::from_secs(1);

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Half of the connections: senders; the other half are devices that are there.
    pub pairs: u32,
    /// Seconds of each rate.
    pub seconds: u64,
    /// Bytes of an envelope.
    pub bytes: usize,
}

/// Measures and judges.
///
/// # Errors
/// Somebody could not connect, or no rate is sustained.
pub async fn run(target: &Target, plan: Plan) -> Result<(Vec<Case>, Vec<Judgement>), Failure> {
    let Plan { pairs, seconds, bytes } = plan;
    let measured = Duration::from_secs(seconds);
    let crowd = Crowd::gather(target, Guests { pairs, hot: 0, window: 0, bytes }).await?;
    sleep(FORGOTTEN).await; // so many handshakes
    let closed = pairs::Plan { pairs: 100, pace: Pace::Closed(4), bytes, warm_up: SECOND, measured };
    let most = pairs::run(target, closed).await?.figure("stored/s").unwrap_or_default();
    let capacity = sustained(&crowd, target, most, measured).await?;
    let (mut cases, mut judged) = (Vec::new(), Vec::new());
    let offered = |factor: f64, settle| {
        let rate = Some(whole(capacity * factor));
        Period { warm_up: Duration::ZERO, measured, rate, settle }
    };
    let mut at_capacity = f64::NAN;
    for (factor, heeds) in [1.0].into_iter().chain(FACTORS).map(|factor| (factor, true)).chain([(DEAF, false)]) {
        crowd.heeds.store(heeds, Relaxed);
        crowd.back(SETTLE).await;
        let name = if heeds { format!("{factor} C") } else { format!("{factor} C, deaf") };
        let rate = capacity * factor;
        let mut count = |name: &str, came: &Came| {
            let [refused, held_back, stayed_away] = came.not_stored;
            let of_all = |n: u64| 100.0 * n as f64 / (rate * came.used.seconds);
            let goodput = came.stored as f64 / came.used.seconds / capacity;
            let case = row(name, rate, goodput, came, &crowd.usual).with("refused", refused as f64);
            cases.push(case.with("stayed away %", of_all(stayed_away)).with("held back %", of_all(held_back)));
            (goodput, of_all(held_back))
        };
        let first = Period { measured: AT_FIRST, ..offered(factor, Duration::ZERO) };
        let came = crowd.drive(target, first).await;
        count(&format!("{name}, at first"), &came);
        let came = undisturbed(&crowd, target, offered(factor, SETTLE)).await;
        let (goodput, held_back) = count(&name, &came);
        let memory = came.used.memory_kib.unwrap_or(f64::NAN) / 1024.0;
        if factor > 1.0 {
            let p99 = |times: &crate::times::Times| times.quantile(0.99);
            // Whoever is not heeded can only go on refusing, and that is shown.
            if heeds {
                judged.push(Judgement::new(format!("{name}: goodput, of C"), goodput, Bound::AtLeast(GOODPUT)));
                let admitted = p99(&crowd.usual.stored_times);
                judged.push(Judgement::new(format!("{name}: stored p99 ms"), admitted, Bound::AtMost(ADMITTED_P99_MS)));
                let told = p99(&crowd.usual.refused_times);
                judged.push(Judgement::new(format!("{name}: refused p99 ms"), told, Bound::AtMost(REFUSED_P99_MS)));
            }
            judged.push(Judgement::new(format!("{name}: not offered, %"), held_back, Bound::AtMost(HELD_BACK_PERCENT)));
            let grown = memory - at_capacity;
            judged.push(Judgement::new(format!("{name}: grown by MiB"), grown, Bound::AtMost(GROWTH_MIB)));
        } else {
            at_capacity = memory;
        }
    }
    crowd.heeds.store(true, Relaxed);
    let normal = normal_again(&crowd, target, capacity, offered(10.0, Duration::ZERO)).await;
    judged.push(Judgement::new("seconds until all is normal again", normal, Bound::AtMost(NORMAL_WITHIN)));
    let lost = crowd.usual.lost.load(Relaxed);
    judged.push(Judgement::new("connections lost", lost as f64, Bound::AtMost(0.0)));
    let missing = crowd.leave(LAST).await;
    judged.push(Judgement::new("stored and never delivered", missing as f64, Bound::AtMost(0.0)));
    let (more, hot) = one_hot_mailbox(target, capacity * HOT_RATE, bytes, measured).await?;
    cases.extend(more);
    judged.push(hot);
    Ok((cases, judged))
}

/// Floods, and then offers what can be sustained: after how many seconds it is again, or infinity.
async fn normal_again(crowd: &Crowd, target: &Target, capacity: f64, flood: Period) -> f64 {
    crowd.drive(target, flood).await;
    let rate = whole(capacity * AFTERWARDS);
    let period = Period { warm_up: Duration::ZERO, measured: SECOND, rate: Some(rate), settle: Duration::ZERO };
    for second in 1..=WATCHED {
        crowd.drive(target, period).await;
        let times = &crowd.usual.stored_times;
        if times.count() as f64 >= NORMAL_STORED * rate as f64 && times.quantile(0.99) <= NORMAL_P99_MS {
            return f64::from(second);
        }
    }
    f64::INFINITY
}

/// The same rate twice: evenly, and nine tenths of it into one mailbox.
async fn one_hot_mailbox(
    target: &Target,
    rate: f64,
    bytes: usize,
    measured: Duration,
) -> Result<(Vec<Case>, Judgement), Failure> {
    let mut cases = Vec::new();
    let mut p99 = Vec::new();
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a hundred pairs")]
    let hot = (f64::from(HOT_PAIRS) * HOT_SHARE) as u32;
    for (name, hot) in [("evenly", 0), ("nine tenths to one: the others", hot)] {
        let crowd = Crowd::gather(target, Guests { pairs: HOT_PAIRS, hot, window: 0, bytes }).await?;
        let period = Period { warm_up: SECOND, measured, rate: Some(whole(rate)), settle: SETTLE };
        let came = undisturbed(&crowd, target, period).await;
        cases.push(row(name, rate, came.stored as f64 / came.used.seconds / rate, &came, &crowd.usual));
        p99.push(crowd.usual.delivered_times.quantile(0.99));
        crowd.leave(SETTLE).await;
    }
    let factor = if let [evenly, beside] = p99[..] { beside / evenly } else { f64::NAN };
    let what = "a hot mailbox: the others' p99, times as slow";
    Ok((cases, Judgement::new(what, factor, Bound::AtMost(HOT_FACTOR))))
}

fn row(name: &str, offered: f64, goodput: f64, came: &Came, meter: &Meter) -> Case {
    let case = Case::new(name)
        .with("offered/s", offered)
        .with("stored/s", came.stored as f64 / came.used.seconds)
        .with("of C", goodput)
        .with("stored p50 ms", meter.stored_times.quantile(0.5))
        .with("stored p99 ms", meter.stored_times.quantile(0.99))
        .with("refused p99 ms", meter.refused_times.quantile(0.99))
        .with("delivered p99 ms", meter.delivered_times.quantile(0.99))
        .with("generator p99 ms", meter.own_times.quantile(0.99))
        .with("generator cpu %", 100.0 * came.used.own_cpu / came.used.seconds)
        .with("others' cpu %", came.used.others);
    match (came.used.server_cpu, came.used.memory_kib) {
        (Some(cpu), Some(memory)) => {
            case.with("server cpu %", 100.0 * cpu / came.used.seconds).with("server memory MiB", memory / 1024.0)
        }
        _ => case,
    }
}
