//! One session with one device: what PQXDH gave, carried on by the Triple Ratchet.
//!
//! Owns sealing and opening of single messages. Which session a message is for is the record's, `sessions`.
//!
//! Spec: signal-wire §2.2, §2.3, §3.2, §3.6.

use std::fmt;

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::cipher;
use crate::curve::{IdentityKeyPair, KeyPair, PublicKey};
use crate::double_ratchet::DoubleRatchet;
use crate::error::{DecryptError, EncryptError, NotContributory};
use crate::limits::{PLAINTEXT_BYTES_MAX, UNACKNOWLEDGED_MS_MAX};
use crate::message::{AddressBytes, NewSignalMessage, PreKeyHeader, PreKeySignalMessage, SignalMessage};
use crate::pqxdh;
use crate::prekey::{OurPreKeys, VerifiedBundle};
use crate::spqr::{Role, Spqr};
use crate::triple::{Sending, TripleRatchet};

/// What our side brings to every act: its keys, and what it knows of the peer.
#[derive(Debug, Clone, Copy)]
pub struct Local<'a> {
    /// This device's identity.
    pub identity: &'a IdentityKeyPair,
    /// This device's registration id.
    pub registration_id: u32,
    /// The identity key that the peer must have; nothing: whichever it has, on first use. Spec: signal-wire §8.4.
    pub peer_identity: Option<PublicKey>,
    /// Both addresses, for peers that bind their first messages to them. Hushwire has none. Spec: signal-wire §3.3.
    pub addresses: Option<Addresses>,
}

impl<'a> Local<'a> {
    /// Our side, with a peer not known before and no addresses.
    pub fn new(identity: &'a IdentityKeyPair, registration_id: u32) -> Local<'a> {
        Local { identity, registration_id, peer_identity: None, addresses: None }
    }

    /// The same towards a peer whose identity key is known.
    pub fn with_peer(self, identity: PublicKey) -> Local<'a> {
        Local { peer_identity: Some(identity), ..self }
    }

    pub(crate) fn trusts(&self, identity: &PublicKey) -> bool {
        self.peer_identity.is_none_or(|known| known == *identity)
    }
}

/// Both sides' addresses: a service id of 17 bytes and a device id each.
///
/// Spec: signal-wire §1.5, §3.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    /// This device's.
    pub ours: [u8; 18],
    /// The peer device's.
    pub theirs: [u8; 18],
}

impl Addresses {
    /// `sender ‖ receiver`.
    fn bytes(sender: &[u8; 18], receiver: &[u8; 18]) -> AddressBytes {
        let mut bytes = [0; 36];
        for (to, byte) in bytes.iter_mut().zip(sender.iter().chain(receiver)) {
            *to = *byte;
        }
        bytes
    }

    /// Whether both are devices of one account.
    fn is_one_account(&self) -> bool {
        let ([ours @ .., _], [theirs @ .., _]) = (&self.ours, &self.theirs);
        ours == theirs
    }
}

/// A message as it goes out.
///
/// Spec: signal-wire §3.4.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CiphertextMessage {
    /// A `PreKeySignalMessage`, while the peer has not answered. Type 3.
    PreKey(Vec<u8>),
    /// A `SignalMessage`. Type 2.
    Signal(Vec<u8>),
}

impl CiphertextMessage {
    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            CiphertextMessage::PreKey(bytes) | CiphertextMessage::Signal(bytes) => bytes,
        }
    }
}

/// What goes around messages until the peer has answered.
///
/// Spec: signal-wire §2.2 step 6.
#[derive(Clone)]
pub(crate) struct Unacknowledged {
    pub(crate) header: PreKeyHeader,
    /// Milliseconds since 1970.
    pub(crate) created_ms: u64,
}

/// One session, version 4, always with SPQR.
///
/// Spec: signal-wire §2.2, §2.3.
#[derive(Clone)]
pub(crate) struct Session {
    /// The initiator's base key: the session's name.
    pub(crate) base_key: PublicKey,
    pub(crate) our_identity: PublicKey,
    pub(crate) their_identity: PublicKey,
    pub(crate) our_registration_id: u32,
    pub(crate) their_registration_id: u32,
    pub(crate) ratchet: TripleRatchet,
    pub(crate) unacknowledged: Option<Unacknowledged>,
}

impl Session {
    /// The initiator's side. Draws 32 bytes for the base key, 32 to encapsulate, 32 for the first ratchet key.
    ///
    /// Spec: signal-wire §2.2.
    pub(crate) fn initiate(
        local: &Local<'_>,
        verified: &VerifiedBundle,
        now_ms: u64,
        rng: &mut impl CryptoRng,
    ) -> Result<Session, NotContributory> {
        let bundle = verified.bundle();
        let base = KeyPair::generate(rng);
        let (agreed, ciphertext) = pqxdh::initiate(local.identity, &base, verified, rng)?;
        let double = DoubleRatchet::initiate(agreed.root, agreed.chain, bundle.signed.key, rng)?;
        let header = PreKeyHeader {
            one_time_id: bundle.one_time.as_ref().map(|one_time| one_time.id),
            signed_id: bundle.signed.id,
            kyber_id: bundle.kyber.id,
            ciphertext,
            base_key: base.public(),
        };
        Ok(Session {
            base_key: base.public(),
            our_identity: local.identity.public(),
            their_identity: bundle.identity,
            our_registration_id: local.registration_id,
            their_registration_id: bundle.registration_id,
            ratchet: TripleRatchet { double, spqr: Spqr::start(Role::A, &agreed.spqr_auth) },
            unacknowledged: Some(Unacknowledged { header, created_ms: now_ms }),
        })
    }

