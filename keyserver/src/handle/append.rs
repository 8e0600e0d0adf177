//! Going on with the chain of an account: devices come and go, and the recovery key takes the account back.
//!
//! Nobody signs in for it: the link says who wants it, and there may be no device left to sign in. Repeating it changes
//! nothing, so whoever lost the answer asks again, and so may anybody else.
//!
//! Spec: keyserver §3.7.

use std::time::Instant;

use hushwire_proto::account::{Chain, DoesNotFollow, Signatory, SignedLink};
use hushwire_proto::ids::AccountId;
use hushwire_proto::keyserver::{Answer, RefusedReason};

use super::fetch::unknown;
use super::{Server, aside, overloaded, refuse};
use crate::keys::{AppendRefusal, Damaged, KeysError};
use crate::limits::lock;
use crate::verify;

/// How often a link is checked again because another came first.
const TRIES_MAX: u32 = 3;

pub(super) async fn append(server: &Server, account: AccountId, link: SignedLink) -> Result<Answer, KeysError> {
    for _ in 0..TRIES_MAX {
        let Some(stored) = server.keys.account(account)? else { return Ok(unknown()) };
        let (known, next) = (stored.links.clone(), link.clone());
        let chain = match aside(move || follow(known, next)).await?? {
            Ok(chain) => chain,
            Err(DoesNotFollow::Bad(bad)) => return Ok(refuse(RefusedReason::BadKeys, bad.to_string())),
            Err(taken) => return Ok(refuse(RefusedReason::OutOfDate, taken.to_string())),
        };
        if chain.links() == stored.links {
            return Ok(Answer::Appended);
        }
        if link.signatory() != Signatory::Recovery
            && let Err(wait) = lock(&server.links).take(account, Instant::now())
        {
            return Ok(Answer::Refused(overloaded("this account changes its devices too often", wait)));
        }
        match server.keys.append(stored.links, chain).await? {
            Ok(()) => {
                server.metrics.links.add(1);
                return Ok(Answer::Appended);
            }
            Err(AppendRefusal::Changed) => {} // another link came first: perhaps this one still follows
        }
    }
    Ok(refuse(RefusedReason::OutOfDate, DoesNotFollow::Taken.to_string()))
}

/// The chain in store with this link.
fn follow(known: Vec<SignedLink>, link: SignedLink) -> Result<Result<Chain, DoesNotFollow>, KeysError> {
    let chain = verify::chain(known).map_err(|_| Damaged::CHAIN)?; // it was verified before it was kept
    Ok(chain.append(link, verify::vouches))
}
