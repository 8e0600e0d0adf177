//! A server's certificate chain and its private key, made here or read from PEM files.
//!
//! The key is the server: whoever has it is that server. Its file is written whole or not at all, readable by its
//! owner only, and never over another one.

use std::{
    fmt, fs,
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use data_encoding::BASE64;
use ed25519_dalek::SigningKey;
use rcgen::{CertificateParams, KeyPair, PKCS_ED25519};
use rustls::{
    CertificateError, RootCertStore,
    client::{verify_server_cert_signed_by_trust_anchor, verify_server_name},
    server::ParsedCertificate,
    sign::CertifiedKey,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject};
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, Zeroizing};

use super::tls::{fingerprint_of, provider};
use crate::address::Fingerprint;
use crate::log;
use crate::signing::{Label, Transcript};

/// The largest PEM file read: a chain of many certificates. Not a disk image named by mistake.
const PEM_BYTES_MAX: u64 = 256 * 1024;

/// What stands in the PKCS #8 form of an Ed25519 key between its version and its 32 bytes. RFC 8410 §7.
const ED25519_PKCS8: [u8; 11] = [0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// Why a server has no identity. Each says what the operator should do.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A file could not be read or written.
    #[error("{}: {cause}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// Writing would have replaced a file, and with it the server's identity.
    #[error("{} exists and is not overwritten; move it away if a new identity is really wanted", path.display())]
    Exists {
        /// Which file.
        path: PathBuf,
    },
    /// Others on the machine can read the key.
    #[error("{} can be read by others (mode {mode:03o}); run: chmod 600 {}", path.display(), path.display())]
    KeyReadable {
        /// Which file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A file that is not PEM, or does not hold what it should.
    #[error("{} holds no {what} in PEM form", path.display())]
    NotPem {
        /// Which file.
        path: PathBuf,
        /// What was looked for.
        what: &'static str,
    },
    /// The key cannot be used, or belongs to another certificate.
    #[error("the certificate and the key do not serve together: {0}")]
    Unusable(#[from] rustls::Error),
    /// No certificate could be made, for example because a name is no domain name.
    #[error("no certificate could be made: {0}")]
    NotMade(#[from] rcgen::Error),
}

/// Who a server is: a certificate chain, and the key of its first certificate. Wiped on drop, never printed.
pub struct ServerIdentity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    fingerprint: Fingerprint,
}

impl ServerIdentity {
    /// A new Ed25519 key with a certificate signed by itself. Pinned clients look at the key only, so it need not
    /// expire.
    ///
    /// # Errors
    /// [`IdentityError::NotMade`] if a name is neither a domain name nor an IP address.
    pub fn self_signed(names: &[String]) -> Result<Self, IdentityError> {
        let pair = KeyPair::generate_for(&PKCS_ED25519)?;
        let certificate = CertificateParams::new(names.to_vec())?.self_signed(&pair)?;
        let key = PrivateKeyDer::try_from(pair.serialize_der()).map_err(|_| rcgen::Error::CouldNotParseKeyPair)?;
        Self::new(vec![certificate.der().clone()], key)
    }

    /// Reads what [`Self::write`] or a certificate authority's client has written.
    ///
    /// # Errors
    /// [`IdentityError`]; in particular if others can read the key file.
    pub fn load(cert_path: &Path, key_path: &Path) -> Result<Self, IdentityError> {
        let chain = read(cert_path, |_| Ok(()))?;
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&chain).collect::<Result<_, _>>().unwrap_or_default();
        if chain.is_empty() {
            return Err(IdentityError::NotPem { path: cert_path.to_owned(), what: "certificate" });
        }
        let key = read(key_path, |file| refuse_if_others_read(file, key_path))?;
        let key = PrivateKeyDer::from_pem_slice(&key)
            .map_err(|_| IdentityError::NotPem { path: key_path.to_owned(), what: "private key" })?;
        Self::new(chain, key)
    }

    /// Writes both files, the key readable by its owner only. Never replaces a file.
    ///
    /// # Errors
    /// [`IdentityError::Exists`] or [`IdentityError::File`]; no half-written file is left.
    pub fn write(&self, cert_path: &Path, key_path: &Path) -> Result<(), IdentityError> {
        let chain: String = self.chain.iter().map(|der| pem("CERTIFICATE", der).to_string()).collect();
        let label = match self.key {
            PrivateKeyDer::Pkcs1(_) => "RSA PRIVATE KEY",
            PrivateKeyDer::Sec1(_) => "EC PRIVATE KEY",
            _ => "PRIVATE KEY",
        };
        create(cert_path, chain.as_bytes(), 0o644)?;
        create(key_path, pem(label, self.key.secret_der()).as_bytes(), 0o600).inspect_err(|_| {
            let _ = fs::remove_file(cert_path); // ours, from a moment ago
        })
    }

    /// Whether the certificate is made for this host and for today. Clients do not ask; an operator may have the
    /// wrong file.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn vouches_for(&self, host: &str) -> Result<(), rustls::Error> {
        let other = |text: String| rustls::Error::General(text);
        let Some((certificate, issuers)) = self.chain.split_first() else { return Ok(()) }; // never without one
        let parsed = ParsedCertificate::try_from(certificate)?;
        let name = ServerName::try_from(host).map_err(|_| other(format!("{host} is no name for a certificate")))?;
        verify_server_name(&parsed, &name).map_err(|_| other(format!("it is not made for {host}")))?;
        let mut roots = RootCertStore::empty();
        roots.add(issuers.last().unwrap_or(certificate).clone())?;
        let algorithms = provider().signature_verification_algorithms;
        let now = UnixTime::now();
        match verify_server_cert_signed_by_trust_anchor(&parsed, &roots, issuers, now, algorithms.all) {
            Err(rustls::Error::InvalidCertificate(
                CertificateError::Expired | CertificateError::ExpiredContext { .. },
            )) => Err(other("it has expired".to_owned())),
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
            )) => Err(other("it is not valid yet".to_owned())),
            _ => Ok(()), // who issued it is nobody's concern
        }
    }

    /// What clients pin.
    pub const fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// The key itself, for what a server signs beside its handshakes; `None` if it is not Ed25519, as one that was made
    /// here is.
    pub fn signing_key(&self) -> Option<SigningKey> {
        let PrivateKeyDer::Pkcs8(der) = &self.key else { return None };
        let der = der.secret_pkcs8_der();
        let seed = der.get(2..)?.strip_prefix(&[0x02, 0x01])?.get(1..)?.strip_prefix(&ED25519_PKCS8)?.first_chunk()?;
        let key = SigningKey::from_bytes(seed);
        (log::fingerprint_of(&key.verifying_key().to_bytes()) == self.fingerprint).then_some(key)
    }

    /// A secret for one further use, which whoever has the key file can compute again.
    pub fn derived(&self, label: Label) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(Sha256::digest(Transcript::new(label).part(self.key.secret_der()).bytes()).into())
    }

    pub(super) fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    pub(super) fn key(&self) -> PrivateKeyDer<'static> {
        self.key.clone_key()
    }

    fn new(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<Self, IdentityError> {
        let certified = CertifiedKey::from_der(chain.clone(), key.clone_key(), &provider())?;
        let fingerprint = fingerprint_of(certified.end_entity_cert()?)?;
        Ok(Self { chain, key, fingerprint })
    }
}

