//! A device made of the official library, inside the oracle.

use std::cell::RefCell;
use std::rc::Rc;

use hushwire_crypto::{
    KemPublicKey, KyberPreKeyPublic, OneTimePreKeyPublic, PreKeyBundle, PublicKey, SignedPreKeyPublic,
};
use serde_json::{Value, json};

use crate::Checked;
use crate::device::{Address, Device};
use crate::kind::Kind;
use crate::oracle::{Oracle, array, bytes, hex, number};
use crate::ours::NOW_MS;
use crate::wire::Message;

/// The one oracle of a run, shared by its devices.
pub(crate) type SharedOracle = Rc<RefCell<Oracle>>;

/// Previous sessions that the official library keeps. Spec: signal-wire §8.2.
const ARCHIVED_SESSIONS_MAX: usize = 40;

/// A device of theirs.
pub(crate) struct Theirs {
    oracle: SharedOracle,
    /// Its name in the oracle.
    pub(crate) device: String,
    pub(crate) address: Address,
    pub(crate) identity: PublicKey,
    pub(crate) identity_private: [u8; 32],
    pub(crate) registration_id: u32,
    pub(crate) peer: Address,
    /// What its clock says.
    pub(crate) now_ms: u64,
    /// The private halves of the last bundle.
    pub(crate) secrets: Value,
}

impl Theirs {
    pub(crate) fn new(
        oracle: &SharedOracle,
        device: &str,
        address: Address,
        peer: Address,
        registration_id: u32,
    ) -> Checked<Theirs> {
        Theirs::with_identity(oracle, device, [address, peer], registration_id, None)
    }

    /// The same with the private identity key of another device of the account.
    pub(crate) fn with_identity(
        oracle: &SharedOracle,
        device: &str,
        [address, peer]: [Address; 2],
        registration_id: u32,
        identity: Option<&[u8; 32]>,
    ) -> Checked<Theirs> {
        let mut request = address.json();
        request["dev"] = device.into();
        request["registrationId"] = registration_id.into();
        if let Some(identity) = identity {
            request["identityPrivate"] = hex(identity).into();
        }
        let made = oracle.borrow_mut().get("new", request)?;
        Ok(Theirs {
            oracle: Rc::clone(oracle),
            device: device.to_owned(),
            address,
            identity: key(&made, "identityPublic")?,
            identity_private: array(&made, "identityPrivate")?,
            registration_id,
            peer,
            now_ms: NOW_MS,
            secrets: Value::Null,
        })
    }

    /// The peer as the oracle names it.
    pub(crate) fn peer(&self) -> Value {
        self.peer.json()
    }

    /// A request about this device.
    pub(crate) fn ask(&self, command: &str, mut request: Value) -> Checked<Result<Value, crate::oracle::No>> {
        request["dev"] = self.device.as_str().into();
        self.oracle.borrow_mut().ask(command, request)
    }

    /// The same, which must not be refused.
    pub(crate) fn get(&self, command: &str, request: Value) -> Checked<Value> {
        self.ask(command, request)?.map_err(|no| format!("the oracle refused {command}: {}", no.words))
    }
}

impl Drop for Theirs {
    fn drop(&mut self) {
        // A device that stays costs memory in the oracle and nothing else.
        let _ = self.get("drop", json!({}));
    }
}

impl Device for Theirs {
    fn name(&self) -> &'static str {
        "theirs"
    }

    fn archived_max(&self) -> usize {
        ARCHIVED_SESSIONS_MAX
    }

    fn bundle(&mut self, with_one_time: bool) -> Checked<PreKeyBundle> {
        let made = self.get("bundle", json!({"oneTime": with_one_time}))?;
        self.secrets = made["secrets"].clone();
        let made = &made["bundle"];
        let one_time = if with_one_time {
            Some(OneTimePreKeyPublic { id: number(made, "preKeyId")?, key: key(made, "preKeyPublic")? })
        } else {
            None
        };
        let kyber = KemPublicKey::from_bytes(&bytes(made, "kyberPreKeyPublic")?);
        Ok(PreKeyBundle {
            registration_id: number(made, "registrationId")?,
            device_id: self.address.device,
            identity: key(made, "identityKey")?,
            signed: SignedPreKeyPublic {
                id: number(made, "signedPreKeyId")?,
                key: key(made, "signedPreKeyPublic")?,
                signature: array(made, "signedPreKeySignature")?,
            },
            kyber: KyberPreKeyPublic {
                id: number(made, "kyberPreKeyId")?,
                key: kyber.map_err(|error| format!("the oracle's Kyber key: {error}"))?,
                signature: array(made, "kyberPreKeySignature")?,
            },
            one_time,
        })
    }

    fn start(&mut self, bundle: &PreKeyBundle) -> Checked<Result<(), Kind>> {
        let request = json!({
            "peer": self.peer(), "now": self.now_ms, "bundle": {
                "registrationId": bundle.registration_id, "deviceId": bundle.device_id,
                "identityKey": hex(&bundle.identity.to_pub33()),
                "preKeyId": bundle.one_time.as_ref().map(|key| key.id),
                "preKeyPublic": bundle.one_time.as_ref().map(|key| hex(&key.key.to_pub33())),
                "signedPreKeyId": bundle.signed.id, "signedPreKeyPublic": hex(&bundle.signed.key.to_pub33()),
                "signedPreKeySignature": hex(&bundle.signed.signature),
                "kyberPreKeyId": bundle.kyber.id, "kyberPreKeyPublic": hex(&bundle.kyber.key.to_bytes()),
                "kyberPreKeySignature": hex(&bundle.kyber.signature),
            },
        });
        Ok(self.ask("process_bundle", request)?.map(|_| ()).map_err(|no| no.kind))
    }

    fn send(&mut self, text: &[u8]) -> Checked<Result<Message, Kind>> {
        let request = json!({"peer": self.peer(), "plaintext": hex(text), "now": self.now_ms});
        match self.ask("encrypt", request)? {
            Ok(sealed) => {
                let is_first = number(&sealed, "type")? == 3;
                Ok(Ok(Message { is_first, bytes: bytes(&sealed, "ciphertext")? }))
            }
            Err(no) => Ok(Err(no.kind)),
        }
    }

    fn receive(&mut self, message: &Message) -> Checked<Result<Vec<u8>, Kind>> {
        let request = json!({"peer": self.peer(), "type": message.number(), "ciphertext": hex(&message.bytes)});
        match self.ask("decrypt", request)? {
            Ok(opened) => Ok(Ok(bytes(&opened, "plaintext")?)),
            Err(no) if no.kind == Kind::Other => Err(format!("the oracle refused in words not known: {}", no.words)),
            Err(no) => Ok(Err(no.kind)),
        }
    }

    fn archive(&mut self) -> Checked<()> {
        self.get("archive_session", json!({"peer": self.peer()})).map(|_| ())
    }

    fn remember(&mut self) -> Checked<()> {
        self.get("snapshot", json!({})).map(|_| ())
    }

    fn go_back(&mut self) -> Checked<()> {
        self.get("restore", json!({})).map(|_| ())
    }
}

/// A public key in a reply.
pub(crate) fn key(reply: &Value, field: &str) -> Checked<PublicKey> {
    PublicKey::from_pub33(&bytes(reply, field)?).map_err(|error| format!("{field} of the oracle: {error}"))
}
