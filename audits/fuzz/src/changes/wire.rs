//! Changes as bytes, written a second time from the specification. Of what one does, exactly one is set.
//!
//! Spec: group §2.

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Signed {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) change: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) signature: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Change {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) group: Vec<u8>,
    #[prost(bytes = "vec", repeated, tag = "2")]
    pub(super) parents: Vec<Vec<u8>>,
    #[prost(uint64, tag = "3")]
    pub(super) height: u64,
    #[prost(bytes = "vec", tag = "4")]
    pub(super) author: Vec<u8>,
    #[prost(uint32, tag = "5")]
    pub(super) device: u32,
    #[prost(uint64, tag = "6")]
    pub(super) at_ms: u64,
    #[prost(string, repeated, tag = "7")]
    pub(super) servers: Vec<String>,
    #[prost(message, repeated, tag = "8")]
    pub(super) ops: Vec<Op>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Op {
    #[prost(message, optional, tag = "1")]
    pub(super) found: Option<Found>,
    #[prost(bytes = "vec", optional, tag = "2")]
    pub(super) add: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "3")]
    pub(super) remove: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "4")]
    pub(super) ban: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "5")]
    pub(super) unban: Option<Vec<u8>>,
    #[prost(message, optional, tag = "6")]
    pub(super) leave: Option<Leave>,
    #[prost(message, optional, tag = "7")]
    pub(super) set_role: Option<SetRole>,
    #[prost(string, optional, tag = "8")]
    pub(super) rename: Option<String>,
    #[prost(bool, optional, tag = "9")]
    pub(super) announce: Option<bool>,
    #[prost(uint32, optional, tag = "10")]
    pub(super) timer: Option<u32>,
    #[prost(message, optional, tag = "11")]
    pub(super) invite: Option<Invite>,
    #[prost(bytes = "vec", optional, tag = "12")]
    pub(super) close_invite: Option<Vec<u8>>,
    #[prost(message, optional, tag = "13")]
    pub(super) join: Option<Join>,
    #[prost(bytes = "vec", optional, tag = "14")]
    pub(super) admit: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "15")]
    pub(super) refuse: Option<Vec<u8>>,
    #[prost(message, optional, tag = "16")]
    pub(super) drop_device: Option<DropDevice>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Found {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) members: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Leave {}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct SetRole {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) account: Vec<u8>,
    #[prost(uint32, tag = "2")]
    pub(super) role: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Invite {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) key: Vec<u8>,
    #[prost(bool, tag = "3")]
    pub(super) approval: bool,
    #[prost(uint64, tag = "4")]
    pub(super) expires_at_ms: u64,
    #[prost(uint32, tag = "5")]
    pub(super) uses: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Join {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) invite: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) proof: Vec<u8>,
    #[prost(uint32, tag = "3")]
    pub(super) server: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct DropDevice {
    #[prost(uint32, tag = "1")]
    pub(super) device: u32,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) link: Vec<u8>,
}
