//! What is signed and hashed, and under which label. Every signature and hash of Hushwire's own (Signal's protocols
//! have theirs in `hushwire-crypto`) covers a [`Transcript`]: a label that no other use has, then parts with their
//! lengths, so that no two meanings share bytes.
//!
//! Spec: relay §3.

/// Every use of a key or hash outside Signal's protocols. One registry; a test holds that no two are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Label {
    /// Hash of a link of a chain of device lists; of link 0: the account id.
    Link,
    /// Signature over a link, by a device of the link before or by the recovery key.
    LinkSignature,
    /// XEdDSA by a device's identity key over its signing key.
    DeviceIdentity,
    /// Hash of a deposit token.
    Token,
    /// Signature that proves to a relay whose mailbox this is.
    OpenMailbox,
    /// Signature that proves to a keyserver which device this is.
    SignIn,
    /// Signature that asks a keyserver for an account and a handle.
    Register,
    /// Hash that a new account's proof of work is about.
    RegistrationWork,
    /// Hash of an invite.
    Invite,
    /// Signature over the root of a keyserver's log at an epoch.
    LogRoot,
    /// Signature of an auditor over a root that it has checked.
    LogWitness,
    /// Hash of a keyserver's private key: the key of places in its log.
    LogPlaces,
    /// What a whisper is bound to: from whom, to whom.
    Whisper,
    /// Signature by a sender key over what is whispered to a group.
    GroupWhisper,
    /// Hash of a message, which the next one of the same sender names.
    MessageChain,
    /// Checksum of a contact link.
    ContactLink,
    /// Checksum of the request of a device that wants to be one of an account.
    DeviceRequest,
    /// Hash of a group's change; of the founding one: the group id.
    GroupChange,
    /// Signature over a group's change, by a device of its author.
    GroupChangeSignature,
    /// Signature by the key of a group link, which lets an account in.
    GroupInvite,
    /// Checksum of a group link.
    GroupLink,
    /// Hash of a server's private key: the key of its reset tokens.
    ResetKey,
    /// Keyed hash of a connection id: its reset token.
    ResetToken,
}

impl Label {
    /// All of them.
    pub const ALL: [Self; 23] = [
        Self::Link,
        Self::LinkSignature,
        Self::DeviceIdentity,
        Self::Token,
        Self::OpenMailbox,
        Self::SignIn,
        Self::Register,
        Self::RegistrationWork,
        Self::Invite,
        Self::LogRoot,
        Self::LogWitness,
        Self::LogPlaces,
        Self::Whisper,
        Self::GroupWhisper,
        Self::MessageChain,
        Self::ContactLink,
        Self::DeviceRequest,
        Self::GroupChange,
        Self::GroupChangeSignature,
        Self::GroupInvite,
        Self::GroupLink,
        Self::ResetKey,
        Self::ResetToken,
    ];

    /// The text that stands first in the transcript.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Link => "hushwire/1 link",
            Self::LinkSignature => "hushwire/1 link signature",
            Self::DeviceIdentity => "hushwire/1 device identity",
            Self::Token => "hushwire/1 deposit token",
            Self::OpenMailbox => "hushwire/1 open mailbox",
            Self::SignIn => "hushwire/1 keyserver sign-in",
            Self::Register => "hushwire/1 register",
            Self::RegistrationWork => "hushwire/1 registration work",
            Self::Invite => "hushwire/1 invite",
            Self::LogRoot => "hushwire/1 log root",
            Self::LogWitness => "hushwire/1 log witness",
            Self::LogPlaces => "hushwire/1 log places",
            Self::Whisper => "hushwire/1 whisper",
            Self::GroupWhisper => "hushwire/1 group whisper",
            Self::MessageChain => "hushwire/1 message chain",
            Self::ContactLink => "hushwire/1 contact link",
            Self::DeviceRequest => "hushwire/1 device request",
            Self::GroupChange => "hushwire/1 group change",
            Self::GroupChangeSignature => "hushwire/1 group change signature",
            Self::GroupInvite => "hushwire/1 group invite",
            Self::GroupLink => "hushwire/1 group link",
            Self::ResetKey => "hushwire/1 reset key",
            Self::ResetToken => "hushwire/1 reset token",
        }
    }
}

/// `label ‖ 0x00 ‖ (BE32(length) ‖ part)*`.
#[derive(Clone, Debug)]
pub struct Transcript(Vec<u8>);

impl Transcript {
    /// A transcript of this meaning.
    #[must_use]
    pub fn new(label: Label) -> Self {
        let mut bytes = label.text().as_bytes().to_vec();
        bytes.push(0);
        Self(bytes)
    }

    /// Adds a part. Parts longer than 4 GiB do not exist in this protocol; the length saturates there.
    #[must_use]
    pub fn part(mut self, part: &[u8]) -> Self {
        let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.extend_from_slice(part);
        self
    }

    /// What is signed or hashed.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn no_label_is_another_or_begins_another_up_to_its_end() {
        for (i, a) in Label::ALL.iter().enumerate() {
            for b in &Label::ALL[i + 1..] {
                assert_ne!(Transcript::new(*a).bytes(), Transcript::new(*b).bytes());
                assert!(!a.text().contains('\0') && !b.text().contains('\0'));
            }
        }
    }

    #[test]
    fn moving_a_byte_between_parts_changes_the_transcript() {
        let a = Transcript::new(Label::Link).part(b"ab").part(b"c");
        let b = Transcript::new(Label::Link).part(b"a").part(b"bc");
        assert_ne!(a.bytes(), b.bytes());
    }
}
