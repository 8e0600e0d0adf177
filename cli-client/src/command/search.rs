//! `hush search`: what was written with these words, the last of it first.

use hushwire_client::LocalId;

use crate::app::App;
use crate::args::Search;
use crate::exit::Failure;
use crate::show::Item;
use crate::text;

pub(super) async fn run(app: &App, args: &Search) -> Result<(), Failure> {
    let within = match &args.within {
        Some(name) => Some(app.talk(name).await?.id),
        None => None,
    };
    let (words, limit, before) = (args.words.join(" "), args.limit, args.before.map(LocalId));
    let found = app.client().await?.query(move |engine| engine.search(&words, within, before, limit)).await?;
    let (none, all) = (found.is_empty(), u32::try_from(found.len()).is_ok_and(|found| found < limit));
    let oldest = found.last().map(|message| (message.id, message.conversation_name.clone()));
    for shown in app.all_shown(found).await? {
        app.out().item(&Item::Found(&shown))?;
    }
    if let Some((id, name)) = oldest {
        let name = text::shell_word(&name);
        app.out().note(&format!("`hush history {name} --around {}` shows what stands around the last of these.", id.0));
        if !all {
            app.out().note(&format!("Older ones: the same with --before {}", id.0));
        }
    }
    if none {
        app.out().note("Nothing here has all these words. Only the last may be a beginning: `hush search good mor`.");
    }
    Ok(())
}
