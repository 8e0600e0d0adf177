//! A device made of `hushwire-crypto`, with the stores that the crate leaves to its caller.

use std::collections::{BTreeMap, BTreeSet};

use hushwire_crypto::{
    Addresses, CiphertextMessage, EncryptError, IdentityKeyPair, KyberPreKey, Local, OneTimePreKey, OurPreKeys,
    PreKeyBundle, PreKeySignalMessage, PublicKey, Sessions, SignalMessage, SignedPreKey, StartError, UsedPreKeys,
    limits,
};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use crate::Checked;
use crate::device::{Address, Device};
use crate::kind::Kind;
use crate::wire::Message;

/// When everything here happens, in milliseconds since 1970: 2023-11-14.
pub(crate) const NOW_MS: u64 = 1_700_000_000_000;

/// A device of ours. Everything but its keys is on disk: `stored` is the row of its sessions.
pub(crate) struct Ours {
    pub(crate) address: Address,
    pub(crate) peer: Address,
    pub(crate) identity: IdentityKeyPair,
    pub(crate) registration_id: u32,
    /// The identity key of the peer, once known.
    pub(crate) peer_identity: Option<PublicKey>,
    /// What its clock says.
    pub(crate) now_ms: u64,
    pub(crate) rng: StdRng,
    pub(crate) disk: Disk,
    remembered: Option<Disk>,
    next_id: u32,
}

/// What survives the process.
#[derive(Clone)]
pub(crate) struct Disk {
    /// `Sessions::to_bytes`: read before each act and written after it, as an app does.
    pub(crate) sessions: Vec<u8>,
    pub(crate) signed: BTreeMap<u32, SignedPreKey>,
    pub(crate) kyber: BTreeMap<u32, KyberPreKey>,
    pub(crate) one_time: BTreeMap<u32, OneTimePreKey>,
    /// Base keys of sessions that were begun with us: what tells a repeat.
    pub(crate) base_keys: BTreeSet<[u8; 32]>,
}

impl Ours {
    pub(crate) fn new(
        address: Address,
        peer: Address,
        identity: IdentityKeyPair,
        registration_id: u32,
        seed: u64,
    ) -> Ours {
        let disk = Disk {
            sessions: Sessions::empty().to_bytes().to_vec(),
            signed: BTreeMap::new(),
            kyber: BTreeMap::new(),
            one_time: BTreeMap::new(),
            base_keys: BTreeSet::new(),
        };
        let rng = StdRng::seed_from_u64(seed);
        Ours {
            address,
            peer,
            identity,
            registration_id,
            peer_identity: None,
            now_ms: NOW_MS,
            rng,
            disk,
            remembered: None,
            next_id: 1,
        }
    }

    pub(crate) fn sessions(&self) -> Checked<Sessions> {
        Sessions::from_bytes(&self.disk.sessions).map_err(|error| format!("our own row does not read: {error}"))
    }

    fn write(&mut self, sessions: &Sessions) {
        self.disk.sessions = sessions.to_bytes().to_vec();
    }

    fn open(&mut self, message: &Message) -> Checked<Result<Vec<u8>, Kind>> {
        if message.is_first {
            return match PreKeySignalMessage::parse(&message.bytes) {
                Ok(first) => self.open_first(&first),
                Err(error) => Ok(Err(error.into())),
            };
        }
        let parsed = match SignalMessage::parse(&message.bytes) {
            Ok(parsed) => parsed,
            Err(error) => return Ok(Err(error.into())),
        };
        let sessions = self.sessions()?;
        let local = local(&self.identity, self.registration_id, self.peer_identity, self.address, self.peer);
        match sessions.decrypt(&local, &parsed, &mut self.rng) {
            Ok(opened) => {
                self.write(&opened.sessions);
                Ok(Ok(opened.plaintext.to_vec()))
            }
            Err(error) => Ok(Err(error.into())),
        }
    }

    fn open_first(&mut self, first: &PreKeySignalMessage) -> Checked<Result<Vec<u8>, Kind>> {
        let sessions = self.sessions()?;
        let local = local(&self.identity, self.registration_id, self.peer_identity, self.address, self.peer);
        let is_known = sessions.matches(first);
        let one_time = first.one_time_id().map(|id| self.disk.one_time.get(&id));
        let keys = match (self.disk.signed.get(&first.signed_id()), self.disk.kyber.get(&first.kyber_id()), one_time) {
            (Some(_), Some(_), Some(None)) => None,
            (Some(signed), Some(kyber), one_time) => Some(OurPreKeys { signed, kyber, one_time: one_time.flatten() }),
            _ => None,
        };
        let opened = match sessions.decrypt_first(&local, first, keys.filter(|_| !is_known), &mut self.rng) {
            Ok(opened) => opened,
            Err(error) => return Ok(Err(error.into())),
        };
        if let Some(UsedPreKeys { one_time_id, base_key, .. }) = opened.used {
            if !self.disk.base_keys.insert(*base_key.as_bytes()) {
                return Ok(Err(Kind::ReusedBaseKey));
            }
            if let Some(id) = one_time_id {
                self.disk.one_time.remove(&id);
            }
        }
        self.peer_identity = Some(first.identity());
        self.write(&opened.sessions);
        Ok(Ok(opened.plaintext.to_vec()))
    }
}

