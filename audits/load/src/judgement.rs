//! What was found against what must hold: one line for each, and whether all hold.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::Failure;

/// One thing that must hold.
#[derive(Clone, Debug)]
pub struct Judgement {
    what: String,
    found: f64,
    bound: Bound,
}

/// How it must be.
#[derive(Clone, Copy, Debug)]
pub enum Bound {
    /// So much or more.
    AtLeast(f64),
    /// So much or less.
    AtMost(f64),
}

impl Judgement {
    /// Of a figure and its bound, in the same unit, which `what` names.
    #[must_use]
    pub fn new(what: impl Into<String>, found: f64, bound: Bound) -> Self {
        Self { what: what.into(), found, bound }
    }

    /// What must hold, with its unit.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.what
    }

    /// Whether it holds. What was not measured does not.
    #[must_use]
    pub fn holds(&self) -> bool {
        match self.bound {
            Bound::AtLeast(least) => self.found >= least,
            Bound::AtMost(most) => self.found <= most,
        }
    }

    fn words(&self) -> (&'static str, f64) {
        match self.bound {
            Bound::AtLeast(least) => ("at least", least),
            Bound::AtMost(most) => ("at most", most),
        }
    }

    /// For programs.
    #[must_use]
    pub fn json(&self) -> Value {
        let (word, bound) = self.words();
        json!({"what": self.what, "found": self.found, word: bound, "holds": self.holds()})
    }
}

/// For people, one line each.
#[must_use]
pub fn text(judgements: &[Judgement]) -> String {
    let width = judgements.iter().map(|judgement| judgement.what.len()).max().unwrap_or_default();
    judgements.iter().fold(String::new(), |mut out, judgement| {
        let (word, bound) = judgement.words();
        let verdict = if judgement.holds() { "holds" } else { "FAILS" };
        let (what, found) = (&judgement.what, judgement.found);
        let _ = writeln!(out, "  {verdict}  {what:width$}  {found:>10.2}, {word} {bound:.2}");
        out
    })
}

/// Fails with the names of those that do not hold.
///
/// # Errors
/// Some do not.
pub fn all_hold(judgements: &[Judgement]) -> Result<(), Failure> {
    let broken: Vec<_> = judgements.iter().filter(|judgement| !judgement.holds()).map(|j| j.what.clone()).collect();
    if broken.is_empty() { Ok(()) } else { Err(format!("does not hold: {}", broken.join("; "))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_holds_at_itself_and_not_for_what_was_not_measured() {
        let least = |found| Judgement::new("goodput", found, Bound::AtLeast(0.8));
        let most = |found| Judgement::new("p99 ms", found, Bound::AtMost(500.0));
        assert!(least(0.8).holds() && !least(0.79).holds() && !least(f64::NAN).holds());
        assert!(most(500.0).holds() && !most(500.1).holds() && !most(f64::NAN).holds());
        assert!(all_hold(&[least(0.9), most(1.0)]).is_ok());
        assert_eq!(all_hold(&[least(0.9), most(501.0)]), Err("does not hold: p99 ms".to_owned()));
        assert!(text(&[least(0.5)]).contains("FAILS  goodput"));
    }
}
