//! Where the 24 recovery words come from: a file, stdin, or a person at a terminal who does not see them.

use std::io::Read as _;

use hushwire_client::{RecoveryKey, Zeroizing};

use crate::args::WordsFrom;
use crate::exit::Failure;
use crate::passphrase;

/// 24 words and what may stand between them.
const BYTES_MAX: u64 = 4096;

/// The words that the account has now.
///
/// # Errors
/// When they cannot be read, or are none.
pub(super) async fn read(from: &WordsFrom) -> Result<RecoveryKey, Failure> {
    let text = match &from.words_file {
        Some(file) if file.as_os_str() == "-" => from_stdin()?,
        Some(file) => passphrase::whole_file(file)?,
        None if passphrase::can_ask() => passphrase::ask("The 24 recovery words, in their order (not shown): ").await?,
        None => {
            return Err(Failure::usage(
                "nobody is here to be asked for the recovery words, because stdin is not a terminal",
                "give them with --words-file FILE, or --words-file - for stdin",
            ));
        }
    };
    text.parse::<RecoveryKey>().map_err(|bad| {
        Failure::usage(bad.to_string(), "type all 24 in their order, with spaces between them; nothing was changed")
    })
}

fn from_stdin() -> Result<Zeroizing<String>, Failure> {
    let mut text = Zeroizing::new(String::new());
    std::io::stdin().lock().take(BYTES_MAX).read_to_string(&mut text)?;
    Ok(text)
}
