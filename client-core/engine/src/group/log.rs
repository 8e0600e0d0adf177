//! All changes of one group that are known, and the state by them.
//!
//! Spec: group §7.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use hushwire_proto::account::Chain;
use hushwire_proto::ids::{ChangeHash, GroupId};

use super::Op;
use super::change::{BadChange, SignedChange};
use super::fold::Fold;
use super::graph::Graph;
use super::state::{GroupState, Void};
use super::waiting::Waiting;

/// The changes of one group. Whoever keeps it writes each change as one row and gives all rows to [`GroupLog::load`].
#[derive(Clone, Debug)]
pub struct GroupLog {
    id: GroupId,
    pub(super) graph: Graph,
    waiting: Waiting,
    /// Computed when somebody asks, so that many changes that come at once cost one computation.
    fold: OnceLock<Fold>,
}

/// What became of a change that was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// It counts, and so do those that waited for it.
    New {
        /// It and they. What waited is kept already.
        complete: Vec<ChangeHash>,
        /// Those that waited for it and turn out to be none: forget their rows.
        dropped: Vec<ChangeHash>,
    },
    /// It was here before.
    Known,
    /// Keep it. It counts once these are here: ask whoever sent it, see [`GroupLog::missing`].
    Waiting(Vec<ChangeHash>),
}

/// One change in the order in which all are gone through, and what of it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The change.
    pub change: &'a SignedChange,
    /// What it does, each with why it has no effect if it has none.
    pub what: Vec<(&'a Op, Option<Void>)>,
}

impl GroupLog {
    /// A group of which only the beginning is known.
    ///
    /// # Errors
    /// [`BadChange`]; [`BadChange::Form`] if it does not begin a group.
    pub fn found(change: SignedChange, author: &Chain) -> Result<Self, BadChange> {
        change.verify(author)?;
        Self::begin(change)
    }

    /// What was kept, in any order, those that waited included. Signatures were checked when the rows were made and
    /// are not checked again.
    ///
    /// # Errors
    /// [`BadChange`]: a row is damaged, or the founding change is not among them.
    pub fn load<Row: AsRef<[u8]>>(rows: impl IntoIterator<Item = Row>) -> Result<Self, BadChange> {
        let parse = |row: Row| SignedChange::parse(row.as_ref());
        let mut changes = rows.into_iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        changes.sort_by_key(|change| (change.height(), change.hash()));
        let mut changes = changes.into_iter();
        let mut log = Self::begin(changes.next().ok_or(BadChange::Form("found"))?)?;
        for change in changes.filter(|change| !change.is_founding()) {
            log.place(change, true)?;
        }
        Ok(log)
    }

    fn begin(change: SignedChange) -> Result<Self, BadChange> {
        if !change.is_founding() {
            return Err(BadChange::Form("found"));
        }
        let id = change.group();
        let mut graph = Graph::default();
        graph.add(change, true)?;
        Ok(Self { id, graph, waiting: Waiting::default(), fold: OnceLock::new() })
    }

    /// Takes a change in, whoever brought it. `author`: the device lists of its author.
    ///
    /// # Errors
    /// [`BadChange`]; nothing changed.
    pub fn insert(&mut self, change: SignedChange, author: &Chain) -> Result<Inserted, BadChange> {
        if change.group() != self.id {
            return Err(BadChange::OtherGroup);
        }
        if self.graph.place(&change.hash()).is_some() {
            return Ok(Inserted::Known);
        }
        if self.waiting.get(&change.hash()).is_some() {
            return Ok(Inserted::Waiting(self.lacks(&change)));
        }
        change.verify(author)?;
        self.place(change, false)
    }

    fn place(&mut self, change: SignedChange, proven: bool) -> Result<Inserted, BadChange> {
        if change.group() != self.id {
            return Err(BadChange::OtherGroup);
        }
        let lacks = self.lacks(&change);
        if !lacks.is_empty() {
            self.waiting.push(change)?;
            return Ok(Inserted::Waiting(lacks));
        }
        let mut complete = vec![change.hash()];
        self.add(change, proven)?;
        let mut refused = BTreeSet::new();
        loop {
            if let Some(change) = self.waiting.next(&self.graph) {
                let hash = change.hash();
                match self.add(change, false) {
                    Ok(()) => complete.push(hash),
                    Err(_) => drop(refused.insert(hash)),
                }
            } else if let Some(change) = self.waiting.next_after(&refused) {
                refused.insert(change.hash());
            } else {
                return Ok(Inserted::New { complete, dropped: refused.into_iter().collect() });
            }
        }
    }

    fn add(&mut self, change: SignedChange, proven: bool) -> Result<(), BadChange> {
        let place = self.graph.add(change, proven)?;
        let has_seen_all = self.graph.heads().nth(1).is_none();
        match (self.fold.get_mut(), self.graph.at(place)) {
            (Some(fold), Some(at)) if has_seen_all => fold.extend(&at),
            _ => drop(self.fold.take()),
        }
        Ok(())
    }

    fn lacks(&self, change: &SignedChange) -> Vec<ChangeHash> {
        change.parents().iter().filter(|parent| self.graph.place(parent).is_none()).copied().collect()
    }

    /// Which group.
    #[must_use]
    pub fn id(&self) -> GroupId {
        self.id
    }

    /// What the group is like by all changes that count.
    #[must_use]
    pub fn state(&self) -> &GroupState {
        &self.fold().state
    }

    pub(super) fn fold(&self) -> &Fold {
        self.fold.get_or_init(|| Fold::of(&self.graph, self.id))
    }

    /// The change of that hash, whether it counts already or waits.
    #[must_use]
    pub fn get(&self, hash: &ChangeHash) -> Option<&SignedChange> {
        self.graph.get(hash).or_else(|| self.waiting.get(hash))
    }

    /// The changes that none has seen, sorted: whoever has the same has the same group.
    #[must_use]
    pub fn heads(&self) -> Vec<ChangeHash> {
        let mut heads: Vec<ChangeHash> = self.graph.heads().map(SignedChange::hash).collect();
        heads.sort_unstable();
        heads
    }

    /// Changes that others name and that are not here. Somebody has them: ask for what comes after [`GroupLog::heads`].
    #[must_use]
    pub fn missing(&self) -> Vec<ChangeHash> {
        let lacks: BTreeSet<ChangeHash> = self.waiting.iter().flat_map(|change| self.lacks(change)).collect();
        lacks.into_iter().filter(|hash| self.waiting.get(hash).is_none()).collect()
    }

    /// What somebody with these heads lacks, in an order in which nothing has to wait. Heads that are not known here do not
    /// count.
    #[must_use]
    pub fn changes_after(&self, heads: &[ChangeHash]) -> Vec<&SignedChange> {
        self.graph.after(heads)
    }

    /// All changes that are known, as rows to keep: first those that count, in their order, then those that wait.
    pub fn iter(&self) -> impl Iterator<Item = &SignedChange> {
        self.graph.in_order().map(|at| at.change).chain(self.waiting.iter())
    }

    /// What happened, in the order in which it counts.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry<'_>> {
        let verdicts = self.fold().verdicts.iter();
        let entry = |(hash, verdicts): &(ChangeHash, Vec<Option<Void>>)| {
            let change = self.graph.get(hash)?;
            Some(Entry { change, what: change.ops().iter().zip(verdicts.iter().copied()).collect() })
        };
        verdicts.filter_map(entry).collect()
    }
}
