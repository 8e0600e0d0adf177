//! Who we are: the keys of this device, link 0 of its account, and what the shell needs to sign in.

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

use crate::recovery::RecoveryKey;
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
        let recovery = RecoveryKey::generate(rng);
        let made = NewDevice::generate(DeviceId::FIRST, String::new(), &setup.relay, rng);
        let link =
            Link { version: 0, previous: None, devices: vec![made.device.clone()], recovery_key: recovery.public() }
                .sign(Signatory::Device(DeviceId::FIRST), &made.signing);
        let account = AccountId(link.hash().0);
        let keys = made.keep(db, account, vec![link], &setup.keyserver, setup.handle_name.clone(), rng)?;
        Ok((keys, recovery))
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

    /// Whether this device stands in the newest list that is known.
    pub(crate) fn is_listed(&self) -> bool {
        let listed = self.links.last().and_then(|link| link.link().device(self.device));
        listed.is_some_and(|device| device.signing_key == self.signing.verifying_key().to_bytes())
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

/// A device that was made just now: what everyone sees of it, and its secrets.
pub(crate) struct NewDevice {
    pub(crate) device: Device,
    pub(crate) signing: SigningKey,
    identity: IdentityKeyPair,
    mailbox: SigningKey,
    relay: ServerAddress,
}

impl NewDevice {
    pub(crate) fn generate(id: DeviceId, name: String, relay: &ServerAddress, rng: &mut impl CryptoRng) -> Self {
        let signing = SigningKey::from_bytes(&Zeroizing::new(draw(rng)));
        let mailbox = SigningKey::from_bytes(&Zeroizing::new(draw(rng)));
        let identity = IdentityKeyPair::generate(rng);
        let request_token = Token::generate(rng);
        let registration_id = registration_id(rng);
        let signing_key = signing.verifying_key().to_bytes();
        let transcript = identity_transcript(id, registration_id, &signing_key);
        let device = Device {
            id,
            registration_id,
            identity_key: identity.public().to_pub33(),
            signing_key,
            identity_proof: identity.sign(&[transcript.bytes()], rng),
            relay: relay.to_string(),
            mailbox: MailboxId(mailbox.verifying_key().to_bytes()),
            request_token,
            name,
        };
        Self { device, signing, identity, mailbox, relay: relay.clone() }
    }

    /// Writes it down as the device that this database is of.
    pub(crate) fn keep(
        self,
        db: &Connection,
        account: AccountId,
        links: Vec<SignedLink>,
        keyserver: &ServerAddress,
        handle_name: Option<String>,
        rng: &mut impl CryptoRng,
    ) -> Result<Keys, StoreError> {
        let Self { device, signing, identity, mailbox, relay } = self;
        let row = MeRow {
            account: account.0,
            device: device.id.get(),
            registration_id: device.registration_id,
            identity_key: identity.to_bytes(),
            signing_key: Zeroizing::new(signing.to_bytes()),
            mailbox_key: Zeroizing::new(mailbox.to_bytes()),
            links: encode_links(&links),
            relay: relay.to_string(),
            keyserver: keyserver.to_string(),
            handle_name,
        };
        me::insert(db, &row, first_prekey_id(rng))?;
        me::add_token(db, &device.request_token, TokenClass::Request, None)?;
        let (id, registration_id, keyserver) = (device.id, device.registration_id, keyserver.clone());
        Ok(Keys { account, device: id, registration_id, identity, signing, mailbox, links, relay, keyserver })
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

pub(crate) fn draw(rng: &mut impl CryptoRng) -> [u8; 32] {
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
