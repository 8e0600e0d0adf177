//! `hush register`: an account on this machine, at a relay and a keyserver.

use std::time::Duration;

use hushwire_client::address::Handle;
use hushwire_client::{
    Client, Command, DataDir, Error, Event, EventStream, Profile, Refused, RefusedReason, Registering, Setup, Zeroizing,
};
use tokio::sync::watch;
use tokio::time::Instant;

use super::join;
use crate::app::App;
use crate::args::Register;
use crate::exit::{Exit, Failure};
use crate::show::{Item, Out};
use crate::text;

/// Two servers, on a slow network. The time for a proof of work is not counted.
const REGISTERED_WITHIN: Duration = Duration::from_secs(60);

/// How often a person is told how far the work is.
const TOLD_EVERY: Duration = Duration::from_secs(5);

const WORDS: &str = "
Your 24 recovery words. They are the only way back to this account if every device is lost, and they are shown only now: \
write them on paper, in this order, and show them to nobody.
";

pub(super) async fn run(app: &App, args: Register) -> Result<(), Failure> {
    let (out, dir) = (app.out(), app.dir()?);
    if let Some(name) = &args.handle {
        Handle::new(name, args.keyserver.clone()).map_err(|error| {
            Failure::usage(
                format!("`{}` cannot be a handle: {error}", text::clean_line(name)),
                "choose another --handle",
            )
        })?;
    }
    let setup = Setup {
        relay: args.relay,
        keyserver: args.keyserver,
        handle_name: args.handle.map(|name| name.to_lowercase()),
    };
    let mut words = Words { out, words: None, json: false };
    if dir.has_account() {
        go_on(app, &dir, setup).await?;
    } else {
        let create = |protection| Client::create(&dir, protection, setup.clone());
        let (client, made) = join::locked(app, args.protect, create).await?;
        words.words = Some(made);
        app.keep(client);
    }
    let client = app.client().await?;
    let (mut events, mut registering) = (client.events(), client.registering());
    client.set_invite(args.invite);
    client.connect().await?;
    out.note("Registering …");
    match registered(app, &mut events, &mut registering).await {
        Some(Ok(())) => tell(app, &mut words).await,
        Some(Err(refused)) => {
            let said = text::clean_line(&refused.to_string());
            Err(Failure::usage(format!("the keyserver refused: {said}"), what_to_do(refused.reason, &dir)))
        }
        None => {
            let last = registering.borrow().clone();
            Err(unfinished(app, &dir, &last).await)
        }
    }
}

/// The account is made here and waits.
fn what_to_do(reason: RefusedReason, dir: &DataDir) -> String {
    match reason {
        RefusedReason::InviteNeeded => {
            "ask whoever runs the keyserver for a code, and type the same command with --invite CODE".to_owned()
        }
        RefusedReason::BadInvite => {
            "look at the code again, or ask for another one, and type the same command with --invite CODE".to_owned()
        }
        RefusedReason::Closed => {
            format!("choose another keyserver: delete {} and begin again", dir.path().display())
        }
        _ => {
            "the account is made here and waits: type the same command with another --handle, or without one".to_owned()
        }
    }
}

/// An account that is here and not at the keyserver yet: its handle was taken, or the network was away.
async fn go_on(app: &App, dir: &DataDir, setup: Setup) -> Result<(), Failure> {
    let profile = app.profile().await?;
    if profile.registered {
        return Err(Failure::from(Error::AccountExists { dir: dir.path().to_owned() }));
    }
    if !profile.relay.is_same_place(&setup.relay) || !profile.keyserver.is_same_place(&setup.keyserver) {
        return Err(Failure::usage(
            format!("an account for other servers was begun in {}", dir.path().display()),
            format!(
                "delete that folder to begin again, or go on with --relay {} --keyserver {}",
                profile.relay, profile.keyserver
            ),
        ));
    }
    app.out().note("Going on with the account that was begun here; its recovery words were shown then.");
    app.client().await?.command(Command::SetHandleName(setup.handle_name)).await?;
    Ok(())
}

