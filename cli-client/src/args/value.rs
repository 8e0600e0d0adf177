//! Single values that are typed, read into types.

use std::time::Duration;

use super::settings::Lasts;
use hushwire_client::address::{AUDITOR_PORT, KEYSERVER_PORT, RELAY_PORT, ServerAddress};

/// Longer than any account name that a person types, shorter than any file system's limit.
const ACCOUNT_NAME_BYTES_MAX: usize = 64;

pub(super) fn relay(text: &str) -> Result<ServerAddress, String> {
    pinned(text, RELAY_PORT)
}

pub(super) fn keyserver(text: &str) -> Result<ServerAddress, String> {
    pinned(text, KEYSERVER_PORT)
}

pub(super) fn auditor(text: &str) -> Result<ServerAddress, String> {
    pinned(text, AUDITOR_PORT)
}

/// A server is known by its fingerprint and by nothing else: better said now than when it is connected to.
fn pinned(text: &str, default_port: u16) -> Result<ServerAddress, String> {
    let address = ServerAddress::parse(text, default_port).map_err(|error| error.to_string())?;
    match address.fingerprint() {
        Some(_) => Ok(address),
        None => Err("the fingerprint is missing: hush://FINGERPRINT@HOST[:PORT]; its operator has the whole address, which `address` of its program prints, such as `hushwire-relay address`".to_owned()),
    }
}

/// The name of a folder, and of nothing outside it.
pub(super) fn account_name(text: &str) -> Result<String, String> {
    let letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if text.is_empty()
        || text.len() > ACCOUNT_NAME_BYTES_MAX
        || text.starts_with(['.', '-'])
        || !text.chars().all(letter)
    {
        return Err(format!(
            "an account's name here has 1 to {ACCOUNT_NAME_BYTES_MAX} letters, digits, dots, hyphens and underscores, \
             and begins with a letter, a digit or an underscore"
        ));
    }
    Ok(text.to_owned())
}

/// `20`, `20s`, `1.5s`, `5m`, `1h`, `7d`, `2w`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = match text.as_bytes().last() {
        Some(b's') => (text.trim_end_matches('s'), 1.0),
        Some(b'm') => (text.trim_end_matches('m'), 60.0),
        Some(b'h') => (text.trim_end_matches('h'), 3600.0),
        Some(b'd') => (text.trim_end_matches('d'), 24.0 * 3600.0),
        Some(b'w') => (text.trim_end_matches('w'), 7.0 * 24.0 * 3600.0),
        _ => (text, 1.0),
    };
    number
        .parse::<f64>()
        .ok()
        .and_then(|number| Duration::try_from_secs_f64(number * unit).ok())
        .ok_or_else(|| "write seconds, or a number with s, m, h, d or w: 20, 20s, 5m, 7d".to_owned())
}

/// `on` or `off`.
pub(crate) fn switch(text: &str) -> Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("write on or off".to_owned()),
    }
}

/// A time, or `off`.
pub(crate) fn time_or_off(text: &str) -> Result<Lasts, String> {
    match text {
        "off" => Ok(Lasts::Off),
        text => duration(text).map(Lasts::For).map_err(|wrong| format!("{wrong}; or off")),
    }
}

/// A time, `forever`, or `off`.
pub(super) fn lasts(text: &str) -> Result<Lasts, String> {
    if text == "forever" {
        Ok(Lasts::Forever)
    } else {
        time_or_off(text).map_err(|wrong| format!("{wrong}, or forever"))
    }
}

/// A message's number, as it is shown: `12` or `#12`.
pub(super) fn message_id(text: &str) -> Result<i64, String> {
    let number = text.strip_prefix('#').unwrap_or(text);
    number
        .parse()
        .ok()
        .filter(|id| *id > 0)
        .ok_or_else(|| "the number of a message is what `hush history` shows after #: 12".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_seconds_unless_it_says_otherwise() {
        assert_eq!(duration("20"), Ok(Duration::from_secs(20)));
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(duration("7d"), Ok(Duration::from_secs(7 * 86_400)));
        for wrong in ["", "s", "-1", "1y", "inf", "nan"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_message_is_named_by_its_number_as_it_is_shown() {
        assert_eq!((message_id("12"), message_id("#12")), (Ok(12), Ok(12)));
        for wrong in ["", "#", "0", "-1", "twelve", "##1"] {
            assert!(message_id(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_address_without_a_fingerprint_is_sent_back_to_its_operator() {
        assert!(relay("hush://relay.example.org").is_err_and(|said| said.contains("operator")));
        assert!(relay(&format!("hush://{}@relay.example.org", "a".repeat(52))).is_ok());
    }

    #[test]
    fn an_account_cannot_be_named_out_of_its_folder() {
        assert!(account_name("work_2").is_ok());
        for wrong in ["", ".", "..", "a/b", "../a", "a\\b", "-a", "a b", "ä"] {
            assert!(account_name(wrong).is_err(), "{wrong}");
        }
    }
}
