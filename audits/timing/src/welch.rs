//! Welch's t-test over two classes of durations, with the slow tail cut off at many places.
//!
//! As dudect does it (Reparaz, Balasch, Verbauwhede: *Dude, is my code constant time?*, 2016): what interrupts and the
//! scheduler add is large and belongs to neither class, so the test is repeated without the slowest part of all durations,
//! and the largest |t| counts. A difference that shows only behind some cut is found as well.

/// How many cuts there are beside none at all.
const CUTS: usize = 100;

/// Fewer durations than this in a class say nothing.
const ENOUGH: usize = 2_000;

/// One duration, in nanoseconds, and whether it is of the second class.
pub(crate) type Duration = (u64, bool);

/// What the tests say.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Verdict {
    /// Of Welch, where |t| is largest; the sign says which class is slower.
    pub(crate) t: f64,
    /// How much slower the first class is, in nanoseconds, among the fastest nine tenths.
    pub(crate) difference: f64,
    /// How large a difference would have a |t| of 10 there, in nanoseconds.
    pub(crate) visible: f64,
}

/// The verdict over all cuts; sorts the durations.
pub(crate) fn judge(durations: &mut [Duration]) -> Verdict {
    durations.sort_unstable_by_key(|(nanoseconds, _)| *nanoseconds);
    let mut classes = [Class::default(); 2];
    let mut cuts = (1..=CUTS).map(|cut| kept(cut, durations.len())).peekable();
    let mut verdict = Verdict::default();
    for (place, (nanoseconds, is_second)) in durations.iter().enumerate() {
        while cuts.next_if(|kept| *kept <= place).is_some() {
            verdict.hear(&classes);
        }
        if place == durations.len() / 10 * 9 {
            (verdict.difference, verdict.visible) = (difference(&classes), 10.0 * error(&classes));
        }
        let [first, second] = &mut classes;
        if *is_second { second.add(*nanoseconds) } else { first.add(*nanoseconds) }
    }
    verdict.hear(&classes);
    verdict
}

/// How many of the fastest are left by cut number `cut`: from a small part on, ever finer towards all.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
fn kept(cut: usize, all: usize) -> usize {
    let part = 1.0 - 0.5_f64.powf(10.0 * cut as f64 / CUTS as f64);
    (part * all as f64) as usize
}

/// Number, mean and sum of squared distances of one class, kept up by Welford's way.
#[derive(Debug, Clone, Copy, Default)]
struct Class {
    count: usize,
    mean: f64,
    squares: f64,
}

impl Class {
    #[allow(clippy::cast_precision_loss, reason = "durations are far below 2^52 ns")]
    fn add(&mut self, nanoseconds: u64) {
        let value = nanoseconds as f64;
        self.count += 1;
        let distance = value - self.mean;
        self.mean += distance / self.count as f64;
        self.squares += distance * (value - self.mean);
    }

    /// The variance of the mean.
    #[allow(clippy::cast_precision_loss)]
    fn error(&self) -> f64 {
        self.squares / (self.count as f64 - 1.0) / self.count as f64
    }
}

impl Verdict {
    /// Takes the t of these classes if it is larger.
    fn hear(&mut self, classes: &[Class; 2]) {
        let (t, [first, second]) = (difference(classes) / error(classes), classes);
        if first.count.min(second.count) >= ENOUGH && t.is_finite() && t.abs() > self.t.abs() {
            self.t = t;
        }
    }
}

fn difference([first, second]: &[Class; 2]) -> f64 {
    first.mean - second.mean
}

/// The standard error of the difference.
fn error([first, second]: &[Class; 2]) -> f64 {
    (first.error() + second.error()).sqrt()
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::*;

    /// Durations of two classes of which the second takes `more` nanoseconds more; some of both are interrupted.
    fn durations(more: u64) -> Vec<Duration> {
        let mut rng = StdRng::seed_from_u64(1);
        let mut one = || {
            let is_second = rng.random_bool(0.5);
            let interrupted = if rng.random_bool(0.02) { rng.random_range(0..50_000) } else { 0 };
            let noise: u64 = (0..4).map(|_| rng.random_range(0..20)).sum();
            (1_000 + noise + interrupted + if is_second { more } else { 0 }, is_second)
        };
        (0..50_000).map(|_| one()).collect()
    }

    #[test]
    fn two_classes_that_take_alike_are_not_told_apart() {
        let verdict = judge(&mut durations(0));
        assert!(verdict.t.abs() < 4.5, "{verdict:?}");
    }

    #[test]
    fn a_nanosecond_in_a_thousand_is_found_behind_the_interrupts() {
        let verdict = judge(&mut durations(2));
        assert!(verdict.t < -10.0, "{verdict:?}");
        // A cut takes a part of the difference with it.
        assert!((-2.1..-1.0).contains(&verdict.difference) && verdict.visible < 1.0, "{verdict:?}");
    }

    #[test]
    fn t_is_that_of_welch() {
        // Two classes of two values each, so often that they are enough: means 2 and 5, variances of the values 1 and 4.
        let values = [(1, false), (3, false), (3, true), (7, true)];
        let mut durations: Vec<Duration> = values.iter().copied().cycle().take(4 * 4_000).collect();
        let count = 8_000.0_f64;
        let expected = (2.0 - 5.0) / ((1.0 + 4.0) / (count - 1.0)).sqrt();
        let classes = durations.iter().fold([Class::default(); 2], |[mut first, mut second], (value, is_second)| {
            if *is_second {
                second.add(*value)
            } else {
                first.add(*value)
            }
            [first, second]
        });
        assert!((difference(&classes) / error(&classes) - expected).abs() < 1e-6);
        assert!(judge(&mut durations).t <= expected + 1e-6);
    }

    #[test]
    fn too_few_durations_say_nothing() {
        let mut few: Vec<Duration> = (0..100).map(|number| (number, number > 50)).collect();
        assert!(judge(&mut few).t.abs() < f64::EPSILON);
    }
}
