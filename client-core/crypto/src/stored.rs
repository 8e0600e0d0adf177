//! Sessions and our prekeys as bytes on disk.
//!
//! Owns their layout: a version byte, then the fields in order, numbers big-endian, what varies in length behind its
//! length. It is ours alone and never leaves the device; the store around it encrypts. Buffers are sized before they are
//! filled, so that no copy of a secret is left behind by growing. `sender_key` stores with the same writer and reader.
//!
//! Spec: signal-wire §8.2 (what a record holds; the bytes are ours).

#[cfg(test)]
mod tests;

use zeroize::Zeroizing;

use crate::chain::{ChainKey, MessageSeed, SkippedSeeds};
use crate::curve::{KeyPair, PrivateKey, PublicKey};
use crate::double_ratchet::{DoubleRatchet, ReceivingChain, RootKey, SendingChain};
use crate::error::BadStored;
use crate::kem::{KemCiphertext, KemSecretKey};
use crate::limits::{
    ARCHIVED_SESSIONS_MAX, RECEIVING_CHAINS_MAX, SKIPPED_PER_CHAIN_MAX, STORED_SESSIONS_BYTES_MAX,
    STORED_SPQR_BYTES_MAX,
};
use crate::message::PreKeyHeader;
use crate::prekey::{KyberPreKey, OneTimePreKey, SignedPreKey};
use crate::session::{Session, Unacknowledged};
use crate::sessions::Sessions;
use crate::spqr::Spqr;
use crate::triple::TripleRatchet;

/// The first byte of everything here. A later layout gets another one and reads this one too.
const LAYOUT: u8 = 1;

impl Sessions {
    /// The record for the encrypted store: at most [`STORED_SESSIONS_BYTES_MAX`] bytes, some kilobytes as a rule.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        write(|to| {
            to.maybe(self.current.as_ref(), write_session);
            to.list(&self.archived, write_session);
        })
    }

    /// The record of these bytes.
    ///
    /// # Errors
    /// [`BadStored`]: the database is damaged, or of a later program.
    pub fn from_bytes(bytes: &[u8]) -> Result<Sessions, BadStored> {
        if bytes.len() > STORED_SESSIONS_BYTES_MAX {
            return Err(BadStored::Damaged);
        }
        read(bytes, |from| {
            Ok(Sessions {
                current: from.maybe(read_session)?,
                archived: from.list(ARCHIVED_SESSIONS_MAX, read_session)?,
            })
        })
    }
}

impl OneTimePreKey {
    /// The prekey for the encrypted store, 37 bytes.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        write(|to| {
            to.u32(self.id);
            to.bytes(self.pair.private().as_bytes());
        })
    }

    /// The prekey of these bytes.
    ///
    /// # Errors
    /// [`BadStored`]: the database is damaged, or of a later program.
    pub fn from_bytes(bytes: &[u8]) -> Result<OneTimePreKey, BadStored> {
        read(bytes, |from| Ok(OneTimePreKey { id: from.u32()?, pair: from.pair()? }))
    }
}

impl SignedPreKey {
    /// The prekey for the encrypted store, 101 bytes.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        write(|to| {
            to.u32(self.id);
            to.bytes(self.pair.private().as_bytes());
            to.bytes(&self.signature);
        })
    }

    /// The prekey of these bytes.
    ///
    /// # Errors
    /// [`BadStored`]: the database is damaged, or of a later program.
    pub fn from_bytes(bytes: &[u8]) -> Result<SignedPreKey, BadStored> {
        read(bytes, |from| Ok(SignedPreKey { id: from.u32()?, pair: from.pair()?, signature: *from.array()? }))
    }
}

impl KyberPreKey {
    /// The prekey for the encrypted store, 3238 bytes.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let secret = self.secret.to_bytes();
        write(|to| {
            to.u32(self.id);
            to.bytes(&secret);
            to.bytes(&self.signature);
        })
    }

    /// The prekey of these bytes.
    ///
    /// # Errors
    /// [`BadStored`]: the database is damaged, or of a later program.
    pub fn from_bytes(bytes: &[u8]) -> Result<KyberPreKey, BadStored> {
        read(bytes, |from| {
            let id = from.u32()?;
            let secret = KemSecretKey::from_bytes(from.take(KemSecretKey::BYTES)?).map_err(|_| BadStored::Damaged)?;
            Ok(KyberPreKey { id, secret, signature: *from.array()? })
        })
    }
}

