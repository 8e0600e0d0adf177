//! `hush whoami`: the account on this machine.

use crate::app::App;
use crate::exit::Failure;
use crate::show::Item;

pub(super) async fn run(app: &App) -> Result<(), Failure> {
    let profile = app.profile().await?;
    let link = app.client().await?.query(|engine| Ok(engine.contact_link())).await?.to_string();
    app.out().item(&Item::Account { profile: &profile, link: &link })
}
