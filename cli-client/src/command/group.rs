//! `hush group`: groups, who is in them, and what was changed.

mod join;
mod link;
mod members;
mod requests;

use std::collections::BTreeSet;
use std::time::Duration;

use hushwire_client::group::Op;
use hushwire_client::ids::ChangeHash;
use hushwire_client::{Answer, Command, Talk};

use super::report;
use crate::app::App;
use crate::args::Group;
use crate::exit::{Exit, Failure};
use crate::show::{Item, Where};
use crate::text;

/// What a person spends watching a cursor. What was done is kept either way.
const GLANCE: Duration = Duration::from_secs(8);

pub(super) async fn run(app: &App, args: Group) -> Result<(), Failure> {
    match args {
        Group::Create { name, members } => create(app, name, &members).await,
        Group::List => list(app).await,
        Group::Show { name } => show(app, &Where::from(&app.group_talk(&name).await?), true).await,
        Group::Log { name } => log(app, &name).await,
        Group::Add { name, who } => members::add(app, &name, &who).await,
        Group::Remove { name, who } => members::remove(app, &name, &who).await,
        Group::Ban { name, who } => members::ban(app, &name, &who).await,
        Group::Unban { name, who } => members::unban(app, &name, &who).await,
        Group::Role { name, who, role } => members::role(app, &name, &who, role.into()).await,
        Group::Rename { name, new_name } => change(app, &name, Op::Rename(new_name)).await,
        Group::Announce { name, on } => change(app, &name, Op::Announce(on)).await,
        Group::Leave { name } => change(app, &name, Op::Leave).await,
        Group::Invite { name, approval, expires, uses, qr } => {
            link::open(app, &name, approval, expires, uses, qr).await
        }
        Group::Close { name, invite } => link::close(app, &name, &invite).await,
        Group::Join { link } => join::run(app, &link).await,
        Group::Requests => requests::list(app).await,
        Group::Accept { name } => requests::accept(app, &name).await,
        Group::Decline { name, block } => requests::decline(app, &name, block).await,
        Group::Admit { name, who } => members::admit(app, &name, &who).await,
        Group::Refuse { name, who } => members::refuse(app, &name, &who).await,
    }
}

async fn create(app: &App, name: String, members: &[String]) -> Result<(), Failure> {
    let mut contacts = Vec::with_capacity(members.len());
    for member in members {
        contacts.push(app.contact(member).await?.id);
    }
    contacts.sort_unstable();
    contacts.dedup();
    if !hushwire_client::group::is_group_name(&name) {
        return Err(Failure::usage(
            "a group cannot be called so",
            "its name has 1 to 100 characters in one line, without spaces around",
        ));
    }
    match app.client().await?.command(Command::FoundGroup { name, members: contacts }).await? {
        Answer::Group(id) => {
            let place = app.conversation(id).await?;
            show(app, &place, false).await?;
            app.tell_others(GLANCE).await?;
            let word = match app.talk(&place.name).await {
                Ok(found) if found.id == id => text::shell_word(&place.name),
                Ok(_) | Err(_) => {
                    let number = format!("group:{}", id.0);
                    app.out().note(&format!(
                        "Something else is called so too; this one is {number}. `hush group rename {number} NAME` tells them apart."
                    ));
                    number
                }
            };
            app.out().note(&match members {
                [] => format!("Nobody else is in it. Now: hush group add {word} NAME, or: hush group invite {word}"),
                _ => format!("Now: hush send {word} \"Hello, all!\""),
            });
            Ok(())
        }
        other => Err(Failure::new(Exit::Unexpected, format!("the engine answered {other:?}"))),
    }
}

async fn list(app: &App) -> Result<(), Failure> {
    let all = app.client().await?.query(|engine| engine.conversations()).await?;
    let mut groups = all.iter().filter(|one| matches!(one.with, Talk::Group(_))).peekable();
    if groups.peek().is_none() {
        app.out().note(
            "No groups yet. `hush group create NAME MEMBER…` makes one; `hush group join LINK` asks to be let in.",
        );
    }
    for group in groups {
        show(app, &Where::from(group), false).await?;
    }
    Ok(())
}

async fn show(app: &App, place: &Where, whole: bool) -> Result<(), Failure> {
    let id = place.id;
    let group = app.client().await?.query(move |engine| engine.group(id)).await?;
    let us = app.profile().await?.account;
    app.out().item(&Item::Group { place, group: group.as_ref(), us, whole })
}

async fn log(app: &App, name: &str) -> Result<(), Failure> {
    let place = Where::from(&app.group_talk(name).await?);
    let (id, open) = (place.id, report::open_links(app, place.id).await?);
    for entry in app.client().await?.query(move |engine| engine.group_entries(id)).await? {
        let change = report::group_change(app, place.clone(), &entry, &open).await?;
        app.out().item(&Item::GroupChange { change: &change, dated: true })?;
    }
    Ok(())
}

/// Changes a group, says what was changed, and lets it out.
async fn change(app: &App, name: &str, op: Op) -> Result<(), Failure> {
    let place = Where::from(&app.group_talk(name).await?);
    change_at(app, &place, op).await
}

async fn change_at(app: &App, place: &Where, op: Op) -> Result<(), Failure> {
    let (client, id) = (app.client().await?, place.id);
    let entries = client.query(move |engine| engine.group_entries(id)).await?;
    let before: BTreeSet<ChangeHash> = entries.iter().map(|entry| entry.hash).collect();
    client.command(Command::ChangeGroup { group: id, ops: vec![op] }).await?;
    let (entries, open) =
        (client.query(move |engine| engine.group_entries(id)).await?, report::open_links(app, id).await?);
    for entry in entries.iter().filter(|entry| !before.contains(&entry.hash)) {
        let change = report::group_change(app, place.clone(), entry, &open).await?;
        app.out().item(&Item::GroupChange { change: &change, dated: false })?;
    }
    app.tell_others(GLANCE).await
}