fn write_session(to: &mut Writer<'_>, session: &Session) {
    let Session {
        base_key,
        our_identity,
        their_identity,
        our_registration_id,
        their_registration_id,
        ratchet: TripleRatchet { double, spqr },
        unacknowledged,
    } = session;
    to.bytes(base_key.as_bytes());
    to.bytes(our_identity.as_bytes());
    to.bytes(their_identity.as_bytes());
    to.u32(*our_registration_id);
    to.u32(*their_registration_id);
    to.maybe(unacknowledged.as_ref(), |to, Unacknowledged { header, created_ms }| {
        to.maybe(header.one_time_id.as_ref(), |to, id| to.u32(*id));
        to.u32(header.signed_id);
        to.u32(header.kyber_id);
        to.bytes(&header.ciphertext.to_bytes());
        to.bytes(&created_ms.to_be_bytes());
    });
    write_double_ratchet(to, double);
    let spqr = spqr.to_bytes();
    to.count(spqr.len());
    to.bytes(&spqr);
}

fn read_session(from: &mut Reader<'_>) -> Result<Session, BadStored> {
    let base_key = from.public()?;
    let (our_identity, their_identity) = (from.public()?, from.public()?);
    let (our_registration_id, their_registration_id) = (from.u32()?, from.u32()?);
    let unacknowledged = from.maybe(|from| {
        let header = PreKeyHeader {
            one_time_id: from.maybe(Reader::u32)?,
            signed_id: from.u32()?,
            kyber_id: from.u32()?,
            ciphertext: KemCiphertext::from_bytes(from.take(KemCiphertext::BYTES)?).map_err(|_| BadStored::Damaged)?,
            base_key,
        };
        Ok(Unacknowledged { header, created_ms: u64::from_be_bytes(*from.array()?) })
    })?;
    let double = read_double_ratchet(from)?;
    let spqr_bytes = from.count(STORED_SPQR_BYTES_MAX)?;
    let spqr = Spqr::from_bytes(from.take(spqr_bytes)?).map_err(|_| BadStored::Damaged)?;
    Ok(Session {
        base_key,
        our_identity,
        their_identity,
        our_registration_id,
        their_registration_id,
        ratchet: TripleRatchet { double, spqr },
        unacknowledged,
    })
}

fn write_double_ratchet(to: &mut Writer<'_>, double: &DoubleRatchet) {
    let DoubleRatchet { root, sending: SendingChain { pair, chain }, receiving, previous_counter } = double;
    to.bytes(root.as_bytes());
    to.bytes(pair.private().as_bytes());
    to.chain(chain);
    to.u32(*previous_counter);
    to.list(receiving, |to, ReceivingChain { theirs, chain, skipped }| {
        to.bytes(theirs.as_bytes());
        to.chain(chain);
        to.skipped(skipped);
    });
}

fn read_double_ratchet(from: &mut Reader<'_>) -> Result<DoubleRatchet, BadStored> {
    let root = RootKey::new(from.secret()?);
    let sending = SendingChain { pair: from.pair()?, chain: from.chain()? };
    let previous_counter = from.u32()?;
    let receiving = from.list(RECEIVING_CHAINS_MAX, |from| {
        Ok(ReceivingChain { theirs: from.public()?, chain: from.chain()?, skipped: from.skipped()? })
    })?;
    Ok(DoubleRatchet { root, sending, receiving, previous_counter })
}

