//! `hush message`: what people do with one message, and where it is.

use std::time::Duration;

use hushwire_client::{Answer, Command, ContactId, LocalId, Message as Row};

use crate::app::App;
use crate::args::Message;
use crate::exit::{Exit, Failure};
use crate::show::{Item, Named, Where};
use crate::text;

/// What a person spends watching a cursor. What was done is kept either way.
const GLANCE: Duration = Duration::from_secs(5);

pub(super) async fn run(app: &App, args: Message) -> Result<(), Failure> {
    match args {
        Message::Show { id } => show(app, LocalId(id)).await,
        Message::Edit { id, text } => {
            change(app, LocalId(id), Command::Edit { message: LocalId(id), text: text.join(" ") }).await
        }
        Message::Delete { id, here: false } => take_back(app, LocalId(id)).await,
        Message::Delete { id, here: true } => delete_here(app, LocalId(id)).await,
        Message::React { id, emoji, none: _ } => {
            change(app, LocalId(id), Command::React { message: LocalId(id), emoji }).await
        }
        Message::Pin { id } => change(app, LocalId(id), Command::Pin { message: LocalId(id), pinned: true }).await,
        Message::Unpin { id } => change(app, LocalId(id), Command::Pin { message: LocalId(id), pinned: false }).await,
        Message::Pinned { with } => pinned(app, &with).await,
        Message::Forward { id, to } => forward(app, LocalId(id), &to).await,
        Message::Status { id, explain } => status(app, LocalId(id), explain).await,
    }
}

/// The message of that number.
async fn find(app: &App, id: LocalId) -> Result<Row, Failure> {
    let found = app.client().await?.query(move |engine| engine.message(id)).await?;
    found.ok_or_else(|| {
        Failure::usage(
            format!("there is no message #{}", id.0),
            "`hush history NAME` and `hush search WORDS` show messages with their numbers, after #",
        )
    })
}

/// Does something with a message for all, shows it as it is then, and lets it out.
async fn change(app: &App, id: LocalId, command: Command) -> Result<(), Failure> {
    find(app, id).await?;
    app.client().await?.command(command).await?;
    app.out().item(&Item::Message(&app.shown(find(app, id).await?).await?))?;
    app.tell_others(GLANCE).await
}

async fn take_back(app: &App, id: LocalId) -> Result<(), Failure> {
    if !find(app, id).await?.outgoing {
        return Err(Failure::usage(
            format!("message #{} is not yours, so it is not yours to take back", id.0),
            format!("`hush message delete {} --here` deletes it on this device only", id.0),
        ));
    }
    change(app, id, Command::TakeBack(id)).await
}

async fn delete_here(app: &App, id: LocalId) -> Result<(), Failure> {
    let place = app.conversation(find(app, id).await?.conversation).await?;
    app.client().await?.command(Command::DeleteHere(id)).await?;
    app.out().note(&format!(
        "Message #{} in {} is gone on this device. The others keep it.",
        id.0,
        text::clean_line(&place.name)
    ));
    Ok(())
}

async fn forward(app: &App, id: LocalId, to: &str) -> Result<(), Failure> {
    find(app, id).await?;
    let to = app.talk(to).await?.id;
    match app.client().await?.command(Command::Forward { message: id, to }).await? {
        Answer::Queued(message) => {
            let new = message.id;
            let told = app.get_out(GLANCE).await?;
            app.out().item(&Item::Message(&app.shown(find(app, new).await?).await?))?;
            app.note_unless(told);
            Ok(())
        }
        other => Err(Failure::new(Exit::Unexpected, format!("the engine answered {other:?}"))),
    }
}

async fn pinned(app: &App, with: &str) -> Result<(), Failure> {
    let place = Where::from(&app.talk(with).await?);
    let id = place.id;
    let pinned = app.client().await?.query(move |engine| engine.pinned(id)).await?;
    if pinned.is_empty() {
        app.out().note(&format!(
            "Nothing is pinned in {}. `hush message pin ID` pins a message.",
            text::clean_line(&place.name)
        ));
    }
    for shown in app.all_shown(pinned).await? {
        app.out().item(&Item::Message(&shown))?;
    }
    Ok(())
}

/// The message, what it said before, and who has it.
async fn show(app: &App, id: LocalId) -> Result<(), Failure> {
    let (client, out) = (app.client().await?, app.out());
    let shown = app.shown(find(app, id).await?).await?;
    out.item(&Item::Found(&shown))?;
    let reactions = client.query(move |engine| engine.reactions_of(id)).await?;
    if !reactions.is_empty() {
        out.human("  what people feel about it:")?;
    }
    for reaction in &reactions {
        out.item(&Item::Reaction { id, reaction })?;
    }
    let edits = client.query(move |engine| engine.edits_of(id)).await?;
    if !edits.is_empty() {
        out.human("  what it said:")?;
    }
    for (at, text) in &edits {
        out.item(&Item::Edit { id, text, at: *at })?;
    }
    if shown.heard.is_some() {
        let heard = client.query(move |engine| engine.heard(id)).await?;
        if !heard.is_empty() {
            out.human("  who has it:")?;
        }
        for (contact, state) in heard {
            out.item(&Item::HeardBy { id, contact: &app.named(contact).await?, state })?;
        }
        for lacking in &client.query(move |engine| engine.lacked_by(id)).await? {
            out.item(&Item::LackedBy { id, lacking })?;
        }
    }
    Ok(())
}

async fn status(app: &App, id: LocalId, whole: bool) -> Result<(), Failure> {
    let message = find(app, id).await?;
    let place = app.conversation(message.conversation).await?;
    let Some(journey) = app.client().await?.query(move |engine| engine.explain(id)).await? else {
        return Err(Failure::new(Exit::Unexpected, format!("message #{} is gone", id.0)));
    };
    let members = journey.sealing.iter().flat_map(|waits| waits.members.iter().filter_map(|member| member.contact));
    let devices = journey.devices.iter().map(|one| one.contact);
    let envelopes = journey.envelopes.iter().map(|one| one.contact);
    let mut whom: Vec<ContactId> =
        envelopes.chain(devices).chain(members).chain(journey.held.iter().copied()).collect();
    whom.sort_unstable();
    whom.dedup();
    let mut people: Vec<Named> = Vec::with_capacity(whom.len());
    for contact in whom {
        people.push(app.named(contact).await?);
    }
    let heard = app.heard(id).await?;
    app.out().item(&Item::Journey { journey: &journey, place: &place, heard, people: &people, whole })
}