    /// The responder's side, before the first message was opened.
    ///
    /// Spec: signal-wire §2.3.
    pub(crate) fn respond(
        local: &Local<'_>,
        first: &PreKeySignalMessage,
        keys: &OurPreKeys<'_>,
    ) -> Result<Session, DecryptError> {
        let (base, identity) = (first.base_key(), first.identity());
        if !base.is_canonical() {
            return Err(DecryptError::BadBaseKey);
        }
        let agreed = pqxdh::respond(local.identity, keys, &identity, &base, first.kyber_ciphertext())?;
        let double = DoubleRatchet::respond(agreed.root, agreed.chain, keys.signed.pair.clone());
        Ok(Session {
            base_key: base,
            our_identity: local.identity.public(),
            their_identity: identity,
            our_registration_id: local.registration_id,
            their_registration_id: first.registration_id(),
            ratchet: TripleRatchet { double, spqr: Spqr::start(Role::B, &agreed.spqr_auth) },
            unacknowledged: None,
        })
    }

    /// Whether it may be sent in: answered, or begun at most 30 days ago.
    ///
    /// Spec: signal-wire §3.2, §8.4.
    pub(crate) fn is_usable(&self, now_ms: u64) -> bool {
        match &self.unacknowledged {
            None => true,
            Some(wrapper) => wrapper.created_ms.saturating_add(UNACKNOWLEDGED_MS_MAX) >= now_ms,
        }
    }

    /// The message that holds `plaintext`, and the session behind it.
    ///
    /// Spec: signal-wire §3.2.
    pub(crate) fn seal(
        &self,
        local: &Local<'_>,
        plaintext: &[u8],
        now_ms: u64,
        rng: &mut impl CryptoRng,
    ) -> Result<(CiphertextMessage, Session), EncryptError> {
        if !self.is_usable(now_ms) {
            return Err(EncryptError::NoSession);
        }
        if plaintext.len() > PLAINTEXT_BYTES_MAX {
            return Err(EncryptError::TooLong { length: plaintext.len(), limit: PLAINTEXT_BYTES_MAX });
        }
        Ok(self.write(local, plaintext, self.ratchet.send(rng)?))
    }

    /// Puts a message together.
    ///
    /// Spec: signal-wire §3.2 steps 2 to 4.
    pub(crate) fn write(&self, local: &Local<'_>, plaintext: &[u8], sending: Sending) -> (CiphertextMessage, Session) {
        let Sending { state, position, previous_counter, pq, keys } = sending;
        let addresses = local.addresses.filter(|_| self.unacknowledged.is_some());
        let addresses = addresses.map(|Addresses { ours, theirs }| Addresses::bytes(&ours, &theirs));
        let message = NewSignalMessage {
            position,
            previous_counter,
            ciphertext: cipher::encrypt(&keys.cipher, &keys.iv, plaintext),
            pq,
            addresses: addresses.as_ref(),
        };
        let bytes = message.into_bytes(&keys.mac, &self.our_identity, &self.their_identity);
        let message =
            match &self.unacknowledged {
                None => CiphertextMessage::Signal(bytes),
                Some(Unacknowledged { header, created_ms: _ }) => CiphertextMessage::PreKey(
                    PreKeySignalMessage::encode(header, &self.our_identity, self.our_registration_id, bytes),
                ),
            };
        (message, Session { ratchet: state, unacknowledged: self.unacknowledged.clone(), ..*self })
    }

    /// The plaintext of `message`, and the session behind it, now acknowledged.
    ///
    /// Spec: signal-wire §3.6.
    pub(crate) fn open(
        &self,
        local: &Local<'_>,
        message: &SignalMessage,
        rng: &mut impl CryptoRng,
    ) -> Result<(Zeroizing<Vec<u8>>, Session), DecryptError> {
        let own_account = self.is_own_account(local);
        let (ratchet, keys) = self.ratchet.receive(message.position(), message.pq(), own_account, rng)?;
        if !message.is_authentic(&keys.mac, &self.their_identity, &self.our_identity) {
            return Err(DecryptError::Forged);
        }
        let expected = local.addresses.map(|Addresses { ours, theirs }| Addresses::bytes(&theirs, &ours));
        if !message.is_addressed(expected.as_ref()) {
            return Err(DecryptError::Forged);
        }
        let plaintext = cipher::decrypt(&keys.cipher, &keys.iv, message.ciphertext()).ok_or(DecryptError::Malformed)?;
        Ok((plaintext, Session { ratchet, unacknowledged: None, ..*self }))
    }

    /// Spec: signal-wire §8.5. Without addresses nobody is known to be oneself, and the usual limits hold.
    fn is_own_account(&self, local: &Local<'_>) -> bool {
        self.our_identity == self.their_identity && local.addresses.is_some_and(|both| both.is_one_account())
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            base_key,
            our_identity: _,
            their_identity: _,
            our_registration_id: _,
            their_registration_id: _,
            ratchet: TripleRatchet { double, spqr: _ },
            unacknowledged,
        } = self;
        f.debug_struct("Session")
            .field("base_key", base_key)
            .field("ratchet", double)
            .field("acknowledged", &unacknowledged.is_none())
            .finish_non_exhaustive()
    }
}