impl Drop for ServerIdentity {
    fn drop(&mut self) {
        self.key.zeroize();
    }
}

impl fmt::Debug for ServerIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { chain: _, key: _, fingerprint } = self;
        f.debug_struct("ServerIdentity").field("fingerprint", fingerprint).finish_non_exhaustive()
    }
}

/// RFC 7468, 64 characters to a line.
fn pem(label: &str, der: &[u8]) -> Zeroizing<String> {
    let body = Zeroizing::new(BASE64.encode(der));
    // Reserved whole: a growing string would leave copies of a key behind.
    let mut text = Zeroizing::new(String::with_capacity(body.len() + body.len() / 64 + 2 * label.len() + 40));
    text.push_str("-----BEGIN ");
    text.push_str(label);
    text.push_str("-----\n");
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, tail) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = tail;
    }
    text.push_str("-----END ");
    text.push_str(label);
    text.push_str("-----\n");
    text
}

fn read(
    path: &Path,
    check: impl FnOnce(&fs::File) -> Result<(), IdentityError>,
) -> Result<Zeroizing<Vec<u8>>, IdentityError> {
    let failed = |cause| IdentityError::File { path: path.to_owned(), cause };
    let file = fs::File::open(path).map_err(failed)?;
    check(&file)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(16 * 1024));
    file.take(PEM_BYTES_MAX).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// Asks the open file, not the path: what is checked is what is read.
