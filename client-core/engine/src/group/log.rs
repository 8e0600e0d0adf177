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
use super::graph::{Graph, Judged};
use super::loose::Key;
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
        /// Those that waited for it and turn out to be none, or in whose place it is kept: forget their rows.
        dropped: Vec<ChangeHash>,
    },
    /// It was here before.
    Known,
    /// Keep it. It counts once what it names is here: ask whoever sent it.
    Waiting {
        /// What it names and is not here, see [`GroupLog::missing`].
        lacks: Vec<ChangeHash>,
        /// Those that have waited in its place: forget their rows.
        dropped: Vec<ChangeHash>,
    },
    /// It is not kept: others of its author come first, and nobody has seen it whom the group was entrusted to.
    TooMany {
        /// Those that waited for it: forget their rows.
        dropped: Vec<ChangeHash>,
    },
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
        // Whoever has seen the last of them is not here yet when the first of them come.
        for change in changes.filter(|change| !change.is_founding()) {
            log.place(change, true)?;
        }
        log.drop_what_is_too_many();
        Ok(log)
    }

    fn begin(change: SignedChange) -> Result<Self, BadChange> {
        if !change.is_founding() {
            return Err(BadChange::Form("found"));
        }
        let id = change.group();
        let mut graph = Graph::default();
        let judged = graph.judge(&change, true)?;
        graph.add(change, judged);
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
            return Ok(Inserted::Waiting { lacks: self.lacks(&change), dropped: Vec::new() });
        }
        change.verify(author)?;
        let inserted = self.place(change, false)?;
        let Inserted::New { mut complete, mut dropped } = inserted else { return Ok(inserted) };
        dropped.extend(self.drop_what_is_too_many());
        complete.retain(|hash| !dropped.contains(hash));
        Ok(Inserted::New { complete, dropped })
    }

    /// `kept`: it was kept before, so that nothing is checked that was.
    fn place(&mut self, change: SignedChange, kept: bool) -> Result<Inserted, BadChange> {
        if change.group() != self.id {
            return Err(BadChange::OtherGroup);
        }
        let lacks = self.lacks(&change);
        let may_be_loose = || !kept && !self.graph.was_entrusted(&change.author());
        if !lacks.is_empty() && may_be_loose() && !self.has_room_for(&change) {
            return Ok(self.refuse(change.hash()));
        }
        if !lacks.is_empty() {
            let wanted = self.wanted();
            let graph = &self.graph;
            let matters =
                |change: &SignedChange| graph.was_entrusted(&change.author()) || wanted.contains(&change.hash());
            let dropped = self.waiting.push(change, matters)?;
            return Ok(Inserted::Waiting { lacks, dropped });
        }
        let judged = self.graph.judge(&change, kept)?;
        if judged.is_loose() && !kept && !self.has_room_for(&change) {
            return Ok(self.refuse(change.hash()));
        }
        let mut complete = vec![change.hash()];
        self.add(change, judged);
        let mut refused = BTreeSet::new();
        loop {
            if let Some(change) = self.waiting.next(&self.graph) {
                let hash = change.hash();
                match self.graph.judge(&change, false) {
                    Ok(judged) => {
                        self.add(change, judged);
                        complete.push(hash);
                    }
                    Err(_) => drop(refused.insert(hash)),
                }
            } else {
                self.drop_what_waits_for(&mut refused);
                return Ok(Inserted::New { complete, dropped: refused.into_iter().collect() });
            }
        }
    }

    fn add(&mut self, change: SignedChange, judged: Judged) {
        let place = self.graph.add(change, judged);
        let has_seen_all = self.graph.heads().nth(1).is_none();
        match (self.fold.get_mut(), self.graph.at(place)) {
            (Some(fold), Some(at)) if has_seen_all => fold.extend(&at),
            _ => drop(self.fold.take()),
        }
    }

    /// Whether a new change of this device would be kept here.
    pub(super) fn would_be_kept(&self, change: &SignedChange) -> Result<(), BadChange> {
        let judged = self.graph.judge(change, false)?;
        if !judged.is_loose() || self.has_room_for(change) { Ok(()) } else { Err(BadChange::TooManyLoose) }
    }

    /// Whether a loose change is one of those that are kept, or is waited for.
    fn has_room_for(&self, change: &SignedChange) -> bool {
        let key = (change.height(), change.hash());
        self.graph.loose().fits(&change.author(), &key) || self.wanted().contains(&change.hash())
    }

    /// What names it is its author's too, and comes later.
    fn refuse(&mut self, hash: ChangeHash) -> Inserted {
        let mut refused = BTreeSet::from([hash]);
        self.drop_what_waits_for(&mut refused);
        refused.remove(&hash);
        Inserted::TooMany { dropped: refused.into_iter().collect() }
    }

    fn drop_what_waits_for(&mut self, refused: &mut BTreeSet<ChangeHash>) {
        while let Some(change) = self.waiting.next_after(refused) {
            refused.insert(change.hash());
        }
    }

    /// What somebody has seen whom the group was entrusted to, by changes that wait.
    fn wanted(&self) -> BTreeSet<ChangeHash> {
        let mut wanted = BTreeSet::new();
        let mut next: Vec<&SignedChange> =
            self.waiting.iter().filter(|change| self.graph.shows_entrusted(change)).collect();
        while let Some(change) = next.pop() {
            for parent in change.parents() {
                if wanted.insert(*parent) {
                    next.extend(self.waiting.get(parent));
                }
            }
        }
        wanted
    }

    /// Loose changes that come after those which are kept, the last first, so that none loses what it names.
    fn drop_what_is_too_many(&mut self) -> BTreeSet<ChangeHash> {
        let mut dropped = BTreeSet::new();
        let wanted = self.wanted();
        let may_go = |graph: &Graph, key: &Key| graph.is_head(key) && !wanted.contains(&key.1);
        while let Some((_, hash)) = self.graph.loose().too_many(|key| may_go(&self.graph, key)) {
            self.graph.remove(&hash);
            self.fold.take();
            dropped.insert(hash);
        }
        self.drop_what_waits_for(&mut dropped);
        dropped
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

    /// Whether that change and everything before it is here.
    #[must_use]
    pub fn has_all_of(&self, hash: &ChangeHash) -> bool {
        self.graph.place(hash).is_some()
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