/// The account exists and the keyserver does not know it.
async fn unfinished(app: &App, dir: &DataDir, last: &Registering) -> Failure {
    if let Registering::Refused(refused) = last {
        let said = text::clean_line(&refused.to_string());
        let seconds = refused.retry_after_ms.div_ceil(1000).max(1);
        return Failure::new(Exit::Network, format!("the account is made here, but not registered yet: {said}"))
            .hint(format!("type the same command again in {seconds} seconds"));
    }
    let why = match last {
        Registering::Unreached(why) => format!("the keyserver cannot be reached: {}", text::clean_line(why)),
        _ => app.offline(app.timeout(REGISTERED_WITHIN)).await.message,
    };
    Failure::new(Exit::Network, format!("the account is made here, but not registered yet: {why}")).hint(format!(
        "the same command tries again, `hush doctor` says what is wrong; if an address was mistyped, delete {} and begin again",
        dir.path().display()
    ))
}

/// `Err` holds why a person must choose again; `None`: it takes too long, and not because of work that is being done.
async fn registered(
    app: &App,
    events: &mut EventStream,
    registering: &mut watch::Receiver<Registering>,
) -> Option<Result<(), Refused>> {
    let patience = app.timeout(REGISTERED_WITHIN);
    let mut until = Instant::now() + patience;
    let (mut tell_at, mut is_told) = (Instant::now(), false);
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some(Ok(Event::Registered)) => return Some(Ok(())),
                Some(Ok(Event::RegistrationFailed(why))) => return Some(Err(why)),
                Some(_) => {}
                None => std::future::pending().await,
            },
            Ok(()) = registering.changed() => match registering.borrow_and_update().clone() {
                Registering::Working { expected, tries } => {
                    until = Instant::now() + patience;
                    if tell_at <= Instant::now() {
                        tell_at = Instant::now() + TOLD_EVERY;
                        app.out().note(&working(expected, tries));
                    }
                }
                Registering::Unreached(why) if !is_told => {
                    is_told = true;
                    let (why, seconds) = (text::clean_line(&why), patience.as_secs());
                    app.out().note(&format!(
                        "The keyserver cannot be reached: {why}. Trying again for {seconds} s; Ctrl-C stops it."
                    ));
                }
                Registering::Unreached(_) | Registering::Refused(_) | Registering::Quiet => {}
            },
            () = tokio::time::sleep_until(until) => return None,
        }
    }
}

/// Luck decides: there is no end that could be said.
fn working(expected: u64, tries: u64) -> String {
    match tries {
        0 => format!(
            "The keyserver asks a new account for some work, about {expected} tries. Ctrl-C stops it; an invite (--invite \
             CODE) does without."
        ),
        tries => format!("Working … {tries} tries of about {expected}"),
    }
}

async fn tell(app: &App, words: &mut Words<'_>) -> Result<(), Failure> {
    let (out, profile) = (app.out(), app.profile().await?);
    out.item(&Item::Registered {
        profile: &profile,
        recovery_words: words.words.as_ref().map(|words| words.as_str()),
    })?;
    words.json = out.is_json();
    words.show();
    out.note(&next_steps(&profile));
    Ok(())
}

fn next_steps(profile: &Profile) -> String {
    let how = match &profile.handle {
        Some(handle) => format!("  give them your handle {handle}, or the link that `hush link` shows"),
        None => "  give them the link that `hush link` shows".to_owned(),
    };
    format!("\nWhat now: let a friend add you:\n{how}\nAnd add them: hush contact add LINK-OR-HANDLE")
}

/// The recovery words, shown once whatever happens: also when the program is stopped while it registers.
struct Words<'a> {
    out: &'a Out,
    words: Option<Zeroizing<String>>,
    /// They stand in the JSON object already.
    json: bool,
}

impl Words<'_> {
    fn show(&mut self) {
        if let Some(words) = self.words.take()
            && !self.json
        {
            self.out.secret(WORDS);
            self.out.secret_words(&words);
        }
    }
}

impl Drop for Words<'_> {
    fn drop(&mut self) {
        self.show();
    }
}
