//! `hush passphrase`: another passphrase, or another way to lock the database.

use hushwire_client::{DataDir, Protection, ProtectionKind};

use crate::app::App;
use crate::args::{Passphrase, Protect};
use crate::exit::Failure;
use crate::passphrase as words;

pub(super) async fn run(app: &App, args: Passphrase) -> Result<(), Failure> {
    let client = app.client().await?;
    let dir = app.dir()?;
    let current = app.opened_with().await?;
    let new = match args.protect {
        Protect::Keyring => Protection::Keyring,
        Protect::KeyFile => Protection::KeyFile,
        Protect::Passphrase => Protection::Passphrase(match &args.new_passphrase_file {
            Some(file) => words::from_file(file)?,
            None if words::can_ask() => words::ask_new().await?,
            None => {
                return Err(Failure::usage(
                    "nobody is here to be asked for the new passphrase",
                    "give it with --new-passphrase-file FILE, or choose --protect key-file",
                ));
            }
        }),
    };
    client.protect(current, new).await?;
    app.out().note(told(&dir)?);
    Ok(())
}

fn told(dir: &DataDir) -> Result<&'static str, Failure> {
    Ok(match dir.protection()? {
        ProtectionKind::Keyring => "The database is now opened by the keyring of your session.",
        ProtectionKind::KeyFile => "The database is now opened by the key file beside it: guard the folder.",
        ProtectionKind::Passphrase => {
            "The database is now opened by the new passphrase. Nobody can help if you forget it."
        }
    })
}
