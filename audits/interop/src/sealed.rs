//! Sealed sender: certificates, and version 1, sealed by either library and opened by both. Version 2 is `many`.
//!
//! Each recipient is one device in both libraries: whole and altered, what one opens the other must open, to the same
//! content. Certificates are issued by either, and judged by both.

use hushwire_crypto::sealed::certificate::{SenderCertificate, SenderDetails, ServerCertificate};
use hushwire_crypto::sealed::content::{ContentHint, ContentKind, OwnDevice, SealedContent};
use hushwire_crypto::{IdentityKeyPair, KeyPair, ServiceId, sealed};
use rand::rngs::StdRng;
use rand::{Rng as _, RngExt as _, SeedableRng as _};
use serde_json::json;

use crate::Checked;
use crate::device::{Address, Device};
use crate::oracle::{bytes, hex, number, text};
use crate::ours::{NOW_MS, Ours};
use crate::tally::Tally;
use crate::theirs::{SharedOracle, Theirs};
use crate::wire::Message;

/// The accounts that one message to many is for, and the devices of each.
const RECIPIENTS: [&[u8]; 3] = [&[1], &[1, 3], &[2, 5, 127]];

/// Altered copies of each sealed message.
pub(crate) const ALTERED: usize = 30;

/// A recipient: the same account and identity in both libraries, with devices in theirs.
pub(crate) struct Twin {
    pub(crate) account: ServiceId,
    pub(crate) devices: Vec<Theirs>,
    identity: IdentityKeyPair,
}

pub(crate) struct Round {
    pub(crate) us: Ours,
    pub(crate) them: Theirs,
    pub(crate) twins: Vec<Twin>,
    root: KeyPair,
    server: KeyPair,
    pub(crate) rng: StdRng,
    pub(crate) tally: Tally,
}

/// This many rounds, each of one message of every kind in both directions.
pub(crate) fn run(oracle: &SharedOracle, rounds: u64, seed: u64) -> Checked<Tally> {
    let mut total = Tally::new("sealed sender, versions 1 and 2");
    for each in 0..rounds {
        let mut round = Round::new(oracle, seed.wrapping_add(each))?;
        round.sessions()?;
        round.we_seal()?;
        round.they_seal()?;
        total.add(&round.tally.done());
    }
    Ok(total)
}

impl Round {
    fn new(oracle: &SharedOracle, seed: u64) -> Checked<Round> {
        let mut rng = StdRng::seed_from_u64(seed);
        let [ours, theirs] = [(); 2].map(|()| Address::of_somebody(&mut rng));
        let mut twins = Vec::new();
        for (number, devices) in RECIPIENTS.iter().enumerate() {
            let (address, identity) = (Address::of_somebody(&mut rng), IdentityKeyPair::generate(&mut rng));
            let device = |id: &u8| {
                let (name, address) = (format!("sealed-{seed}-{number}-{id}"), address.device(*id));
                let registration_id = rng.random_range(1..0x3fff);
                Theirs::with_identity(oracle, &name, [address, ours], registration_id, Some(&identity.to_bytes()))
            };
            let devices = devices.iter().map(device).collect::<Checked<_>>()?;
            twins.push(Twin { account: address.account, devices, identity });
        }
        let identity = IdentityKeyPair::generate(&mut rng);
        let [root, server] = [KeyPair::generate(&mut rng), KeyPair::generate(&mut rng)];
        let us = Ours::new(ours, theirs, identity, 77, rng.next_u64());
        let them = Theirs::new(oracle, &format!("sealer-{seed}"), theirs, ours, 78)?;
        Ok(Round { us, them, twins, root, server, rng, tally: Tally::new("") })
    }