#[cfg(unix)]
fn refuse_if_others_read(file: &fs::File, path: &Path) -> Result<(), IdentityError> {
    use std::os::unix::fs::PermissionsExt;
    let cause = |cause| IdentityError::File { path: path.to_owned(), cause };
    let mode = file.metadata().map_err(cause)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(IdentityError::KeyReadable { path: path.to_owned(), mode });
    }
    Ok(())
}

/// Who may read a file is said in other ways here, and by default it is its owner.
#[cfg(not(unix))]
fn refuse_if_others_read(_file: &fs::File, _path: &Path) -> Result<(), IdentityError> {
    Ok(())
}

/// The file appears under its name whole and synced, or not at all; an existing one stays.
fn create(path: &Path, bytes: &[u8], mode: u32) -> Result<(), IdentityError> {
    let failed = |cause: io::Error| match cause.kind() {
        io::ErrorKind::AlreadyExists => IdentityError::Exists { path: path.to_owned() },
        _ => IdentityError::File { path: path.to_owned(), cause },
    };
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let draft = path.with_file_name(name);
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    let mut file = options.open(&draft).map_err(failed)?;
    let written = file
        .write_all(bytes)
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::hard_link(&draft, path)) // fails if the name is taken, which a rename would not
        .and_then(|()| sync_folder(path));
    let _ = fs::remove_file(&draft);
    written.map_err(failed)
}

#[cfg(unix)]
fn sync_folder(of: &Path) -> io::Result<()> {
    match of.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => fs::File::open(folder)?.sync_all(),
        _ => fs::File::open(".")?.sync_all(),
    }
}

#[cfg(not(unix))]
fn sync_folder(_of: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn names() -> [String; 2] {
        ["relay.example.org".to_owned(), "192.0.2.1".to_owned()]
    }

    #[test]
    fn a_written_identity_is_read_back_as_the_same_server() {
        let folder = tempfile::tempdir().unwrap();
        let (cert, key) = (folder.path().join("relay.crt"), folder.path().join("relay.key"));
        let identity = ServerIdentity::self_signed(&names()).unwrap();
        identity.write(&cert, &key).unwrap();
        assert_eq!(ServerIdentity::load(&cert, &key).unwrap().fingerprint(), identity.fingerprint());
        let mut files: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|f| f.unwrap().file_name()).collect();
        files.sort();
        assert_eq!(files, ["relay.crt", "relay.key"]); // no draft is left
    }

    #[test]
    fn an_identity_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let (cert, key) = (folder.path().join("relay.crt"), folder.path().join("relay.key"));
        fs::write(&key, "precious").unwrap();
        let refused = ServerIdentity::self_signed(&names()).unwrap().write(&cert, &key);
        assert!(matches!(refused, Err(IdentityError::Exists { path }) if path == key));
        assert_eq!(fs::read(&key).unwrap(), b"precious");
        assert!(!cert.exists()); // neither file, or both
    }

    #[cfg(unix)]
    #[test]
    fn a_key_that_others_can_read_is_refused_with_the_command_that_helps() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let (cert, key) = (folder.path().join("relay.crt"), folder.path().join("relay.key"));
        ServerIdentity::self_signed(&names()).unwrap().write(&cert, &key).unwrap();
        assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
        let said = ServerIdentity::load(&cert, &key).unwrap_err().to_string();
        assert!(said.contains("mode 640") && said.contains("chmod 600"), "{said}");
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        ServerIdentity::self_signed(&names()).unwrap().write(&path("a.crt"), &path("a.key")).unwrap();
        ServerIdentity::self_signed(&names()).unwrap().write(&path("b.crt"), &path("b.key")).unwrap();
        assert!(matches!(ServerIdentity::load(&path("a.crt"), &path("b.key")), Err(IdentityError::Unusable(_))));
        assert!(matches!(ServerIdentity::load(&path("a.key"), &path("a.key")), Err(IdentityError::NotPem { .. })));
    }

    #[test]
    fn the_private_key_is_not_printed() {
        let identity = ServerIdentity::self_signed(&names()).unwrap();
        assert_eq!(
            format!("{identity:?}"),
            format!("ServerIdentity {{ fingerprint: {:?}, .. }}", identity.fingerprint())
        );
    }

    #[test]
    fn a_renewed_certificate_with_the_same_key_is_the_same_server() {
        let identity = ServerIdentity::self_signed(&names()).unwrap();
        let pair = KeyPair::try_from(&identity.key).unwrap();
        let renewed = CertificateParams::new(vec!["other.example".to_owned()]).unwrap().self_signed(&pair).unwrap();
        assert_eq!(fingerprint_of(renewed.der()).unwrap(), identity.fingerprint());
    }
}
