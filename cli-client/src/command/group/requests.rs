//! Being asked into a group by somebody who is no contact: looked at, accepted, declined.

use std::time::Duration;

use hushwire_client::{Answer, Command, GroupRequest, LocalRequest};

use super::show;
use crate::app::App;
use crate::exit::{Exit, Failure};
use crate::show::Item;
use crate::text;

/// Whoever asked has to be online for what there is in the group.
const IN_WITHIN: Duration = Duration::from_secs(8);

pub(super) async fn list(app: &App) -> Result<(), Failure> {
    let all = app.client().await?.query(|engine| engine.group_requests()).await?;
    if all.is_empty() {
        app.out().note("Nobody asks you into a group.");
    }
    for request in &all {
        app.out().item(&Item::GroupRequest(request))?;
    }
    Ok(())
}

pub(super) async fn accept(app: &App, asked: &str) -> Result<(), Failure> {
    let (client, request) = (app.client().await?, find(app, asked).await?);
    let id = match client.command(Command::AcceptGroup(request.id)).await? {
        Answer::Group(id) => id,
        other => return Err(Failure::new(Exit::Unexpected, format!("the engine answered {other:?}"))),
    };
    let told = app.get_out(IN_WITHIN).await?;
    show(app, &app.conversation(id).await?, false).await?;
    app.note_unless(told);
    app.out().note("Whoever asked you has to be online for what there is in it; `hush receive` says when you are in.");
    Ok(())
}

pub(super) async fn decline(app: &App, asked: &str, block: bool) -> Result<(), Failure> {
    let (client, request) = (app.client().await?, find(app, asked).await?);
    let from = text::clean_line(&request.from.name);
    if block {
        client.command(Command::Block(request.from.id)).await?;
        app.out().note(&format!(
            "{from} is blocked, and not told. In the group you stand as somebody who has not answered."
        ));
        return Ok(());
    }
    client.command(Command::RefuseGroup(request.id)).await?;
    app.out().note(&format!("{from} is told that you do not come in, and does not ask you into this group again."));
    app.tell_others(super::GLANCE).await
}

/// The request by its number, or by the group's name if only one is called so.
async fn find(app: &App, asked: &str) -> Result<GroupRequest, Failure> {
    let all = app.client().await?.query(|engine| engine.group_requests()).await?;
    let number = asked.parse().ok().map(LocalRequest);
    let mut fitting = all.iter().filter(|request| request.name == asked);
    match (all.iter().find(|request| Some(request.id) == number), fitting.next(), fitting.next()) {
        (Some(request), _, _) | (None, Some(request), None) => Ok(request.clone()),
        (None, Some(_), Some(_)) => Err(Failure::usage(
            format!("you are asked into several groups that are called `{}`", text::clean_line(asked)),
            "say which by its number: hush group requests",
        )),
        (None, None, _) => Err(Failure::usage(
            format!("nobody asks you into a group `{}`", text::clean_line(asked)),
            "`hush group requests` shows who asks you into which",
        )),
    }
}