    /// Version 1 around messages of a session, both ways, from certificate to text.
    fn sessions(&mut self) -> Checked<()> {
        let (ours, theirs) = (self.certificate(true)?, self.certificate(false)?);
        let bundle = self.them.bundle(true)?;
        self.us.start(&bundle)?.map_err(|kind| format!("no session: {kind:?}"))?;
        self.tally.sessions += 1;
        for turn in 0..6 {
            self.tally.messages += 1;
            let said = format!("sealed {turn}");
            if turn % 2 == 0 {
                let sealed = self.seal_to_them(&ours, said.as_bytes())?;
                let request = json!({
                    "message": hex(&sealed), "trustRoot": hex(&self.root.public().to_pub33()), "timestamp": NOW_MS,
                });
                let opened = self.them.get("sealed_decrypt", request)?;
                let sender = (text(&opened, "senderUuid")?, number(&opened, "deviceId")?);
                if bytes(&opened, "plaintext")? != said.as_bytes() || sender != (self.us.address.account.to_string(), 1)
                {
                    return Err(format!("they open version 1 to something else: {opened}"));
                }
            } else {
                let request = json!({
                    "peer": self.them.peer(), "senderCert": hex(&theirs.to_bytes()), "plaintext": hex(said.as_bytes()),
                });
                let sealed = bytes(&self.them.get("sealed_encrypt", request)?, "message")?;
                if self.open_of_theirs(&sealed)? != said.as_bytes() {
                    return Err("we open version 1 to something else".to_owned());
                }
            }
            self.tally.opened += 1;
        }
        Ok(())
    }

    fn seal_to_them(&mut self, certificate: &SenderCertificate, said: &[u8]) -> Checked<Vec<u8>> {
        let message = self.us.send(said)?.map_err(|kind| format!("not sent: {kind:?}"))?;
        let kind = if message.is_first { ContentKind::PreKey } else { ContentKind::Signal };
        let content = self.content(kind, certificate, message.bytes);
        let sealed = sealed::seal(&content.to_bytes(), &self.us.identity, &self.them.identity, &mut self.rng);
        sealed.map_err(|error| format!("not sealed: {error}"))
    }

    fn open_of_theirs(&mut self, sealed: &[u8]) -> Checked<Vec<u8>> {
        let content =
            sealed::open_content(sealed, &self.us.identity).map_err(|error| format!("not opened: {error}"))?;
        let uuid = self.us.address.account.to_string();
        let own = OwnDevice { uuid: &uuid, e164: None, device_id: self.us.address.device };
        let content = content.verify(&[self.root.public()], NOW_MS, &own);
        let content = content.map_err(|error| format!("their content is refused: {error}"))?;
        let message = Message { is_first: content.kind == ContentKind::PreKey, bytes: content.message };
        self.us.receive(&message)?.map_err(|kind| format!("what they sealed does not open: {kind:?}"))
    }

    /// Both libraries open it to this content, and neither or both an altered one.
    pub(crate) fn open_twice(&mut self, place: usize, sealed: &[u8], content: &SealedContent) -> Checked<()> {
        self.tally.messages += 1;
        if self.open_alike(place, sealed)? != Some(content.to_bytes()) {
            return Err(format!("a sealed message does not open to what was sealed: {}", hex(sealed)));
        }
        for _ in 0..ALTERED {
            let altered = self.altered(sealed);
            self.open_alike(place, &altered)?;
        }
        Ok(())
    }

    fn open_alike(&mut self, place: usize, sealed: &[u8]) -> Checked<Option<Vec<u8>>> {
        let Twin { identity, devices, account: _ } = &self.twins[place];
        let ours = sealed::open_content(sealed, identity).map(|content| content.to_bytes());
        // Nothing of a device but the identity of its account is in it: any of them will do.
        let device = &devices[self.rng.random_range(0..devices.len())];
        let theirs = match device.ask("sealed_decrypt_to_usmc", json!({"message": hex(sealed)}))? {
            Ok(opened) => Ok(bytes(&opened, "usmc")?),
            Err(no) => Err(no),
        };
        if ours.as_ref().ok() != theirs.as_ref().ok() {
            return Err(format!("ours: {ours:?}, theirs: {theirs:?} for the sealed message {}", hex(sealed)));
        }
        match &ours {
            Ok(_) => self.tally.opened += 1,
            Err(_) => *self.tally.refused.entry(crate::kind::Kind::Sealed).or_default() += 1,
        }
        Ok(ours.ok())
    }

