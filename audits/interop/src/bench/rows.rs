//! Figures of one operation in one form, round by round.

use super::ours::{Form, Operation};

/// Nanoseconds per operation, one for each round.
#[derive(Default)]
pub(crate) struct Figures(Vec<f64>);

impl Figures {
    /// Whether nothing was measured.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn least(&self) -> f64 {
        self.0.iter().copied().fold(f64::INFINITY, f64::min)
    }

    pub(crate) fn most(&self) -> f64 {
        self.0.iter().copied().fold(0.0, f64::max)
    }

    /// The middle one; the lower of two.
    pub(crate) fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or(f64::NAN)
    }

    pub(crate) fn per_second(&self) -> f64 {
        1e9 / self.median()
    }
}

/// An operation in one form, measured on both sides.
pub(crate) struct Row {
    /// Its place among the operations.
    pub(crate) operation: usize,
    pub(crate) name: &'static str,
    pub(crate) key: &'static str,
    pub(crate) form: Form,
    pub(crate) ours: Figures,
    pub(crate) theirs: Figures,
    /// What all threads of the official process computed in that time.
    pub(crate) their_processor: Figures,
    /// How often the official library asks a store for one operation.
    pub(crate) asks: f64,
}

/// One operation of the official library, in the middle of a round.
pub(crate) struct Measured {
    pub(crate) nanos: f64,
    pub(crate) processor: f64,
    pub(crate) asks: f64,
}

impl Row {
    /// One row for each form that makes a difference.
    pub(crate) fn of((place, operation): (usize, &Operation)) -> Vec<Row> {
        let Operation { name, key, count: _, forms, work: _ } = operation;
        let row = |form: &Form| Row {
            operation: place,
            name,
            key,
            form: *form,
            ours: Figures::default(),
            theirs: Figures::default(),
            their_processor: Figures::default(),
            asks: 0.0,
        };
        forms.iter().map(row).collect()
    }

    pub(crate) fn add(&mut self, ours: Option<f64>, theirs: Measured) {
        self.ours.0.extend(ours);
        self.theirs.0.push(theirs.nanos);
        self.their_processor.0.push(theirs.processor);
        self.asks = theirs.asks;
    }

    /// How many times as long as ours this takes; nothing where nothing of ours stands against it.
    pub(crate) fn ratio(&self, theirs: f64) -> Option<f64> {
        (!self.ours.is_empty()).then(|| theirs / self.ours.median())
    }
}

/// What the way between Node and native code costs, in nanoseconds.
pub(crate) struct Bridge {
    /// A call without a promise.
    call: f64,
    /// For each time that a store is asked: its share of a promise that asks two.
    ask: f64,
}

/// The rows that measure the bridge: a call, and a promise that asks two stores.
pub(crate) const CALL: &str = "call";
pub(crate) const ASYNC_CALL: &str = "async_call";

impl Bridge {
    /// From the rows that measure it.
    pub(crate) fn of(rows: &[Row]) -> Bridge {
        let least =
            |key| rows.iter().filter(|row| row.key == key).map(|row| row.theirs.median()).fold(f64::NAN, f64::min);
        Bridge { call: least(CALL), ask: least(ASYNC_CALL) / 2.0 }
    }

    /// What is left of the official figure without the bridge. An estimate: the two stores that were asked are cheap ones.
    pub(crate) fn without(&self, row: &Row) -> f64 {
        row.theirs.median() - if row.asks > 0.0 { row.asks * self.ask } else { self.call }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(key: &'static str, nanos: f64, asks: f64) -> Row {
        let operation = Operation { name: key, key, count: 1, forms: &[Form::Held], work: None };
        let mut row = Row::of((0, &operation)).remove(0);
        row.add(Some(10.0), Measured { nanos, processor: nanos, asks });
        row
    }

    #[test]
    fn what_is_asked_of_stores_is_taken_off_as_often_as_it_is_asked() {
        let rows = [row(CALL, 1.0, 0.0), row(ASYNC_CALL, 20.0, 2.0), row("encrypt", 70.0, 4.0), row("sign", 31.0, 0.0)];
        let bridge = Bridge::of(&rows);
        assert_eq!(rows.each_ref().map(|row| bridge.without(row)), [0.0, 0.0, 30.0, 30.0]);
        assert_eq!(rows[2].ratio(bridge.without(&rows[2])), Some(3.0));
    }

    #[test]
    fn one_slow_round_moves_no_median() {
        let figures = Figures(vec![3.0, 900.0, 1.0, 2.0, 3.0]);
        assert_eq!((figures.median(), figures.least(), figures.most()), (3.0, 1.0, 900.0));
    }
}
