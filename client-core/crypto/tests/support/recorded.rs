//! The vectors of the official library: JSON with bytes in hex, and the parties in it.

use data_encoding::HEXLOWER;
use hushwire_crypto::{
    Addresses, IdentityKeyPair, KemPublicKey, KemSecretKey, KeyPair, KyberPreKey, KyberPreKeyPublic, Local,
    OneTimePreKey, OneTimePreKeyPublic, OurPreKeys, PreKeyBundle, PreKeySignalMessage, PrivateKey, PublicKey,
    SignedPreKey, SignedPreKeyPublic,
};
use serde_json::Value;

/// One side of a recorded session.
pub struct Party {
    pub identity: IdentityKeyPair,
    pub registration_id: u32,
    pub address: Option<[u8; 18]>,
    pub signed: Option<SignedPreKey>,
    pub kyber: Option<KyberPreKey>,
    pub one_time: Option<OneTimePreKey>,
}

impl Party {
    pub fn new(recorded: &Value) -> Party {
        let (public, secrets) = (&recorded["bundle"], &recorded["secrets"]);
        let secret = |name: &str| secrets.get(name).filter(|key| !key.is_null());
        let kyber = |key| KemSecretKey::from_bytes(&bytes(key)).unwrap();
        Party {
            identity: IdentityKeyPair::from_bytes(&array(&recorded["identityPrivate"])),
            registration_id: number(&recorded["registrationId"]),
            address: address(recorded),
            signed: secret("signedPreKeyPrivate")
                .map(|key| SignedPreKey::new(number(&public["signedPreKeyId"]), pair(key), [0; 64])),
            kyber: secret("kyberPreKeyPrivate")
                .map(|key| KyberPreKey::new(number(&public["kyberPreKeyId"]), kyber(key), [0; 64])),
            one_time: secret("preKeyPrivate").map(|key| OneTimePreKey::new(number(&public["preKeyId"]), pair(key))),
        }
    }

    pub fn local(&self, ours: Option<[u8; 18]>, theirs: Option<[u8; 18]>) -> Local<'_> {
        let addresses = ours.zip(theirs).map(|(ours, theirs)| Addresses { ours, theirs });
        Local { addresses, ..Local::new(&self.identity, self.registration_id) }
    }

    /// The prekeys that a message names, as a store finds them.
    pub fn prekeys(&self, first: &PreKeySignalMessage) -> Option<OurPreKeys<'_>> {
        let signed = self.signed.as_ref().filter(|key| key.id() == first.signed_id())?;
        let kyber = self.kyber.as_ref().filter(|key| key.id() == first.kyber_id())?;
        let one_time = self.one_time.as_ref().filter(|key| Some(key.id()) == first.one_time_id());
        Some(OurPreKeys { signed, kyber, one_time })
    }
}

pub fn bundle(parts: &Value) -> PreKeyBundle {
    let key = |name: &str| PublicKey::from_pub33(&bytes(&parts[name])).unwrap();
    let signature = |name: &str| bytes(&parts[name]).try_into().unwrap();
    PreKeyBundle {
        registration_id: number(&parts["registrationId"]),
        device_id: u8::try_from(number(&parts["deviceId"])).unwrap(),
        identity: key("identityKey"),
        signed: SignedPreKeyPublic {
            id: number(&parts["signedPreKeyId"]),
            key: key("signedPreKeyPublic"),
            signature: signature("signedPreKeySignature"),
        },
        kyber: KyberPreKeyPublic {
            id: number(&parts["kyberPreKeyId"]),
            key: KemPublicKey::from_bytes(&bytes(&parts["kyberPreKeyPublic"])).unwrap(),
            signature: signature("kyberPreKeySignature"),
        },
        one_time: Some(OneTimePreKeyPublic { id: number(&parts["preKeyId"]), key: key("preKeyPublic") }),
    }
}

/// Service id and device id of a name; nothing when the name is no service id.
pub fn address(party: &Value) -> Option<[u8; 18]> {
    let name = text(&party["name"]);
    let (kind, uuid) = name.strip_prefix("PNI:").map_or((0, name), |uuid| (1, uuid));
    let uuid = HEXLOWER.decode(uuid.to_lowercase().replace('-', "").as_bytes()).ok().filter(|uuid| uuid.len() == 16)?;
    [vec![kind], uuid, vec![u8::try_from(number(&party["deviceId"])).unwrap()]].concat().try_into().ok()
}

pub fn pair(private: &Value) -> KeyPair {
    KeyPair::from_private(PrivateKey::from_bytes(&array(private)))
}

pub fn list(value: &Value) -> &Vec<Value> {
    value.as_array().unwrap()
}

pub fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

pub fn number(value: &Value) -> u32 {
    u32::try_from(value.as_u64().unwrap()).unwrap()
}

pub fn bytes(value: &Value) -> Vec<u8> {
    HEXLOWER.decode(text(value).as_bytes()).unwrap()
}

pub fn array(value: &Value) -> [u8; 32] {
    bytes(value).try_into().unwrap()
}
