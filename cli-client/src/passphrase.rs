//! Where passphrases come from: a file, or a person at a terminal. Never from the command line or the environment, which
//! other processes can read.

use std::io::{self, IsTerminal as _, Read as _};
use std::path::Path;

use hushwire_client::Zeroizing;

use crate::exit::{Exit, Failure};

/// The largest file that is looked at: far more than any passphrase.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// Whether somebody is there to be asked.
pub(crate) fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// What stands in a file that only its owner can read.
pub(crate) fn whole_file(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let unreadable = |error: io::Error| {
        Failure::usage(
            format!("the file {} cannot be read: {error}", path.display()),
            "check its name and who may read it",
        )
    };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    private(path, &file.metadata().map_err(unreadable)?)?;
    let mut content = Zeroizing::new(String::new());
    file.take(FILE_BYTES_MAX).read_to_string(&mut content).map_err(unreadable)?;
    Ok(content)
}

/// The first line of a file that only its owner can read.
pub(crate) fn from_file(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let content = whole_file(path)?;
    match content.lines().next() {
        Some(line) if !line.is_empty() => Ok(Zeroizing::new(line.to_owned())),
        _ => Err(Failure::usage(
            format!("the passphrase file {} is empty", path.display()),
            "put the passphrase into its first line",
        )),
    }
}

/// Asks, without showing what is typed.
pub(crate) async fn ask(question: &'static str) -> Result<Zeroizing<String>, Failure> {
    let asked = tokio::task::spawn_blocking(move || rpassword::prompt_password(question)).await;
    match asked {
        Ok(Ok(passphrase)) => Ok(Zeroizing::new(passphrase)),
        Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => Err(Failure::new(Exit::Interrupted, "stopped")),
        Ok(Err(error)) => {
            Err(Failure::usage(format!("no passphrase could be read: {error}"), "give it with --passphrase-file"))
        }
        Err(_) => Err(Failure::new(Exit::Unexpected, "no passphrase could be read")),
    }
}

/// Asks for a new one, twice.
pub(crate) async fn ask_new() -> Result<Zeroizing<String>, Failure> {
    let first = ask("New passphrase (several words are best): ").await?;
    if first.is_empty() {
        return Err(Failure::usage("the passphrase is empty", "choose one that is not; nothing was changed"));
    }
    let second = ask("The same again: ").await?;
    if *first == *second {
        return Ok(first);
    }
    Err(Failure::usage("the two passphrases differ", "try again; nothing was changed"))
}

#[cfg(unix)]
fn private(path: &Path, file: &std::fs::Metadata) -> Result<(), Failure> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = file.permissions().mode() & 0o777;
    if file.is_file() && mode & 0o077 != 0 {
        return Err(Failure::usage(
            format!("the file {} can be read by others (mode {mode:03o})", path.display()),
            format!("run: chmod 600 {}", path.display()),
        ));
    }
    Ok(())
}

#[cfg(not(unix))]
fn private(_path: &Path, _file: &std::fs::Metadata) -> Result<(), Failure> {
    Ok(())
}
