//! Sealed messages that are refused: where in a MAC or a tag the first wrong byte lies.

use hushwire_crypto::sealed::certificate::{SenderCertificate, SenderDetails, ServerCertificate};
use hushwire_crypto::sealed::content::{ContentHint, ContentKind, SealedContent};
use hushwire_crypto::sealed::sent::{Recipient, RecipientDevice, SentMessage};
use hushwire_crypto::sealed::{self, OpenError, v2};
use hushwire_crypto::{IdentityKeyPair, KeyPair, ServiceId, ServiceIdKind};
use prost::Message as _;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::changed;
use crate::measure::{Claim, Class, How, Measured};

/// A MAC of version 1, at the end of both sealed fields.
const MAC_BYTES: usize = 10;

pub(super) fn all(how: How) -> Vec<Measured> {
    let mut rng = StdRng::seed_from_u64(6);
    let [alice, bob] = [(); 2].map(|()| IdentityKeyPair::generate(&mut rng));
    let one = sealed::seal(&[7; 300], &alice, &bob.public(), &mut rng).unwrap();
    let many = received(&alice, &bob, &mut rng);
    let fields = Fields::decode(&one[1..]).unwrap();
    let outer = one.windows(fields.sender.len()).position(|part| part == fields.sender).unwrap();
    let outer = outer + fields.sender.len() - MAC_BYTES;
    let inner = one.len() - MAC_BYTES;
    let early_or_late =
        |name, sealed: &[u8], place: usize, bytes: usize, open: fn(&[u8], &IdentityKeyPair) -> Refused| {
            let input = |class: Class, _: &mut StdRng| changed(sealed, place + class.of(0, bytes - 1));
            how.measure(name, Claim::Alike, input, |sealed| assert_eq!(open(sealed, &bob), Some(OpenError::Forged)))
        };
    vec![
        early_or_late("seal, outer MAC wrong early or late", &one, outer, MAC_BYTES, open),
        early_or_late("seal, inner MAC wrong early or late", &one, inner, MAC_BYTES, open),
        early_or_late("seal for many, AT wrong early or late", &many, 1 + 32, 16, open_many),
        early_or_late("seal for many, tag wrong early or late", &many, many.len() - 16, 16, open_many),
        how.measure(
            "seal, for us and altered or for another",
            Claim::Alike,
            |class, rng| {
                let other = IdentityKeyPair::generate(rng).public();
                let sealed = sealed::seal(&[7; 300], &alice, &class.of(bob.public(), other), rng).unwrap();
                changed(&sealed, outer)
            },
            |sealed| assert_eq!(open(sealed, &bob), Some(OpenError::Forged)),
        ),
    ]
}

type Refused = Option<OpenError>;

fn open(sealed: &[u8], recipient: &IdentityKeyPair) -> Refused {
    sealed::open(sealed, recipient).err()
}

fn open_many(sealed: &[u8], recipient: &IdentityKeyPair) -> Refused {
    v2::open(sealed, recipient).err()
}

/// What one recipient gets of a message to many.
fn received(sender: &IdentityKeyPair, recipient: &IdentityKeyPair, rng: &mut StdRng) -> Vec<u8> {
    let [root, server] = [(); 2].map(|()| KeyPair::generate(rng));
    let certificate = ServerCertificate::issue(5, server.public(), &root, rng);
    let details = SenderDetails {
        uuid: "9d0652a3-dcc3-4d11-975f-74d61598733f".to_owned(),
        e164: None,
        device_id: 1,
        identity: sender.public(),
        expires_ms: u64::MAX,
    };
    let content = SealedContent {
        kind: ContentKind::Signal,
        certificate: SenderCertificate::issue(details, &certificate, &server, rng),
        message: vec![7; 300],
        hint: ContentHint::Default,
        group_id: None,
    };
    let devices = [RecipientDevice { id: 1, registration_id: 7 }];
    let account = ServiceId::new(ServiceIdKind::Aci, [1; 16]);
    let recipients = [Recipient { account, identity: recipient.public(), devices: &devices }];
    let sent = SentMessage::parse(&v2::seal(&content, sender, &recipients, &[], rng).unwrap()).unwrap();
    sent.received_message(&sent.recipients()[0])
}

#[derive(Clone, PartialEq, prost::Message)]
struct Fields {
    #[prost(bytes = "vec", tag = "2")]
    sender: Vec<u8>,
}
