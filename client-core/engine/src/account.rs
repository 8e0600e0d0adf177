//! Who we are: the keys of this device, link 0 of its account, and what the shell needs to sign in.

use bip39::Mnemonic;
use ed25519_dalek::SigningKey;
use hushwire_crypto::{IdentityKeyPair, PublicKey};
use hushwire_proto::account::{
    Chain, Device, Link, REGISTRATION_ID_MAX, Signatory, SignedLink, encode_links, identity_transcript, parse_links,
};
use hushwire_proto::address::{Handle, KEYSERVER_PORT, RELAY_PORT, ServerAddress};
use hushwire_proto::auth::SignatureBytes;
use hushwire_proto::ids::{AccountId, DeviceId, MailboxId, Token};
use hushwire_proto::keyserver::CURVE_KEY_LEN;
use hushwire_proto::relay::TokenClass;
use rand_core::CryptoRng;
use rusqlite::Connection;
use zeroize::Zeroizing;

use crate::store::me::{self, MeRow};
use crate::store::{StoreError, damaged};

/// What a new account needs to know.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Where its mailbox shall be. With a fingerprint.
    pub relay: ServerAddress,
    /// Where its prekeys shall be. With a fingerprint.
    pub keyserver: ServerAddress,
    /// The local part of the handle, if one is wanted.
    pub handle_name: Option<String>,
}

/// The key that can replace a device list when every device is lost. Shown once and never kept.
pub struct RecoveryKey(Zeroizing<[u8; 32]>);

impl RecoveryKey {
    /// As 24 words, to be written on paper.
    #[must_use]
    pub fn words(&self) -> Zeroizing<String> {
        // 32 bytes are a valid length, so there always are words.
        Zeroizing::new(Mnemonic::from_entropy(&self.0[..]).map(|words| words.to_string()).unwrap_or_default())
    }
}

impl std::fmt::Debug for RecoveryKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(_) = self;
        f.write_str("RecoveryKey(..)")
    }
}

/// What the shell signs in with.
#[derive(Clone)]
pub struct Credentials {
    /// The account.
    pub account: AccountId,
    /// This device of it.
    pub device: DeviceId,
    /// Owns the mailbox.
    pub mailbox_key: SigningKey,
    /// Signs in at the keyserver.
    pub signing_key: SigningKey,
    /// Where the mailbox is.
    pub relay: ServerAddress,
    /// Where the prekeys are.
    pub keyserver: ServerAddress,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { account: _, device: _, mailbox_key: _, signing_key: _, relay: _, keyserver: _ } = self;
        f.write_str("Credentials(..)")
    }
}

/// Our keys, as long as the engine is open.
pub(crate) struct Keys {
    pub(crate) account: AccountId,
    pub(crate) device: DeviceId,
    pub(crate) registration_id: u16,
    pub(crate) identity: IdentityKeyPair,
    pub(crate) signing: SigningKey,
    pub(crate) mailbox: SigningKey,
    pub(crate) links: Vec<SignedLink>,
    pub(crate) relay: ServerAddress,
    pub(crate) keyserver: ServerAddress,
}

impl Keys {
    /// Makes an account and keeps it. The recovery key is the caller's to show.
    pub(crate) fn create(
        db: &Connection,
        setup: &Setup,
        rng: &mut impl CryptoRng,
    ) -> Result<(Self, RecoveryKey), StoreError> {
        let recovery = Zeroizing::new(draw(rng));
        let (signing_seed, mailbox_seed) = (Zeroizing::new(draw(rng)), Zeroizing::new(draw(rng)));
        let (signing, mailbox) = (SigningKey::from_bytes(&signing_seed), SigningKey::from_bytes(&mailbox_seed));
        let identity = IdentityKeyPair::generate(rng);
        let request_token = Token::generate(rng);
        let registration_id = registration_id(rng);
        let signing_public = signing.verifying_key().to_bytes();
        let transcript = identity_transcript(DeviceId::FIRST, registration_id, &signing_public);
        let device = Device {
            id: DeviceId::FIRST,
            registration_id,
            identity_key: identity.public().to_pub33(),
            signing_key: signing_public,
            identity_proof: identity.sign(&[transcript.bytes()], rng),
            relay: setup.relay.to_string(),
            mailbox: MailboxId(mailbox.verifying_key().to_bytes()),
            request_token: request_token.clone(),
        };
        let link = Link {
            version: 0,
            previous: None,
            devices: vec![device],
            recovery_key: SigningKey::from_bytes(&recovery).verifying_key().to_bytes(),
        }
        .sign(Signatory::Device(DeviceId::FIRST), &signing);
        let account = AccountId(link.hash().0);
        let row = MeRow {
            account: account.0,
            device: DeviceId::FIRST.get(),
            registration_id,
            identity_key: identity.to_bytes(),
            signing_key: signing_seed,
            mailbox_key: mailbox_seed,
            links: encode_links(std::slice::from_ref(&link)),
            relay: setup.relay.to_string(),
            keyserver: setup.keyserver.to_string(),
            handle_name: setup.handle_name.clone(),
        };
        me::insert(db, &row, first_prekey_id(rng))?;
        me::add_token(db, &request_token, TokenClass::Request, None)?;
        let keys = Self {
            account,
            device: DeviceId::FIRST,
            registration_id,
            identity,
            signing,
            mailbox,
            links: vec![link],
            relay: setup.relay.clone(),
            keyserver: setup.keyserver.clone(),
        };
        Ok((keys, RecoveryKey(recovery)))
    }

