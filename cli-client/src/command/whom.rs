//! What a person types to say whom they mean: a contact link, or a handle at a keyserver whose fingerprint is known.

use hushwire_client::address::{Handle, KEYSERVER_PORT, ServerAddress};
use hushwire_client::{ContactLink, NewContact};

use crate::exit::Failure;
use crate::text;

/// What was typed, as somebody to look for.
///
/// # Errors
/// What is wrong with it, and how to write it.
pub(super) fn wanted(
    who: &str,
    keyserver: Option<ServerAddress>,
    own: Option<&ServerAddress>,
) -> Result<NewContact, Failure> {
    if who.to_ascii_lowercase().starts_with("hushwire:") {
        let link: ContactLink = who.parse().map_err(|error: hushwire_client::BadContactLink| {
            Failure::usage(
                error.to_string(),
                "copy the link whole, and put it in quotes: the shell may take what follows # for a comment",
            )
        })?;
        return Ok(NewContact::Link(link));
    }
    let wrong = |error: hushwire_client::address::AddressError| {
        Failure::usage(
            format!("`{}` is neither a contact link nor a handle: {error}", text::clean_line(who)),
            "write name@keyserver, just the name at your own keyserver, or a link that begins with hushwire:c#",
        )
    };
    if !who.contains('@') {
        let Some(server) = keyserver.or_else(|| own.cloned()) else {
            return Err(Failure::usage(
                format!("at which keyserver is `{}`", text::clean_line(who)),
                "give --keyserver hush://FINGERPRINT@HOST, or the contact link, which has it",
            ));
        };
        return Ok(NewContact::Handle(Handle::new(who, server.clone()).map_err(wrong)?, server));
    }
    let handle = Handle::parse(who).map_err(wrong)?;
    let server = match keyserver {
        Some(given) if same_server(&handle, &given) => given,
        Some(given) => {
            return Err(Failure::usage(
                format!("{handle} is not at {given}"),
                "--keyserver must have the host of the handle; it only adds the fingerprint",
            ));
        }
        None => match own.filter(|own| same_server(&handle, own)) {
            Some(own) => own.clone(),
            None => {
                return Err(Failure::usage(
                    format!("{handle} is at a keyserver whose fingerprint is not known here"),
                    format!(
                        "give --keyserver hush://FINGERPRINT@{}, or the contact link, which has it",
                        handle.server().host()
                    ),
                ));
            }
        },
    };
    Ok(NewContact::Handle(Handle::new(handle.name(), server.clone()).map_err(wrong)?, server))
}

/// A handle without a port means the server's, whichever it is.
fn same_server(handle: &Handle, server: &ServerAddress) -> bool {
    let typed = handle.server();
    typed.host() == server.host() && (typed.port() == server.port() || typed.port() == KEYSERVER_PORT)
}