impl Device for Ours {
    fn name(&self) -> &'static str {
        "ours"
    }

    fn archived_max(&self) -> usize {
        limits::ARCHIVED_SESSIONS_MAX
    }

    fn bundle(&mut self, with_one_time: bool) -> Checked<PreKeyBundle> {
        let id = self.next_id;
        self.next_id += 1;
        let signed = SignedPreKey::generate(id, &self.identity, &mut self.rng);
        let kyber = KyberPreKey::generate(id, &self.identity, &mut self.rng);
        let one_time = with_one_time.then(|| OneTimePreKey::generate(id, &mut self.rng));
        let bundle = PreKeyBundle {
            registration_id: self.registration_id,
            device_id: self.address.device,
            identity: self.identity.public(),
            signed: signed.public(),
            kyber: kyber.public(),
            one_time: one_time.as_ref().map(OneTimePreKey::public),
        };
        self.disk.signed.insert(id, signed);
        self.disk.kyber.insert(id, kyber);
        self.disk.one_time.extend(one_time.map(|key| (id, key)));
        Ok(bundle)
    }

    fn start(&mut self, bundle: &PreKeyBundle) -> Checked<Result<(), Kind>> {
        let Ok(verified) = bundle.clone().verify() else { return Ok(Err(Kind::BadSignature)) };
        let sessions = self.sessions()?;
        let local = local(&self.identity, self.registration_id, self.peer_identity, self.address, self.peer);
        match sessions.start(&local, &verified, self.now_ms, &mut self.rng) {
            Ok(sessions) => {
                self.write(&sessions);
                self.peer_identity = Some(verified.identity());
                Ok(Ok(()))
            }
            Err(StartError::UntrustedIdentity) => Ok(Err(Kind::Untrusted)),
            Err(StartError::NotContributory(_)) => Ok(Err(Kind::Other)),
        }
    }

    fn send(&mut self, text: &[u8]) -> Checked<Result<Message, Kind>> {
        let sessions = self.sessions()?;
        let local = local(&self.identity, self.registration_id, self.peer_identity, self.address, self.peer);
        match sessions.encrypt(&local, text, self.now_ms, &mut self.rng) {
            Ok(sealed) => {
                self.write(&sealed.sessions);
                let is_first = matches!(sealed.message, CiphertextMessage::PreKey(_));
                Ok(Ok(Message { is_first, bytes: sealed.message.as_bytes().to_vec() }))
            }
            Err(EncryptError::NoSession) => Ok(Err(Kind::NoSession)),
            Err(EncryptError::UntrustedIdentity) => Ok(Err(Kind::Untrusted)),
            Err(EncryptError::TooLong { .. } | EncryptError::UsedUp) => Ok(Err(Kind::Other)),
        }
    }

    fn receive(&mut self, message: &Message) -> Checked<Result<Vec<u8>, Kind>> {
        let before = self.disk.sessions.clone();
        let result = self.open(message)?;
        if result.is_err() && self.disk.sessions != before {
            return Err("a refused message left a trace in our sessions".to_owned());
        }
        Ok(result)
    }

    fn archive(&mut self) -> Checked<()> {
        let sessions = self.sessions()?.archive_current();
        self.write(&sessions);
        Ok(())
    }

    fn remember(&mut self) -> Checked<()> {
        self.remembered = Some(self.disk.clone());
        Ok(())
    }

    fn go_back(&mut self) -> Checked<()> {
        self.disk = self.remembered.clone().ok_or("nothing was remembered")?;
        Ok(())
    }
}

/// Our side of an act, with both addresses: the official library ties its first messages to them.
fn local(
    identity: &IdentityKeyPair,
    registration_id: u32,
    peer_identity: Option<PublicKey>,
    ours: Address,
    theirs: Address,
) -> Local<'_> {
    let [ours, theirs] = [ours, theirs].map(|of| of.account.address(of.device));
    let addresses = ours.zip(theirs);
    let addresses = addresses.map(|(ours, theirs)| Addresses { ours, theirs });
    Local { identity, registration_id, peer_identity, addresses }
}
