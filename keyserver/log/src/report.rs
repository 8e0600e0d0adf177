//! What an auditor says of the logs that it follows, as JSON, and whether it has seen the same as we have.
//!
//! Nothing in a report is believed that is not signed: a root by its keyserver, and by the auditor that has checked
//! everything up to it. The words of a verdict are for people who look at the page; what a program does rests on two
//! signatures that contradict each other, or on an auditor that has not signed for too long.
//!
//! Spec: keyserver §7.8.

use data_encoding::HEXLOWER;
use hushwire_proto::address::Fingerprint;
use hushwire_proto::ids::UnixMillis;
use hushwire_proto::log::{SignedRoot, fingerprint_of};
use hushwire_proto::witness::{BadWitness, Witnessed};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::watch::{Alarm, Seen, watch};

/// The largest report, in bytes: 16 keyservers with their roots.
pub const REPORT_BYTES_MAX: usize = 256 * 1024;

/// Roots of one keyserver in one report: what fits on a page. Older ones are asked for by epoch.
pub const ROOTS_PER_REPORT_MAX: usize = 20;

/// What an auditor says. Every signature in it was verified when it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The auditor's key.
    pub auditor: [u8; 32],
    /// By keyserver.
    pub followed: Vec<Followed>,
}

/// What an auditor says of one keyserver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Followed {
    /// Its address, as the auditor's operator wrote it.
    pub address: String,
    /// Which.
    pub keyserver: Fingerprint,
    /// Whether the auditor goes on.
    pub standing: Standing,
    /// The newest epoch that the auditor has checked; 0 for none.
    pub epoch: u64,
    /// Roots, newest first, without a gap; at most [`ROOTS_PER_REPORT_MAX`].
    pub roots: Vec<Witnessed>,
    /// Two roots that contradict each other, if the auditor has any.
    pub evidence: Vec<SignedRoot>,
}

/// How an auditor stands to a keyserver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Everything that it has heard holds.
    Follows,
    /// It could not go on for now: the keyserver is not reached, or busy.
    Waits(String),
    /// Something did not hold, and it has stopped.
    Stopped(String),
}

/// A report that is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadReport {
    /// Not a report of this version.
    #[error("this is no auditor's report ({0})")]
    Encoding(String),
    /// By somebody else than the address pins.
    #[error("the report is by another auditor than its address names")]
    OtherAuditor,
    /// A signature in it is wrong.
    #[error("the report does not verify: {0}")]
    Witness(#[from] BadWitness),
    /// It has more roots than a report may, or they do not follow each other.
    #[error("the roots in the report are not a list without gaps")]
    Roots,
}

impl Report {
    /// Reads a report of the auditor with this fingerprint, and checks every signature in it.
    ///
    /// # Errors
    /// [`BadReport`].
    pub fn parse(bytes: &[u8], auditor: Fingerprint) -> Result<Self, BadReport> {
        let json: Json = serde_json::from_slice(bytes).map_err(|error| BadReport::Encoding(error.to_string()))?;
        if json.version != VERSION {
            return Err(BadReport::Encoding(format!("version {}", json.version)));
        }
        if fingerprint_of(&json.auditor.0) != auditor {
            return Err(BadReport::OtherAuditor);
        }
        let key = json.auditor.0;
        let followed = json.keyservers.into_iter().map(|one| one.verified(&key)).collect::<Result<_, _>>()?;
        Ok(Self { auditor: key, followed })
    }

    /// What [`Self::parse`] reads.
    #[must_use]
    pub fn to_json(&self) -> String {
        let keyservers = self.followed.iter().map(JsonKeyserver::of).collect();
        let json = Json { version: VERSION, auditor: Hex(self.auditor), keyservers };
        serde_json::to_string_pretty(&json).unwrap_or_default() // numbers, text and lists
    }

    /// What it says of this keyserver.
    #[must_use]
    pub fn of(&self, keyserver: Fingerprint) -> Option<&Followed> {
        self.followed.iter().find(|followed| followed.keyserver == keyserver)
    }
}

/// An auditor and we have seen no two logs, as far as the two can be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compared {
    /// The root that we know is among those that it has checked.
    Same,
    /// It has not come as far as we have.
    Behind,
}

/// The keyserver has signed two logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Split {
    /// At this epoch, or before it.
    pub epoch: u64,
}

/// Whether an auditor has seen the log that we have seen. `kept` is the newest root that we know; the report should go one
/// epoch further, so that a keyserver is found out that shows us the end of a log that has gone on.
///
/// # Errors
/// [`Split`]: the keyserver has signed both, so both are the proof.
pub fn compare(kept: &SignedRoot, followed: &Followed) -> Result<Compared, Split> {
    if let [one, other, ..] = followed.evidence.as_slice()
        && let Some(epoch) = contradict(one, other)
    {
        return Err(Split { epoch });
    }
    let mut compared = Compared::Behind;
    for seen in followed.roots.iter().filter(|seen| seen.root.epoch >= kept.epoch) {
        match watch(followed.keyserver, Some(kept), &seen.root) {
            Ok(Seen::Same) => compared = Compared::Same,
            Ok(Seen::Newer) => {}
            Err(_) => return Err(Split { epoch: seen.root.epoch }),
        }
    }
    Ok(compared)
}

