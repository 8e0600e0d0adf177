//! `hush verify --log`: what the keyserver's log says of a handle, and what was checked to know it.

use std::time::Duration;

use hushwire_client::address::ServerAddress;
use hushwire_client::{Command, Event, EventStream, LogReport, NewContact};

use super::whom;
use crate::app::App;
use crate::exit::{Exit, Failure};
use crate::show::Item;
use crate::text;

/// A keyserver far away, tried twice.
const ANSWERED_WITHIN: Duration = Duration::from_secs(20);

/// Our own history in the log is asked for at each start; a moment for its answer.
const WATCHED_WITHIN: Duration = Duration::from_secs(5);

pub(super) async fn run(app: &App, asked: &str, keyserver: Option<ServerAddress>) -> Result<(), Failure> {
    let client = app.client().await?;
    // A contact's name here is as good as their handle.
    let name = asked.to_owned();
    let contact = client.query(move |engine| engine.find_contact(&name)).await?;
    let handle = contact.and_then(|contact| contact.handle).unwrap_or_else(|| asked.to_owned());
    let own = app.profile().await?.keyserver;
    let NewContact::Handle(handle, keyserver) = whom::wanted(&handle, keyserver, Some(&own))? else {
        return Err(Failure::usage(
            "the log is about handles, and a link has none",
            "give the handle: hush verify --log name@keyserver",
        ));
    };
    let mut events = client.events();
    client.connect().await?;
    let _ = client.settle(app.timeout(WATCHED_WITHIN)).await?.done;
    client.command(Command::CheckLog { handle: handle.clone(), keyserver }).await?;
    match tokio::time::timeout(app.timeout(ANSWERED_WITHIN), answered(app, &mut events, &handle.to_string())).await {
        Ok(report) => app.out().item(&Item::Log(&report?)),
        Err(_) => Err(Failure::new(Exit::Network, "the keyserver did not answer in time")
            .hint("try again later; `hush doctor` looks at the connection")),
    }
}

async fn answered(app: &App, events: &mut EventStream, handle: &str) -> Result<LogReport, Failure> {
    let mut alarmed = false;
    loop {
        match events.next().await {
            Some(Ok(Event::LogChecked(report))) if report.handle == handle => return Ok(report),
            Some(Ok(Event::LogNotChecked { asked, reason, retryable })) if asked == handle => {
                let exit = if retryable && !alarmed { Exit::Network } else { Exit::Untrusted };
                let hint = match exit {
                    Exit::Network => "try again later; `hush doctor` looks at the connection",
                    _ => "nothing that the keyserver said of this handle was taken",
                };
                return Err(Failure::new(exit, text::clean_line(&reason)).hint(hint));
            }
            Some(Ok(event @ (Event::KeyserverLies { .. } | Event::IdentityChanged { .. }))) => {
                alarmed = true;
                super::report::event(app, &event).await?;
            }
            Some(_) => {}
            None => return Err(Failure::new(Exit::Unexpected, "the account was closed")),
        }
    }
}
