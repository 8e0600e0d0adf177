//! Changes of authors who were never entrusted with the group, as long as nobody who was has seen them. Of each author, and of
//! all, those are kept that come first in the order: whoever is sent the same keeps the same, in whatever order it came.
//!
//! Spec: group §7.

use std::collections::{BTreeMap, BTreeSet};

use hushwire_proto::ids::{AccountId, ChangeHash};

/// Of one author. Whoever comes and goes by a link makes one or two a day, and admins see them by what they do.
pub(super) const OF_ONE_AUTHOR_MAX: usize = 16;

/// Of all together: a thousand come by a link and go again before an admin does anything, twice.
pub(super) const LOOSE_MAX: usize = 4096;

/// Bytes of one, signed: an account that comes or goes, after eight others.
pub(super) const LOOSE_BYTES_MAX: usize = 2 * 1024;

/// Where a change stands in the order.
pub(super) type Key = (u64, ChangeHash);

/// Which changes are loose.
#[derive(Clone, Debug, Default)]
pub(super) struct Loose {
    all: BTreeMap<Key, AccountId>,
    of_authors: BTreeMap<AccountId, BTreeSet<Key>>,
}

impl Loose {
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn contains(&self, key: &Key) -> bool {
        self.all.contains_key(key)
    }

    pub(super) fn insert(&mut self, author: AccountId, key: Key) {
        self.all.insert(key, author);
        self.of_authors.entry(author).or_default().insert(key);
    }

    pub(super) fn remove(&mut self, key: &Key) {
        let Some(author) = self.all.remove(key) else { return };
        if let Some(keys) = self.of_authors.get_mut(&author) {
            keys.remove(key);
            if keys.is_empty() {
                self.of_authors.remove(&author);
            }
        }
    }

    /// Whether a further one of this author would be among those that are kept.
    pub(super) fn fits(&self, author: &AccountId, key: &Key) -> bool {
        let last_of_author = self.of_authors.get(author).and_then(|keys| keys.iter().nth(OF_ONE_AUTHOR_MAX - 1));
        let last_of_all = self.all.keys().nth(LOOSE_MAX - 1);
        last_of_author.is_none_or(|last| key < last) && last_of_all.is_none_or(|last| key < last)
    }

    /// One that is too many and may go: the last of an author who has too many, or of all.
    pub(super) fn too_many(&self, may_go: impl Fn(&Key) -> bool) -> Option<Key> {
        let last = |keys: &BTreeSet<Key>| keys.iter().skip(OF_ONE_AUTHOR_MAX).rev().find(|key| may_go(key)).copied();
        let of_all = || self.all.keys().skip(LOOSE_MAX).rev().find(|key| may_go(key)).copied();
        self.of_authors.values().find_map(last).or_else(of_all)
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::seq::SliceRandom;
    use rand::{RngExt as _, SeedableRng};

    use super::*;

    #[test]
    fn of_all_authors_together_those_are_kept_that_come_first_in_whatever_order_they_came() {
        let mut rng = StdRng::seed_from_u64(1);
        let mut all: Vec<(AccountId, Key)> = (0..9000u32)
            .map(|_| {
                let author: u16 = if rng.random() { rng.random_range(0..40) } else { rng.random_range(0..1000) };
                let account = AccountId([author.to_be_bytes(); 16].concat().try_into().unwrap());
                (account, (rng.random_range(1..9), ChangeHash(rng.random())))
            })
            .collect();
        let mut kept = Vec::new();
        for _ in 0..3 {
            all.shuffle(&mut rng);
            let mut loose = Loose::default();
            for (author, key) in &all {
                if loose.fits(author, key) {
                    loose.insert(*author, *key);
                }
                while let Some(last) = loose.too_many(|_| true) {
                    loose.remove(&last);
                }
            }
            assert!(loose.of_authors.values().all(|keys| keys.len() <= OF_ONE_AUTHOR_MAX));
            kept.push(loose.all);
        }
        assert_eq!(kept[0].len(), LOOSE_MAX);
        assert!(kept.windows(2).all(|pair| pair[0] == pair[1]));
    }
}