/// Runs `fields` twice: to learn the length, then to write into a buffer of exactly that.
pub(crate) fn write(fields: impl Fn(&mut Writer<'_>)) -> Zeroizing<Vec<u8>> {
    let mut length = Writer { bytes: None, length: 1 };
    fields(&mut length);
    let mut bytes = Zeroizing::new(Vec::with_capacity(length.length));
    bytes.push(LAYOUT);
    fields(&mut Writer { bytes: Some(&mut bytes), length: 1 });
    debug_assert_eq!(bytes.len(), length.length);
    bytes
}

pub(crate) fn read<T>(bytes: &[u8], fields: impl Fn(&mut Reader<'_>) -> Result<T, BadStored>) -> Result<T, BadStored> {
    let (layout, rest) = bytes.split_first().ok_or(BadStored::Damaged)?;
    let mut from = Reader { rest };
    if *layout != LAYOUT {
        return Err(BadStored::Layout(*layout));
    }
    let value = fields(&mut from)?;
    if from.rest.is_empty() { Ok(value) } else { Err(BadStored::Damaged) }
}

pub(crate) struct Writer<'a> {
    /// Nothing while the length is counted.
    bytes: Option<&'a mut Vec<u8>>,
    length: usize,
}

impl Writer<'_> {
    pub(crate) fn bytes(&mut self, more: &[u8]) {
        self.length += more.len();
        if let Some(bytes) = &mut self.bytes {
            bytes.extend_from_slice(more);
        }
    }

    pub(crate) fn u32(&mut self, number: u32) {
        self.bytes(&number.to_be_bytes());
    }

    /// A length. All of them are far below 2^32, see `limits`.
    pub(crate) fn count(&mut self, count: usize) {
        self.u32(u32::try_from(count).unwrap_or(u32::MAX));
    }

    pub(crate) fn chain(&mut self, chain: &ChainKey) {
        self.bytes(chain.key());
        self.u32(chain.index());
    }

    pub(crate) fn skipped(&mut self, skipped: &SkippedSeeds) {
        self.count(skipped.iter().len());
        for (index, seed) in skipped.iter() {
            self.u32(index);
            self.bytes(seed.as_bytes());
        }
    }

    pub(crate) fn list<T>(&mut self, items: &[T], write: impl Fn(&mut Self, &T)) {
        self.count(items.len());
        for item in items {
            write(self, item);
        }
    }

    pub(crate) fn maybe<T>(&mut self, item: Option<&T>, write: impl Fn(&mut Self, &T)) {
        self.bytes(&[u8::from(item.is_some())]);
        if let Some(item) = item {
            write(self, item);
        }
    }
}

pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn take(&mut self, length: usize) -> Result<&'a [u8], BadStored> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(BadStored::Damaged)?;
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<&'a [u8; N], BadStored> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(BadStored::Damaged)?;
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, BadStored> {
        Ok(u32::from_be_bytes(*self.array()?))
    }

    pub(crate) fn count(&mut self, most: usize) -> Result<usize, BadStored> {
        let count = usize::try_from(self.u32()?).map_err(|_| BadStored::Damaged)?;
        if count <= most { Ok(count) } else { Err(BadStored::Damaged) }
    }

    pub(crate) fn secret(&mut self) -> Result<Box<[u8; 32]>, BadStored> {
        Ok(Box::new(*self.array()?))
    }

    pub(crate) fn public(&mut self) -> Result<PublicKey, BadStored> {
        Ok(PublicKey::from_bytes(*self.array()?))
    }

    pub(crate) fn pair(&mut self) -> Result<KeyPair, BadStored> {
        Ok(KeyPair::from_private(PrivateKey::from_bytes(self.array()?)))
    }

    pub(crate) fn chain(&mut self) -> Result<ChainKey, BadStored> {
        Ok(ChainKey::new(self.secret()?, self.u32()?))
    }

    pub(crate) fn skipped(&mut self) -> Result<SkippedSeeds, BadStored> {
        let mut skipped = SkippedSeeds::default();
        for _ in 0..self.count(SKIPPED_PER_CHAIN_MAX)? {
            skipped.keep(self.u32()?, MessageSeed::new(self.secret()?));
        }
        Ok(skipped)
    }

    pub(crate) fn list<T>(
        &mut self,
        most: usize,
        read: impl Fn(&mut Self) -> Result<T, BadStored>,
    ) -> Result<Vec<T>, BadStored> {
        (0..self.count(most)?).map(|_| read(self)).collect()
    }

    pub(crate) fn maybe<T>(
        &mut self,
        read: impl Fn(&mut Self) -> Result<T, BadStored>,
    ) -> Result<Option<T>, BadStored> {
        match self.array()? {
            [0] => Ok(None),
            [1] => read(self).map(Some),
            [_] => Err(BadStored::Damaged),
        }
    }
}
