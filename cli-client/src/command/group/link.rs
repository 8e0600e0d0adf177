//! Links by which others come in.

use std::time::Duration;

use hushwire_client::group::Op;
use hushwire_client::ids::InviteId;
use hushwire_client::{Answer, Command};

use super::{GLANCE, change_at};
use crate::app::App;
use crate::command::settings::after;
use crate::exit::{Exit, Failure};
use crate::show::{Item, Where};
use crate::text;

pub(super) async fn open(
    app: &App,
    name: &str,
    approval: bool,
    expires: Option<Duration>,
    uses: Option<u32>,
    qr: bool,
) -> Result<(), Failure> {
    let (out, place) = (app.out(), Where::from(&app.group_talk(name).await?));
    let command = Command::OpenInvite { group: place.id, approval, expires_at: expires.map(after), uses };
    let link = match app.client().await?.command(command).await? {
        Answer::GroupLink(link) => link.to_string(),
        other => return Err(Failure::new(Exit::Unexpected, format!("the engine answered {other:?}"))),
    };
    if qr {
        match out.qr(link.as_bytes()) {
            Some(code) => out.human(&code)?,
            None if !out.is_json() => out.note("The terminal is too narrow for the QR code."),
            None => {}
        }
    }
    out.item(&Item::GroupLink { conversation: &place, link: &link })?;
    app.tell_others(GLANCE).await?;
    let word = text::shell_word(&place.name);
    out.note(&match approval {
        true => format!(
            "Whoever has it types: hush group join 'LINK'. Each waits until an admin types: hush group admit {word} WHO"
        ),
        false => {
            "Whoever has it comes in by: hush group join 'LINK'. Give it only to people who are welcome.".to_owned()
        }
    });
    Ok(())
}

pub(super) async fn close(app: &App, name: &str, asked: &str) -> Result<(), Failure> {
    let (place, group) = app.group(name).await?;
    let begins = |id: &&InviteId| !asked.is_empty() && id.to_string().starts_with(&asked.to_ascii_lowercase());
    let mut fitting = group.state.invites.keys().filter(begins);
    match (fitting.next(), fitting.next()) {
        (Some(id), None) => change_at(app, &place, Op::CloseInvite(*id)).await,
        (Some(_), Some(_)) => {
            Err(Failure::usage("several links begin so", "type more of it; `hush group show` lists them"))
        }
        (None, _) => Err(Failure::usage(
            format!("no open link begins with `{}`", text::clean_line(asked)),
            "`hush group show` lists the links that are open, each by the beginning of its number",
        )),
    }
}
