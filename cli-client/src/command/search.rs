//! `hush search`: what was written with these words, the last of it first.

use crate::app::App;
use crate::args::Search;
use crate::exit::Failure;
use crate::show::Item;

pub(super) async fn run(app: &App, args: &Search) -> Result<(), Failure> {
    let within = match &args.within {
        Some(name) => Some(app.talk(name).await?.id),
        None => None,
    };
    let (words, limit) = (args.words.join(" "), args.limit);
    let found = app.client().await?.query(move |engine| engine.search(&words, within, None, limit)).await?;
    let none = found.is_empty();
    for shown in app.all_shown(found).await? {
        app.out().item(&Item::Found(&shown))?;
    }
    if none {
        app.out().note("Nothing here has all these words. Only the last may be a beginning: `hush search good mor`.");
    }
    Ok(())
}
