//! One who sends to a group and one who receives, with no session between them: what is told is handed over.

use hushwire_crypto::{
    DistributionId, GroupDecryptError, OurSenderKey, SenderKeyDistributionMessage, SenderKeyMessage, SenderKeys,
};

use super::draws::Draws;

pub const DISTRIBUTION: DistributionId = DistributionId::from_bytes([0xD1; 16]);

/// One who sends to the group.
pub struct Sender {
    pub key: OurSenderKey,
    pub rng: Draws,
}

impl Sender {
    pub fn seeded(seed: u64) -> Sender {
        let mut rng = Draws(seed);
        Sender { key: OurSenderKey::generate(DISTRIBUTION, &mut rng), rng }
    }

    pub fn send(&mut self, text: &[u8]) -> Vec<u8> {
        let sealed = self.key.encrypt(text, &mut self.rng).unwrap();
        self.key = OurSenderKey::from_bytes(&sealed.key.to_bytes()).unwrap();
        sealed.message
    }

    /// What goes through a session to a member: bytes.
    pub fn tell(&self) -> SenderKeyDistributionMessage {
        SenderKeyDistributionMessage::parse(&self.key.distribution_message().to_bytes()).unwrap()
    }
}

/// One who receives, with the keys of one sender.
pub struct Member(pub SenderKeys);

impl Member {
    pub fn told(by: &Sender) -> Member {
        Member(SenderKeys::empty(DISTRIBUTION).accept(&by.tell()).unwrap())
    }

    pub fn receive(&mut self, message: &[u8]) -> Result<Vec<u8>, GroupDecryptError> {
        let opened = self.0.decrypt(&SenderKeyMessage::parse(message).unwrap())?;
        self.0 = opened.keys;
        Ok(opened.plaintext.to_vec())
    }

    pub fn restart(&mut self) {
        let stored = self.0.to_bytes();
        self.0 = SenderKeys::from_bytes(&stored).unwrap();
        assert_eq!(*self.0.to_bytes(), *stored);
    }
}
