//! The arguments of `MAIL FROM` and `RCPT TO` (RFC 5321, section 4.1.2), as far as a catcher must understand them.

use super::receive::SIZE_LIMIT;

/// The longest path that is accepted, angle brackets included (RFC 5321, section 4.5.3.1.3).
const LONGEST_PATH: usize = 256;

/// Why an argument is refused: the reply, with its enhanced status code.
pub(super) type Refusal = &'static str;

/// Reads `FROM:<path> [parameters]`. The empty path `<>` is a bounce's sender and comes back as an empty text.
pub(super) fn sender(argument: &str) -> Result<String, Refusal> {
    let rest = after_keyword(argument, "FROM:").ok_or("501 5.5.4 Syntax: MAIL FROM:<address>")?;
    let (path, parameters) = path(rest)?;
    let mut international = false;
    for parameter in parameters.split_ascii_whitespace() {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        match name.to_ascii_uppercase().as_str() {
            "SIZE" => match value.parse::<u64>() {
                Ok(size) if size <= SIZE_LIMIT => {}
                Ok(_) => return Err("552 5.3.4 Message too big"),
                Err(_) => return Err("501 5.5.4 SIZE is a number of bytes"),
            },
            "BODY" if matches!(value.to_ascii_uppercase().as_str(), "7BIT" | "8BITMIME") => {}
            "SMTPUTF8" if value.is_empty() => international = true,
            _ => return Err("555 5.5.4 Parameter not known"),
        }
    }
    if !path.is_empty() {
        check_address(path)?;
    }
    if !international && !path.is_ascii() {
        return Err("550 5.6.7 An address beyond ASCII needs SMTPUTF8");
    }
    Ok(path.to_owned())
}

/// Reads `TO:<path>`.
pub(super) fn recipient(argument: &str) -> Result<String, Refusal> {
    let rest = after_keyword(argument, "TO:").ok_or("501 5.5.4 Syntax: RCPT TO:<address>")?;
    let (path, parameters) = path(rest)?;
    if !parameters.trim().is_empty() {
        return Err("555 5.5.4 Parameter not known");
    }
    if path.eq_ignore_ascii_case("postmaster") {
        return Ok(path.to_owned());
    }
    check_address(path)?;
    Ok(path.to_owned())
}

fn after_keyword<'a>(argument: &'a str, keyword: &str) -> Option<&'a str> {
    let (head, rest) = argument.split_at_checked(keyword.len())?;
    head.eq_ignore_ascii_case(keyword).then_some(rest)
}

/// Splits `<path> parameters`. A `>` within a quoted local part does not end the path.
fn path(text: &str) -> Result<(&str, &str), Refusal> {
    let inner = text.trim_start().strip_prefix('<').ok_or("501 5.1.7 An address stands in angle brackets")?;
    let (mut quoted, mut escaped) = (false, false);
    for (at, character) in inner.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '>' if !quoted => {
                if at + 2 > LONGEST_PATH {
                    return Err("501 5.1.7 Address too long");
                }
                return Ok((&inner[..at], &inner[at + 1..]));
            }
            _ => {}
        }
    }
    Err("501 5.1.7 The closing angle bracket is missing")
}

fn check_address(address: &str) -> Result<(), Refusal> {
    let whole = address.rsplit_once('@').is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty());
    let quoted = address.starts_with('"');
    let clean = !address.chars().any(|c| c.is_control() || (c.is_whitespace() && !quoted));
    if whole && clean { Ok(()) } else { Err("501 5.1.3 Not an address") }
}

#[cfg(test)]
mod tests {
    use super::{recipient, sender};

    #[test]
    fn addresses_are_taken_out_of_their_brackets() {
        assert_eq!(sender("FROM:<ada@example.test>").as_deref(), Ok("ada@example.test"));
        assert_eq!(sender("from: <ada@example.test> SIZE=120 body=8BITMIME").as_deref(), Ok("ada@example.test"));
        assert_eq!(sender("FROM:<>").as_deref(), Ok(""));
        assert_eq!(recipient("TO:<\"a>b c\"@example.test>").as_deref(), Ok("\"a>b c\"@example.test"));
        assert_eq!(recipient("TO:<Postmaster>").as_deref(), Ok("Postmaster"));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for wrong in
            ["TO:ada@example.test", "TO:<ada>", "TO:<@example.test>", "TO:<a b@example.test>", "TO:<a@b", "<a@b>"]
        {
            assert!(recipient(wrong).is_err_and(|reply| reply.starts_with("501")), "{wrong}");
        }
        let long = format!("TO:<{}@example.test>", "a".repeat(300));
        assert!(recipient(&long).is_err());
    }

    #[test]
    fn parameters_act_or_are_refused() {
        assert!(sender("FROM:<a@b.test> SIZE=99999999999").is_err_and(|reply| reply.starts_with("552")));
        assert!(sender("FROM:<a@b.test> SIZE=x").is_err_and(|reply| reply.starts_with("501")));
        assert!(sender("FROM:<a@b.test> RET=FULL").is_err_and(|reply| reply.starts_with("555")));
        assert!(recipient("TO:<a@b.test> NOTIFY=NEVER").is_err_and(|reply| reply.starts_with("555")));
        assert!(sender("FROM:<ü@b.test>").is_err_and(|reply| reply.starts_with("550")));
        assert_eq!(sender("FROM:<ü@b.test> SMTPUTF8").as_deref(), Ok("ü@b.test"));
    }
}
