//! `hush verify`: the safety number with a contact, and the mark that it was compared.

use hushwire_client::Command;

use crate::app::App;
use crate::args::Verify;
use crate::exit::{Exit, Failure};
use crate::show::Item;
use crate::text;

pub(super) async fn run(app: &App, args: &Verify) -> Result<(), Failure> {
    if args.log {
        return super::log::run(app, &args.contact, args.keyserver.clone()).await;
    }
    let (client, out) = (app.client().await?, app.out());
    let mut contact = app.contact(&args.contact).await?;
    let change = args.confirm || args.undo;
    if change {
        client.command(Command::SetVerified(contact.id, args.confirm)).await?;
        contact.verified = args.confirm;
    }
    let id = contact.id;
    let Some(number) = client.query(move |engine| engine.safety_number(id)).await? else {
        return Err(
            Failure::new(Exit::Unexpected, "the keys of this contact are not here").hint("add the contact again")
        );
    };
    out.item(&Item::SafetyNumber { contact: &contact, digits: &number.digits })?;
    let name = text::shell_word(&contact.name);
    match (change, args.confirm) {
        (true, true) => {
            out.note(&format!("\n{name} is marked as verified. `hush verify {name} --undo` takes it back."))
        }
        (true, false) => out.note(&format!("\nThe mark is gone: {name} is not verified any more.")),
        (false, _) => {
            if !args.no_qr
                && let Some(code) = out.qr(&number.scannable)
            {
                out.human(&format!("\n{code}"))?;
            }
            out.note(&format!(
                "\nAsk {name} to type `hush verify` with your name, and compare the numbers in person or on the phone.\n\
                 If they are equal: hush verify {name} --confirm\n\
                 If not, somebody is in between: write nothing that they must not read."
            ));
        }
    }
    Ok(())
}
