//! Sender keys as bytes on disk, in the layout and with the writer of `crate::stored`.
//!
//! Spec: signal-wire §5.1, §5.2 (what a state holds; the bytes are ours).

use std::collections::BTreeSet;

use zeroize::Zeroizing;

use super::theirs::State;
use super::{DistributionId, OurSenderKey, SenderKeys};
use crate::error::BadStored;
use crate::limits::{SENDER_KEY_STATES_MAX, STORED_SENDER_KEYS_BYTES_MAX};
use crate::stored::{read, write};

impl OurSenderKey {
    /// The key for the encrypted store, 89 bytes.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        write(|to| {
            let Self { distribution, chain_id, chain, signing } = self;
            to.bytes(distribution.as_bytes());
            to.u32(*chain_id);
            to.chain(chain);
            to.bytes(signing.private().as_bytes());
        })
    }

    /// The key of these bytes.
    ///
    /// # Errors
    /// [`BadStored`]: the database is damaged, or of a later program.
    pub fn from_bytes(bytes: &[u8]) -> Result<OurSenderKey, BadStored> {
        read(bytes, |from| {
            Ok(OurSenderKey {
                distribution: DistributionId::from_bytes(*from.array()?),
                chain_id: from.u32()?,
                chain: from.chain()?,
                signing: from.pair()?,
            })
        })
    }
}

impl SenderKeys {
    /// The keys for the encrypted store: at most [`STORED_SENDER_KEYS_BYTES_MAX`] bytes, some hundred as a rule.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        write(|to| {
            let Self { distribution, states } = self;
            to.bytes(distribution.as_bytes());
            to.list(states, |to, State { chain_id, signing, chain, skipped }| {
                to.u32(*chain_id);
                to.bytes(signing.as_bytes());
                to.chain(chain);
                to.skipped(skipped);
            });
        })
    }

    /// The keys of these bytes.
    ///
    /// # Errors
    /// [`BadStored`]: the database is damaged, or of a later program.
    pub fn from_bytes(bytes: &[u8]) -> Result<SenderKeys, BadStored> {
        if bytes.len() > STORED_SENDER_KEYS_BYTES_MAX {
            return Err(BadStored::Damaged);
        }
        let keys = read(bytes, |from| {
            Ok(SenderKeys {
                distribution: DistributionId::from_bytes(*from.array()?),
                states: from.list(SENDER_KEY_STATES_MAX, |from| {
                    let (chain_id, signing) = (from.u32()?, from.public()?);
                    Ok(State { chain_id, signing, chain: from.chain()?, skipped: from.skipped()? })
                })?,
            })
        })?;
        let ids: BTreeSet<u32> = keys.states.iter().map(|state| state.chain_id).collect();
        if ids.len() == keys.states.len() { Ok(keys) } else { Err(BadStored::Damaged) }
    }
}