    pub(crate) fn content(
        &mut self,
        kind: ContentKind,
        certificate: &SenderCertificate,
        message: Vec<u8>,
    ) -> SealedContent {
        let hint = [ContentHint::Default, ContentHint::Resendable, ContentHint::Implicit][self.rng.random_range(0..3)];
        let group_id = self.rng.random::<bool>().then(|| vec![1, 2, 3]);
        SealedContent { kind, certificate: certificate.clone(), message, hint, group_id }
    }

    /// One of us, or of them; issued by either library, and judged alike by both, whole and altered.
    pub(crate) fn certificate(&mut self, of_us: bool) -> Checked<SenderCertificate> {
        let (uuid, identity) = match of_us {
            true => (self.us.address.account.to_string(), self.us.identity.public()),
            false => (self.them.address.account.to_string(), self.them.identity),
        };
        let e164 = Some("+14155550100".to_owned());
        let expires_ms = NOW_MS + 1000;
        let certificate = if self.rng.random() {
            let server = ServerCertificate::issue(7, self.server.public(), &self.root, &mut self.rng);
            let details = SenderDetails { uuid, e164, device_id: 1, identity, expires_ms };
            SenderCertificate::issue(details, &server, &self.server, &mut self.rng).to_bytes()
        } else {
            let server = self.them.get(
                "server_cert",
                json!({
                    "keyId": 7, "serverKey": hex(&self.server.public().to_pub33()),
                    "trustRootPrivate": hex(&*self.root.private().to_bytes()),
                }),
            )?;
            let made = self.them.get("sender_cert", json!({
                "senderUuid": uuid, "senderE164": e164, "senderDeviceId": 1,
                "senderKey": hex(&identity.to_pub33()), "expiration": expires_ms, "serverCert": text(&server, "cert")?,
                "serverPrivate": hex(&*self.server.private().to_bytes()),
            }))?;
            bytes(&made, "cert")?
        };
        for (time, holds) in [(NOW_MS, true), (expires_ms, true), (expires_ms + 1, false)] {
            if self.judge(&certificate, time)? != holds {
                return Err(format!("a certificate is misjudged at {time}: {}", hex(&certificate)));
            }
        }
        for _ in 0..ALTERED {
            let altered = self.altered(&certificate);
            self.judge(&altered, NOW_MS)?;
        }
        SenderCertificate::parse(&certificate).map_err(|error| format!("a certificate does not read: {error}"))
    }

    /// Whether it holds; both say the same.
    fn judge(&mut self, certificate: &[u8], time: u64) -> Checked<bool> {
        let root = self.root.public();
        let ours = SenderCertificate::parse(certificate).is_ok_and(|parsed| parsed.verify(&[root], time).is_ok());
        let request = json!({"cert": hex(certificate), "trustRoot": hex(&root.to_pub33()), "time": time});
        let theirs = self.them.ask("sender_cert_validate", request)?;
        let holds = theirs.as_ref().is_ok_and(|said| said["valid"] == true);
        if ours == holds {
            return Ok(ours);
        }
        Err(format!("a certificate holds for us: {ours}, for them: {theirs:?}: {}", hex(certificate)))
    }

    pub(crate) fn altered(&mut self, whole: &[u8]) -> Vec<u8> {
        let mut altered = whole.to_vec();
        let at = if self.rng.random() { self.rng.random_range(0..whole.len()) } else { self.rng.random_range(0..60) };
        match self.rng.random_range(0..6) {
            0 => altered.truncate(at),
            1 => altered.push(self.rng.random()),
            2 => altered[0] = self.rng.random(),
            _ => altered[at] ^= 1 << self.rng.random_range(0..8),
        }
        self.tally.altered += 1;
        altered
    }
}
