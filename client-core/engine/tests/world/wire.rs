//! What stands in envelopes, written a second time from the specification.
//!
//! Spec: envelope §4 to §10, group §2.

#[derive(Clone, PartialEq, prost::Message)]
pub struct InsideWire {
    #[prost(uint32, tag = "1")]
    pub kind: u32,
    #[prost(bytes = "vec", tag = "2")]
    pub account: Vec<u8>,
    #[prost(uint32, tag = "3")]
    pub device: u32,
    #[prost(bytes = "vec", tag = "4")]
    pub message: Vec<u8>,
    #[prost(bytes = "vec", tag = "5")]
    pub links: Vec<u8>,
    #[prost(bytes = "vec", tag = "6")]
    pub recipient: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct PlainWire {
    #[prost(bytes = "vec", tag = "1")]
    pub content: Vec<u8>,
    #[prost(message, optional, tag = "2")]
    pub introduction: Option<IntroductionWire>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct IntroductionWire {
    #[prost(bytes = "vec", tag = "1")]
    pub token: Vec<u8>,
    #[prost(string, tag = "2")]
    pub handle: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Content {
    #[prost(message, optional, tag = "1")]
    pub said: Option<Said>,
    #[prost(message, optional, tag = "2")]
    pub receipt: Option<Receipt>,
    #[prost(message, optional, tag = "3")]
    pub again: Option<Again>,
    #[prost(message, optional, tag = "4")]
    pub group_key: Option<GroupKey>,
    #[prost(message, optional, tag = "5")]
    pub group_changes: Option<GroupChanges>,
    #[prost(message, optional, tag = "6")]
    pub group_ask: Option<GroupAsk>,
    #[prost(message, optional, tag = "7")]
    pub group_invitation: Option<GroupInvitation>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Said {
    #[prost(bytes = "vec", tag = "1")]
    pub message_id: Vec<u8>,
    #[prost(uint64, tag = "2")]
    pub counter: u64,
    #[prost(bytes = "vec", tag = "3")]
    pub previous: Vec<u8>,
    #[prost(uint64, tag = "4")]
    pub lamport: u64,
    #[prost(uint64, tag = "5")]
    pub sent_at_ms: u64,
    #[prost(message, optional, tag = "6")]
    pub text: Option<Words>,
    #[prost(message, optional, tag = "7")]
    pub edit: Option<Rewords>,
    #[prost(message, optional, tag = "8")]
    pub take_back: Option<Rewords>,
    #[prost(message, optional, tag = "9")]
    pub react: Option<About>,
    #[prost(message, optional, tag = "10")]
    pub pin: Option<About>,
    #[prost(message, optional, tag = "11")]
    pub timer: Option<Timer>,
}

/// A text.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Words {
    #[prost(string, tag = "1")]
    pub text: String,
}

/// An edit; without words what takes back.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Rewords {
    #[prost(bytes = "vec", tag = "1")]
    pub of: Vec<u8>,
    #[prost(string, tag = "2")]
    pub text: String,
}

/// A reaction, or without words a pin that is taken off.
#[derive(Clone, PartialEq, prost::Message)]
pub struct About {
    #[prost(message, optional, tag = "1")]
    pub to: Option<Reference>,
    #[prost(string, tag = "2")]
    pub emoji: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Reference {
    #[prost(bytes = "vec", tag = "1")]
    pub author: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub message_id: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Timer {
    #[prost(uint32, tag = "1")]
    pub seconds: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Receipt {
    #[prost(uint32, tag = "1")]
    pub author: u32,
    #[prost(uint64, repeated, tag = "2")]
    pub delivered: Vec<u64>,
    #[prost(uint64, tag = "3")]
    pub read_through: u64,
    #[prost(bytes = "vec", tag = "4")]
    pub group: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Again {
    #[prost(bytes = "vec", tag = "1")]
    pub group: Vec<u8>,
    #[prost(uint32, tag = "2")]
    pub device: u32,
    #[prost(bool, tag = "3")]
    pub asks: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct GroupKey {
    #[prost(bytes = "vec", tag = "1")]
    pub group: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub key: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    pub secret: Vec<u8>,
    #[prost(bytes = "vec", repeated, tag = "4")]
    pub heads: Vec<Vec<u8>>,
    #[prost(uint64, tag = "5")]
    pub lamport: u64,
    #[prost(uint64, tag = "6")]
    pub said_counter: u64,
    #[prost(bytes = "vec", tag = "7")]
    pub said_hash: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct GroupChanges {
    #[prost(bytes = "vec", tag = "1")]
    pub group: Vec<u8>,
    #[prost(message, repeated, tag = "2")]
    pub changes: Vec<Proven>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Proven {
    #[prost(bytes = "vec", tag = "1")]
    pub change: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub chain: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct GroupAsk {
    #[prost(bytes = "vec", tag = "1")]
    pub group: Vec<u8>,
    #[prost(bytes = "vec", repeated, tag = "2")]
    pub heads: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct GroupInvitation {
    #[prost(bytes = "vec", tag = "1")]
    pub group: Vec<u8>,
    #[prost(string, tag = "2")]
    pub name: String,
    #[prost(uint32, tag = "3")]
    pub members: u32,
    #[prost(bytes = "vec", tag = "4")]
    pub some: Vec<u8>,
    #[prost(bytes = "vec", tag = "5")]
    pub since: Vec<u8>,
    #[prost(uint64, tag = "6")]
    pub height: u64,
}

/// What stands in an envelope to a group.
#[derive(Clone, PartialEq, prost::Message)]
pub struct GroupInside {
    #[prost(bytes = "vec", tag = "1")]
    pub account: Vec<u8>,
    #[prost(uint32, tag = "2")]
    pub device: u32,
    #[prost(bytes = "vec", tag = "3")]
    pub message: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct GroupPlain {
    #[prost(bytes = "vec", tag = "1")]
    pub group: Vec<u8>,
    #[prost(bytes = "vec", repeated, tag = "2")]
    pub heads: Vec<Vec<u8>>,
    #[prost(bytes = "vec", tag = "3")]
    pub content: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct ChangeWire {
    #[prost(bytes = "vec", tag = "1")]
    pub group: Vec<u8>,
    #[prost(bytes = "vec", repeated, tag = "2")]
    pub parents: Vec<Vec<u8>>,
    #[prost(uint64, tag = "3")]
    pub height: u64,
    #[prost(bytes = "vec", tag = "4")]
    pub author: Vec<u8>,
    #[prost(uint32, tag = "5")]
    pub device: u32,
    #[prost(uint64, tag = "6")]
    pub at_ms: u64,
    #[prost(string, repeated, tag = "7")]
    pub servers: Vec<String>,
    #[prost(message, repeated, tag = "8")]
    pub ops: Vec<OpWire>,
}

/// Some of what a change can do: exactly one is set.
#[derive(Clone, PartialEq, prost::Message)]
pub struct OpWire {
    #[prost(message, optional, tag = "1")]
    pub found: Option<Found>,
    #[prost(bytes = "vec", optional, tag = "3")]
    pub remove: Option<Vec<u8>>,
    #[prost(message, optional, tag = "6")]
    pub leave: Option<Leave>,
    #[prost(message, optional, tag = "7")]
    pub set_role: Option<SetRole>,
    #[prost(string, optional, tag = "8")]
    pub rename: Option<String>,
    #[prost(message, optional, tag = "16")]
    pub drop_device: Option<DropDevice>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Leave {}

#[derive(Clone, PartialEq, prost::Message)]
pub struct SetRole {
    #[prost(bytes = "vec", tag = "1")]
    pub account: Vec<u8>,
    #[prost(uint32, tag = "2")]
    pub role: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct DropDevice {
    #[prost(uint32, tag = "1")]
    pub device: u32,
    #[prost(bytes = "vec", tag = "2")]
    pub link: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Found {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(bytes = "vec", tag = "2")]
    pub members: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct SignedWire {
    #[prost(bytes = "vec", tag = "1")]
    pub change: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub signature: Vec<u8>,
}
