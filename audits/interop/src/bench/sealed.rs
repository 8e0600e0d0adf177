//! Sealed sender: to one in version 1, to many in version 2, split by a server and opened.

use std::hint::black_box;
use std::rc::Rc;

use hushwire_crypto::sealed::certificate::{SenderCertificate, SenderDetails, ServerCertificate};
use hushwire_crypto::sealed::content::{ContentHint, ContentKind, SealedContent};
use hushwire_crypto::sealed::sent::{Recipient, RecipientDevice, SentMessage};
use hushwire_crypto::sealed::{self, v2};
use hushwire_crypto::{IdentityKeyPair, KeyPair, PublicKey, ServiceId, ServiceIdKind, Sessions};

use super::ours::{Form, Operation, Party, TEXT, Work, failed, timed};
use crate::Checked;
use crate::ours::NOW_MS;

const HELD: &[Form] = &[Form::Held];

/// To many, the sender looks at the session with each recipient: its identity key and its registration id.
const BOTH: &[Form] = &[Form::Held, Form::Stored];

/// A sender, what it says, and to whom.
struct Scene {
    sender: IdentityKeyPair,
    content: SealedContent,
    recipients: Vec<Peer>,
    first: IdentityKeyPair,
}

struct Peer {
    account: ServiceId,
    sessions: Sessions,
    row: Vec<u8>,
}

pub(crate) fn operations() -> Checked<Vec<Operation>> {
    let of = |name, key, count, forms, work| Operation { name, key, count, forms, work: Some(work) };
    let [one, hundred, thousand] = [Scene::new(1)?, Scene::new(100)?, Scene::new(1000)?].map(Rc::new);
    let for_one = sealed::seal(&one.content.to_bytes(), &one.sender, &one.first.public(), &mut rand::rng());
    let for_one = for_one.map_err(failed)?;
    let sent = SentMessage::parse(&one.seal(Form::Held)?).map_err(failed)?;
    let received = sent.recipients().first().map(|entry| sent.received_message(entry)).ok_or("nobody receives")?;
    Ok(vec![
        of("sealed 1: seal 1 KB", "seal_1", 100, HELD, seal_one(&one)),
        of("sealed 1: open 1 KB", "open_1", 100, HELD, open(&one, for_one)),
        of("sealed 2: seal 1 KB to 1", "seal_2_to_1", 100, BOTH, seal(&one)),
        of("sealed 2: seal 1 KB to 100", "seal_2_to_100", 5, BOTH, seal(&hundred)),
        of("sealed 2: seal 1 KB to 1,000", "seal_2_to_1000", 2, BOTH, seal(&thousand)),
        of("sealed 2: split for 1,000", "split_2_of_1000", 5, HELD, split(thousand.seal(Form::Held)?)),
        of("sealed 2: open 1 KB", "open_2", 100, HELD, open(&one, received)),
    ])
}

impl Scene {
    fn new(recipients: usize) -> Checked<Scene> {
        let (sender, first) = Party::strangers();
        let mut peers = Vec::new();
        for number in 0..recipients {
            let mut id = [0; 16];
            for (to, byte) in id.iter_mut().zip(number.to_le_bytes()) {
                *to = byte;
            }
            let peer = if number == 0 { first.clone() } else { Party::strangers().1 };
            let sender = Party { peer: Some(peer.identity.public()), ..sender.clone() };
            let sessions = sender.begin(&peer.bundle())?;
            let account = ServiceId::new(ServiceIdKind::Aci, id);
            peers.push(Peer { account, row: sessions.to_bytes().to_vec(), sessions });
        }
        let content = content(&sender.identity)?;
        Ok(Scene { sender: sender.identity, content, recipients: peers, first: first.identity })
    }

    fn seal(&self, form: Form) -> Checked<Vec<u8>> {
        let mut known: Vec<(ServiceId, PublicKey, [RecipientDevice; 1])> = Vec::new();
        for Peer { account, sessions, row } in &self.recipients {
            let read = (form == Form::Stored).then(|| Sessions::from_bytes(row)).transpose().map_err(failed)?;
            let sessions = read.as_ref().unwrap_or(sessions);
            let identity = sessions.remote_identity().ok_or("no session")?;
            let id = sessions.remote_registration_id().and_then(|id| u16::try_from(id).ok()).unwrap_or_default();
            known.push((*account, identity, [RecipientDevice { id: 1, registration_id: id }]));
        }
        let recipients: Vec<_> = known
            .iter()
            .map(|(account, identity, devices)| Recipient { account: *account, identity: *identity, devices })
            .collect();
        v2::seal(&self.content, &self.sender, &recipients, &[], &mut rand::rng()).map_err(failed)
    }
}

/// A certificate, and a message of a group to which 1 KB was encrypted.
fn content(sender: &IdentityKeyPair) -> Checked<SealedContent> {
    let rng = &mut rand::rng();
    let [root, server] = [(); 2].map(|()| KeyPair::generate(rng));
    let details = SenderDetails {
        uuid: ServiceId::new(ServiceIdKind::Aci, [9; 16]).to_string(),
        e164: Some("+14155550100".to_owned()),
        device_id: 1,
        identity: sender.public(),
        expires_ms: NOW_MS,
    };
    let issued = ServerCertificate::issue(7, server.public(), &root, rng);
    let certificate = SenderCertificate::issue(details, &issued, &server, rng);
    let message = super::groups::group().0.encrypt(&TEXT, rng).map_err(failed)?.message;
    Ok(SealedContent { kind: ContentKind::SenderKey, certificate, message, hint: ContentHint::Default, group_id: None })
}

fn seal_one(scene: &Rc<Scene>) -> Work {
    let scene = Rc::clone(scene);
    Box::new(move |_, count| {
        timed(count, |_| {
            let content = black_box(&scene.content).to_bytes();
            let sealed = sealed::seal(&content, &scene.sender, &scene.first.public(), &mut rand::rng());
            sealed.map(|sealed| drop(black_box(sealed))).map_err(failed)
        })
    })
}

fn open(scene: &Rc<Scene>, sealed: Vec<u8>) -> Work {
    let scene = Rc::clone(scene);
    Box::new(move |_, count| {
        timed(count, |_| {
            let content = sealed::open_content(black_box(&sealed), &scene.first).map_err(failed)?;
            if content.message == scene.content.message { Ok(()) } else { Err("another content was opened".to_owned()) }
        })
    })
}

fn seal(scene: &Rc<Scene>) -> Work {
    let scene = Rc::clone(scene);
    Box::new(move |form, count| timed(count, |_| scene.seal(form).map(|sent| drop(black_box(sent)))))
}

fn split(sent: Vec<u8>) -> Work {
    Box::new(move |_, count| {
        timed(count, |_| {
            let message = SentMessage::parse(black_box(&sent)).map_err(failed)?;
            message.recipients().iter().for_each(|entry| drop(black_box(message.received_message(entry))));
            Ok(())
        })
    })
}
