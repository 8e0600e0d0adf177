//! Invites that were made and not used: a file each, beside the database, named by the hash of its code.
//!
//! So whoever runs the keyserver makes them while it runs, with the rights of its files and no other door, and whoever
//! reads the files has no code. That one was used is not kept here but in the database, with the same write as the
//! account: a crash can leave a file behind, and it opens nothing any more.
//!
//! Spec: keyserver §3.8.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use hushwire_proto::admission::Invite;
use rand::CryptoRng;

/// Bytes of a file that are read: when it expires, in seconds of Unix time.
const FILE_BYTES_MAX: u64 = 32;

/// Where the invites of the keyserver with this database lie.
#[derive(Clone, Debug)]
pub struct Invites {
    dir: PathBuf,
}

impl Invites {
    /// Beside `data_dir`, under its name and `.invites`.
    #[must_use]
    pub fn beside(data_dir: &Path) -> Self {
        let mut name = data_dir.file_name().unwrap_or_default().to_owned();
        name.push(".invites");
        Self { dir: data_dir.with_file_name(name) }
    }

    /// Makes `count` of them, on the disk before they are told to anybody. Removes those that have expired.
    ///
    /// # Errors
    /// What the system said. Some may have been made; nobody has their codes.
    pub fn make(
        &self,
        count: u32,
        lifetime: Duration,
        now: SystemTime,
        rng: &mut impl CryptoRng,
    ) -> io::Result<Vec<Invite>> {
        private(&mut DirBuilder::new()).recursive(true).create(&self.dir)?;
        self.sweep(now)?;
        let expires = seconds(now).saturating_add(lifetime.as_secs());
        let mut made = Vec::new();
        for _ in 0..count {
            let invite = Invite::generate(rng);
            let half = self.dir.join(".new");
            let mut file = File::create(&half)?;
            writeln!(file, "{expires}")?;
            file.sync_all()?;
            fs::rename(&half, self.path(&invite.hash()))?;
            made.push(invite);
        }
        File::open(&self.dir)?.sync_all()?; // the names
        Ok(made)
    }

    /// Whether there is one of this hash that has not expired. Whether it was used, the database knows.
    pub(crate) fn has(&self, hash: &[u8; 32], now: SystemTime) -> io::Result<bool> {
        match self.expires(&self.path(hash)) {
            Ok(expires) => Ok(seconds(now) < expires),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Removes a file that opens nothing any more.
    pub(crate) fn forget(&self, hash: &[u8; 32]) -> io::Result<()> {
        fs::remove_file(self.path(hash))
    }

    fn expires(&self, path: &Path) -> io::Result<u64> {
        let mut text = String::new();
        OpenOptions::new().read(true).open(path)?.take(FILE_BYTES_MAX).read_to_string(&mut text)?;
        text.trim().parse().map_err(|_| io::Error::other("not a time"))
    }

    fn sweep(&self, now: SystemTime) -> io::Result<()> {
        for entry in fs::read_dir(&self.dir)? {
            let path = entry?.path();
            if self.expires(&path).is_ok_and(|expires| expires <= seconds(now)) {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    fn path(&self, hash: &[u8; 32]) -> PathBuf {
        self.dir.join(hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Nobody else on the machine counts them, or sees when one is used.
#[cfg(unix)]
fn private(builder: &mut DirBuilder) -> &mut DirBuilder {
    use std::os::unix::fs::DirBuilderExt;
    builder.mode(0o700)
}

#[cfg(not(unix))]
fn private(builder: &mut DirBuilder) -> &mut DirBuilder {
    builder
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);

    #[test]
    fn an_invite_is_there_until_it_expires_or_is_forgotten_and_its_code_is_nowhere() {
        let dir = tempfile::tempdir().unwrap();
        let (data, now, mut rng) = (dir.path().join("data"), SystemTime::now(), StdRng::seed_from_u64(1));
        let invites = Invites::beside(&data);
        assert!(!invites.has(&[7; 32], now).unwrap(), "none was ever made");
        let made = invites.make(3, WEEK, now, &mut rng).unwrap();
        assert!(made.iter().all(|invite| invites.has(&invite.hash(), now).unwrap()));
        let first = made.first().unwrap().hash();
        assert!(!invites.has(&first, now + WEEK).unwrap());
        invites.forget(&first).unwrap();
        assert!(!invites.has(&first, now).unwrap());
        for entry in fs::read_dir(dir.path().join("data.invites")).unwrap() {
            let path = entry.unwrap().path();
            let all = format!("{}{}", path.display(), fs::read_to_string(&path).unwrap());
            assert!(made.iter().all(|invite| !all.contains(&*invite.to_code())), "{all}");
        }
        invites.make(1, WEEK, now + WEEK, &mut rng).unwrap();
        assert_eq!(fs::read_dir(dir.path().join("data.invites")).unwrap().count(), 1, "what expired is swept");
    }
}
