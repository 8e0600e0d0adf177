//! Sealed sender, version 2: to several accounts with several devices each, sealed and split by either library, and opened
//! by both.
//!
//! Spec: signal-wire §6.4.

use hushwire_crypto::sealed::content::{ContentKind, SealedContent};
use hushwire_crypto::sealed::sent::{Recipient, RecipientDevice, SentMessage};
use hushwire_crypto::sealed::{self, v2};
use serde_json::json;

use crate::Checked;
use crate::device::{Address, Device};
use crate::oracle::{bytes, hex};
use crate::sealed::{ALTERED, Round, Twin};

impl Round {
    /// We seal, in both versions, for devices that are in both libraries.
    pub(crate) fn we_seal(&mut self) -> Checked<()> {
        let certificate = self.certificate(true)?;
        let content = self.content(ContentKind::SenderKey, &certificate, vec![0x33; 100]);
        let devices: Vec<_> = self.twins.iter().map(devices).collect();
        let recipients = self.twins.iter().zip(&devices);
        let recipients: Vec<_> = recipients
            .map(|(twin, devices)| Recipient { account: twin.account, identity: twin.devices[0].identity, devices })
            .collect();
        let excluded = [Address::of_somebody(&mut self.rng).account];
        let sent = v2::seal(&content, &self.us.identity, &recipients, &excluded, &mut self.rng);
        let sent = sent.map_err(|error| format!("not sealed for many: {error}"))?;
        self.check_sent(&sent, &content)?;
        for place in 0..self.twins.len() {
            let to = self.twins[place].devices[0].identity;
            let sealed = sealed::seal(&content.to_bytes(), &self.us.identity, &to, &mut self.rng);
            let sealed = sealed.map_err(|error| format!("not sealed: {error}"))?;
            self.open_twice(place, &sealed, &content)?;
        }
        Ok(())
    }

    /// They seal, in both versions. For version 2 they need a session with each recipient.
    pub(crate) fn they_seal(&mut self) -> Checked<()> {
        let certificate = self.certificate(false)?;
        let error = json!({"original": hex(&[0x33; 80]), "type": 7, "timestamp": 99, "deviceId": 1});
        let inner = bytes(&self.them.get("decryption_error", error)?, "plaintextContent")?;
        let usmc = self.them.get(
            "usmc",
            json!({
                "kind": "plaintext", "content": hex(&inner), "senderCert": hex(&certificate.to_bytes()),
                "contentHint": 1, "groupId": "0102",
            }),
        )?;
        let usmc = bytes(&usmc, "usmc")?;
        let content = SealedContent::parse(&usmc).map_err(|error| format!("their content does not read: {error}"))?;
        if content.to_bytes() != usmc || content.message != inner {
            return Err(format!("their content is written otherwise by us: {}", hex(&usmc)));
        }
        let mut recipients = Vec::new();
        for device in self.twins.iter_mut().flat_map(|twin| &mut twin.devices) {
            let bundle = device.bundle(true)?;
            self.them.peer = device.address;
            self.them.start(&bundle)?.map_err(|kind| format!("no session: {kind:?}"))?;
            recipients.push(device.address.json());
        }
        let request = json!({"recipients": recipients, "excluded": [], "usmc": hex(&usmc)});
        let sent = bytes(&self.them.get("sealed_multi_encrypt", request)?, "message")?;
        self.check_sent(&sent, &content)?;
        for place in 0..self.twins.len() {
            let request = json!({"peer": self.twins[place].devices[0].address.json(), "usmc": hex(&usmc)});
            let sealed = bytes(&self.them.get("sealed_encrypt_usmc", request)?, "message")?;
            self.open_twice(place, &sealed, &content)?;
        }
        Ok(())
    }

    /// A message to many: both servers' views are the same, and each recipient opens its part.
    fn check_sent(&mut self, sent: &[u8], content: &SealedContent) -> Checked<()> {
        let parsed = SentMessage::parse(sent).map_err(|error| format!("a SentMessage does not read: {error}"))?;
        let theirs = self.them.get("sealed_multi_parse", json!({"message": hex(sent)}))?;
        let excluded: Vec<String> = parsed.excluded().iter().map(ToString::to_string).collect();
        if theirs["excluded"] != json!(excluded) || parsed.recipients().len() != self.twins.len() {
            return Err(format!("the recipients are others: {theirs}"));
        }
        for place in 0..self.twins.len() {
            let twin = &self.twins[place];
            let entry = parsed.recipients().iter().find(|entry| entry.account() == twin.account);
            let entry = entry.ok_or("a recipient is missing")?;
            let received = parsed.received_message(entry);
            let view = &theirs["recipients"][twin.account.to_string()];
            let expected = devices(twin);
            let ids: Vec<_> = expected.iter().map(|device| device.id).collect();
            let registration_ids: Vec<_> = expected.iter().map(|device| device.registration_id).collect();
            if entry.devices() != expected
                || view["deviceIds"] != json!(ids)
                || view["registrationIds"] != json!(registration_ids)
                || bytes(view, "message")? != received
            {
                return Err(format!("what the devices of a recipient get is other: {view}"));
            }
            self.open_twice(place, &received, content)?;
        }
        for _ in 0..ALTERED {
            let altered = self.altered(sent);
            let ours = SentMessage::parse(&altered).is_ok();
            let theirs = self.them.ask("sealed_multi_parse", json!({"message": hex(&altered)}))?;
            // A count that is longer than it need be is misread by them, and refused by us. Spec: signal-wire §6.4.
            let has_long_count = altered.get(1).is_some_and(|byte| byte & 0x80 != 0) && altered.get(2) == Some(&0);
            if ours != theirs.is_ok() && (ours || !has_long_count) {
                return Err(format!("SentMessage: ours reads: {ours}, theirs: {theirs:?} for {}", hex(&altered)));
            }
        }
        Ok(())
    }
}

/// The devices of an account, as the sender names them to the server.
fn devices(twin: &Twin) -> Vec<RecipientDevice> {
    let device = |device: &crate::theirs::Theirs| RecipientDevice {
        id: device.address.device,
        registration_id: u16::try_from(device.registration_id).unwrap_or_default(),
    };
    twin.devices.iter().map(device).collect()
}