    /// The keys in the database, if it has an account.
    pub(crate) fn load(db: &Connection) -> Result<Option<Self>, StoreError> {
        let Some(row) = me::load(db)? else { return Ok(None) };
        Ok(Some(Self {
            account: AccountId(row.account),
            device: DeviceId::new(row.device.into()).ok_or_else(|| damaged("device"))?,
            registration_id: row.registration_id,
            identity: IdentityKeyPair::from_bytes(&row.identity_key),
            signing: SigningKey::from_bytes(&row.signing_key),
            mailbox: SigningKey::from_bytes(&row.mailbox_key),
            links: parse_links(&row.links).map_err(|_| damaged("links"))?,
            relay: ServerAddress::parse(&row.relay, RELAY_PORT).map_err(|_| damaged("relay"))?,
            keyserver: ServerAddress::parse(&row.keyserver, KEYSERVER_PORT).map_err(|_| damaged("keyserver"))?,
        }))
    }

    pub(crate) fn mailbox_id(&self) -> MailboxId {
        MailboxId(self.mailbox.verifying_key().to_bytes())
    }

    pub(crate) fn credentials(&self) -> Credentials {
        Credentials {
            account: self.account,
            device: self.device,
            mailbox_key: self.mailbox.clone(),
            signing_key: self.signing.clone(),
            relay: self.relay.clone(),
            keyserver: self.keyserver.clone(),
        }
    }

    pub(crate) fn handle(&self, db: &Connection) -> Result<Option<Handle>, StoreError> {
        let name = me::handle_name(db)?;
        Ok(name.and_then(|name| Handle::new(&name, self.keyserver.clone()).ok()))
    }
}

/// Verifies the XEdDSA proofs of a chain. Spec: keyserver §3.
pub(crate) fn vouches(key: &[u8; CURVE_KEY_LEN], message: &[u8], signature: &SignatureBytes) -> bool {
    PublicKey::from_pub33(key).is_ok_and(|key| key.is_contributory() && key.verify(&[message], signature))
}

/// Verifies links that came from outside.
pub(crate) fn verify_links(links: Vec<SignedLink>) -> Result<Chain, hushwire_proto::account::BadChain> {
    Chain::verify(links, vouches)
}

/// The identity key of an account's first device: never changes, so the safety number does not either.
pub(crate) fn root_identity(links: &[SignedLink]) -> Option<PublicKey> {
    let device = links.first()?.link().devices.first()?;
    PublicKey::from_pub33(&device.identity_key).ok()
}

fn draw(rng: &mut impl CryptoRng) -> [u8; 32] {
    let mut bytes = [0; 32];
    rng.fill_bytes(&mut bytes);
    bytes
}

/// 1 to 16380, as Signal's.
fn registration_id(rng: &mut impl CryptoRng) -> u16 {
    let drawn = u16::try_from(rng.next_u32() % u32::from(REGISTRATION_ID_MAX - 3)).unwrap_or(0);
    drawn + 1
}

/// Ids begin at a random place: a count from 1 would tell how old a device is.
fn first_prekey_id(rng: &mut impl CryptoRng) -> u32 {
    rng.next_u32() % (1 << 23) + 1
}
