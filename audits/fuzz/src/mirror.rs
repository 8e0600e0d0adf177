//! Messages written a second time, from the specification and not with the code of `hushwire-crypto`: what it reads is
//! held against what these read, and an adversary writes with them.
//!
//! Spec: signal-wire §3.3, §3.4, §5.3.

/// Spec: signal-wire §3.3.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Signal {
    #[prost(bytes = "vec", optional, tag = "1")]
    pub(crate) ratchet_key: Option<Vec<u8>>,
    #[prost(uint32, optional, tag = "2")]
    pub(crate) counter: Option<u32>,
    #[prost(uint32, optional, tag = "3")]
    pub(crate) previous_counter: Option<u32>,
    #[prost(bytes = "vec", optional, tag = "4")]
    pub(crate) ciphertext: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "5")]
    pub(crate) pq: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "6")]
    pub(crate) addresses: Option<Vec<u8>>,
}

/// Spec: signal-wire §3.4.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct First {
    #[prost(uint32, optional, tag = "1")]
    pub(crate) one_time_id: Option<u32>,
    #[prost(bytes = "vec", optional, tag = "2")]
    pub(crate) base_key: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "3")]
    pub(crate) identity: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "4")]
    pub(crate) message: Option<Vec<u8>>,
    #[prost(uint32, optional, tag = "5")]
    pub(crate) registration_id: Option<u32>,
    #[prost(uint32, optional, tag = "6")]
    pub(crate) signed_id: Option<u32>,
    #[prost(uint32, optional, tag = "7")]
    pub(crate) kyber_id: Option<u32>,
    #[prost(bytes = "vec", optional, tag = "8")]
    pub(crate) kyber_ciphertext: Option<Vec<u8>>,
}

/// Spec: signal-wire §5.3.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ToGroup {
    #[prost(bytes = "vec", optional, tag = "1")]
    pub(crate) distribution: Option<Vec<u8>>,
    #[prost(uint32, optional, tag = "2")]
    pub(crate) chain_id: Option<u32>,
    #[prost(uint32, optional, tag = "3")]
    pub(crate) iteration: Option<u32>,
    #[prost(bytes = "vec", optional, tag = "4")]
    pub(crate) ciphertext: Option<Vec<u8>>,
}

/// What stands between the version byte and the last `tail` bytes, and what stands around it.
pub(crate) fn read<M: prost::Message + Default>(bytes: &[u8], tail: usize) -> Option<(u8, M, &[u8])> {
    let (version, rest) = bytes.split_first()?;
    let (body, tail) = rest.split_at(rest.len().checked_sub(tail)?);
    Some((*version, M::decode(body).ok()?, tail))
}

/// What [`read`] reads, in the shortest writing.
pub(crate) fn write(version: u8, fields: &impl prost::Message, tail: &[u8]) -> Vec<u8> {
    [&[version], fields.encode_to_vec().as_slice(), tail].concat()
}
