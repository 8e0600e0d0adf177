//! `hush list`: the conversations, those first where something was said last.

use crate::app::App;
use crate::args::List;
use crate::exit::Failure;
use crate::show::Item;

pub(super) async fn run(app: &App, args: &List) -> Result<(), Failure> {
    let all = app.client().await?.query(|engine| engine.conversations()).await?;
    let shown = all.iter().filter(|conversation| args.all || !conversation.archived);
    let mut count = 0;
    for conversation in shown {
        let last = app.last_of(conversation.id).await?;
        app.out().item(&Item::Conversation { conversation, last: last.as_ref() })?;
        count += 1;
    }
    match all.len() - count {
        0 if count == 0 => app.out().note(
            "No conversations yet. `hush contact add LINK-OR-HANDLE` adds somebody; `hush group create` makes a group.",
        ),
        0 => {}
        1 => app.out().note("1 more was put away: hush list --all"),
        away => app.out().note(&format!("{away} more were put away: hush list --all")),
    }
    Ok(())
}
