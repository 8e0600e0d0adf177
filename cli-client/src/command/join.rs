//! A new folder on this machine: how its database is locked, and whose new device it is to be.

use std::future::Future;

use hushwire_client::{Client, Error, Joining, NewContact, Protection};

use super::whom;
use crate::app::App;
use crate::args::{JoinArgs, Protect};
use crate::exit::Failure;
use crate::passphrase;

/// Makes what `make` makes, locked as asked for. If nobody said how: the keyring of the session where there is one, else a
/// passphrase; and nothing is chosen silently for a program that runs without a person.
///
/// # Errors
/// What `make` says, or that nobody is here to be asked.
pub(super) async fn locked<T, F: Future<Output = Result<T, Error>>>(
    app: &App,
    protect: Option<Protect>,
    make: impl Fn(Protection) -> F,
) -> Result<T, Failure> {
    let (out, file) = (app.out(), app.global().passphrase_file.as_deref());
    let protection = match (protect, file) {
        (Some(Protect::Keyring), _) => Protection::Keyring,
        (Some(Protect::KeyFile), _) => Protection::KeyFile,
        (_, Some(file)) => Protection::Passphrase(passphrase::from_file(file)?),
        (_, None) if !passphrase::can_ask() => {
            return Err(Failure::usage(
                "nobody is here to be asked for a passphrase, because stdin is not a terminal",
                "give --protect key-file, or a passphrase with --passphrase-file FILE or HUSHWIRE_PASSPHRASE_FILE",
            ));
        }
        (None, None) => match make(Protection::Keyring).await {
            Err(Error::NoKeyring { .. } | Error::KeyringLocked) => {
                out.note("Your messages are kept encrypted on this machine. Choose the passphrase that opens them.");
                Protection::Passphrase(passphrase::ask_new().await?)
            }
            made => {
                let made = made?;
                out.note("The keyring of your session keeps the key of the database: there is nothing to type.");
                return Ok(made);
            }
        },
        (Some(Protect::Passphrase), None) => Protection::Passphrase(passphrase::ask_new().await?),
    };
    Ok(make(protection).await?)
}

/// Looks the account up, and says what was found.
///
/// # Errors
/// When there is none, or what the keyserver says does not hold.
pub(super) async fn account(app: &App, args: &JoinArgs) -> Result<(Joining, NewContact), Failure> {
    let whose = whom::wanted(&args.of, args.keyserver.clone(), None)?;
    let account = Client::look_up(&whose).await?;
    let called = account.handle().map_or_else(|| format!("{:.16}…", account.account().to_string()), |h| h.to_string());
    app.out()
        .note(&format!("Found {called}; its devices: {}.", crate::text::clean_line(&account.devices().join(", "))));
    Ok((Joining { account, relay: args.relay.clone(), name: args.name.clone() }, whose))
}
