//! Coming into a group by a link.

use std::time::Duration;

use hushwire_client::group::{BadGroupLink, GroupLink};
use hushwire_client::{Command, Event, EventStream, GroupStanding, Talk};

use super::show;
use crate::app::App;
use crate::exit::{Exit, Failure};
use crate::show::Where;
use crate::text;

/// A member who is there answers within seconds. One who is not, later: the wish is kept.
const LET_IN_WITHIN: Duration = Duration::from_secs(15);

pub(super) async fn run(app: &App, link: &str) -> Result<(), Failure> {
    let link: GroupLink = link.parse().map_err(|bad: BadGroupLink| {
        Failure::usage(
            bad.to_string(),
            "copy the link whole, and put it in quotes: the shell may take what follows # for a comment",
        )
    })?;
    let (client, name) = (app.client().await?, link.name.clone());
    if let Some(place) = member_of(app, &link).await? {
        app.out().note("You are in this group already.");
        return show(app, &place, false).await;
    }
    let mut events = client.events();
    client.command(Command::JoinGroup(Box::new(link.clone()))).await?;
    client.connect().await?;
    match tokio::time::timeout(app.timeout(LET_IN_WITHIN), let_in(app, &mut events, &link)).await {
        Ok(place) => {
            let place = place?;
            show(app, &place, false).await?;
            app.get_out(super::GLANCE).await?;
            app.out().note(&format!("You are in. Now: hush send {} \"Hello, all!\"", text::shell_word(&place.name)));
        }
        Err(_) if client.query(|engine| engine.has_work()).await? => {
            return Err(app.offline(app.timeout(LET_IN_WITHIN)).await);
        }
        Err(_) => app.out().note(&format!(
            "You asked to be let into {}. Whoever made the link, or an admin, has to be online for it; `hush receive` says \
             when you are in. If that takes long, ask them: nobody answers where a link is closed, expired or used up.",
            text::clean_line(&name)
        )),
    }
    Ok(())
}

async fn let_in(app: &App, events: &mut EventStream, link: &GroupLink) -> Result<Where, Failure> {
    loop {
        match events.next().await {
            Some(Ok(Event::GroupNotJoined { name, reason })) if name == link.name => {
                return Err(Failure::new(Exit::Network, format!("you were not let in: {}", text::clean_line(&reason)))
                    .hint("ask for the link again, or try again later"));
            }
            Some(Ok(Event::GroupJoined { .. }) | Err(_)) => {
                if let Some(place) = member_of(app, link).await? {
                    return Ok(place);
                }
            }
            Some(Ok(_)) => {}
            None => return Err(Failure::new(Exit::Unexpected, "the account was closed")),
        }
    }
}

/// The conversation of the link's group, if we are in it.
async fn member_of(app: &App, link: &GroupLink) -> Result<Option<Where>, Failure> {
    let client = app.client().await?;
    for conversation in client.query(|engine| engine.conversations()).await? {
        let (Talk::Group(_), id) = (conversation.with, conversation.id) else { continue };
        let group = client.query(move |engine| engine.group(id)).await?;
        if group.is_some_and(|group| group.state.id == link.group && group.standing == GroupStanding::Member) {
            return Ok(Some(Where::from(&conversation)));
        }
    }
    Ok(None)
}
