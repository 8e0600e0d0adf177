//! `hush recover` and `hush recovery renew`: what the 24 words are for.

use hushwire_client::{Client, Command, Membership};

use super::device::{changed, is_changed};
use super::{join, words};
use crate::app::App;
use crate::args::{Recover, Recovery, WordsFrom};
use crate::exit::{Exit, Failure};
use crate::passphrase;
use crate::show::Item;

const NEW_WORDS: &str = "
Your 24 new recovery words. Write them on paper, in this order, before you go on: they are shown only now, and the old \
ones are worth nothing once they count.
";

/// Takes the account back.
pub(super) async fn recover(app: &App, args: Recover) -> Result<(), Failure> {
    let (out, dir) = (app.out(), app.dir()?);
    let begun = dir.has_account();
    if begun {
        // What was signed with the words is kept; nothing is asked for again.
        if app.profile().await?.membership != Membership::Waiting || !is_changing(app).await? {
            return Err(Failure::usage(
                format!("{} holds an account already", dir.path().display()),
                "--account NAME makes another folder beside it; a device that was revoked keeps what it has",
            ));
        }
        out.note("Going on with what was begun here.");
    } else {
        let (joining, _) = join::account(app, &args.join).await?;
        let words = words::read(&args.words).await?;
        if !joining.account.is_recovered_by(&words) {
            return Err(Failure::from(hushwire_client::Error::CannotJoin(hushwire_client::CannotJoin::WrongWords)));
        }
        let make = |protection| Client::recover(&dir, protection, joining.clone(), words.clone());
        app.keep(join::locked(app, args.join.protect, make).await?);
    }
    let client = app.client().await?;
    let mut events = client.events();
    client.connect().await?;
    if is_changing(app).await? {
        is_changed(app, client, &mut events).await?;
    }
    let _ = client.settle(app.timeout(super::device::CHANGED_WITHIN)).await?.done; // its prekeys
    let profile = app.profile().await?;
    if profile.membership != Membership::Listed {
        return Err(Failure::new(Exit::Network, "the keyserver has another list of devices than was signed here")
            .hint(format!("delete {} and begin again", dir.path().display())));
    }
    let link = client.query(|engine| Ok(engine.contact_link())).await?.to_string();
    out.item(&Item::Account { profile: &profile, link: &link })?;
    out.note(
        "\nThe account is yours again. This is its only device; all others are out.\n\
         Your contacts are told that it was taken back with the words; their safety numbers with you are the same.\n\
         Add them again here: hush contact add LINK-OR-HANDLE\n\
         May somebody have seen the words? Then: hush recovery renew",
    );
    Ok(())
}

async fn is_changing(app: &App) -> Result<bool, Failure> {
    Ok(app.client().await?.query(|engine| engine.is_changing_devices()).await?)
}

pub(super) async fn run(app: &App, args: Recovery) -> Result<(), Failure> {
    match args {
        Recovery::Renew(from) => renew(app, &from).await,
    }
}

/// The new words are shown before anything is signed: were they lost afterwards, the account could not be taken back.
async fn renew(app: &App, from: &WordsFrom) -> Result<(), Failure> {
    let out = app.out();
    let client = app.client().await?;
    let old = words::read(from).await?;
    if !client
        .query({
            let old = old.clone();
            move |engine| Ok(engine.is_recovered_by(&old))
        })
        .await?
    {
        return Err(Failure::from(hushwire_client::CommandError::WrongRecoveryWords));
    }
    let new = Client::new_recovery_key();
    let text = new.words();
    if out.is_json() {
        out.item(&Item::RecoveryWords { words: &text })?;
    } else {
        out.secret(NEW_WORDS);
        out.secret_words(&text);
    }
    if from.words_file.is_none() {
        on_paper(&text).await?;
    }
    changed(app, Command::RenewRecovery { old, new }).await?;
    out.note("The new words count from now on; the old ones are worth nothing. Destroy that paper.");
    Ok(())
}

/// A person who has them on paper can say one of them.
async fn on_paper(text: &str) -> Result<(), Failure> {
    let said = passphrase::ask("On paper? Type the seventh word (not shown): ").await?;
    if text.split(' ').nth(6) == Some(said.trim().to_lowercase().as_str()) {
        return Ok(());
    }
    Err(Failure::usage("that is not the seventh word", "nothing was changed, and the old words count; try again"))
}
