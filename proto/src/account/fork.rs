//! Two chains of one account: which of them counts, and where a new link goes.
//!
//! A device that was stolen can go on with the chain from wherever it was a device. The recovery key, which is on paper,
//! takes the account back: where two chains part, the one that has a link of the recovery key behind that wins over the one
//! that only devices signed. A link of the recovery key is never undone by this, so nobody goes back behind it with an
//! older recovery key. Whoever compares the same two chains comes to the same end.
//!
//! Spec: keyserver §3.4.

use super::{BadChain, Chain, Signatory, SignedLink};
use crate::auth::SignatureBytes;
use crate::keyserver::CURVE_KEY_LEN;

/// What a chain is to the one that is known. Only [`Compared::Newer`] and [`Compared::Recovered`] are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compared {
    /// The same.
    Same,
    /// The known one and more.
    Newer,
    /// A beginning of the known one: whoever shows it has not heard, or holds back.
    Older,
    /// It takes the account back from a device that went on with the known one.
    Recovered,
    /// What the recovery key has undone: the known one counts.
    Undone,
    /// Neither counts more than the other, and somebody has signed two lists. The known one is kept; a person must be
    /// told.
    Forked,
}

/// Why a link does not go on with a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DoesNotFollow {
    /// Another link stands in that place already, or the chain has no link that this one names.
    #[error("another link stands there already; look the account up and sign what follows from its newest link")]
    Taken,
    /// It would stand in the right place, and does not verify.
    #[error(transparent)]
    Bad(#[from] BadChain),
}

impl Chain {
    /// What `other` is to this chain, which is the known one.
    ///
    /// # Errors
    /// [`BadChain::OtherAccount`].
    pub fn compare(&self, other: &Self) -> Result<Compared, BadChain> {
        if self.account != other.account {
            return Err(BadChain::OtherAccount);
        }
        let common = self.links.iter().zip(&other.links).take_while(|(mine, theirs)| same(mine, theirs)).count();
        let (mine, theirs) = (rest(&self.links, common), rest(&other.links, common));
        Ok(match (mine.is_empty(), theirs.is_empty()) {
            (true, true) => Compared::Same,
            (true, false) => Compared::Newer,
            (false, true) => Compared::Older,
            (false, false) => match (theirs.iter().any(by_recovery), mine.iter().any(by_recovery)) {
                (true, false) => Compared::Recovered,
                (false, true) => Compared::Undone,
                (true, true) | (false, false) => Compared::Forked,
            },
        })
    }

    /// The chain with this link: after its newest, or after an older one if the recovery key signed it and undoes none of
    /// its own links. A link that is in the chain already leaves it as it is.
    ///
    /// # Errors
    /// [`DoesNotFollow`].
    pub fn append(
        &self,
        link: SignedLink,
        vouches: impl Fn(&[u8; CURVE_KEY_LEN], &[u8], &SignatureBytes) -> bool,
    ) -> Result<Self, DoesNotFollow> {
        if self.links.iter().any(|known| same(known, &link)) {
            return Ok(self.clone());
        }
        let named = |before: &SignedLink| Some(before.hash()) == link.link.previous;
        let place = self.links.iter().position(named).ok_or(DoesNotFollow::Taken)?;
        let mut links: Vec<SignedLink> = self.links.iter().take(place.saturating_add(1)).cloned().collect();
        links.push(link);
        let longer = Self::verify(links, vouches)?;
        match self.compare(&longer)? {
            Compared::Newer | Compared::Recovered => Ok(longer),
            Compared::Same | Compared::Older | Compared::Undone | Compared::Forked => Err(DoesNotFollow::Taken),
        }
    }
}

fn rest(links: &[SignedLink], from: usize) -> &[SignedLink] {
    links.get(from..).unwrap_or_default()
}

/// A signature can be made anew over the same list, and that changes nothing.
fn same(a: &SignedLink, b: &SignedLink) -> bool {
    a.bytes == b.bytes && a.signatory == b.signatory
}

fn by_recovery(link: &SignedLink) -> bool {
    link.signatory == Signatory::Recovery
}