/// Whether two roots of one keyserver, both signed, are those of two logs: at which epoch.
#[must_use]
pub fn contradict(one: &SignedRoot, other: &SignedRoot) -> Option<u64> {
    let server = fingerprint_of(&one.key);
    one.verify(server).ok()?;
    match watch(server, Some(one), other) {
        Err(Alarm::TwoRoots { epoch } | Alarm::HeldBack { epoch }) => Some(epoch),
        Err(Alarm::OtherLog) => Some(other.epoch),
        _ => None,
    }
}

const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Json {
    version: u32,
    auditor: Hex<32>,
    keyservers: Vec<JsonKeyserver>,
}

#[derive(Serialize, Deserialize)]
struct JsonKeyserver {
    address: String,
    fingerprint: String,
    verdict: JsonVerdict,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    epoch: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    evidence: Vec<JsonRoot>,
    roots: Vec<JsonWitnessed>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum JsonVerdict {
    Follows,
    Waits,
    Stopped,
}

#[derive(Serialize, Deserialize)]
struct JsonWitnessed {
    #[serde(flatten)]
    root: JsonRoot,
    checked_at_ms: u64,
    witness: Hex<64>,
}

#[derive(Serialize, Deserialize)]
struct JsonRoot {
    epoch: u64,
    root: Hex<32>,
    at_ms: u64,
    vrf_key: Hex<32>,
    key: Hex<32>,
    signature: Hex<64>,
}

impl JsonKeyserver {
    fn of(followed: &Followed) -> Self {
        let (verdict, why) = match &followed.standing {
            Standing::Follows => (JsonVerdict::Follows, None),
            Standing::Waits(why) => (JsonVerdict::Waits, Some(why.clone())),
            Standing::Stopped(why) => (JsonVerdict::Stopped, Some(why.clone())),
        };
        let roots = followed.roots.iter().map(|seen| JsonWitnessed {
            root: JsonRoot::of(&seen.root),
            checked_at_ms: seen.checked_at.0,
            witness: Hex(seen.signature),
        });
        Self {
            address: followed.address.clone(),
            fingerprint: followed.keyserver.to_string(),
            verdict,
            why,
            epoch: followed.epoch,
            evidence: followed.evidence.iter().map(JsonRoot::of).collect(),
            roots: roots.collect(),
        }
    }

    fn verified(self, auditor: &[u8; 32]) -> Result<Followed, BadReport> {
        let keyserver: Fingerprint =
            self.fingerprint.parse().map_err(|_| BadReport::Encoding("a fingerprint that is none".into()))?;
        if self.roots.len() > ROOTS_PER_REPORT_MAX || self.evidence.len() > 2 {
            return Err(BadReport::Roots);
        }
        let roots: Vec<Witnessed> = self
            .roots
            .into_iter()
            .map(|seen| Witnessed {
                root: seen.root.read(),
                checked_at: UnixMillis(seen.checked_at_ms),
                signature: seen.witness.0,
            })
            .collect();
        for seen in &roots {
            seen.verify(keyserver, auditor)?;
        }
        if roots
            .windows(2)
            .any(|two| matches!(two, [one, next] if next.root.epoch.checked_add(1) != Some(one.root.epoch)))
        {
            return Err(BadReport::Roots);
        }
        let evidence: Vec<SignedRoot> = self.evidence.into_iter().map(JsonRoot::read).collect();
        for root in &evidence {
            root.verify(keyserver).map_err(BadWitness::Root)?;
        }
        let why = self.why.unwrap_or_default();
        let standing = match self.verdict {
            JsonVerdict::Follows => Standing::Follows,
            JsonVerdict::Waits => Standing::Waits(why),
            JsonVerdict::Stopped => Standing::Stopped(why),
        };
        Ok(Followed { address: self.address, keyserver, standing, epoch: self.epoch, roots, evidence })
    }
}

impl JsonRoot {
    fn of(root: &SignedRoot) -> Self {
        Self {
            epoch: root.epoch,
            root: Hex(root.root),
            at_ms: root.at.0,
            vrf_key: Hex(root.vrf_key),
            key: Hex(root.key),
            signature: Hex(root.signature),
        }
    }

    fn read(self) -> SignedRoot {
        let Self { epoch, root, at_ms, vrf_key, key, signature } = self;
        let at = UnixMillis(at_ms);
        SignedRoot { epoch, root: root.0, at, vrf_key: vrf_key.0, key: key.0, signature: signature.0 }
    }
}

/// Bytes as lower-case hex.
struct Hex<const N: usize>([u8; N]);

impl<const N: usize> Serialize for Hex<N> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&HEXLOWER.encode(&self.0))
    }
}

impl<'de, const N: usize> Deserialize<'de> for Hex<N> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let bytes = HEXLOWER.decode(text.as_bytes()).map_err(|_| de::Error::custom("not lower-case hex"))?;
        bytes.try_into().map(Self).map_err(|_| de::Error::custom("hex of another length"))
    }
}
