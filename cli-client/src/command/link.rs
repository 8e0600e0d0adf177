//! `hush link`: for others to add us.

use crate::app::App;
use crate::args::Link;
use crate::exit::Failure;
use crate::show::Item;

pub(super) async fn run(app: &App, args: &Link) -> Result<(), Failure> {
    let link = app.client().await?.query(|engine| Ok(engine.contact_link())).await?.to_string();
    let out = app.out();
    if !args.no_qr {
        match out.qr(link.as_bytes()) {
            Some(code) => out.human(&code)?,
            None if !out.is_json() => out.note("The terminal is too narrow for the QR code."),
            None => {}
        }
    }
    out.item(&Item::Link { link: &link })?;
    if !app.profile().await?.registered {
        out.warn("the keyserver does not have your account yet, so nobody can add you; `hush receive` tries again");
    } else if !args.no_qr && !out.is_json() {
        out.note("Give this to a friend, who types: hush contact add 'LINK'");
    }
    Ok(())
}
