//! The fields of contents, and their numbers. What makes them one is `wire`'s.
//!
//! Spec: envelope §3, §4.

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct PlainWire {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) content: Vec<u8>,
    #[prost(message, optional, tag = "2")]
    pub(super) introduction: Option<IntroductionWire>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct IntroductionWire {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) token: Vec<u8>,
    #[prost(string, tag = "2")]
    pub(super) handle: String,
    #[prost(bytes = "vec", tag = "3")]
    pub(super) whisper_key: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ContentWire {
    #[prost(oneof = "BodyWire", tags = "1, 2, 3, 4, 5, 6, 7")]
    pub(super) body: Option<BodyWire>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(super) enum BodyWire {
    #[prost(message, tag = "1")]
    Said(SaidWire),
    #[prost(message, tag = "2")]
    Receipt(ReceiptWire),
    #[prost(message, tag = "3")]
    Again(AgainWire),
    #[prost(message, tag = "4")]
    GroupKey(GroupKeyWire),
    #[prost(message, tag = "5")]
    GroupChanges(GroupChangesWire),
    #[prost(message, tag = "6")]
    GroupAsk(GroupAskWire),
    #[prost(message, tag = "7")]
    GroupInvitation(GroupInvitationWire),
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct SaidWire {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) message_id: Vec<u8>,
    #[prost(uint64, tag = "2")]
    pub(super) counter: u64,
    #[prost(bytes = "vec", tag = "3")]
    pub(super) previous: Vec<u8>,
    #[prost(uint64, tag = "4")]
    pub(super) lamport: u64,
    #[prost(uint64, tag = "5")]
    pub(super) sent_at_ms: u64,
    #[prost(oneof = "WhatWire", tags = "6, 7, 8, 9, 10, 11")]
    pub(super) what: Option<WhatWire>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(super) enum WhatWire {
    #[prost(message, tag = "6")]
    Text(TextWire),
    #[prost(message, tag = "7")]
    Edit(EditWire),
    #[prost(message, tag = "8")]
    TakeBack(TakeBackWire),
    #[prost(message, tag = "9")]
    React(ReactWire),
    #[prost(message, tag = "10")]
    Pin(PinWire),
    #[prost(message, tag = "11")]
    Timer(TimerWire),
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct TextWire {
    #[prost(string, tag = "1")]
    pub(super) text: String,
    #[prost(message, optional, tag = "2")]
    pub(super) reply_to: Option<ReferenceWire>,
    #[prost(bytes = "vec", repeated, tag = "3")]
    pub(super) mentions: Vec<Vec<u8>>,
    #[prost(bool, tag = "4")]
    pub(super) forwarded: bool,
    #[prost(uint32, tag = "5")]
    pub(super) timer_s: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ReferenceWire {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) author: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) message_id: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct EditWire {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) of: Vec<u8>,
    #[prost(string, tag = "2")]
    pub(super) text: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct TakeBackWire {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) of: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ReactWire {
    #[prost(message, optional, tag = "1")]
    pub(super) to: Option<ReferenceWire>,
    #[prost(string, tag = "2")]
    pub(super) emoji: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct PinWire {
    #[prost(message, optional, tag = "1")]
    pub(super) what: Option<ReferenceWire>,
    #[prost(bool, tag = "2")]
    pub(super) pinned: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct TimerWire {
    /// 0: nothing disappears.
    #[prost(uint32, tag = "1")]
    pub(super) seconds: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ReceiptWire {
    #[prost(uint32, tag = "1")]
    pub(super) author: u32,
    #[prost(uint64, repeated, tag = "2")]
    pub(super) delivered: Vec<u64>,
    #[prost(uint64, tag = "3")]
    pub(super) read_through: u64,
    #[prost(bytes = "vec", tag = "4")]
    pub(super) group: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct AgainWire {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) group: Vec<u8>,
    #[prost(uint32, tag = "2")]
    pub(super) device: u32,
    #[prost(bool, tag = "3")]
    pub(super) asks: bool,
    #[prost(uint64, tag = "4")]
    pub(super) heard: u64,
    #[prost(bytes = "vec", tag = "5")]
    pub(super) hash: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct GroupKeyWire {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) group: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) key: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    pub(super) secret: Vec<u8>,
    #[prost(bytes = "vec", repeated, tag = "4")]
    pub(super) heads: Vec<Vec<u8>>,
    #[prost(uint64, tag = "5")]
    pub(super) lamport: u64,
    #[prost(uint64, tag = "6")]
    pub(super) said_counter: u64,
    #[prost(bytes = "vec", tag = "7")]
    pub(super) said_hash: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct GroupChangesWire {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) group: Vec<u8>,
    #[prost(message, repeated, tag = "2")]
    pub(super) changes: Vec<ProvenWire>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ProvenWire {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) change: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) chain: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct GroupAskWire {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) group: Vec<u8>,
    #[prost(bytes = "vec", repeated, tag = "2")]
    pub(super) heads: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct GroupInvitationWire {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) group: Vec<u8>,
    #[prost(string, tag = "2")]
    pub(super) name: String,
    #[prost(uint32, tag = "3")]
    pub(super) members: u32,
    /// Accounts, one after the other.
    #[prost(bytes = "vec", tag = "4")]
    pub(super) some: Vec<u8>,
    #[prost(bytes = "vec", tag = "5")]
    pub(super) since: Vec<u8>,
    #[prost(uint64, tag = "6")]
    pub(super) height: u64,
}
