//! What did not hold. Once it is on disk the keyserver is not followed any more, whatever it says later and however often
//! the auditor is started: an operator who has an explanation moves the file away.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use bytes::Bytes;
use data_encoding::HEXLOWER;
use hushwire_proto::ids::UnixMillis;
use hushwire_proto::log::SignedRoot;
use serde::{Deserialize, Serialize};

/// Why a keyserver is not followed any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// A sentence about the keyserver.
    pub(crate) what: String,
    /// When it was found.
    pub(crate) at: UnixMillis,
    /// The roots that show it, signed by the keyserver: the one that was kept, and the one that does not follow from it.
    pub(crate) evidence: Vec<SignedRoot>,
}

#[derive(Serialize, Deserialize)]
struct Written {
    what: String,
    at_ms: u64,
    /// Each as the protobuf message `SignedRoot`, in hex.
    evidence: Vec<String>,
}

impl Verdict {
    /// The one in this file; `None`: there is no such file.
    ///
    /// # Errors
    /// The disk, or the file is damaged.
    pub(crate) fn load(path: &Path) -> io::Result<Option<Self>> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let damaged = || io::Error::other("the verdict is damaged");
        let written: Written = serde_json::from_str(&text).map_err(|_| damaged())?;
        let evidence = written.evidence.iter().map(|hex| {
            let bytes = HEXLOWER.decode(hex.as_bytes()).map_err(|_| damaged())?;
            SignedRoot::parse(&Bytes::from(bytes)).map_err(|_| damaged())
        });
        let evidence = evidence.collect::<io::Result<_>>()?;
        Ok(Some(Self { what: written.what, at: UnixMillis(written.at_ms), evidence }))
    }

    /// Writes the file whole, synced with the directory it lies in.
    ///
    /// # Errors
    /// The disk.
    pub(crate) fn store(&self, path: &Path) -> io::Result<()> {
        let evidence = self.evidence.iter().map(|root| HEXLOWER.encode(&root.encode())).collect();
        let written = Written { what: self.what.clone(), at_ms: self.at.0, evidence };
        let fresh = path.with_extension("verdict.new");
        let mut file = File::create(&fresh)?;
        file.write_all(&serde_json::to_vec_pretty(&written)?)?;
        file.sync_all()?;
        fs::rename(&fresh, path)?;
        path.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ed25519_dalek::SigningKey;

    use super::*;

    #[test]
    fn a_verdict_reads_back_the_same_and_a_damaged_one_is_no_acquittal() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("one.verdict");
        assert_eq!(Verdict::load(&path).unwrap(), None);
        let root = SignedRoot::sign(3, [1; 32], UnixMillis(2), [4; 32], &SigningKey::from_bytes(&[9; 32]));
        let verdict = Verdict { what: "two roots".to_owned(), at: UnixMillis(5), evidence: vec![root.clone(), root] };
        verdict.store(&path).unwrap();
        assert_eq!(Verdict::load(&path).unwrap(), Some(verdict));
        fs::write(&path, "{").unwrap();
        assert!(Verdict::load(&path).is_err());
    }
}
